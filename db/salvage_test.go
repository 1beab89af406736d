package db_test

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestRebuiltDatabaseIsTheSame(t *testing.T) {
	image := smallImage(t)
	s := salvageImage(t, image)
	if !s.Intact() || len(s.Losses()) > 0 || s.PageSize != pageSize {
		t.Errorf("intact %v, losses %v, page size %d", s.Intact(), s.Losses(), s.PageSize)
	}
	rebuilt, dumped := rebuild(t, s)
	wantSame(t, dumpImage(t, image), dumped)
	if len(rebuilt.Omissions) > 0 {
		t.Errorf("omitted: %+v", rebuilt.Omissions)
	}
	again := salvage(t, rebuilt.Path)
	if !again.Intact() || again.TxID() <= s.TxID() {
		t.Errorf("transaction %d came after %d", again.TxID(), s.TxID())
	}
}

// TestEachPageZeroed destroys each page in turn.
func TestEachPageZeroed(t *testing.T) {
	image := smallImage(t)
	original := salvageImage(t, image)
	for page := range len(image) / pageSize {
		damaged := bytes.Clone(image)
		clear(damaged[page*pageSize:][:pageSize])
		s := salvageImage(t, damaged)
		wantIntact(t, image, damaged, original, s, func(other int) bool { return other != page })
		rebuild(t, s)
		if t.Failed() {
			t.Fatalf("page %d: %v", page, s.Trees)
		}
	}
}

// TestFileTruncatedAtEachPage makes the file shorter, by whole pages and in the
// middle of them.
func TestFileTruncatedAtEachPage(t *testing.T) {
	image := smallImage(t)
	original := salvageImage(t, image)
	for page := range len(image) / pageSize {
		for _, more := range []int{0, 1, pageSize / 2} {
			damaged := image[:page*pageSize+more]
			s := salvageImage(t, damaged)
			wantIntact(t, image, damaged, original, s, func(other int) bool { return other < page })
			if more == 0 {
				rebuild(t, s)
			}
			if t.Failed() {
				t.Fatalf("page %d and %d bytes: %v", page, more, s.Trees)
			}
		}
	}
}

// TestPageOfAnotherDatabase puts pages of another database in the place of each
// page: the one with the same number, and one that says it is another one.
func TestPageOfAnotherDatabase(t *testing.T) {
	image := smallImage(t)
	original := salvageImage(t, image)
	foreign := foreignImage(t)
	for page := range len(image) / pageSize {
		for _, from := range []int{page, page + 3} {
			damaged := bytes.Clone(image)
			copy(damaged[page*pageSize:][:pageSize], foreign[from%(len(foreign)/pageSize)*pageSize:])
			s := salvageImage(t, damaged)
			want, got := valuesOf(original), valuesOf(s)
			for name, r := range want {
				if first, last := spanOf(image, int(r.Page)); got[name] == nil && (page < first || page > last) && !isNameless(r, damaged) {
					t.Errorf("%q of page %d is lost", name, r.Page)
				}
			}
			if from == page {
				rebuild(t, s)
			}
			if t.Failed() {
				t.Fatalf("page %d from %d: %v %v", page, from, s.Trees, s.MetaErrors)
			}
		}
	}
}

// foreignImage is a database of another store.
func foreignImage(t testing.TB) []byte {
	t.Helper()
	database := create(t)
	for i := range 20 {
		update(t, database, createLayer(model.LayerID(id("foreign-%d", i))))
	}
	return readFile(t, compactedSmall(t, database.Path()))
}

// TestDeletedRecordsStayDeleted deletes things: what is left of them in free
// pages is not taken for something that exists.
func TestDeletedRecordsStayDeleted(t *testing.T) {
	database := create(t)
	update(t, database, fill, threeOfEach, someLayers)
	for i := range 8 {
		update(t, database, func(tx *db.Tx) error {
			_, _, err := tx.DeleteLayer(model.LayerID(id("layer-%d", i)))
			return err
		})
	}
	image := readFile(t, database.Path())
	original := salvageImage(t, image)
	if !bytes.Contains(image, []byte("layer-7")) || !original.Intact() {
		t.Fatal("no traces of a deleted layer")
	}
	exists := func(s *db.Salvaged) bool {
		return slices.ContainsFunc(s.Records(), func(r *db.SalvagedRecord) bool { return r.Bucket == "layers" && r.Key == "layer-7" })
	}
	if exists(original) {
		t.Error("it was deleted, and is there")
	}
	// Nor if anything else is damaged: the journal says that it was deleted.
	for page := 2; page*4096 < len(image); page++ {
		damaged := bytes.Clone(image)
		clear(damaged[page*4096:][:4096])
		if s := salvageImage(t, damaged); exists(s) {
			t.Errorf("with page %d damaged it is there (%v)", page, origins(s))
		}
	}
}

