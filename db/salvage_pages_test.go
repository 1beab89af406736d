package db_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// leavesOf returns the pages in which records of a bucket lie, in order.
func leavesOf(s *db.Salvaged, bucket string) (pages []int) {
	for _, r := range s.Records() {
		if r.Bucket == bucket && !slices.Contains(pages, int(r.Page)) {
			pages = append(pages, int(r.Page))
		}
	}
	return pages
}

// branchAbove returns the branch page of an image that leads to all of some
// pages.
func branchAbove(t testing.TB, image []byte, children []int) int {
	t.Helper()
	for page := 2; page < len(image)/pageSize; page++ {
		b := image[page*pageSize:]
		if binary.LittleEndian.Uint16(b[8:]) != 1 || int(binary.LittleEndian.Uint16(b[10:])) != len(children) {
			continue
		}
		leads := true
		for i, child := range children {
			leads = leads && int(binary.LittleEndian.Uint64(b[16+16*i+8:])) == child
		}
		if leads {
			return page
		}
	}
	t.Fatalf("no branch page leads to %v", children)
	return 0
}

// putPage copies a page of an image, and gives the copy the number of the page
// whose place it takes.
func putPage(image []byte, from, to int) {
	copy(image[to*pageSize:][:pageSize], image[from*pageSize:])
	binary.LittleEndian.PutUint64(image[to*pageSize:], uint64(to))
}

// TestPageInThePlaceOfTheBranchAboveIt leaves a tree in which nothing seems to be
// wrong: it is smaller than it was, and other pages are in use for nothing.
func TestPageInThePlaceOfTheBranchAboveIt(t *testing.T) {
	image := smallImage(t)
	original := salvageImage(t, image)
	leaves := leavesOf(original, "layers")
	damaged := bytes.Clone(image)
	putPage(damaged, leaves[0], branchAbove(t, image, leaves))
	s := salvageImage(t, damaged)
	if s.Intact() || !s.Complete() {
		t.Errorf("intact: %v, complete: %v", s.Intact(), s.Complete())
	}
	wantIntact(t, image, damaged, original, s, func(int) bool { return true })
}

// TestPageInThePlaceOfItsNeighbor overwrites a page with another one of the same
// bucket, whose records are right by themselves.
func TestPageInThePlaceOfItsNeighbor(t *testing.T) {
	image := smallImage(t)
	original := salvageImage(t, image)
	leaves := leavesOf(original, "layers")
	damaged := bytes.Clone(image)
	putPage(damaged, leaves[0], leaves[1])
	s := salvageImage(t, damaged)
	var want []string
	for _, r := range original.Records() {
		if r.Bucket == "layers" && int(r.Page) == leaves[1] {
			want = append(want, "layer "+r.Key)
		}
	}
	if diff := cmp.Diff(want, lossesOf(s)); diff != "" {
		t.Error(diff)
	}
}

