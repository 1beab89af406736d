package db_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// look surveys a file and returns all records in it.
func look(t testing.TB, path string) (*db.Survey, []*db.Record) {
	t.Helper()
	var records []*db.Record
	survey, err := db.Look(t.Context(), path, db.LookOptions{Wait: time.Minute}, func(r *db.Record) error {
		records = append(records, r.Clone())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return survey, records
}

func TestLookAccountsForEachPage(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	shrink(t, database)
	for n := range 300 {
		update(t, database, createLayer(model.LayerID(id("layer-%d", n))))
	}
	survey, records := look(t, database.Path())
	report, err := db.CheckFile(t.Context(), database.Path())
	if err != nil {
		t.Fatal(err)
	}
	pages, kinds := survey.Free, make(map[string]int)
	for _, p := range survey.Pages {
		pages += int(p.Overflow) + 1
		kinds[p.Kind]++
		if room := (int64(p.Overflow) + 1) * int64(survey.PageSize); p.Used <= 0 || p.Used > room {
			t.Errorf("page %d: %d bytes of %d", p.ID, p.Used, room)
		}
	}
	if pages != report.Pages || survey.Free != report.Free || len(survey.Problems) > 0 {
		t.Errorf("%d pages of %d, %d free of %d, %v", pages, report.Pages, survey.Free, report.Free, survey.Problems)
	}
	if kinds["meta"] != 2 || kinds["freelist"] != 1 || kinds["branch"] == 0 {
		t.Errorf("kinds: %v", kinds)
	}
	keys, leaves, branches := 0, 0, 0
	for _, b := range survey.Buckets {
		keys += b.Keys
		leaves += b.Leaves
		branches += b.Branches
	}
	// The root of all belongs to no bucket.
	if keys != len(records) || leaves+1 != kinds["leaf"] || branches != kinds["branch"] {
		t.Errorf("%d keys of %d, %d leaves, %d branches, %v", keys, len(records), leaves, branches, kinds)
	}
}

func TestLookDecodesEveryRecord(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	_, records := look(t, database.Path())
	types := make(map[string]bool)
	for _, r := range records {
		value, err := r.Decoded()
		if err != nil {
			t.Errorf("%q %q: %v", r.Bucket, r.Key, err)
		}
		switch value.(type) {
		case *model.Layer:
			types["layer"] = true
		case *model.Data:
			types["data"] = true
		case *db.JournalEntry:
			types["journal"] = true
		case []byte:
			if !strings.HasPrefix(r.Bucket[1], "apps") {
				t.Errorf("%q %q is not decoded", r.Bucket, r.Key)
			}
		}
		r.Key = append(r.Key, 'x')
		if _, err := r.Decoded(); value != nil && !errors.Is(err, model.ErrCorrupt) {
			t.Errorf("%q %q: under another key: %v", r.Bucket, r.Key, err)
		}
	}
	if len(types) != 3 {
		t.Errorf("found %v", types)
	}
}

// Whatever is damaged, what can be read is, and nothing else happens.
func TestLookAtDamagedFiles(t *testing.T) {
	image := smallImage(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "damaged")
	writeFile(t, path, image)
	_, whole := look(t, path)
	for name, harm := range pageDamages {
		t.Run(name, func(t *testing.T) {
			damaged := append([]byte{}, image...)
			harm(damaged)
			writeFile(t, path, damaged)
			_, err := db.Look(t.Context(), path, db.LookOptions{}, nil)
			if err != nil && !errors.Is(err, model.ErrCorrupt) {
				t.Error(err)
			}
		})
	}
	// A page that is destroyed takes its own records with it.
	for _, id := range pagesOf(image, leafPage, 2) {
		damaged := append([]byte{}, image...)
		for i := range pageSize {
			damaged[id*pageSize+i] = 0xA5
		}
		writeFile(t, path, damaged)
		survey, records := look(t, path)
		if len(survey.Problems) == 0 || len(records) == 0 || len(records) >= len(whole) {
			t.Errorf("page %d: %d records of %d, problems %v", id, len(records), len(whole), survey.Problems)
		}
	}
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		damaged := append([]byte{}, image...)
		for range rapid.IntRange(1, 20).Draw(t, "bits") {
			damaged[rapid.IntRange(0, len(damaged)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		if err := os.WriteFile(path, damaged[:rapid.IntRange(0, len(damaged)).Draw(t, "size")], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := db.Look(ctx, path, db.LookOptions{}, func(r *db.Record) error {
			_, err := r.Decoded()
			return ignoreCorrupt(err)
		})
		if ignoreCorrupt(err) != nil {
			t.Fatal(err)
		}
	})
	if names := filesIn(t, dir); len(names) != 1 {
		t.Errorf("left behind: %q", names)
	}
}

func ignoreCorrupt(err error) error {
	if errors.Is(err, model.ErrCorrupt) {
		return nil
	}
	return err
}

// load makes a file of records.
func load(t testing.TB, path string, survey *db.Survey, records []*db.Record) {
	t.Helper()
	l, err := db.NewLoader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Discard()
	for _, b := range survey.Buckets {
		err = errors.Join(err, l.Bucket(b.Path, b.Sequence))
	}
	for _, r := range records {
		err = errors.Join(err, l.Put(r))
	}
	if err := errors.Join(err, l.Finish(t.Context(), 1000)); err != nil {
		t.Fatal(err)
	}
}

func TestLoadMakesTheSameDatabase(t *testing.T) {
	database := dbtest.New(t, db.Options{Now: fillNow})
	update(t, database, fill)
	root := t.TempDir()
	survey, records := look(t, database.Path())
	path := filepath.Join(root, db.FileName)
	load(t, path, survey, records)
	loaded := open(t, root, db.Options{Now: fillNow})
	dbtest.CheckAtEnd(t, loaded)
	if diff := cmp.Diff(dumpOf(t, database), dumpOf(t, loaded)); diff != "" {
		t.Error(diff)
	}
	if id := txID(t, loaded); id < 1000 {
		t.Errorf("transaction %d", id)
	}
	if names := filesIn(t, root); len(names) > 4 {
		t.Errorf("left behind: %q", names)
	}
	if _, err := db.NewLoader(path); !errors.Is(err, model.ErrExists) {
		t.Errorf("replaced: %v", err)
	}
}

func TestLoadRefusesWhatMakesNoSense(t *testing.T) {
	dir := t.TempDir()
	l, err := db.NewLoader(filepath.Join(dir, "new"))
	if err != nil {
		t.Fatal(err)
	}
	record := &db.Record{Bucket: []string{"v1", "b"}, Key: []byte("k"), Value: nil}
	if err := l.Put(record); err != nil {
		t.Error(err)
	}
	wantClass(t, l.Put(record), model.ErrInvalid, model.ErrExists)
	wantClass(t, l.Put(&db.Record{Key: []byte("k")}), model.ErrInvalid)
	wantClass(t, l.Put(&db.Record{Bucket: []string{"v1"}, Key: []byte("b")}), model.ErrInvalid)
	wantClass(t, l.Put(&db.Record{Bucket: []string{"v1", "b", "k"}, Key: []byte("x")}), model.ErrInvalid)
	l.Discard()
	if names := filesIn(t, dir); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}
