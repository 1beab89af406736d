package graph_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// spoil damages the record of an object.
func (p *place) spoil(t testing.TB, id model.ID) {
	t.Helper()
	dbtest.FlipBit(t, filepath.Join(p.root, db.FileName), string(id.Kind())+"s", id.String())
}

// household makes two layers with content, and an image and a container on top,
// all with data items.
func household(t testing.TB, s *graph.Store) {
	t.Helper()
	importLayer(t, s, "base", "", file("a", "1"))
	_, err := s.ImportLayer(t.Context(), graph.LayerSpec{ID: "top", Parent: "base", Names: []string{"upper"}}, bytes.NewReader(tarball(t, file("b", "2"))))
	noError(t, err)
	_, err = s.CreateImage(t.Context(), graph.ImageSpec{ID: "image", TopLayer: "top", Names: []string{"app", "app:1"}})
	noError(t, err)
	_, err = s.CreateContainer(t.Context(), graph.ContainerSpec{ID: "web", Image: "image", Layer: "of-web", Names: []string{"web-1"}})
	noError(t, err)
	for _, id := range []model.ID{model.LayerID("top"), model.ImageID("image"), model.ContainerID("web")} {
		noError(t, s.SetData(t.Context(), id, "notes", strings.NewReader("of "+id.String())))
	}
	must(s.Mount(t.Context(), "web", graph.MountOptions{}))(t)
	must(s.Unmount(t.Context(), "web", false))(t)
}

// What cannot be read can be deleted, and nothing is left of it.
func TestObjectsWithDamagedRecordsAreDeleted(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		for _, force := range []bool{false, true} {
			s := p.open(t)
			household(t, s)
			remove := func(id model.ID, orderly func() error) {
				t.Helper()
				p.spoil(t, id)
				exists := func() error {
					return s.View(t.Context(), func(tx *graph.ReadTx) error { _, err := tx.Names(id); return err })
				}
				wantError(t, exists(), model.ErrCorrupt)
				if force {
					orderly = func() error { return s.Delete(t.Context(), id) }
				}
				noError(t, orderly())
				wantError(t, exists(), model.ErrNotFound)
			}
			remove(model.ContainerID("web"), func() error { return s.DeleteContainer(t.Context(), "web") })
			_, err := s.Layer(t.Context(), "of-web")
			wantError(t, err, model.ErrLayerUnknown)
			remove(model.ImageID("image"), func() error { _, err := s.DeleteImage(t.Context(), "image"); return err })
			remove(model.LayerID("top"), func() error { return s.DeleteLayer(t.Context(), "top") })
			noError(t, s.DeleteLayer(t.Context(), "base"))
			p.examine(t)
			checkEmpty(t, s)
			noError(t, s.Close())
		}
	})
}

func TestWhatUsesADamagedRecordStillCounts(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		household(t, s)
		p.spoil(t, model.LayerID("base"))
		wantError(t, s.DeleteLayer(t.Context(), "base"), model.ErrLayerHasChildren)
		p.spoil(t, model.ImageID("image"))
		_, err := s.DeleteImage(t.Context(), "image")
		wantError(t, err, model.ErrImageUsedByContainer)
		// What is on top of it goes on working.
		onMount(t, s, "web", func(path string) {
			if readFile(t, filepath.Join(path, "a")) != "1" || readFile(t, filepath.Join(path, "b")) != "2" {
				t.Error("the container has other content")
			}
		})
		noError(t, s.DeleteContainer(t.Context(), "web"))
		must(s.DeleteImage(t.Context(), "image"))(t)
		noError(t, s.DeleteLayer(t.Context(), "top"))
		noError(t, s.DeleteLayer(t.Context(), "base"))
	})
}

func TestImageIsMadeInPlaceOfADamagedRecord(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		household(t, s)
		p.spoil(t, model.ImageID("image"))
		_, err := s.CreateImage(t.Context(), graph.ImageSpec{ID: "image", TopLayer: "nothing"})
		wantError(t, err, model.ErrLayerUnknown)
		i := must(s.CreateImage(t.Context(), graph.ImageSpec{ID: "image", TopLayer: "top", Names: []string{"app", "new"}}))(t)
		slices.Sort(i.Names)
		if !slices.Equal(i.Names, []string{"app", "app:1", "new"}) {
			t.Errorf("its names are %q", i.Names)
		}
		if got := data(t, s, i.ID, "notes"); got != "of image" {
			t.Errorf("its data item has %q", got)
		}
		_, err = s.CreateImage(t.Context(), graph.ImageSpec{ID: "image", TopLayer: "top"})
		wantError(t, err, model.ErrDuplicateID)
	})
}

func TestLayerIsImportedInPlaceOfADamagedRecord(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		household(t, s)
		p.spoil(t, model.LayerID("top"))
		again := func(parent model.LayerID, entries ...entry) (*model.Layer, error) {
			return s.ImportLayer(t.Context(), graph.LayerSpec{ID: "top", Parent: parent}, bytes.NewReader(tarball(t, entries...)))
		}
		_, err := again("", file("b", "2"))
		wantError(t, err, model.ErrDuplicateID)
		_, err = again("base", file("b", "3"))
		wantError(t, err, model.ErrInvalid)
		l := must(again("base", file("b", "2")))(t)
		if !slices.Equal(l.Names, []string{"upper"}) || l.DriverDir() != "top" {
			t.Errorf("layer is %+v", l)
		}
		if got := data(t, s, l.ID, "notes"); got != "of top" {
			t.Errorf("its data item has %q", got)
		}
		onMount(t, s, "web", func(path string) {
			if readFile(t, filepath.Join(path, "a")) != "1" || readFile(t, filepath.Join(path, "b")) != "2" {
				t.Error("the container has other content")
			}
		})
		_, err = again("base", file("b", "2"))
		wantError(t, err, model.ErrDuplicateID)
	})
}
