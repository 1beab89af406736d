package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/model"
)

// embedder is the name of the bucket of an embedding program.
const embedder = "com.example.engine"

// publish makes an image with three layers, data and something in the bucket of
// an embedding program, all in one transaction. It gets names that another
// image may have.
func (h *hands) publish(ctx context.Context, o op) (r result, err error) {
	layers, err := h.stagePublished(ctx, o)
	defer func() {
		for _, layer := range layers {
			err = errors.Join(err, layer.Discard(ctx))
		}
	}()
	if err != nil {
		return r, err
	}
	id := model.ImageID(o.ID)
	manifest, err := h.store.StageData(ctx, graph.DataSpec{For: id, Key: "manifest"}, strings.NewReader(o.ID+" manifest"))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, manifest.Discard(ctx)) }()
	config, err := h.store.StageData(ctx, graph.DataSpec{}, strings.NewReader(o.ID+" config"))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, config.Discard(ctx)) }()
	return r, h.store.Update(ctx, func(tx *graph.Tx) error {
		for _, layer := range layers {
			if _, err := tx.AddLayer(layer); err != nil {
				return err
			}
		}
		if _, err := tx.CreateImage(graph.ImageSpec{ID: id, TopLayer: layers[len(layers)-1].ID()}); err != nil {
			return err
		}
		_, errNames := tx.SetNames(id, o.Names...)
		return errors.Join(errNames, tx.SetData(id, "manifest", manifest), tx.SetData(id, "config", config),
			tx.Bucket(embedder).Put([]byte(o.ID), []byte(strings.Join(o.Names, " "))))
	})
}

// stagePublished stages the layers of an image, each on the one before. It
// returns those that it has staged when there is an error.
func (h *hands) stagePublished(ctx context.Context, o op) (layers []*graph.StagedLayer, err error) {
	spec := graph.LayerSpec{Parent: model.LayerID(o.Parent)}
	for i := range 3 {
		spec.ID = model.LayerID(fmt.Sprintf("%s-%d", o.ID, i))
		diff, err := packed(file(fmt.Sprint("f", i), strings.Repeat(string(spec.ID), 1000)), file("last", fmt.Sprint(i)))
		if err != nil {
			return layers, err
		}
		layer, err := h.store.StageLayer(ctx, spec, bytes.NewReader(diff))
		if err != nil {
			return layers, err
		}
		layers = append(layers, layer)
		spec.StagedParent = layer
	}
	return layers, nil
}

// put writes the file Key of a layer that is mounted.
func (h *hands) put(ctx context.Context, o op) (r result, err error) {
	m, err := h.store.MountOf(ctx, model.LayerID(o.ID))
	if err == nil && m == nil {
		err = model.ErrLayerNotMounted
	}
	if err != nil {
		return r, err
	}
	return r, os.WriteFile(filepath.Join(m.Path, o.Key), o.Data, 0o600)
}

func (h *hands) wipe(ctx context.Context, _ op) (result, error) { return result{}, h.store.Wipe(ctx) }

func (h *hands) close(context.Context, op) (result, error) { return result{}, h.store.Close() }

// hits tells which crash points have been hit, and how often.
func (h *hands) hits(context.Context, op) (r result, err error) {
	for point, n := range crashpoint.Hits() {
		r.List = append(r.List, fmt.Sprintf("%s=%d", point, n))
	}
	return r, nil
}
