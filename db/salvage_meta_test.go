package db_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// realPage is the size of the pages of databases as they are made.
const realPage = 4096

// grown is a database that has had many transactions, as bytes.
func grown(t testing.TB) []byte {
	t.Helper()
	database := create(t)
	update(t, database, fill, threeOfEach)
	for i := range 30 {
		update(t, database, createLayer(model.LayerID(id("layer-%02d", i))))
	}
	for i := range 10 {
		update(t, database, func(tx *db.Tx) error {
			_, _, err := tx.DeleteLayer(model.LayerID(id("layer-%02d", i)))
			return err
		})
	}
	update(t, database, createLayer("last"))
	return readFile(t, database.Path())
}

// newestMetaOf returns the page that is the newer one of the two meta pages, and
// the page of its freelist.
func newestMetaOf(image []byte) (page, freelist int) {
	const header = 16
	a, b := metaPage(image[header:]), metaPage(image[realPage+header:])
	if b.txID() > a.txID() {
		return 1, int(b.freelist())
	}
	return 0, int(a.freelist())
}

func TestDestroyedMetaPages(t *testing.T) {
	image := grown(t)
	want := dumpImage(t, image)
	newest, freelist := newestMetaOf(image)
	for _, c := range []struct {
		name  string
		pages []int
	}{
		{"the newest one", []int{newest}},
		{"the older one", []int{1 - newest}},
		{"both", []int{0, 1}},
		{"both and the freelist", []int{0, 1, freelist}},
		{"the newest one and the freelist", []int{newest, freelist}},
	} {
		t.Run(c.name, func(t *testing.T) {
			damaged := bytes.Clone(image)
			for _, page := range c.pages {
				clear(damaged[page*realPage:][:realPage])
			}
			s := salvageImage(t, damaged)
			if s.Intact() || s.PageSize != realPage {
				t.Errorf("intact %v, pages of %d bytes", s.Intact(), s.PageSize)
			}
			_, got := rebuild(t, s)
			wantSame(t, want, got)
			if losses := s.Losses(); len(losses) > 0 {
				t.Errorf("lost: %v", losses)
			}
		})
	}
}

// TestOneTransactionBack destroys the newest meta page and the root that it leads
// to, so that the transaction before is the newest that there is.
func TestOneTransactionBack(t *testing.T) {
	image := grown(t)
	newest, _ := newestMetaOf(image)
	root := int(metaPage(image[newest*realPage+16:]).root())
	txID := metaPage(image[newest*realPage+16:]).txID()
	damaged := bytes.Clone(image)
	for _, page := range []int{newest, root} {
		clear(damaged[page*realPage:][:realPage])
	}
	s := salvageImage(t, damaged)
	if want := []db.SalvagedTree{{TxID: txID - 1, Meta: true, Intact: true}}; !cmp.Equal(s.Trees, want) {
		t.Errorf("trees %+v, want %+v", s.Trees, want)
	}
	want, _ := rebuildOf(t, image)
	got, _ := rebuildOf(t, damaged)
	want.Layers = slices.DeleteFunc(want.Layers, func(l *model.Layer) bool { return l.ID == "last" })
	if diff := cmp.Diff(want.Layers, got.Layers); diff != "" {
		t.Error(diff)
	}
}

// rebuildOf returns what is in the database that an image becomes.
func rebuildOf(t testing.TB, image []byte) (contents, *db.Rebuilt) {
	t.Helper()
	rebuilt, dumped := rebuild(t, salvageImage(t, image))
	return dumped, rebuilt
}

