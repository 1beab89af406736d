package graph

import (
	"context"
	"errors"
	"path"
	"slices"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// planned is an image or a layer that is to be deleted.
type planned struct {
	CollectedObject

	dirs []homeLayer // its layers that have directories
}

// gcPlan is what a policy would have deleted, in an order in which that can be
// done.
type gcPlan struct {
	tx      *ReadTx
	policy  *UnusedPolicy
	now     time.Time
	mounted map[model.LayerID]bool
	uses    lastUses

	images, layers []planned
	// gone are all images and layers that the plan deletes.
	gone map[model.ID]bool
	// leased are those that it would delete if they were not leased.
	leased []LeasedObject
}

func newGCPlan(tx *ReadTx, policy *UnusedPolicy, now time.Time, mounted map[model.LayerID]bool) *gcPlan {
	return &gcPlan{tx: tx, policy: policy, now: now, mounted: mounted, gone: make(map[model.ID]bool)}
}

func (p *gcPlan) make(ctx context.Context) (err error) {
	if p.uses, err = loadLastUses(ctx, p.tx, p.now); err != nil {
		return err
	}
	if err := p.planImages(ctx); err != nil {
		return err
	}
	return p.planLayers(ctx)
}

// old tells whether the last use of something is long enough ago.
func (p *gcPlan) old(id model.ID) bool { return p.now.Sub(p.uses.of(id)) >= p.policy.For }

func (p *gcPlan) planImages(ctx context.Context) error {
	images, err := p.tx.Images()
	if err != nil {
		return err
	}
	images = slices.DeleteFunc(images, func(i *model.Image) bool { return i.ReadOnly })
	for _, image := range images[:max(len(images)-p.policy.KeepLast, 0)] {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		users, err := p.tx.ContainersOfImage(image.ID)
		if err != nil {
			return err
		}
		if hold, err := p.tx.db.heldBy(image.ID); err != nil || hold != nil {
			if err != nil {
				return err
			}
			continue
		}
		if len(users) > 0 || !p.old(image.ID) || p.pinned(image) {
			continue
		}
		if leased, err := p.spare(image.ID); err != nil {
			return err
		} else if leased {
			continue
		}
		if err := p.planImage(image); err != nil {
			return err
		}
	}
	return nil
}

// spare tells whether something that would be deleted is leased, and notes it.
func (p *gcPlan) spare(id model.ID) (bool, error) {
	lease, err := p.tx.leaseOn(id)
	if err != nil || lease == nil {
		return false, err
	}
	names, err := p.tx.Names(id)
	if !slices.ContainsFunc(p.leased, func(o LeasedObject) bool { return o.Kind == id.Kind() && o.ID == id.String() }) {
		p.leased = append(p.leased, LeasedObject{Kind: id.Kind(), ID: id.String(), Names: append([]string{}, names...), Lease: *lease})
	}
	return true, err
}

// pinned tells whether an image is to be kept because of a name or its ID, or
// because it is mounted.
func (p *gcPlan) pinned(image *model.Image) bool {
	return slices.ContainsFunc(image.TopLayers(), func(l model.LayerID) bool { return p.mounted[l] }) ||
		slices.ContainsFunc(p.policy.Keep, func(keep string) bool {
			return keep == string(image.ID) || slices.ContainsFunc(image.Names, func(name string) bool {
				match, err := path.Match(keep, name)
				return keep == name || err == nil && match
			})
		})
}

func (p *gcPlan) planImage(image *model.Image) error {
	size, err := p.tx.dataSize(image.ID)
	if err != nil {
		return err
	}
	o := planned{CollectedObject: CollectedObject{
		Kind: model.KindImage, ID: string(image.ID), Names: append([]string{}, image.Names...), LastUse: p.uses.of(image.ID), Size: size.Own,
	}}
	p.gone[image.ID] = true
	if o.Layers, err = p.layersOf(image); err != nil {
		return err
	}
	for _, id := range o.Layers {
		if err := p.addLayer(&o, id); err != nil {
			return err
		}
	}
	p.images = append(p.images, o)
	return nil
}

// layersOf returns the layers that DeleteImage will delete together with an
// image, when everything before it in the plan has gone.
func (p *gcPlan) layersOf(image *model.Image) (doomed []model.LayerID, err error) {
	take := func(id model.LayerID) (bool, error) {
		free, err := p.free(id)
		if free {
			doomed = append(doomed, id)
			p.gone[id] = true
		}
		return free, err
	}
	for _, mapped := range image.MappedTopLayers {
		if _, err := take(mapped); err != nil {
			return nil, err
		}
	}
	if len(doomed) < len(image.MappedTopLayers) {
		return doomed, nil
	}
	for id := image.TopLayer; id != ""; {
		l, err := p.tx.LayerByID(id)
		if errors.Is(err, model.ErrNotFound) || err == nil && l.ReadOnly {
			break // deleted by force, or not ours
		}
		if err != nil {
			return nil, err
		}
		if free, err := take(id); err != nil || !free {
			return doomed, err
		}
		id = l.Parent
	}
	return doomed, nil
}

// free tells whether nothing but what the plan deletes uses a layer, and it is
// not leased.
func (p *gcPlan) free(id model.LayerID) (bool, error) {
	children, errChildren := p.tx.Children(id)
	images, errImages := p.tx.ImagesOfLayer(id)
	containers, errContainers := p.tx.ContainersOfLayer(id)
	if err := errors.Join(errChildren, errImages, errContainers); err != nil {
		return false, err
	}
	if len(containers) > 0 || p.gone[id] ||
		slices.ContainsFunc(children, func(l model.LayerID) bool { return !p.gone[l] }) ||
		slices.ContainsFunc(images, func(i model.ImageID) bool { return !p.gone[i] }) {
		return false, nil
	}
	if hold, err := p.tx.db.heldBy(id); err != nil || hold != nil {
		return false, err
	}
	leased, err := p.spare(id)
	return !leased, err
}

// addLayer adds what a layer takes.
func (p *gcPlan) addLayer(o *planned, id model.LayerID) error {
	l, err := p.tx.LayerByID(id)
	if err != nil {
		return err
	}
	size, err := p.tx.dataSize(id)
	if err != nil {
		return err
	}
	o.Size += size.Own
	if l.Diff != nil && l.Diff.TarSplit != nil {
		o.Size += l.Diff.TarSplit.Size
	}
	if l.Made {
		at, err := p.tx.db.placeOf(id)
		if err != nil {
			return err
		}
		o.dirs = append(o.dirs, homeLayer{l, at.home})
	}
	return nil
}

// planLayers plans the deletion of layers that nothing needs, each before its
// parent. Mostly a layer came after its parent, so one round and another one that
// finds nothing will do.
func (p *gcPlan) planLayers(ctx context.Context) error {
	layers, err := p.tx.Layers()
	if err != nil {
		return err
	}
	for more := true; more; {
		before := len(p.layers)
		for _, l := range slices.Backward(layers) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := p.planLayer(l); err != nil {
				return err
			}
		}
		more = len(p.layers) > before
	}
	return nil
}

