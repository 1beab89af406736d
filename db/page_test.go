package db_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// healthy are ways to make databases in which CheckFile must find nothing.
var healthy = map[string]func(*testing.T) string{
	"empty":   func(t *testing.T) string { t.Helper(); return create(t).Path() },
	"filled":  func(t *testing.T) string { t.Helper(); d := create(t); update(t, d, fill); return d.Path() },
	"100":     func(t *testing.T) string { t.Helper(); return withLayers(t, 100).Path() },
	"5,000":   func(t *testing.T) string { t.Helper(); return withLayers(t, 5_000).Path() },
	"20,000":  func(t *testing.T) string { t.Helper(); return withLayers(t, 20_000).Path() },
	"emptied": emptied, "large values": largeValues, "nested buckets": nestedBuckets,
	"array freelist": func(t *testing.T) string {
		t.Helper()
		return freelist(t, bolt.Options{FreelistType: bolt.FreelistArrayType})
	},
	"map freelist": func(t *testing.T) string {
		t.Helper()
		return freelist(t, bolt.Options{FreelistType: bolt.FreelistMapType})
	},
	"no freelist":   func(t *testing.T) string { t.Helper(); return freelist(t, bolt.Options{NoFreelistSync: true}) },
	"huge freelist": hugeFreelist,
	"small pages":   func(t *testing.T) string { t.Helper(); return freelist(t, bolt.Options{PageSize: 1024}) },
	"large pages":   func(t *testing.T) string { t.Helper(); return freelist(t, bolt.Options{PageSize: 64 << 10}) },
}

