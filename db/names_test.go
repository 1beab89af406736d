package db_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// twoOfEach makes two objects of each kind: a, which has the names x and y, and
// b without names.
func twoOfEach(t *testing.T) *db.DB {
	t.Helper()
	database := dbtest.New(t, db.Options{})
	update(t, database, func(tx *db.Tx) error {
		for _, name := range []string{"a", "b"} {
			var names []string
			if name == "a" {
				names = []string{"x", "y", "x"}
			}
			for _, err := range []error{
				tx.CreateLayer(&model.Layer{ID: model.LayerID(name), Names: names}),
				tx.CreateImage(&model.Image{ID: model.ImageID(name), Names: names}),
				tx.CreateContainer(&model.Container{ID: model.ContainerID(name), Names: names}),
			} {
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	return database
}

func namesOf(t *testing.T, database *db.DB, kind model.Kind, id string) (names []string) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) (err error) {
		names, err = tx.Names(kind, id)
		return err
	})
	return names
}

func TestNameOperations(t *testing.T) {
	for _, c := range []struct {
		name    string
		op      func(*db.Tx, model.Kind, string, []string) ([]string, error)
		id      string
		names   []string
		a, b    []string
		history []string // of image a
	}{
		{"set", (*db.Tx).SetNames, "a", []string{"z", "x", "z"}, []string{"z", "x"}, nil, []string{"x", "z"}},
		{"set none", (*db.Tx).SetNames, "a", nil, nil, nil, nil},
		{"set what is set", (*db.Tx).SetNames, "a", []string{"x", "y"}, []string{"x", "y"}, nil, []string{"y", "x"}},
		{"add in front", (*db.Tx).AddNames, "a", []string{"y", "z"}, []string{"y", "z", "x"}, nil, []string{"x", "z", "y"}},
		{"add nothing", (*db.Tx).AddNames, "a", nil, []string{"x", "y"}, nil, []string{"y", "x"}},
		{"remove", (*db.Tx).RemoveNames, "a", []string{"x", "unknown"}, []string{"y"}, nil, []string{"y"}},
		{"remove all", (*db.Tx).RemoveNames, "a", []string{"y", "x"}, nil, nil, nil},
		{"steal by setting", (*db.Tx).SetNames, "b", []string{"x"}, []string{"y"}, []string{"x"}, nil},
		{"steal by adding", (*db.Tx).AddNames, "b", []string{"n", "y", "x"}, nil, []string{"n", "y", "x"}, nil},
	} {
		for _, kind := range model.Kinds {
			t.Run(c.name+" of "+string(kind), func(t *testing.T) {
				database := twoOfEach(t)
				var result []string
				update(t, database, func(tx *db.Tx) (err error) {
					result, err = c.op(tx, kind, c.id, c.names)
					return err
				})
				for id, want := range map[string][]string{"a": c.a, "b": c.b} {
					if diff := cmp.Diff(want, namesOf(t, database, kind, id)); diff != "" {
						t.Errorf("names of %s: %s", id, diff)
					}
				}
				if diff := cmp.Diff(namesOf(t, database, kind, c.id), result); diff != "" {
					t.Errorf("result: %s", diff)
				}
				if kind == model.KindImage {
					wantHistory(t, database, c.history)
				}
				for _, other := range model.Kinds {
					if other == kind {
						continue
					}
					if diff := cmp.Diff([]string{"x", "y"}, namesOf(t, database, other, "a")); diff != "" {
						t.Errorf("names of the %s of that ID: %s", other, diff)
					}
				}
			})
		}
	}
}

// wantHistory compares the names history of image a. An image from which a
// name is taken away keeps its history.
func wantHistory(t *testing.T, database *db.DB, want []string) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		i, err := tx.Image("a")
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, i.NamesHistory); diff != "" {
			t.Errorf("history: %s", diff)
		}
		return nil
	})
}

func TestNameHistoryRemembersFormerNames(t *testing.T) {
	database := twoOfEach(t)
	for _, step := range []struct {
		op    func(*db.Tx, model.Kind, string, []string) ([]string, error)
		names []string
		want  []string
	}{
		{(*db.Tx).AddNames, []string{"c"}, []string{"y", "x", "c"}},
		{(*db.Tx).RemoveNames, []string{"x"}, []string{"y", "c", "x"}},
	} {
		update(t, database, func(tx *db.Tx) error { return second(step.op(tx, model.KindImage, "a", step.names)) })
		wantHistory(t, database, step.want)
	}
	update(t, database, func(tx *db.Tx) error { return second(tx.SetNames(model.KindImage, "b", []string{"y"})) })
	wantHistory(t, database, []string{"y", "c", "x"})
}

func TestNamesThatCannotBe(t *testing.T) {
	database := twoOfEach(t)
	for name, c := range map[string]struct {
		id    string
		names []string
		want  error
	}{
		"empty":       {"a", []string{"ok", ""}, model.ErrInvalid},
		"NUL":         {"a", []string{"a\x00b"}, model.ErrInvalid},
		"too long":    {"a", []string{strings.Repeat("n", model.MaxNameLength+1)}, model.ErrInvalid},
		"of a ghost":  {"ghost", []string{"ok"}, model.ErrImageUnknown},
		"of no image": {"x", []string{"ok"}, model.ErrImageUnknown}, // a name, not an ID
	} {
		err := database.Update(t.Context(), func(tx *db.Tx) error { return second(tx.AddNames(model.KindImage, c.id, c.names)) })
		if wantClass(t, err, c.want); t.Failed() {
			t.Errorf("%s", name)
		}
	}
	long := strings.Repeat("n", model.MaxNameLength)
	update(t, database, func(tx *db.Tx) error { return second(tx.AddNames(model.KindImage, "a", []string{long, "\xff\n"})) })
	if names := namesOf(t, database, model.KindImage, "a"); len(names) != 4 {
		t.Errorf("%q", names)
	}
}

func TestCreateRefusesNamesThatAreTaken(t *testing.T) {
	database := twoOfEach(t)
	err := database.Update(t.Context(), func(tx *db.Tx) error {
		return tx.CreateImage(&model.Image{ID: "c", Names: []string{"free", "y"}})
	})
	wantClass(t, err, model.ErrDuplicateName, model.ErrExists)
	wantText(t, err, `image "a"`, `"y"`)
	view(t, database, func(tx *db.ReadTx) error {
		_, err := tx.NameOwner(model.KindImage, "free")
		wantClass(t, err, model.ErrImageUnknown)
		return nil
	})
}

func TestCreateRefusesIDsThatAreTakenOrInvalid(t *testing.T) {
	database := twoOfEach(t)
	for id, want := range map[string]error{"a": model.ErrDuplicateID, "": model.ErrInvalid, "../x": model.ErrInvalid} {
		wantClass(t, database.Update(t.Context(), createLayer(model.LayerID(id))), want)
	}
}

func TestNamesOfADeletedObjectAreFree(t *testing.T) {
	database := twoOfEach(t)
	update(t, database, func(tx *db.Tx) error {
		if _, _, err := tx.DeleteImage("a"); err != nil {
			return err
		}
		return tx.CreateImage(&model.Image{ID: "c", Names: []string{"x", "y"}})
	})
}
