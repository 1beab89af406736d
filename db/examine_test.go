package db_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// twoLayers makes a database with two layers, closes it, and returns its root.
func twoLayers(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	database, err := db.Create(t.Context(), root, dbtest.Driver, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	err = database.Update(t.Context(), func(tx *db.Tx) error {
		return errors.Join(
			tx.CreateLayer(&model.Layer{ID: "base", Names: []string{"b"}}),
			tx.CreateLayer(&model.Layer{ID: "top", Parent: "base"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// layersOf returns the layers that Examine shows.
func layersOf(t *testing.T, path string) (ids []model.LayerID, report *db.PageReport, err error) {
	t.Helper()
	report, err = db.Examine(t.Context(), time.Minute, path, func(tx *db.ReadTx) error {
		return tx.EachLayer(func(l *model.Layer) error {
			ids = append(ids, l.ID)
			return nil
		})
	})
	return ids, report, err
}

func TestExamineReadsAnyFileAndMakesNone(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(twoLayers(t), db.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{db.FileName, "monday.backup"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o400); err != nil {
			t.Fatal(err)
		}
		ids, report, err := layersOf(t, path)
		if err != nil || !slices.Equal(ids, []model.LayerID{"base", "top"}) || report.TxID == 0 || len(report.Problems) > 0 {
			t.Errorf("%s: layers %q, %+v, %v", name, ids, report, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%s: files were made: %v, %v", name, entries, err)
		}
	}
}

func TestExamineKeepsWritersOut(t *testing.T) {
	root := twoLayers(t)
	database, err := db.Open(t.Context(), root, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	_, err = db.Examine(t.Context(), 0, filepath.Join(root, db.FileName), func(*db.ReadTx) error {
		err := testutil.GiveUp(t, inQueue, func(ctx context.Context) error { return write(ctx, database) })
		if !errors.Is(err, model.ErrBusy) {
			t.Errorf("somebody wrote meanwhile: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestExamineWaitsOnlySoLong(t *testing.T) {
	root := twoLayers(t)
	database, err := db.Open(t.Context(), root, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	for _, wait := range []time.Duration{time.Nanosecond, 20 * time.Millisecond} { // which may be over before it begins
		err = database.Update(t.Context(), func(*db.Tx) error {
			_, err := db.Examine(t.Context(), wait, filepath.Join(root, db.FileName), nil)
			return err
		})
		if !errors.Is(err, model.ErrBusy) {
			t.Errorf("got %v", err)
		}
	}
}

// slowly is a context that takes two minutes to say that it has not ended.
type slowly struct {
	context.Context //nolint:containedctx // It is one itself.
}

func (slowly) Value(any) any { return nil }

func (s slowly) Err() error {
	if s.Context.Err() == nil {
		time.Sleep(2 * time.Minute)
	}
	return s.Context.Err()
}

// What is waited for is others, not the work itself.
func TestExamineMayTakeLongerThanItWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copy")
	writeFile(t, path, readFile(t, filepath.Join(twoLayers(t), db.FileName)))
	synctest.Test(t, func(t *testing.T) {
		begin, layers := time.Now(), 0
		_, err := db.Examine(slowly{t.Context()}, time.Minute, path, func(tx *db.ReadTx) error {
			return tx.EachLayer(func(*model.Layer) error { layers++; return nil })
		})
		if took := time.Since(begin); err != nil || layers != 2 || took < 2*time.Minute {
			t.Errorf("after %v: %d layers, %v", took, layers, err)
		}
	})
}

func TestExamineSaysWhatKeepsItFromReading(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(path string)
		want error
	}{
		{"nothing there", func(path string) { _ = os.Remove(path) }, fs.ErrNotExist},
		{"not a database", func(path string) { _ = os.WriteFile(path, []byte("text"), 0o600) }, model.ErrCorrupt},
		{"newer schema", func(path string) {
			dbtest.Rewrite(t, path, "store", "schema", func([]byte) []byte { return []byte{db.SchemaVersion + 1} })
		}, model.ErrUnsupported},
		{"damaged description", func(path string) { dbtest.FlipBit(t, path, "store", "info") }, nil},
		{"damaged record", func(path string) { dbtest.FlipBit(t, path, "layers", "base") }, model.ErrCorrupt},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(twoLayers(t), db.FileName)
			test.do(path)
			ids, _, err := layersOf(t, path)
			if !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if test.name == "damaged record" && !slices.Equal(ids, []model.LayerID{"top"}) {
				t.Errorf("the others are not read: %q", ids)
			}
		})
	}
}

func TestExamineRun(t *testing.T) {
	const uuid = "6c1a2f54-0000-4000-8000-000000000000"
	dir := t.TempDir()
	if err := db.ExamineRun(t.Context(), dir, uuid, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	run, err := db.OpenRun(t.Context(), dir, uuid)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	err = run.Update(t.Context(), func(tx *db.RunTx) error {
		return tx.SetMount(db.Mount{Layer: "top", Path: "/mnt", Count: 2})
	})
	if err != nil {
		t.Fatal(err)
	}
	for of, want := range map[string]int{uuid: 1, "of another store": 0} {
		err := db.ExamineRun(t.Context(), dir, of, func(tx *db.RunTx) error {
			mounts, err := tx.Mounts()
			if len(mounts) != want {
				t.Errorf("%s: %v", of, mounts)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", of, err)
		}
	}
}

func TestReadMarker(t *testing.T) {
	root := twoLayers(t)
	if uuid, err := db.ReadMarker(root); err != nil || len(uuid) != 36 {
		t.Errorf("got %q, %v", uuid, err)
	}
	if uuid, err := db.ReadMarker(t.TempDir()); err != nil || uuid != "" {
		t.Errorf("no marker: got %q, %v", uuid, err)
	}
	if err := os.WriteFile(filepath.Join(root, db.MarkerName), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ReadMarker(root); !errors.Is(err, model.ErrCorrupt) {
		t.Errorf("damaged marker: %v", err)
	}
}

func TestFileInfoAgreesWithThePages(t *testing.T) {
	root := twoLayers(t)
	path := filepath.Join(root, db.FileName)
	report, err := db.Examine(t.Context(), 0, path, func(tx *db.ReadTx) error {
		info, err := tx.FileInfo()
		if err != nil {
			return err
		}
		pages, err := tx.CheckPages(t.Context())
		if err != nil {
			return err
		}
		stat, err := os.Stat(path)
		if info.Pages != pages.Pages || info.Free != pages.Free || info.PageSize != pages.PageSize || info.Size != stat.Size() {
			t.Errorf("got %+v, pages %+v", info, pages)
		}
		return err
	})
	if err != nil || report.Free == 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestEachNamesAndItems(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	err := database.Update(t.Context(), func(tx *db.Tx) error {
		if err := tx.CreateImage(&model.Image{ID: "i", Names: []string{"two", "one"}}); err != nil {
			return err
		}
		_, err := tx.PutData(model.KindImage, "i", model.Data{Key: "k", Content: model.Content{Path: "area/i/k"}})
		return errors.Join(err, tx.CreateContainer(&model.Container{ID: "c", Image: "i", Layer: "l"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	note := func(texts ...string) error {
		got = append(got, texts...)
		return nil
	}
	err = database.View(t.Context(), func(tx *db.ReadTx) error {
		return errors.Join(
			tx.EachName(model.KindImage, func(name, id string) error { return note(name, id) }),
			tx.EachImage(func(i *model.Image) error { return note(string(i.ID)) }),
			tx.EachContainer(func(c *model.Container) error { return note(string(c.ID)) }),
			tx.EachData(model.KindImage, func(id string, item *model.Data) error { return note(id, item.Key) }))
	})
	if want := []string{"one", "i", "two", "i", "i", "c", "i", "k"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestProblemsThatAreDerived(t *testing.T) {
	for _, test := range []struct {
		problem db.Problem
		want    bool
	}{
		{db.Problem{Code: db.ProblemIndex, Place: "names/image/x"}, true},
		{db.Problem{Code: db.ProblemUsage, Place: "store/usage"}, true},
		{db.Problem{Code: db.ProblemRecord, Place: "names/image/x"}, true},
		{db.Problem{Code: db.ProblemRecord, Place: "index/children/x"}, true},
		{db.Problem{Code: db.ProblemRecord, Place: "uses/x"}, true},
		{db.Problem{Code: db.ProblemRecord, Place: "journal/x"}, true},
		{db.Problem{Code: db.ProblemRecord, Place: "store/usage"}, true},
		{db.Problem{Code: db.ProblemRecord, Place: "store/info"}, false},
		{db.Problem{Code: db.ProblemRecord, Place: "layers/x"}, false},
		{db.Problem{Code: db.ProblemRecord, Place: "data/image/x"}, false},
		{db.Problem{Code: db.ProblemPage, Place: "page 3"}, false},
		{db.Problem{Code: db.ProblemParent, Place: "layers/x"}, false},
	} {
		if got := test.problem.IsDerived(); got != test.want {
			t.Errorf("%s: got %t", test.problem, got)
		}
	}
}