// planLayer plans the deletion of a layer if nothing speaks against it.
func (p *gcPlan) planLayer(l *model.Layer) error {
	if l.ReadOnly || len(l.Names) > 0 || p.mounted[l.ID] || !p.old(l.ID) {
		return nil
	}
	if free, err := p.free(l.ID); err != nil || !free {
		return err
	}
	o := planned{CollectedObject: CollectedObject{Kind: model.KindLayer, ID: string(l.ID), Names: []string{}, LastUse: p.uses.of(l.ID)}}
	if err := p.addLayer(&o, l.ID); err != nil {
		return err
	}
	p.gone[l.ID] = true
	p.layers = append(p.layers, o)
	return nil
}

// lastUses tells from the journal when objects were used last.
type lastUses struct {
	times map[model.ID]time.Time
	// before is when everything else was used at the latest.
	before time.Time
}

func loadLastUses(ctx context.Context, tx *ReadTx, now time.Time) (lastUses, error) {
	u := lastUses{times: make(map[model.ID]time.Time), before: now}
	first := true
	err := tx.Journal(0, func(e *db.JournalEntry) bool {
		if first || e.Omitted > 0 { // then it may have been about anything
			u.before, first = e.Time, false
		}
		for _, change := range e.Changes {
			if slices.Contains(model.Kinds, change.Kind) {
				u.times[model.NewID(change.Kind, change.ID)] = e.Time
			}
		}
		return ctx.Err() == nil
	})
	return u, errors.Join(err, context.Cause(ctx))
}

// of returns when an object was used last, or the earliest time that is known.
func (u *lastUses) of(id model.ID) time.Time {
	if at, known := u.times[id]; known && at.After(u.before) {
		return at
	}
	return u.before
}
