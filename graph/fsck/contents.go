package fsck

import (
	"context"
	"errors"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// reading is something whose content is to be read and compared with what is
// recorded about it: a content file, or the diff of a layer.
type reading struct {
	object Object
	// content is a data item's file, or a layer's tar-split.
	content model.Content
	// diff is what a layer's files and its tar-split are to give together, nil
	// if the content file by itself is meant.
	diff *model.Diff
	// place names what is read, as Finding.Place does.
	place string
	// files is where the layer's own files are, relative to the root.
	files string
	// seq and dir tell the layer from others of its ID.
	seq uint64
	dir drivers.InspectedLayer
	// damage is the mark of the layer, see model.Layer.Damage.
	damage string
}

// size returns about how many bytes are read, which is what progress counts.
func (r *reading) size() int64 {
	if r.diff != nil {
		return r.diff.Size
	}
	return r.content.Size
}

// planReadings lists what there is to be read: everything that is recorded with
// a digest, but for what is known to be damaged already.
func (s *store) planReadings(ctx context.Context) error {
	chosen, err := s.chosen()
	if err != nil {
		return err
	}
	known := s.knownDamage()
	add := func(r reading) {
		if chosen.has(r.object.Kind, r.object.ID) && !known[r.place] {
			s.readings = append(s.readings, r)
		}
	}
	err = s.tx.EachLayer(func(l *model.Layer) error {
		if l.Diff == nil || l.Diff.TarSplit == nil {
			return context.Cause(ctx)
		}
		split := *l.Diff.TarSplit
		add(reading{object: Object{Kind: model.KindLayer, ID: string(l.ID), TarSplit: true}, place: split.Path, content: split})
		readable, err := s.hasFixedContent(l)
		if readable && !known[split.Path] {
			r := reading{object: *layerObject(l.ID), place: s.placeOf(l.DriverDir()), content: split, diff: l.Diff, seq: l.Seq, damage: l.Damage}
			r.dir.Dir = l.DriverDir()
			r.files = s.layerPath(s.home.ContentPath(r.dir.Dir))
			r.dir.Below, r.dir.Cut = s.below(l)
			add(r)
		}
		return errors.Join(err, context.Cause(ctx))
	})
	for _, kind := range model.Kinds {
		err = errors.Join(intact(err), s.tx.EachData(kind, func(id string, item *model.Data) error {
			add(reading{object: Object{Kind: kind, ID: id, Item: item.Key}, place: item.Content.Path, content: item.Content})
			return context.Cause(ctx)
		}))
	}
	if err := intact(err); err != nil {
		return err
	}
	s.readings = s.options.subset.choose(s.readings)
	return nil
}

// hasFixedContent tells whether a layer has content that is as its diff made
// it: a container goes on writing to its layer.
func (s *store) hasFixedContent(l *model.Layer) (bool, error) {
	if !l.Made || l.Incomplete || s.home == nil {
		return false, nil
	}
	owners, err := s.tx.ContainersOfLayer(l.ID)
	return len(owners) == 0, err
}

// knownDamage returns the places at which damage has been found, and those of
// the layers that have some.
func (s *store) knownDamage() map[string]bool {
	known := make(map[string]bool)
	for i := range s.report.Findings {
		f := &s.report.Findings[i]
		if f.Severity != Damage || f.Realm != InRoot {
			continue
		}
		known[f.Place] = true
		if o := f.Object; o != nil && o.Kind == model.KindLayer && o.Item == "" && !o.TarSplit {
			known[s.placeOf(s.lineage[model.LayerID(o.ID)].dir)] = true
		}
	}
	return known
}
