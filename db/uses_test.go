package db_test

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// wantUses compares the counts of uses, and how much is not used.
func wantUses(t *testing.T, database *db.DB, want map[model.LayerID]uint64, unused int64) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		got := make(map[model.LayerID]uint64)
		for layer := range want {
			n, err := tx.Uses(layer)
			if err != nil {
				return err
			}
			got[layer] = n
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		usage, err := tx.Usage()
		if err == nil && usage.UnusedLayerBytes != unused {
			t.Errorf("%d bytes are said to be unused, want %d", usage.UnusedLayerBytes, unused)
		}
		return err
	})
}

// chain makes layers a, b on a, and c on b, of 1, 2 and 4 bytes.
func chain(tx *db.Tx) error {
	return errors.Join(
		tx.CreateLayer(&model.Layer{ID: "a", Size: 1}),
		tx.CreateLayer(&model.Layer{ID: "b", Parent: "a", Size: 2}),
		tx.CreateLayer(&model.Layer{ID: "c", Parent: "b", Size: 4}))
}

func TestUsesFollowTheParents(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, chain)
	wantUses(t, database, map[model.LayerID]uint64{"a": 0, "b": 0, "c": 0}, 7)
	update(t, database, func(tx *db.Tx) error { return tx.CreateImage(&model.Image{ID: "i", TopLayer: "b"}) })
	wantUses(t, database, map[model.LayerID]uint64{"a": 1, "b": 1, "c": 0}, 4)
	update(t, database, func(tx *db.Tx) error { return tx.CreateContainer(&model.Container{ID: "r", Layer: "c"}) })
	wantUses(t, database, map[model.LayerID]uint64{"a": 1, "b": 2, "c": 1}, 0)
	update(t, database, func(tx *db.Tx) error { _, _, err := tx.DeleteImage("i"); return err })
	wantUses(t, database, map[model.LayerID]uint64{"a": 1, "b": 1, "c": 1}, 0)
	update(t, database, func(tx *db.Tx) error { _, _, err := tx.DeleteContainer("r"); return err })
	wantUses(t, database, map[model.LayerID]uint64{"a": 0, "b": 0, "c": 0}, 7)
}

// An image may name a layer as its top layer and as a mapped one.
func TestImageThatNamesALayerTwiceUsesItOnce(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, chain, func(tx *db.Tx) error {
		return tx.CreateImage(&model.Image{ID: "i", TopLayer: "a", MappedTopLayers: []model.LayerID{"a", "b", "b"}})
	})
	wantUses(t, database, map[model.LayerID]uint64{"a": 2, "b": 1}, 4)
	update(t, database, func(tx *db.Tx) error {
		return second(tx.UpdateImage(db.OpModify, "i", func(i *model.Image) error { i.MappedTopLayers = nil; return nil }))
	})
	wantUses(t, database, map[model.LayerID]uint64{"a": 1, "b": 0}, 6)
	update(t, database, func(tx *db.Tx) error { _, _, err := tx.DeleteImage("i"); return err })
	wantUses(t, database, map[model.LayerID]uint64{"a": 0, "b": 0}, 7)
}

// A layer whose deletion was forced may come back, and is waited for.
func TestLayerThatComesBackIsUsedAtOnce(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, chain, func(tx *db.Tx) error {
		return tx.CreateContainer(&model.Container{ID: "r", Layer: "c"})
	}, deleteLayer("b"))
	wantUses(t, database, map[model.LayerID]uint64{"a": 0, "c": 1}, 1)
	update(t, database, func(tx *db.Tx) error { return tx.CreateLayer(&model.Layer{ID: "b", Parent: "a", Size: 8}) })
	wantUses(t, database, map[model.LayerID]uint64{"a": 1, "b": 1, "c": 1}, 0)
}

func TestSizesOfLayers(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, chain)
	resize := func(size int64) func(*db.Tx) error {
		return func(tx *db.Tx) error {
			return second(tx.UpdateLayer(db.OpApply, "b", func(l *model.Layer) error { l.Size = size; return nil }))
		}
	}
	for _, size := range []int64{100, 0, model.SizeUnknown, 50} {
		update(t, database, resize(size))
		wantUses(t, database, map[model.LayerID]uint64{}, 5+max(size, 0))
	}
}

