package db_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// putData stores data items whose contents are files of their names.
func putData(t *testing.T, database *db.DB, kind model.Kind, id string, keys ...string) {
	t.Helper()
	update(t, database, func(tx *db.Tx) error {
		for _, key := range keys {
			if _, err := tx.PutData(kind, id, model.Data{Key: key, Content: contentOf(key, int64(len(key)))}); err != nil {
				return err
			}
		}
		return nil
	})
}

func dataKeys(t *testing.T, database *db.DB, kind model.Kind, id string) (keys []string) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		items, err := tx.Data(kind, id)
		for _, item := range items {
			keys = append(keys, item.Key)
		}
		return err
	})
	return keys
}

func TestDataItemsAreListedInTheOrderOfTheirFirstUse(t *testing.T) {
	for _, kind := range model.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			database := twoOfEach(t)
			putData(t, database, kind, "a", "z", "m", "a")
			putData(t, database, kind, "b", "other") // whose ID is not a prefix
			update(t, database, func(tx *db.Tx) error {
				old, err := tx.PutData(kind, "a", model.Data{Key: "z", Content: contentOf("new file", 8)})
				if err == nil && (old == nil || old.Path != "z") {
					t.Errorf("the old content is said to be %v", old)
				}
				return err
			})
			if diff := cmp.Diff([]string{"z", "m", "a"}, dataKeys(t, database, kind, "a")); diff != "" {
				t.Error(diff)
			}
			update(t, database, func(tx *db.Tx) error {
				old, err := tx.DeleteData(kind, "a", "m")
				if err == nil && old.Path != "m" {
					t.Errorf("the old content is said to be %v", old)
				}
				return err
			})
			putData(t, database, kind, "a", "m")
			if diff := cmp.Diff([]string{"z", "a", "m"}, dataKeys(t, database, kind, "a")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDataItemThatIsNew(t *testing.T) {
	database := twoOfEach(t)
	update(t, database, func(tx *db.Tx) error {
		old, err := tx.PutData(model.KindLayer, "a", model.Data{Key: "k", Content: contentOf("file", 1)})
		if old != nil {
			t.Errorf("it replaces %v", old)
		}
		return err
	})
	view(t, database, func(tx *db.ReadTx) error {
		item, err := tx.DataItem(model.KindLayer, "a", "k")
		if err != nil {
			return err
		}
		if diff := cmp.Diff(contentOf("file", 1), item.Content); diff != "" {
			t.Error(diff)
		}
		owner, err := tx.FileOwner("file")
		if want := (db.FileOwner{Kind: model.KindLayer, ID: "a", Key: "k"}); owner != want {
			t.Errorf("the file belongs to %+v", owner)
		}
		return err
	})
}

func TestDataItemsThatAreUnknown(t *testing.T) {
	database := twoOfEach(t)
	putData(t, database, model.KindImage, "a", "k")
	view(t, database, func(tx *db.ReadTx) error {
		_, err := tx.DataItem(model.KindImage, "a", "unknown")
		wantClass(t, err, model.ErrDataUnknown)
		_, err = tx.DataItem(model.KindImage, "unknown", "k")
		wantClass(t, err, model.ErrImageUnknown)
		_, err = tx.Data(model.KindImage, "unknown")
		wantClass(t, err, model.ErrImageUnknown)
		_, err = tx.FileOwner("unknown")
		wantClass(t, err, model.ErrNotFound)
		return nil
	})
	for _, err := range []error{
		database.Update(t.Context(), func(tx *db.Tx) error { return second(tx.DeleteData(model.KindImage, "a", "unknown")) }),
		database.Update(t.Context(), func(tx *db.Tx) error {
			return second(tx.PutData(model.KindImage, "unknown", model.Data{Key: "k", Content: contentOf("f", 1)}))
		}),
	} {
		wantClass(t, err, model.ErrNotFound)
	}
}

func TestDataItemsThatCannotBe(t *testing.T) {
	database := twoOfEach(t)
	putData(t, database, model.KindImage, "a", "file")
	for name, c := range map[string]struct {
		item model.Data
		want error
	}{
		"key empty":          {model.Data{Content: contentOf("f", 1)}, model.ErrDataKeyInvalid},
		"key too long":       {model.Data{Key: strings.Repeat("k", model.MaxNameLength+1), Content: contentOf("f", 1)}, model.ErrDataKeyInvalid},
		"key with NUL":       {model.Data{Key: "\x00", Content: contentOf("f", 1)}, model.ErrDataKeyInvalid},
		"no file":            {model.Data{Key: "k"}, model.ErrInvalid},
		"file of another":    {model.Data{Key: "k", Content: contentOf("file", 1)}, model.ErrExists},
		"manifest with NULs": {model.Data{Key: "manifest", Content: contentOf("f", 1), ManifestDigest: "a\x00b"}, model.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			for _, id := range []string{"a", "b"} {
				err := database.Update(t.Context(), func(tx *db.Tx) error { return second(tx.PutData(model.KindImage, id, c.item)) })
				wantClass(t, err, c.want)
			}
		})
	}
}

func TestTarSplitAndDataItemCannotShareAFile(t *testing.T) {
	database := twoOfEach(t)
	putData(t, database, model.KindImage, "a", "file")
	split := contentOf("file", 1)
	err := database.Update(t.Context(), func(tx *db.Tx) error {
		return tx.CreateLayer(&model.Layer{ID: "c", Diff: &model.Diff{TarSplit: &split}})
	})
	wantClass(t, err, model.ErrExists)
}

func TestDigestsOfManifestsFindTheImage(t *testing.T) {
	database := twoOfEach(t)
	given, d1, d2 := digest.FromString("given"), digest.FromString("1"), digest.FromString("2")
	wantFound := func(want map[digest.Digest]string) {
		t.Helper()
		view(t, database, func(tx *db.ReadTx) error {
			for d, ids := range want {
				found, err := tx.ImagesByDigest(d)
				if err != nil {
					return err
				}
				var got []string
				for _, i := range found {
					got = append(got, string(i.ID))
				}
				if strings.Join(got, " ") != ids {
					t.Errorf("%s finds %q, want %q", d, got, ids)
				}
			}
			return nil
		})
	}
	put := func(id, key string, d digest.Digest) func(*db.Tx) error {
		return func(tx *db.Tx) error {
			return second(tx.PutData(model.KindImage, id, model.Data{Key: key, Content: contentOf(id+key+d.Encoded(), 1), ManifestDigest: d}))
		}
	}
	update(t, database, func(tx *db.Tx) error {
		return second(tx.UpdateImage(db.OpModify, "b", func(i *model.Image) error { i.Digest = given; return nil }))
	}, put("b", "manifest", d1), put("a", "manifest", d1), put("a", "manifest-2", d2))
	wantFound(map[digest.Digest]string{given: "b", d1: "a b", d2: "a"})
	view(t, database, func(tx *db.ReadTx) error {
		a, err := tx.Image("a")
		if err != nil {
			return err
		}
		if diff := cmp.Diff([]digest.Digest{d1, d2}, a.Digests()); diff != "" {
			t.Error(diff)
		}
		return nil
	})
	update(t, database, put("a", "manifest", d2))
	wantFound(map[digest.Digest]string{given: "b", d1: "b", d2: "a"})
	update(t, database, func(tx *db.Tx) error { return second(tx.DeleteData(model.KindImage, "a", "manifest-2")) })
	wantFound(map[digest.Digest]string{d1: "b", d2: "a"})
	update(t, database, func(tx *db.Tx) error { return second(tx.DeleteData(model.KindImage, "a", "manifest")) })
	wantFound(map[digest.Digest]string{d1: "b", d2: ""})
	update(t, database, func(tx *db.Tx) error { _, _, err := tx.DeleteImage("b"); return err })
	wantFound(map[digest.Digest]string{given: "", d1: ""})
}

func TestDeleteReturnsTheFilesThatNothingNeeds(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	var paths []string
	note := func(contents []model.Content, err error) error {
		for _, c := range contents {
			paths = append(paths, c.Path)
		}
		return err
	}
	update(t, database, func(tx *db.Tx) error {
		_, files, err := tx.DeleteContainer("container")
		return note(files, err)
	}, func(tx *db.Tx) error {
		_, files, err := tx.DeleteImage("image")
		return note(files, err)
	}, func(tx *db.Tx) error {
		l, files, err := tx.DeleteLayer("base")
		if err == nil && l.Dir != "base-dir" {
			t.Errorf("the record is %+v", l)
		}
		return note(files, err)
	})
	want := []string{
		"vfs-containers/container/config.json", "vfs-images/image/config", "vfs-images/image/manifest",
		"vfs-layers/base/toc", "vfs-layers/base.tar-split.gz",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}
