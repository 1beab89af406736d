package graph_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

var importMiB = flag.Int("import-mib", testutil.Rounds(200), "size of the layer that is imported beside other work, in MiB")

// importer is what a child process runs: it imports a layer from its standard
// input.
func importer(ctx context.Context, args []string) error {
	s, err := graph.Open(ctx, graph.Options{Root: args[1], RunRoot: args[2], Driver: args[0]})
	if err != nil {
		return err
	}
	_, err = s.ImportLayer(ctx, graph.LayerSpec{ID: "large", Parent: "base"}, os.Stdin)
	return errors.Join(err, s.Close())
}

// largeTar writes an archive with one file per MiB. Before the second half of
// it, it calls pause.
func largeTar(w io.Writer, mib int, pause func()) error {
	out := tar.NewWriter(w)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for i := range mib {
		if i == mib/2 {
			if err := out.Flush(); err != nil {
				return err
			}
			pause()
		}
		h := &tar.Header{Name: fmt.Sprint(i), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(1, 0)}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		content[i%len(content)] ^= 1
		if _, err := out.Write(content); err != nil {
			return err
		}
	}
	return out.Close()
}

// Nobody waits for somebody who imports a large layer: the others finish their
// work while it cannot go on.
func TestNobodyWaitsForAnImport(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			p := findPlace(t, driver)
			s := p.open(t)
			readyContainer(t, s)
			child := testutil.Child(t, "importer", p.driver, p.root, p.run)
			in := must(child.StdinPipe())(t)
			noError(t, child.Start())
			sum := sha256.New()
			err := largeTar(io.MultiWriter(in, sum), *importMiB, func() {
				agents := startAgents(t, p, 8)
				for i, a := range agents {
					a.order(t, op{Do: "churn", ID: fmt.Sprint(i), Parent: "image", N: 10})
				}
				for i, a := range agents {
					if r := a.worked(t); r.N != 10 {
						t.Errorf("agent %d has done %d of its operations", i, r.N)
					}
					a.end(t)
				}
				if r := must(s.Recover(t.Context()))(t); len(r.Busy) == 0 || len(r.Trash)+len(r.Staged)+len(r.Strays) > 0 {
					t.Errorf("beside the import: %+v", r)
				}
			})
			noError(t, errors.Join(err, in.Close(), child.Wait()))
			l := must(s.Layer(t.Context(), "large"))(t)
			if got := l.Diff.Digest.Encoded(); got != fmt.Sprintf("%x", sum.Sum(nil)) {
				t.Errorf("the layer has digest %s", got)
			}
		})
	}
}

// pulledLayers are the layers of the image that pull pulls.
func pulledLayers() (layers []graph.LayerSpec, diffs [][]byte, err error) {
	for i := range 3 {
		spec := graph.LayerSpec{ID: model.LayerID(fmt.Sprint("pulled-", i))}
		if i > 0 {
			spec.Parent = layers[i-1].ID
		}
		diff, err := packed(file(fmt.Sprint("f", i), strings.Repeat(fmt.Sprint(i), 100_000)))
		if err != nil {
			return nil, nil, err
		}
		layers, diffs = append(layers, spec), append(diffs, diff)
	}
	return layers, diffs, nil
}

// pull pulls an image layer by layer, as engines do: whatever is there already
// will do.
func (h *hands) pull(ctx context.Context, _ op) (r result, err error) {
	layers, diffs, err := pulledLayers()
	if err != nil {
		return r, err
	}
	for i, spec := range layers {
		l, err := h.store.ImportLayer(ctx, spec, bytes.NewReader(diffs[i]))
		if err != nil && !errors.Is(err, model.ErrDuplicateID) {
			return r, err
		}
		if l == nil || l.Diff == nil {
			return r, fmt.Errorf("layer %s: got %+v with %w", spec.ID, l, err)
		}
	}
	_, err = h.store.CreateImage(ctx, graph.ImageSpec{ID: "pulled", TopLayer: layers[len(layers)-1].ID})
	if errors.Is(err, model.ErrDuplicateID) {
		_, err = h.store.Image(ctx, "pulled")
	}
	if err != nil {
		return r, err
	}
	id := model.ImageID("pulled")
	for _, key := range []string{"config", "manifest", "signature"} {
		err = errors.Join(err, h.store.SetData(ctx, id, key, strings.NewReader(key)))
	}
	_, errNames := h.store.AddNames(ctx, id, "name")
	return r, errors.Join(err, errNames, h.store.SetMetadata(ctx, id, "text"))
}

