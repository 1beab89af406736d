package db_test

import (
	"errors"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// threeOfEach makes three objects of each kind: a, b and c.
func threeOfEach(tx *db.Tx) error {
	for _, name := range []string{"a", "b", "c"} {
		err := errors.Join(
			tx.CreateLayer(&model.Layer{ID: model.LayerID(name), Names: []string{"layer-" + name}, Size: 10}),
			tx.CreateImage(&model.Image{ID: model.ImageID(name), Names: []string{"image-" + name}, TopLayer: model.LayerID(name)}),
			tx.CreateContainer(&model.Container{ID: model.ContainerID(name), Names: []string{"container-" + name}, Layer: model.LayerID(name)}))
		if err != nil {
			return err
		}
		for _, kind := range model.Kinds {
			item := model.Data{Key: "item", Content: contentOf(string(kind)+"/"+name, 5)}
			if _, err := tx.PutData(kind, name, item); err != nil {
				return err
			}
		}
	}
	return nil
}

// object is what can be done with an object of any kind.
type object struct {
	bucket string
	load   func(*db.ReadTx, string) error
	list   func(*db.ReadTx) (int, error)
	delete func(*db.Tx, string) error
}

var objects = map[model.Kind]object{
	model.KindLayer: {
		"layers",
		func(tx *db.ReadTx, id string) error { return second(tx.Layer(model.LayerID(id))) },
		func(tx *db.ReadTx) (int, error) { all, err := tx.Layers(); return len(all), err },
		func(tx *db.Tx, id string) error { _, _, err := tx.DeleteLayer(model.LayerID(id)); return err },
	},
	model.KindImage: {
		"images",
		func(tx *db.ReadTx, id string) error { return second(tx.Image(model.ImageID(id))) },
		func(tx *db.ReadTx) (int, error) { all, err := tx.Images(); return len(all), err },
		func(tx *db.Tx, id string) error { _, _, err := tx.DeleteImage(model.ImageID(id)); return err },
	},
	model.KindContainer: {
		"containers",
		func(tx *db.ReadTx, id string) error { return second(tx.Container(model.ContainerID(id))) },
		func(tx *db.ReadTx) (int, error) { all, err := tx.Containers(); return len(all), err },
		func(tx *db.Tx, id string) error { _, _, err := tx.DeleteContainer(model.ContainerID(id)); return err },
	},
}

func TestDamagedRecordIsIsolated(t *testing.T) {
	for kind, o := range objects {
		t.Run(string(kind), func(t *testing.T) {
			database := create(t)
			update(t, database, threeOfEach)
			dbtest.FlipBit(t, database.Path(), o.bucket, "b")

			view(t, database, func(tx *db.ReadTx) error {
				err := o.load(tx, "b")
				wantClass(t, err, model.ErrCorrupt)
				wantText(t, err, string(kind)+` "b"`, o.bucket+"/b")
				if errors.Is(err, model.ErrNotFound) {
					t.Error("it is said not to exist")
				}
				n, err := o.list(tx)
				if n != 2 {
					t.Errorf("%d records are listed", n)
				}
				wantClass(t, err, model.ErrCorrupt)
				// It can still be found, and its data read.
				for _, ref := range []string{"b", string(kind) + "-b"} {
					if found, err := tx.Find(kind, ref); err != nil || found != "b" {
						t.Errorf("%s: found %q %v", ref, found, err)
					}
				}
				_, err = tx.DataItem(kind, "b", "item")
				return errors.Join(err, o.load(tx, "a"), o.load(tx, "c"))
			})

			// All else can be changed.
			update(t, database, func(tx *db.Tx) error {
				_, errName := tx.SetNames(kind, "a", []string{"new"})
				_, errData := tx.PutData(kind, "c", model.Data{Key: "new", Content: contentOf("new", 1)})
				return errors.Join(errName, errData, tx.SetMetadata(kind, "a", "text"))
			})
			err := database.Update(t.Context(), func(tx *db.Tx) error { return tx.SetMetadata(kind, "b", "text") })
			wantClass(t, err, model.ErrCorrupt)
			update(t, database, func(tx *db.Tx) error { return o.delete(tx, "c") })
		})
	}
}

// An ID whose record is damaged is taken.
func TestDamagedRecordIsNotReplaced(t *testing.T) {
	database := create(t)
	update(t, database, threeOfEach)
	dbtest.FlipBit(t, database.Path(), "layers", "b")
	wantClass(t, database.Update(t.Context(), createLayer("b")), model.ErrDuplicateID)
}

func TestDamagedDataItemIsIsolated(t *testing.T) {
	database := create(t)
	update(t, database, threeOfEach, func(tx *db.Tx) error {
		_, err := tx.PutData(model.KindImage, "a", model.Data{Key: "other", Content: contentOf("other", 1)})
		return err
	})
	dbtest.FlipBit(t, database.Path(), "data/image", "a\x00item")
	view(t, database, func(tx *db.ReadTx) error {
		items, err := tx.Data(model.KindImage, "a")
		wantClass(t, err, model.ErrCorrupt)
		if len(items) != 1 || items[0].Key != "other" {
			t.Errorf("listed: %v", items)
		}
		return errors.Join(second(tx.DataItem(model.KindImage, "a", "other")), second(tx.DataItem(model.KindImage, "b", "item")))
	})
}

func TestDamagedAppValueIsIsolated(t *testing.T) {
	database := create(t)
	update(t, database, func(tx *db.Tx) error {
		app := tx.App("app")
		return errors.Join(app.Put([]byte("a"), []byte("1")), app.Put([]byte("b"), []byte("2")), app.Put([]byte("c"), []byte("3")))
	})
	withBolt(t, database.Path(), func(tx *bolt.Tx) error {
		app := inBucket(tx, "apps").Bucket([]byte("app"))
		return app.Put([]byte("b"), app.Get([]byte("a")))
	})
	view(t, database, func(tx *db.ReadTx) error {
		_, err := tx.App("app").Get([]byte("b"))
		wantClass(t, err, model.ErrCorrupt)
		var got []byte
		err = tx.App("app").Each(nil, func(_, value []byte) error { got = append(got, value...); return nil })
		wantClass(t, err, model.ErrCorrupt)
		if string(got) != "13" {
			t.Errorf("listed: %q", got)
		}
		return nil
	})
}

func TestDamagedJournalEntryIsIsolated(t *testing.T) {
	database := create(t)
	for _, name := range []model.LayerID{"a", "b", "c"} {
		update(t, database, createLayer(name))
	}
	dbtest.FlipBit(t, database.Path(), "journal", "\x00\x00\x00\x00\x00\x00\x00\x02")
	view(t, database, func(tx *db.ReadTx) error {
		var seqs []uint64
		err := tx.Journal(0, func(e *db.JournalEntry) bool { seqs = append(seqs, e.Seq); return true })
		wantClass(t, err, model.ErrCorrupt)
		if len(seqs) != 2 || seqs[0] != 1 || seqs[1] != 3 {
			t.Errorf("listed: %d", seqs)
		}
		return nil
	})
	update(t, database, createLayer("d"))
}

// The sums follow from the records, so they are no reason to refuse work.
func TestDamagedSumsAreComputedAnew(t *testing.T) {
	for name, damage := range map[string]func(*testing.T, *db.DB){
		"damaged": func(t *testing.T, database *db.DB) { t.Helper(); dbtest.FlipBit(t, database.Path(), "store", "usage") },
		"missing": func(t *testing.T, database *db.DB) {
			t.Helper()
			withBolt(t, database.Path(), func(tx *bolt.Tx) error { return inBucket(tx, "store").Delete([]byte("usage")) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			database := create(t)
			update(t, database, threeOfEach)
			damage(t, database)
			update(t, database, createLayer("d"))
			view(t, database, func(tx *db.ReadTx) error {
				usage, err := tx.Usage()
				if err != nil {
					return err
				}
				want := db.Usage{Layers: 4, Images: 3, Containers: 3, LayerBytes: 30, DataItems: 9, DataBytes: 45}
				if *usage != want {
					t.Errorf("got %+v, want %+v", *usage, want)
				}
				return nil
			})
		})
	}
}

func TestDatabaseWithoutDescriptionIsDamaged(t *testing.T) {
	for _, key := range []string{"schema", "info"} {
		database := create(t)
		dbtest.FlipBit(t, database.Path(), "store", key)
		for _, options := range []db.Options{{}, {ReadOnly: true}} {
			_, err := db.Open(t.Context(), rootOf(database), options)
			wantClass(t, err, model.ErrCorrupt)
			wantText(t, err, database.Path(), "csdb fsck")
		}
	}
}