// withLayers makes a database with n layers.
func withLayers(t testing.TB, n int) *db.DB {
	t.Helper()
	database, err := db.Create(t.Context(), t.TempDir(), "vfs", db.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	for done := 0; done < n; done += 2000 {
		update(t, database, func(tx *db.Tx) error {
			for i := done; i < min(n, done+2000); i++ {
				if err := tx.CreateLayer(&model.Layer{ID: model.LayerID(id("layer-%06d", i)), Names: []string{id("name-%d", i)}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return database
}

// emptied has had many objects, and has few.
func emptied(t *testing.T) string {
	t.Helper()
	database := withLayers(t, 3_000)
	for i := range 30 {
		update(t, database, func(tx *db.Tx) error {
			for k := range 99 {
				if _, _, err := tx.DeleteLayer(model.LayerID(id("layer-%06d", (i*100+k)*7%3000))); err != nil && !errors.Is(err, model.ErrNotFound) {
					return err
				}
			}
			return nil
		})
	}
	return database.Path()
}

// largeValues has values that need many pages, and nearly full ones.
func largeValues(t *testing.T) string {
	t.Helper()
	database := create(t)
	for i := range 3 {
		update(t, database, func(tx *db.Tx) error {
			app := tx.App("large")
			for _, size := range []int{1, 1000, 4000, 4050, 4096, 8192, 100_000, 5_000_000} {
				for k := range 5 {
					if err := app.Put([]byte(id("%d-%d", size, k)), make([]byte, size+i+k)); err != nil {
						return err
					}
				}
			}
			return app.Put([]byte(strings.Repeat("k", 32<<10)), make([]byte, 10))
		})
	}
	return database.Path()
}

// nestedBuckets has buckets in buckets, small and large.
func nestedBuckets(t *testing.T) string {
	t.Helper()
	database := create(t)
	update(t, database, func(tx *db.Tx) error {
		b := tx.App("app")
		for depth := range 8 {
			for k := range 50 {
				small := b.Bucket(id("small-%d", k))
				if err := errors.Join(b.Put([]byte(id("key-%d", k)), make([]byte, 100)), small.Put([]byte("k"), nil)); err != nil {
					return err
				}
			}
			b = b.Bucket(id("depth-%d", depth))
		}
		return nil
	})
	return database.Path()
}

// freelist copies a database with options of bbolt.
func freelist(t *testing.T, options bolt.Options) string {
	t.Helper()
	return compacted(t, withLayers(t, 1000).Path(), options)
}

// hugeFreelist has more free pages than the header of a page can count.
func hugeFreelist(t *testing.T) string {
	t.Helper()
	path := freelist(t, bolt.Options{PageSize: 512})
	key := []byte("key")
	withBolt(t, path, func(tx *bolt.Tx) error { return inBucket(tx, "apps").Put(key, make([]byte, 70_000*512)) })
	withBolt(t, path, func(tx *bolt.Tx) error { return inBucket(tx, "apps").Delete(key) })
	withBolt(t, path, func(tx *bolt.Tx) error { return inBucket(tx, "apps").SetSequence(1) })
	return path
}

func TestHealthyPages(t *testing.T) {
	for name, build := range healthy {
		t.Run(name, func(t *testing.T) {
			path := build(t)
			report, err := db.CheckFile(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Problems) > 0 {
				t.Errorf("found %v", report.Problems)
			}
			compareWithBolt(t, path, report)
		})
	}
}

// compareWithBolt looks at a file with bbolt's own means.
func compareWithBolt(t *testing.T, path string, report *db.PageReport) {
	t.Helper()
	file, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	err = file.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("bbolt says: %v", err)
		}
		info := file.Info()
		if report.PageSize != info.PageSize || report.Pages != int(tx.Size())/info.PageSize || report.TxID != uint64(tx.ID()) {
			t.Errorf("%+v; bbolt has pages of %d bytes in %d bytes after %d transactions", *report, info.PageSize, tx.Size(), tx.ID())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Without a freelist nobody knows what is free but by looking at the rest.
	if free := file.Stats().FreePageN; report.Free != free && report.Free != 0 {
		t.Errorf("%d pages are free; bbolt says %d", report.Free, free)
	}
}

func TestCheckFileOfWhatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{"empty": nil, "short": []byte("x"), "zeros": make([]byte, 1<<16), "text": slices.Repeat([]byte("text"), 1<<14)} {
		path := filepath.Join(dir, name)
		writeFile(t, path, content)
		_, err := db.CheckFile(t.Context(), path)
		if wantClass(t, err, model.ErrCorrupt); t.Failed() {
			t.Error(name)
		}
	}
	_, err := db.CheckFile(t.Context(), dir)
	wantClass(t, err, model.ErrInvalid)
}

// A file may claim to be of any length, and have holes of any length; looking
// at it takes no more memory or time than what is really there.
func TestCheckFileOfAFileThatClaimsToBeHuge(t *testing.T) {
	image := smallImage(t)
	const size = 1 << 43 // the most that ext4 can have is 16 TiB
	for name, change := range map[string]func(image []byte, m metaPage){
		"pages":             func([]byte, metaPage) {},
		"freelist":          func(image []byte, m metaPage) { claimOverflow(image, m.freelist(), 1<<30) },
		"list of free ones": func(image []byte, m metaPage) { claimFree(image, m.freelist(), 1<<38) },
		"root":              func(image []byte, m metaPage) { claimOverflow(image, m.root(), 1<<30) },
	} {
		t.Run(name, func(t *testing.T) {
			image := slices.Clone(image)
			m := newestMetaPage(image)
			change(image, m)
			m.setPages(size / pageSize)
			root := t.TempDir()
			path := filepath.Join(root, db.FileName)
			writeFile(t, path, image)
			truncate(t, path, size)
			report, err := db.CheckFile(t.Context(), path)
			if err != nil || len(report.Problems) == 0 {
				t.Errorf("%+v, %v", report, err)
			}
			for _, p := range report.Problems {
				if len(report.Problems) > 10 {
					t.Fatalf("%d problems, one of them: %s", len(report.Problems), p)
				}
			}
			database, err := db.Open(t.Context(), root, db.Options{})
			if err == nil {
				defer database.Close()
				err = database.Update(t.Context(), createLayer("x"))
			}
			if err != nil || name != "pages" { // where nothing is wrong but the count
				wantClass(t, err, model.ErrCorrupt)
			}
		})
	}
}

// claimOverflow makes a page say that it flows over into many others.
func claimOverflow(image []byte, id uint64, pages uint32) {
	binary.LittleEndian.PutUint32(image[id*pageSize+12:], pages)
}

// claimFree makes a freelist page say that it lists many pages.
func claimFree(image []byte, id, free uint64) {
	claimOverflow(image, id, uint32(min(free*8/pageSize+1, 1<<32-1)))
	binary.LittleEndian.PutUint16(image[id*pageSize+10:], 0xffff)
	binary.LittleEndian.PutUint64(image[id*pageSize+16:], free)
}

// Findings on pages come in the order of the walk, and say which page it is.
func TestPageProblemsNameTheirPage(t *testing.T) {
	image := smallImage(t)
	m := newestMetaPage(image)
	claimOverflow(image, m.root(), 1<<30)
	path := filepath.Join(t.TempDir(), "image")
	writeFile(t, path, image)
	report, err := db.CheckFile(t.Context(), path)
	if err != nil || len(report.Problems) == 0 || report.Problems[0].Place != fmt.Sprintf("page %d", m.root()) {
		t.Errorf("%+v, %v", report, err)
	}
	if report.Problems[0].Code != db.ProblemPage {
		t.Errorf("the code is %s", report.Problems[0].Code)
	}
}