// compactedSmall copies a database into one with small pages.
func compactedSmall(t testing.TB, path string) string {
	t.Helper()
	return compacted(t, path, bolt.Options{PageSize: pageSize})
}

// bitOf is a bit of an image.
type bitOf struct {
	offset int
	bit    byte
}

// TestNoFlippedBitLosesMoreThanItsPage flips bits, one at a time: everything
// that does not lie in the same page is brought back as it was.
func TestNoFlippedBitLosesMoreThanItsPage(t *testing.T) {
	image := smallImage(t)
	original := salvageImage(t, image)
	random := rand.New(rand.NewPCG(1, 2))
	var bits []bitOf
	if *everyByte {
		for offset := range image {
			bits = append(bits, bitOf{offset, byte(offset % 8)})
		}
	} else {
		for range testutil.Rounds(1000) {
			bits = append(bits, bitOf{random.IntN(len(image)), byte(random.IntN(8))})
		}
	}
	path := filepath.Join(t.TempDir(), "damaged.db")
	for n, bit := range bits {
		damaged := bytes.Clone(image)
		damaged[bit.offset] ^= 1 << bit.bit
		writeFile(t, path, damaged)
		s := salvage(t, path)
		wantIntact(t, image, damaged, original, s, func(page int) bool { return page != bit.offset/pageSize })
		if n%32 == 0 {
			rebuild(t, s)
		}
		if t.Failed() {
			t.Fatalf("bit %d of byte %d of page %d: %+v", bit.bit, bit.offset%pageSize, bit.offset/pageSize, s.Trees)
		}
	}
}

// everyByte asks for tests of each byte of a file, which take minutes.
var everyByte = flag.Bool("every-byte", false, "damage each byte of a small database in turn")

// TestManyFlippedBits damages a file all over, which must not make anything
// panic, hang or lie.
func TestManyFlippedBits(t *testing.T) {
	image := smallImage(t)
	random := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		damaged := bytes.Clone(image)
		for range 1 << random.IntN(12) {
			damaged[random.IntN(len(image))] ^= 1 << random.IntN(8)
		}
		rebuild(t, salvageImage(t, damaged))
		if t.Failed() {
			t.FailNow()
		}
	}
}

// TestWhatIsLostIsKnownFromIndexes destroys the pages of all layers in a file that
// has no older version of them.
func TestWhatIsLostIsKnownFromIndexes(t *testing.T) {
	image := smallImage(t)
	original := salvageImage(t, image)
	var want []string
	damaged := bytes.Clone(image)
	for _, r := range original.Records() {
		if r.Bucket == "layers" {
			clear(damaged[int(r.Page)*pageSize:][:pageSize])
			want = append(want, "layer "+r.Key)
		}
	}
	slices.Sort(want)
	s := salvageImage(t, damaged)
	if diff := cmp.Diff(want, lossesOf(s)); diff != "" {
		t.Error(diff)
	}
	for _, l := range s.Losses() {
		if l.Evidence == "" {
			t.Errorf("no evidence for %+v", l)
		}
	}
}

// TestBackupBringsBackWhatIsMissing damages a page after a backup. What was
// deleted since stays deleted, and what is intact is not replaced.
func TestBackupBringsBackWhatIsMissing(t *testing.T) {
	database := create(t)
	update(t, database, fill, threeOfEach, someLayers)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := database.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	update(t, database, func(tx *db.Tx) error {
		_, _, err := tx.DeleteLayer("layer-3")
		return errors.Join(err, tx.SetMetadata(model.KindImage, "image", "changed"))
	})
	image := readFile(t, database.Path())
	want := dumpImage(t, image)
	for _, r := range salvageImage(t, image).Records() {
		if r.Bucket == "layers" {
			clear(image[r.Page*realPage:][:realPage])
		}
	}
	s := salvageImage(t, image)
	s.AddBackup(salvage(t, backup))
	_, got := rebuild(t, s)
	wantSame(t, want, got)
}
