package fsck

import (
	"context"
	"path"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// checkLayers looks at the directories and the tar-splits of all layers.
func (s *store) checkLayers(ctx context.Context) error {
	return intact(s.tx.EachLayer(func(l *model.Layer) error {
		if l.Diff != nil && l.Diff.TarSplit != nil {
			object := Object{Kind: model.KindLayer, ID: string(l.ID), TarSplit: true}
			if err := s.checkContent(object, *l.Diff.TarSplit); err != nil {
				return err
			}
		}
		if err := s.checkIncomplete(l); err != nil {
			return err
		}
		if !l.Made || s.home == nil {
			return context.Cause(ctx)
		}
		return s.checkDir(ctx, l)
	}))
}

// checkIncomplete reports a layer whose content was being changed by a program
// that is gone.
func (s *store) checkIncomplete(l *model.Layer) error {
	if !l.Incomplete {
		return nil
	}
	changing, err := s.busy.OnLayer(l.ID)
	if err != nil || changing {
		return err
	}
	s.add(Finding{
		Code: CodeIncomplete, Object: layerObject(l.ID), Realm: InRoot, Place: s.placeOf(l.DriverDir()),
		Expected: "a layer that is whole", Found: "the mark of a change that has not come to its end",
	})
	return nil
}

// checkDir looks at the directory of a layer.
func (s *store) checkDir(ctx context.Context, l *model.Layer) error {
	s.report.Checked.Directories++
	inspected := drivers.InspectedLayer{Dir: l.DriverDir()}
	inspected.Below, inspected.Cut = s.below(l)
	faults, err := s.home.Layer(ctx, inspected)
	for _, fault := range faults {
		if fault.Fix != nil {
			fix := *fault.Fix
			fix.Path = s.layerPath(fix.Path)
			fault.Fix = &fix
		}
		s.add(Finding{
			Fix:  fault.Fix,
			Code: Code(fault.Code), Object: layerObject(l.ID),
			Realm: InRoot, Place: s.layerPath(fault.Path), Expected: fault.Expected, Found: fault.Found,
			Lost: s.lostLayer(l, inspected, fault),
		})
	}
	if err == nil {
		if err := s.checkMark(l, len(faults)); err != nil {
			return err
		}
	}
	return s.unreadable(Finding{
		Object: layerObject(l.ID), Realm: InRoot, Place: s.placeOf(l.DriverDir()), Expected: "the directory of a layer",
	}, err)
}

// lostLayer says what would have to be brought back if the content of a layer is
// gone altogether, and nil if that cannot be said.
func (s *store) lostLayer(l *model.Layer, inspected drivers.InspectedLayer, fault drivers.Fault) *Lost {
	if !s.kinds[Code(fault.Code)].loss || l.Diff == nil || l.Incomplete {
		return nil
	}
	whole := &LostLayer{Layer: inspected, Driver: s.driver, Homes: s.othersHomes}
	if s.copies && len(inspected.Below) > 0 {
		whole.Needs = inspected.Below[0]
	}
	lost := &Lost{Diff: l.Diff, Dir: s.layerPath(s.home.ContentPath(inspected.Dir)), Whole: whole}
	if l.Diff.TarSplit != nil {
		lost.Content = *l.Diff.TarSplit
	}
	return lost
}

// below returns the driver's names for the ancestors of a layer, the nearest
// first. cut tells that it is not known what lies below the last of them.
func (s *store) below(l *model.Layer) (dirs []string, cut bool) {
	seen := make(map[model.LayerID]bool)
	for id := l.Parent; id != ""; {
		layer, known := s.ancestor(id)
		if !known {
			return dirs, true // the record is missing or damaged, or in a store that is not there
		}
		if seen[id] {
			return nil, true // a circle
		}
		seen[id] = true
		if _, own := s.lineage[id]; own || layer.made { // nobody makes a directory in another store
			dirs = append(dirs, layer.dir)
		}
		id = layer.parent
	}
	return dirs, false
}

// layerPath returns the path of something in the home of the driver. For the
// directory of a layer that is how locks and the trash call it, wherever the
// driver keeps it.
func (s *store) layerPath(name string) string { return path.Join(s.driver.Name, name) }

// placeOf returns where the directory of a layer is.
func (s *store) placeOf(dir string) string {
	if s.home == nil {
		return s.layerPath(dir)
	}
	return s.layerPath(s.home.Path(dir))
}

func layerObject(id model.LayerID) *Object { return &Object{Kind: model.KindLayer, ID: string(id)} }
