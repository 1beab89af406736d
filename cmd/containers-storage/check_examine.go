package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	// part is the store at whose findings one looks.
	part   graph.Part
	leased map[model.LayerID]bool
	// damage says that some records cannot be read, or is nil.
	damage error
}

// examine finds out what is wrong with the store: package fsck does, and this
// says it in the words that scripts know.
func (o *check) examine(ctx context.Context, s *session) (*checkReport, error) {
	e := &examination{session: s, checkReport: checkReport{
		layers: faults{}, readOnlyLayers: faults{}, images: faults{}, readOnlyImages: faults{}, containers: faults{}, strays: faults{},
	}}
	var reports []*fsck.Report
	for _, part := range s.store.Parts() {
		found, err := fsck.Check(ctx, s.checkOf(part))
		if err != nil {
			return nil, err
		}
		reports = append(reports, found)
	}
	if err := e.load(ctx); err != nil {
		return nil, err
	}
	for i, part := range s.store.Parts() {
		e.part = part
		if err := e.noteAll(ctx, reports[i]); err != nil {
			return nil, err
		}
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

// checkOf returns the options for the check of a store, with all others beside it.
func (s *session) checkOf(part graph.Part) fsck.Options {
	options := fsck.Options{Root: part.Root, Depth: fsck.Contents}
	if !part.ReadOnly {
		options.RunRoot = s.store.RunRoot()
	}
	for _, other := range s.store.Parts() {
		if other.Root != part.Root {
			options.Others = append(options.Others, other.Root)
		}
	}
	return options
}

// noteAll notes what was found in a store.
func (e *examination) noteAll(ctx context.Context, found *fsck.Report) error {
	for i := range found.Findings {
		f := &found.Findings[i]
		mine, err := e.counts(ctx, f)
		if err != nil {
			return err
		}
		if mine {
			e.note(f)
		}
	}
	for _, what := range found.Unchecked {
		e.other = append(e.other, fmt.Errorf("%w: %s: not checked: %s; see csdb fsck", model.ErrCorrupt, e.part.Root, what))
	}
	return nil
}

// counts tells whether an object with a finding is one that the store has, and
// not only one of these that another one stands before. Containers of stores that
// are only read nobody sees.
func (e *examination) counts(ctx context.Context, f *fsck.Finding) (bool, error) {
	if f.Severity != fsck.Damage || f.Object == nil || e.part.ReadOnly && f.Object.Kind == model.KindContainer {
		return f.Severity == fsck.Damage && f.Object == nil, nil
	}
	root := ""
	err := e.session.store.View(ctx, func(tx *graph.ReadTx) (err error) {
		root, err = tx.RootOf(model.NewID(f.Object.Kind, f.Object.ID))
		return err
	})
	if errors.Is(err, model.ErrNotFound) || errors.Is(err, model.ErrCorrupt) {
		return true, nil // something belongs to it that has lost its record
	}
	return root == e.part.Root, err
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
	for _, l := range slices.Backward(e.all) { // so that the first one of an ID counts
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
	for _, text := range e.texts(f) {
		switch {
		case f.Object.Kind == model.KindContainer:
			e.containers.add(f.Object.ID, text)
		case f.Object.Kind == model.KindLayer && e.part.ReadOnly:
			e.readOnlyLayers.add(f.Object.ID, readOnly+text)
		case f.Object.Kind == model.KindLayer:
			e.layers.add(f.Object.ID, text)
		case e.part.ReadOnly:
			e.readOnlyImages.add(f.Object.ID, readOnly+text)
		default:
			e.images.add(f.Object.ID, text)
		}
	}
}

// hasLayer tells whether a layer is in one of the stores.
func (e *examination) hasLayer(id model.LayerID) bool {
	_, known := e.parents[id]
	return known
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
	case f.Code == fsck.CodeParent && e.hasLayer(parent) || f.Code == fsck.CodeImage && owner != nil && e.imageByID[owner.Image] != nil:
		return nil // it is in another store than that was, or has come back
	case f.Code == fsck.CodeParent && parent != "":
		return []string{fmt.Sprintf("layer %s: layer is missing", parent)}
	case f.Code == fsck.CodeImage && owner != nil:
		return []string{fmt.Sprintf("image %s: image missing", owner.Image)}
	case f.Code == fsck.CodeLayer && f.Object.Kind == model.KindImage && image != nil:
		var texts []string
		for _, layer := range image.TopLayers() {
			if !e.hasLayer(layer) {
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
		if l.ReadOnly || l.Damage != "" || l.Incomplete || len(e.layers[string(l.ID)]) > 0 {
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
		if e.damage == nil && !l.ReadOnly && !used[l.ID] && now.Sub(l.Created) > maxAge {
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
		into := e.images
		if i.ReadOnly {
			into = e.readOnlyImages
		}
		for _, top := range i.TopLayers() {
			seen := make(map[model.LayerID]bool)
			for id := top; id != "" && !seen[id]; id = e.parents[id] {
				seen[id] = true
				into.add(string(i.ID), slices.Concat(e.layers[string(id)], e.readOnlyLayers[string(id)])...)
			}
		}
	}
	for _, c := range e.allOwners {
		e.containers.add(string(c.ID), e.layers[string(c.Layer)]...)
		e.containers.add(string(c.ID), slices.Concat(e.images[string(c.Image)], e.readOnlyImages[string(c.Image)])...)
	}
}