// The identity of an object is for life.
func TestIdentityCannotBeChanged(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, chain)
	for name, change := range map[string]func(*model.Layer){
		"ID":     func(l *model.Layer) { l.ID = "other" },
		"number": func(l *model.Layer) { l.Seq++ },
		"time":   func(l *model.Layer) { l.Created = l.Created.Add(1) },
	} {
		err := database.Update(t.Context(), func(tx *db.Tx) error {
			return second(tx.UpdateLayer(db.OpModify, "a", func(l *model.Layer) error { change(l); return nil }))
		})
		if wantClass(t, err, model.ErrInvalid); t.Failed() {
			t.Error(name)
		}
	}
}

func TestTwoContainersCannotHaveOneLayer(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, chain, func(tx *db.Tx) error {
		return errors.Join(tx.CreateContainer(&model.Container{ID: "r", Layer: "c"}), tx.CreateContainer(&model.Container{ID: "s", Layer: "b"}))
	})
	for _, err := range []error{
		database.Update(t.Context(), func(tx *db.Tx) error { return tx.CreateContainer(&model.Container{ID: "x", Layer: "c"}) }),
		database.Update(t.Context(), func(tx *db.Tx) error {
			return second(tx.UpdateContainer(db.OpModify, "s", func(c *model.Container) error { c.Layer = "c"; return nil }))
		}),
	} {
		wantClass(t, err, model.ErrLayerUsedByContainer)
	}
	update(t, database, func(tx *db.Tx) error {
		return second(tx.UpdateContainer(db.OpModify, "s", func(c *model.Container) error { c.Metadata = "m"; return nil }))
	})
}

func TestKeysOfIndexesCannotBeForged(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	for name, l := range map[string]*model.Layer{
		"parent": {ID: "x", Parent: "a\x00b"},
		"digest": {ID: "x", TOCDigest: "sha256:a\x00b"},
	} {
		err := database.Update(t.Context(), func(tx *db.Tx) error { return tx.CreateLayer(l) })
		if wantClass(t, err, model.ErrInvalid); t.Failed() {
			t.Error(name)
		}
	}
}

func TestTrash(t *testing.T) {
	database := dbtest.New(t, db.Options{Now: fillNow})
	update(t, database, fill)
	want := db.Trash{Path: "vfs/dir/gone", Kind: db.TrashLayer, Dir: "gone", ObjectKind: model.KindLayer, ID: "gone", Since: fillTime, PID: os.Getpid()}
	view(t, database, func(tx *db.ReadTx) error {
		got, err := tx.Trash(want.Path)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Error(diff)
		}
		wantClass(t, second(tx.Trash("unknown")), model.ErrNotFound)
		if some, err := tx.TrashWith("vfs/"); err != nil || len(some) != 1 {
			t.Errorf("%v %v", some, err)
		}
		if none, err := tx.TrashWith("x"); err != nil || len(none) != 0 {
			t.Errorf("%v %v", none, err)
		}
		return nil
	})
	// What is needed is no trash.
	for _, path := range []string{"vfs-images/image/config", "vfs-layers/base.tar-split.gz"} {
		wantClass(t, database.Update(t.Context(), func(tx *db.Tx) error { return tx.AddTrash(db.Trash{Path: path}) }), model.ErrInUse)
	}
	update(t, database, func(tx *db.Tx) error { return tx.RemoveTrash("unknown", want.Path) })
	view(t, database, func(tx *db.ReadTx) error {
		left, err := tx.AllTrash()
		if len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		return err
	})
}

func TestEachObjectIsVisited(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	var got []string
	note := func(text string) error { got = append(got, text); return nil }
	view(t, database, func(tx *db.ReadTx) error {
		return errors.Join(
			tx.EachLayer(func(l *model.Layer) error { return note(string(l.ID)) }),
			tx.EachImage(func(i *model.Image) error { return note(string(i.ID)) }),
			tx.EachContainer(func(c *model.Container) error { return note(string(c.ID)) }),
			tx.EachData(model.KindImage, func(id string, item *model.Data) error { return note(id + ":" + item.Key) }),
			tx.EachName(model.KindContainer, func(name, id string) error { return note(name + "=" + id) }))
	})
	want := []string{"base", "own", "top", "image", "container", "image:config", "image:manifest", "some-container=container"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