// stale returns a database and, in one of its free pages, a layer that was
// deleted without a word in the journal. choose chooses the page.
func stale(t testing.TB, choose func(image []byte, free []uint64) uint64) []byte {
	t.Helper()
	root := t.TempDir()
	database, err := db.Create(t.Context(), root, dbtest.Driver, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	update(t, database, createLayer("stays"), createLayer("gone"))
	database.Close()
	old := readFile(t, database.Path())
	dbtest.Delete(t, database.Path(), "layers", "gone")
	database = open(t, root, db.Options{})
	for _, name := range []model.LayerID{"b", "c", "d"} {
		update(t, database, createLayer(name))
	}
	image := readFile(t, database.Path())
	page := choose(image, freeList(image))
	from := leavesOf(salvageImage(t, old), "layers")[0]
	copy(image[page*realPage:][:realPage], old[from*realPage:])
	binary.LittleEndian.PutUint64(image[page*realPage:], page)
	return image
}

// freeList returns the free pages of an image, whose memory it shares with the
// list behind it.
func freeList(image []byte) (free []uint64) {
	_, freelist := newestMetaOf(image)
	list := image[freelist*realPage:]
	for i := range int(binary.LittleEndian.Uint16(list[10:])) {
		free = append(free, binary.LittleEndian.Uint64(list[16+8*i:]))
	}
	return free
}

func wantGone(t testing.TB, s *db.Salvaged) {
	t.Helper()
	got := valuesOf(s)
	if back := got["layers/gone"]; back != nil {
		t.Errorf("the deleted layer is back: %+v", back)
	}
	for _, name := range []string{"stays", "b", "c"} {
		if got["layers/"+name] == nil {
			t.Errorf("layer %s is lost", name)
		}
	}
}

// TestIntactStateBeforeKnowsWhatWasDeleted destroys the page of all layers. The
// state before has another one: what that does not have was deleted, and is not
// taken from pages that are free, even if no journal tells.
func TestIntactStateBeforeKnowsWhatWasDeleted(t *testing.T) {
	image := stale(t, func(image []byte, free []uint64) uint64 {
		return free[slices.IndexFunc(free, func(id uint64) bool { return !inStateBefore(t, image, id) })]
	})
	page := leavesOf(salvageImage(t, image), "layers")[0]
	clear(image[page*realPage:][:realPage])
	s := salvageImage(t, image)
	wantGone(t, s)
	if stays := valuesOf(s)["layers/stays"]; stays == nil || stays.Origin != db.FromPrevious {
		t.Errorf("the other one: %+v", stays)
	}
}

// TestBackupKnowsNothingOfLaterDeletions has a backup with a layer that was deleted
// since. Layers are intact, so nothing of theirs is taken from it.
func TestBackupKnowsNothingOfLaterDeletions(t *testing.T) {
	root := t.TempDir()
	database, err := db.Create(t.Context(), root, dbtest.Driver, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	update(t, database, fill, threeOfEach, someLayers, createLayer("gone"), createLayer("stays"))
	database.Close()
	backup := salvage(t, database.Path())
	dbtest.Delete(t, database.Path(), "layers", "gone") // of which no journal tells
	database = open(t, root, db.Options{})
	update(t, database, createLayer("d"))
	update(t, database, createLayer("e"))
	image := readFile(t, database.Path())
	page := leavesOf(salvageImage(t, image), "images")[0]
	clear(image[page*realPage:][:realPage])
	s := salvageImage(t, image)
	s.AddBackup(backup)
	wantGone(t, s)
	if valuesOf(s)["images/image"] == nil {
		t.Error("the image does not come back")
	}
}

// TestNumbersOfTransactionsGoOn rebuilds a database that has had many.
func TestNumbersOfTransactionsGoOn(t *testing.T) {
	s := salvageImage(t, grown(t))
	rebuilt, _ := rebuild(t, s)
	if again := salvage(t, rebuilt.Path); again.TxID() <= s.TxID() || !again.Intact() {
		t.Errorf("transaction %d came after %d, intact: %v", again.TxID(), s.TxID(), again.Intact())
	}
	database := filepath.Join(t.TempDir(), db.FileName)
	writeFile(t, database, readFile(t, rebuilt.Path))
	update(t, open(t, filepath.Dir(database), db.Options{}), createLayer("later"))
}

// inStateBefore tells whether a page belongs to the state before the newest one.
func inStateBefore(t testing.TB, image []byte, page uint64) bool {
	t.Helper()
	newest, _ := newestMetaOf(image)
	damaged := bytes.Clone(image)
	clear(damaged[newest*realPage:][:realPage])
	root := metaPage(image[newest*realPage+16:]).root()
	clear(damaged[root*realPage:][:realPage])
	clear(damaged[page*realPage:][:realPage])
	s := salvageImage(t, damaged)
	return len(s.Trees) == 0 || !s.Trees[0].Intact
}

// TestListOfFreePagesThatIsTooShort makes pages seem to be in use that are free.
// What was deleted is not taken from them.
func TestListOfFreePagesThatIsTooShort(t *testing.T) {
	image := stale(t, func(_ []byte, free []uint64) uint64 { return free[len(free)-1] })
	_, freelist := newestMetaOf(image)
	for shorter := range uint16(len(freeList(image))) {
		binary.LittleEndian.PutUint16(image[freelist*realPage+10:], shorter)
		s := salvageImage(t, image)
		wantGone(t, s)
		if losses := s.Losses(); len(losses) > 0 { // although the journal tells that it was made
			t.Errorf("lost: %v", losses)
		}
	}
}

// TestListOfFreePagesThatHasAnother replaces a page in the list by one that is in
// use.
func TestListOfFreePagesThatHasAnother(t *testing.T) {
	index := -1
	var with uint64
	image := stale(t, func(_ []byte, free []uint64) uint64 {
		for i := range free {
			next := free[i] + 1
			if i+1 == len(free) || next < free[i+1] {
				index, with = i, next
			}
		}
		return free[index]
	})
	_, freelist := newestMetaOf(image)
	binary.LittleEndian.PutUint64(image[freelist*realPage+16+8*index:], with)
	wantGone(t, salvageImage(t, image))
}

// TestDamagedHeadersLoseNothing damages the header of each page with values in
// turn: its number, its kind, and how many elements it has. The values are found.
func TestDamagedHeadersLoseNothing(t *testing.T) {
	image := smallImage(t)
	original := salvageImage(t, image)
	for page := 2; page < len(image)/pageSize; page++ {
		if binary.LittleEndian.Uint16(image[page*pageSize+8:]) != 2 || binary.LittleEndian.Uint64(image[page*pageSize:]) != uint64(page) {
			continue
		}
		for _, damage := range [][]byte{{0: 0xff}, {8: 0}, {8: 6}, {10: 0}, {10: 1}, {10: 0xff}, {12: 0xff}} {
			damaged := bytes.Clone(image)
			at := page*pageSize + len(damage) - 1
			damaged[at] = damage[len(damage)-1]
			s := salvageImage(t, damaged)
			wantIntact(t, image, damaged, original, s, func(int) bool { return true })
			if t.Failed() {
				t.Fatalf("page %d, byte %d: %v", page, len(damage)-1, s.Trees)
			}
		}
	}
}

func TestSalvageEndsWithTheContext(t *testing.T) {
	image := grown(t)
	clear(image[:2*realPage])
	path := t.TempDir() + "/damaged.db"
	writeFile(t, path, image)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Salvage(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("salvage: %v", err)
	}
	if _, err := salvage(t, path).Rebuild(ctx, path+".new", lostInfo, db.Options{NoSync: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("rebuild: %v", err)
	}
}

// FuzzSalvage salvages anything.
func FuzzSalvage(f *testing.F) {
	f.Add([]byte{}, uint16(0), uint16(0))
	image := smallImage(f)
	f.Add(image, uint16(8), uint16(3000))
	f.Fuzz(func(t *testing.T, content []byte, at, with uint16) {
		if int(at)+2 <= len(content) {
			content = bytes.Clone(content)
			binary.LittleEndian.PutUint16(content[at:], with)
		}
		s := salvageImage(t, content)
		s.Losses()
		s.Plan()
	})
}