// TestFilesThatAreNoDatabases salvages things in which there is nothing.
func TestFilesThatAreNoDatabases(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty": nil, "short": []byte("short"), "zeros": make([]byte, 100_000),
		"text":           bytes.Repeat([]byte("no database at all\n"), 10_000),
		"ones":           bytes.Repeat([]byte{0xff}, 100_000),
		"nothing but 02": bytes.Repeat([]byte{2, 0, 0, 0, 0, 0, 0, 0}, 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			s := salvageImage(t, content)
			if len(s.Records()) > 0 || len(s.Trees) > 0 || len(s.Losses()) > 0 {
				t.Errorf("%d records, trees %v, losses %v", len(s.Records()), s.Trees, s.Losses())
			}
			_, dumped := rebuild(t, s)
			if dumped.Info.UUID != lostInfo.UUID || len(dumped.Layers) > 0 {
				t.Errorf("%+v", dumped)
			}
		})
	}
}

// TestPagesThatClaimToBeEndless makes every page claim that its values reach to
// the end of the file.
func TestPagesThatClaimToBeEndless(t *testing.T) {
	const pages = 4096
	image := make([]byte, pages*realPage)
	for id := 2; id < pages; id++ {
		page := image[id*realPage:]
		page[0], page[1], page[8], page[10] = byte(id), byte(id>>8), 2, 200
		for i := range 200 {
			e := page[16+16*i:]
			size := len(image) - id*realPage - 4096
			e[4], e[5] = 0x00, 0x0e
			e[8] = 1
			e[12], e[13], e[14], e[15] = byte(size), byte(size>>8), byte(size>>16), byte(size>>24)
		}
		page[16+3584+1-16] = 1
	}
	for id := range pages {
		for i := 3600; i < 4090; i++ {
			image[id*realPage+i] = 1
		}
	}
	s := salvageImage(t, image)
	if !s.Incomplete || len(s.Records()) > 0 {
		t.Errorf("incomplete %v, %d records", s.Incomplete, len(s.Records()))
	}
}

// TestDamageOfTheNewestStateShows destroys both meta pages and the page with all
// images of a state: an older state that is intact is no reason to pass over it.
func TestDamageOfTheNewestStateShows(t *testing.T) {
	database := create(t)
	update(t, database, fill)
	update(t, database, func(tx *db.Tx) error { return tx.CreateImage(&model.Image{ID: "newest"}) })
	image := readFile(t, database.Path())
	original := salvageImage(t, image)
	clear(image[:2*realPage])
	for _, r := range original.Records() {
		if r.Bucket == "images" {
			clear(image[r.Page*realPage:][:realPage])
		}
	}
	s := salvageImage(t, image)
	if s.TxID() != original.TxID() || s.Trees[0].Intact {
		t.Errorf("trees %+v", s.Trees)
	}
	if diff := cmp.Diff([]string{"image newest"}, lossesOf(s)); diff != "" || !s.Complete() {
		t.Errorf("complete: %v, losses: %s", s.Complete(), diff)
	}
	if origin := valuesOf(s)["images/image"]; origin == nil || origin.Origin != db.FromPrevious {
		t.Errorf("the older image: %+v", origin)
	}
}

// TestSumsTellThatNothingIsLost destroys the root page only, so that all else is
// found in pages that nothing leads to.
func TestSumsTellThatNothingIsLost(t *testing.T) {
	image := grown(t)
	newest, _ := newestMetaOf(image)
	root := int(metaPage(image[newest*realPage+16:]).root())
	clear(image[root*realPage:][:realPage])
	s := salvageImage(t, image)
	if s.Intact() || !s.Complete() {
		t.Errorf("intact: %v, complete: %v (%v)", s.Intact(), s.Complete(), origins(s))
	}
	kept := valuesOf(s)["store/usage"].Page
	for page := 2; page < len(image)/realPage; page++ {
		if page != int(kept) && binary.LittleEndian.Uint16(image[page*realPage+8:]) != 0x10 { // the freelist
			clear(image[page*realPage:][:realPage])
		}
	}
	if s := salvageImage(t, image); s.Complete() || len(s.Records()) == 0 {
		t.Errorf("only the sums are left, and everything is said to be known: %v", origins(s))
	}
}
