package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// examination is a check under way.
type examination struct {
	checkReport

	session   *session
	all       []*model.Layer
	allImages []*model.Image
	allOwners []*model.Container
	imageByID map[model.ImageID]*model.Image
	ownerByID map[model.ContainerID]*model.Container
	leased    map[model.LayerID]bool
	// damage says that some records cannot be read, or is nil.
	damage error
}

// examine finds out what is wrong with the store: package fsck does, and this
// says it in the words that scripts know.
func (o *check) examine(ctx context.Context, s *session) (*checkReport, error) {
	found, err := fsck.Check(ctx, fsck.Options{Root: s.store.Root(), RunRoot: s.store.RunRoot(), Depth: fsck.Contents})
	if err != nil {
		return nil, err
	}
	e := &examination{session: s, checkReport: checkReport{layers: faults{}, images: faults{}, containers: faults{}, strays: faults{}}}
	if err := e.load(ctx); err != nil {
		return nil, err
	}
	for i := range found.Findings {
		e.note(&found.Findings[i])
	}
	for _, what := range found.Unchecked {
		e.other = append(e.other, fmt.Errorf("%w: not checked: %s; see csdb fsck", model.ErrCorrupt, what))
	}
	if !o.quick {
		if err := e.noteAltered(ctx); err != nil {
			return nil, err
		}
	}
	if err := e.noteUnused(ctx, o.maxAge); err != nil {
		return nil, err
	}
	e.spread()
	return &e.checkReport, nil
}

// load reads all records that can be read; fsck says which cannot.
func (e *examination) load(ctx context.Context) error {
	leases, err := e.session.store.Leases(ctx)
	if err != nil {
		return err
	}
	e.leased = make(map[model.LayerID]bool)
	now := e.session.Now()
	for _, lease := range leases {
		if lease.Expired(now) {
			continue
		}
		for _, o := range lease.Objects {
			if o.Kind == model.KindLayer {
				e.leased[model.LayerID(o.ID)] = true
			}
		}
	}
	e.damage, err = e.session.viewReadable(ctx, func(tx *graph.ReadTx) error {
		var errs [3]error
		e.all, errs[0] = tx.Layers()
		e.allImages, errs[1] = tx.Images()
		e.allOwners, errs[2] = tx.Containers()
		return errors.Join(errs[:]...)
	})
	e.parents = make(map[model.LayerID]model.LayerID, len(e.all))
	for _, l := range e.all {
		e.parents[l.ID] = l.Parent
	}
	e.imageByID = make(map[model.ImageID]*model.Image, len(e.allImages))
	for _, i := range e.allImages {
		e.imageByID[i.ID] = i
	}
	e.ownerByID = make(map[model.ContainerID]*model.Container, len(e.allOwners))
	for _, c := range e.allOwners {
		e.ownerByID[c.ID] = c
	}
	return err
}

// note notes a finding if something is lost. What is merely untidy, and what
// csdb repair makes anew from the records, is no error here.
func (e *examination) note(f *fsck.Finding) {
	if f.Severity != fsck.Damage {
		return
	}
	if f.Object == nil {
		e.other = append(e.other, fmt.Errorf("%w: %s at %s: %s instead of %s; see csdb fsck", model.ErrCorrupt, f.Code, f.Place, f.Found, f.Expected))
		return
	}
	into := map[model.Kind]faults{model.KindLayer: e.layers, model.KindImage: e.images, model.KindContainer: e.containers}[f.Object.Kind]
	into.add(f.Object.ID, e.texts(f)...)
}