// pullAtOnce pulls the same image in one transaction.
func (h *hands) pullAtOnce(ctx context.Context, _ op) (r result, err error) {
	layers, diffs, err := pulledLayers()
	if err != nil {
		return r, err
	}
	for {
		err := h.pullOnce(ctx, layers, diffs)
		// Somebody else was faster with a parent, or with a layer that a child
		// was being staged on.
		if !errors.Is(err, model.ErrStagedOnOtherParent) && !errors.Is(err, model.ErrDuplicateID) {
			return r, err
		}
		if r.N++; r.N > 100 {
			return r, err
		}
	}
}

func (h *hands) pullOnce(ctx context.Context, layers []graph.LayerSpec, diffs [][]byte) (err error) {
	var staged []*graph.StagedLayer
	data := make(map[string]*graph.StagedData)
	defer func() {
		for _, layer := range staged {
			err = errors.Join(err, layer.Discard(ctx))
		}
		for _, item := range data {
			err = errors.Join(err, item.Discard(ctx))
		}
	}()
	for i, spec := range layers {
		if _, err := h.store.Layer(ctx, string(spec.ID)); err == nil {
			continue
		}
		if len(staged) > 0 {
			spec.StagedParent = staged[len(staged)-1]
		}
		layer, err := h.store.StageLayer(ctx, spec, bytes.NewReader(diffs[i]))
		if err != nil {
			return err
		}
		staged = append(staged, layer)
	}
	for _, key := range []string{"config", "manifest", "signature"} {
		item, err := h.store.StageData(ctx, graph.DataSpec{For: model.ImageID("pulled"), Key: key}, strings.NewReader(key))
		if err != nil {
			return err
		}
		data[key] = item
	}
	return h.store.Update(ctx, func(tx *graph.Tx) error {
		for _, layer := range staged {
			if _, err := tx.AddLayer(layer); err != nil && !errors.Is(err, model.ErrDuplicateID) {
				return err
			}
		}
		_, err := tx.CreateImage(graph.ImageSpec{ID: "pulled", TopLayer: layers[len(layers)-1].ID})
		if errors.Is(err, model.ErrDuplicateID) {
			err = nil
		}
		for key, item := range data {
			err = errors.Join(err, tx.SetData(model.ImageID("pulled"), key, item))
		}
		_, errNames := tx.AddNames(model.ImageID("pulled"), "name")
		return errors.Join(err, errNames, tx.SetMetadata(model.ImageID("pulled"), "text"))
	})
}

func TestManyProcessesPullTheSameImage(t *testing.T) {
	for _, how := range []string{"pull", "pull at once"} {
		for _, driver := range []string{"vfs", "overlay"} {
			t.Run(how+"/"+driver, func(t *testing.T) {
				p := findPlace(t, driver)
				s := p.open(t)
				agents := startAgents(t, p, 16)
				for _, a := range agents {
					a.order(t, op{Do: how})
				}
				for i, a := range agents {
					if r := a.answer(t); r.Err != "" {
						t.Errorf("process %d: %s", i, r.Text)
					}
					a.end(t)
				}
				image := must(s.Image(t.Context(), "name"))(t)
				if image.Metadata != "text" || len(image.Names) != 1 {
					t.Errorf("image is %+v", image)
				}
				for _, key := range []string{"config", "manifest", "signature"} {
					if got := data(t, s, image.ID, key); got != key {
						t.Errorf("%s is %q", key, got)
					}
				}
				if r := recordsOf(t, s); len(r.Layers) != 3 {
					t.Errorf("there are %d layers", len(r.Layers))
				}
			})
		}
	}
}
