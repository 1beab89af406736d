package graph_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

var errOnPurpose = errors.New("on purpose")

// pulled is an image that has been staged.
type pulled struct {
	base, top        *graph.StagedLayer
	config, manifest *graph.StagedData
}

func pull(t testing.TB, s *graph.Store) pulled {
	t.Helper()
	p := pulled{base: stageLayer(t, s, graph.LayerSpec{ID: "base"}, file("a", "1"))}
	p.top = stageLayer(t, s, graph.LayerSpec{ID: "top", StagedParent: p.base}, file("b", "2"))
	p.config, p.manifest = stageData(t, s, "config"), stageData(t, s, "manifest")
	return p
}

// commit makes what has been staged an image.
func (p pulled) commit(tx *graph.Tx) error {
	for _, layer := range []*graph.StagedLayer{p.base, p.top} {
		if _, err := tx.AddLayer(layer); err != nil {
			return err
		}
	}
	image, err := tx.CreateImage(graph.ImageSpec{ID: "image", TopLayer: p.top.ID(), Names: []string{"name"}})
	if err != nil {
		return err
	}
	return errors.Join(
		tx.SetData(image.ID, "config", p.config),
		tx.SetData(image.ID, "manifest", p.manifest),
		tx.Bucket("com.example").Put([]byte("image"), []byte(image.ID)),
	)
}

// checkPulled checks that the image is there as a whole.
func checkPulled(t testing.TB, s *graph.Store) {
	t.Helper()
	image := must(s.Image(t.Context(), "name"))(t)
	if data(t, s, image.ID, "config") != "config" || data(t, s, image.ID, "manifest") != "manifest" {
		t.Errorf("image has other data")
	}
	if got := string(plainDiff(t, s, "top")); got != string(tarball(t, file("b", "2"))) {
		t.Errorf("top layer has another diff")
	}
	noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
		value, err := tx.Bucket("com.example").Get([]byte("image"))
		if string(value) != "image" {
			t.Errorf("the embedding program's value is %q", value)
		}
		return err
	}))
}

// checkEmpty checks that there is nothing in the store.
func checkEmpty(t testing.TB, s *graph.Store) {
	t.Helper()
	noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
		if ids, err := allIDs(tx); err != nil || len(ids) > 0 {
			t.Errorf("there are %v (%v)", ids, err)
		}
		_, err := tx.Bucket("com.example").Get([]byte("image"))
		wantError(t, err, model.ErrNotFound)
		return nil
	}))
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		staged := pull(t, s)
		err := s.Update(t.Context(), func(tx *graph.Tx) error {
			noError(t, staged.commit(tx))
			return errOnPurpose
		})
		wantError(t, err, errOnPurpose)
		checkEmpty(t, s)

		func() {
			defer func() { _ = recover() }()
			_ = s.Update(t.Context(), func(tx *graph.Tx) error {
				noError(t, staged.commit(tx))
				panic("on purpose")
			})
		}()
		checkEmpty(t, s)

		noError(t, s.Update(t.Context(), staged.commit))
		noError(t, staged.top.Discard(t.Context()))
		noError(t, staged.config.Discard(t.Context()))
		checkPulled(t, s)
	})
}

func TestStagedContentCanBeTakenOnce(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	staged := pull(t, s)
	noError(t, s.Update(t.Context(), staged.commit))
	err := s.SetData(t.Context(), model.ImageID("image"), "other", strings.NewReader("x"))
	noError(t, err)
	err = s.Update(t.Context(), func(tx *graph.Tx) error { return tx.SetData(model.ImageID("image"), "again", staged.config) })
	wantError(t, err, model.ErrInvalid)
	noError(t, s.DeleteContainer(t.Context(), createContainer(t, s, "c", "image").ID))
	must(s.DeleteImage(t.Context(), "image"))(t)
	err = s.Update(t.Context(), func(tx *graph.Tx) error { _, err := tx.AddLayer(staged.base); return err })
	wantError(t, err, model.ErrInvalid)

	discarded := stageLayer(t, s, graph.LayerSpec{ID: "gone"}, file("a", "1"))
	noError(t, discarded.Discard(t.Context()))
	noError(t, discarded.Discard(t.Context()))
	err = s.Update(t.Context(), func(tx *graph.Tx) error { _, err := tx.AddLayer(discarded); return err })
	wantError(t, err, model.ErrInvalid)
}