// texts returns what a finding says, in words that scripts look for.
func (e *examination) texts(f *fsck.Finding) []string {
	id := f.Object.ID
	about := func(format string, args ...any) string {
		return fmt.Sprintf("%s %s: ", f.Object.Kind, id) + fmt.Sprintf(format, args...)
	}
	parent, owner, image := e.parents[model.LayerID(id)], e.ownerByID[model.ContainerID(id)], e.imageByID[model.ImageID(id)]
	incorrect := about("%s: %s instead of %s", model.ErrLayerContentIncorrect, f.Found, f.Expected)
	switch {
	case f.Code == fsck.CodeParent && parent != "":
		return []string{fmt.Sprintf("layer %s: layer is missing", parent)}
	case f.Code == fsck.CodeImage && owner != nil:
		return []string{fmt.Sprintf("image %s: image missing", owner.Image)}
	case f.Code == fsck.CodeLayer && f.Object.Kind == model.KindImage && image != nil:
		var texts []string
		for _, layer := range image.TopLayers() {
			if _, known := e.parents[layer]; !known {
				texts = append(texts, about("layer %s: image layer is missing", layer))
			}
		}
		if len(texts) > 0 {
			return texts
		}
	case f.Object.Item != "":
		return []string{about("data item %q: %s data item %s", f.Object.Item, f.Object.Kind, itemFault(f.Code))}
	case f.Object.TarSplit:
		return []string{incorrect}
	case f.Code == fsck.CodeContent:
		texts := []string{incorrect}
		for _, file := range f.Files {
			texts = append(texts, about("file integrity checksum failed for %q: %s", file.Path, strings.ReplaceAll(file.Found, "\n", "; ")))
		}
		return texts
	}
	return []string{about("%s: %s instead of %s", f.Code, f.Found, f.Expected)}
}

// itemFault says what is wrong with a data item.
func itemFault(code fsck.Code) string {
	if code == fsck.CodeMissing || code == fsck.CodeKind {
		return "is missing"
	}
	if code == fsck.CodeSize {
		return "has incorrect size"
	}
	return "has incorrect digest"
}

// noteAltered notes what has been changed in layers that are otherwise sound.
func (e *examination) noteAltered(ctx context.Context) error {
	for _, l := range e.all {
		if l.Damage != "" || l.Incomplete || len(e.layers[string(l.ID)]) > 0 {
			continue
		}
		altered, err := e.session.store.Altered(ctx, l.ID)
		switch {
		case errors.Is(err, model.ErrNotFound): // deleted meanwhile
		case errors.Is(err, model.ErrCorrupt):
			e.layers.add(string(l.ID), fmt.Sprintf("layer %s: %s", l.ID, oneLine(err)))
		case err != nil:
			return err
		}
		for _, one := range altered {
			e.layers.add(string(l.ID), fmt.Sprintf("layer %s: %s, layer content modified", l.ID, one))
		}
	}
	return nil
}

// noteUnused notes the layers that nothing uses and that are older than maxAge,
// and those that only the driver knows. What a record that cannot be read uses
// nobody knows.
func (e *examination) noteUnused(ctx context.Context, maxAge time.Duration) error {
	used := make(map[model.LayerID]bool)
	use := func(layers ...model.LayerID) {
		for _, id := range layers {
			for ; id != "" && !used[id]; id = e.parents[id] {
				used[id] = true
			}
		}
	}
	for _, i := range e.allImages {
		use(i.TopLayers()...)
	}
	for _, c := range e.allOwners {
		use(c.Layer)
	}
	for id := range e.leased {
		use(id)
	}
	now := e.session.Now()
	for _, l := range e.all {
		if e.damage == nil && !used[l.ID] && now.Sub(l.Created) > maxAge {
			e.layers.add(string(l.ID), fmt.Sprintf("layer %s: layer not referenced by any images or containers", l.ID))
		}
	}
	strays, err := e.session.store.StrayLayers(ctx)
	for _, dir := range strays {
		e.strays.add(dir, fmt.Sprintf("layer %s: layer in lower level storage driver not accounted for", dir))
	}
	return err
}

// spread repeats the errors of layers with the images that they are in, and with
// the container they belong to, and those of images with their containers.
func (e *examination) spread() {
	for _, i := range e.allImages {
		for _, top := range i.TopLayers() {
			seen := make(map[model.LayerID]bool)
			for id := top; id != "" && !seen[id]; id = e.parents[id] {
				seen[id] = true
				e.images.add(string(i.ID), e.layers[string(id)]...)
			}
		}
	}
	for _, c := range e.allOwners {
		e.containers.add(string(c.ID), e.layers[string(c.Layer)]...)
		e.containers.add(string(c.ID), e.images[string(c.Image)]...)
	}
}
