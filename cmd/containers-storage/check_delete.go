package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// deleteDamaged deletes what the report says something about, users before what
// they use, and returns what went wrong. Containers are deleted only if they may
// be.
func (r *checkReport) deleteDamaged(ctx context.Context, s *session, containers bool) (failed []error) {
	try := func(err error) {
		if err != nil && !errors.Is(err, model.ErrNotFound) { // it has gone with something else
			failed = append(failed, err)
		}
	}
	update := func(fn func(*graph.Tx) error) { try(s.store.Update(ctx, fn)) }
	if containers {
		for _, id := range slices.Sorted(maps.Keys(r.containers)) {
			update(func(tx *graph.Tx) error { return tx.DeleteContainer(model.ContainerID(id)) })
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.images)) {
		update(func(tx *graph.Tx) error {
			_, err := tx.DeleteImage(model.ImageID(id))
			return err
		})
	}
	for _, id := range r.layersFromTheTop() {
		update(func(tx *graph.Tx) error { return tx.DeleteLayer(model.LayerID(id)) })
	}
	for _, dir := range slices.Sorted(maps.Keys(r.strays)) {
		try(s.store.RemoveStrayLayer(ctx, dir))
	}
	return failed
}

// layersFromTheTop returns the layers that something is wrong with, each before
// its parent.
func (r *checkReport) layersFromTheTop() []string {
	depth := func(id string) (n int) {
		for at := r.parents[model.LayerID(id)]; at != "" && n <= len(r.parents); at = r.parents[at] {
			n++
		}
		return n
	}
	return slices.SortedFunc(maps.Keys(r.layers), func(a, b string) int {
		if d := depth(b) - depth(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}
