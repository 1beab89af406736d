package db_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// exercise opens a database that is there in bytes, and does with it all sorts
// of things that come by many pages. It returns what went wrong.
func exercise(t testing.TB, image []byte) error {
	t.Helper()
	root := t.TempDir()
	writeFile(t, filepath.Join(root, db.FileName), image)
	database, err := db.Open(t.Context(), root, db.Options{NoSync: true})
	if err != nil {
		return err
	}
	defer database.Close()
	errs := []error{database.View(t.Context(), func(tx *db.ReadTx) error {
		_, err := tx.Check(t.Context())
		return errors.Join(err, second(dump(tx)), second(tx.Find(model.KindLayer, "bas"))) // a prefix
	})}
	for _, change := range []func(*db.Tx) error{
		createLayer("new"),
		func(tx *db.Tx) error { return tx.App("com.example.engine").DeleteBucket("inner") },
		func(tx *db.Tx) error {
			return second(tx.PutData(model.KindImage, "a", model.Data{Key: "k", Content: contentOf("f", 1)}))
		},
		func(tx *db.Tx) error { _, _, err := tx.DeleteImage("image"); return err },
		func(tx *db.Tx) error {
			for i := range 8 {
				if _, _, err := tx.DeleteLayer(model.LayerID(id("layer-%d", i))); err != nil {
					return err
				}
			}
			return second(tx.Layers())
		},
		func(tx *db.Tx) error { return tx.RemoveTrash("vfs/dir/gone") },
	} {
		errs = append(errs, database.Update(t.Context(), change))
	}
	return errors.Join(errs...)
}

// pagesOf returns the numbers of the pages of an image that have a flag and
// some elements.
func pagesOf(image []byte, flag uint16, elements int) (ids []int) {
	free := freePagesOf(image)
	for id := 2; id*pageSize < len(image); id++ {
		page := image[id*pageSize:]
		if !free[id] && binary.LittleEndian.Uint64(page) == uint64(id) &&
			binary.LittleEndian.Uint16(page[8:]) == flag && int(binary.LittleEndian.Uint16(page[10:])) >= elements {
			ids = append(ids, id)
		}
	}
	return ids
}

const (
	branchPage = 0x01
	leafPage   = 0x02
)

// setChild makes a branch page point to another page.
func setChild(image []byte, page, index, child int) {
	binary.LittleEndian.PutUint64(image[page*pageSize+16+16*index+8:], uint64(child))
}

// bucketElements calls fn for the header of each bucket that has pages of its
// own.
func bucketElements(image []byte, fn func(page int, header []byte)) {
	for _, id := range pagesOf(image, leafPage, 1) {
		page := image[id*pageSize:]
		for i := range int(binary.LittleEndian.Uint16(page[10:])) {
			e := page[16+16*i:]
			position, keySize := binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint32(e[8:])
			if e[0]&1 != 0 && binary.LittleEndian.Uint32(e[12:]) == 16 {
				fn(id, e[position+keySize:])
			}
		}
	}
}

// pageDamages are ways to make a tree something else. bbolt itself would go
// round in circles, or use pages twice.
var pageDamages = map[string]func(image []byte){
	"branch that is its own first child": func(image []byte) {
		for _, id := range pagesOf(image, branchPage, 2) {
			setChild(image, id, 0, id)
		}
	},
	"branch that is its own last child": func(image []byte) {
		for _, id := range pagesOf(image, branchPage, 2) {
			count := int(binary.LittleEndian.Uint16(image[id*pageSize+10:]))
			setChild(image, id, count-1, id)
		}
	},
	"branches that are children of each other": func(image []byte) {
		branches := pagesOf(image, branchPage, 2)
		for i, id := range branches {
			setChild(image, id, 0, branches[(i+1)%len(branches)])
			setChild(image, id, 1, branches[(i+1)%len(branches)])
		}
	},
	"branch twice the parent of a leaf": func(image []byte) {
		for _, id := range pagesOf(image, branchPage, 2) {
			copy(image[id*pageSize+16+8:][:8], image[id*pageSize+16+16+8:])
		}
	},
	"branches with children of others": func(image []byte) {
		leaves := pagesOf(image, leafPage, 1)
		for i, id := range pagesOf(image, branchPage, 2) {
			setChild(image, id, 0, leaves[i])
		}
	},
	"buckets on the pages that they lie on": func(image []byte) {
		bucketElements(image, func(page int, header []byte) { binary.LittleEndian.PutUint64(header, uint64(page)) })
	},
	"buckets on one page": func(image []byte) {
		var first []byte
		bucketElements(image, func(_ int, header []byte) {
			if first == nil {
				first = slices.Clone(header[:8])
			}
			copy(header, first)
		})
	},
	"buckets on the root": func(image []byte) {
		root := newestMetaPage(image).root()
		bucketElements(image, func(_ int, header []byte) { binary.LittleEndian.PutUint64(header, root) })
	},
	"pages that flow over into those of others": func(image []byte) {
		for _, id := range pagesOf(image, leafPage, 1) {
			if free := len(image)/pageSize - id; free > 1 {
				claimOverflow(image, uint64(id), 1)
			}
		}
	},
	"pages that flow over into the whole file": func(image []byte) {
		for _, id := range pagesOf(image, leafPage, 1) {
			claimOverflow(image, uint64(id), uint32(len(image)/pageSize-id-1))
		}
	},
	"pages without elements": func(image []byte) {
		for _, flag := range []uint16{branchPage, leafPage} {
			for _, id := range pagesOf(image, flag, 1) {
				binary.LittleEndian.PutUint16(image[id*pageSize+10:], 0)
			}
		}
	},
	"pages with too many elements": func(image []byte) {
		for _, id := range pagesOf(image, leafPage, 1) {
			binary.LittleEndian.PutUint16(image[id*pageSize+10:], 0xfffe)
		}
	},
	"keys and values of gigabytes": func(image []byte) {
		for _, id := range pagesOf(image, leafPage, 1) {
			binary.LittleEndian.PutUint32(image[id*pageSize+16+8:], 1<<31)
			binary.LittleEndian.PutUint32(image[id*pageSize+16+12:], 1<<31)
		}
	},
	"leaves that say they are branches": func(image []byte) {
		for _, id := range pagesOf(image, leafPage, 1) {
			binary.LittleEndian.PutUint16(image[id*pageSize+8:], branchPage)
		}
	},
	"root that is a freelist":   func(image []byte) { newestMetaPage(image).setRoot(newestMetaPage(image).freelist()) },
	"freelist that is the root": func(image []byte) { newestMetaPage(image).setFreelist(newestMetaPage(image).root()) },
	"root beyond the end":       func(image []byte) { newestMetaPage(image).setRoot(1 << 40) },
	"freelist beyond the end":   func(image []byte) { newestMetaPage(image).setFreelist(1 << 40) },
	"no freelist, and a damaged tree": func(image []byte) {
		for _, id := range pagesOf(image, branchPage, 2) {
			setChild(image, id, 0, id)
		}
		newestMetaPage(image).setFreelist(^uint64(0))
	},
	"more pages than the file has": func(image []byte) { newestMetaPage(image).setPages(1 << 40) },
	"fewer pages than it uses":     func(image []byte) { newestMetaPage(image).setPages(5) },
	"freelist of used pages": func(image []byte) {
		list := image[newestMetaPage(image).freelist()*pageSize:]
		for i := range int(binary.LittleEndian.Uint16(list[10:])) {
			binary.LittleEndian.PutUint64(list[16+8*i:], uint64(2+i))
		}
	},
	"freelist out of order": func(image []byte) {
		list := image[newestMetaPage(image).freelist()*pageSize+16:]
		copy(list, slices.Concat(list[8:16], list[:8]))
	},
	"freelist with an absurd count": func(image []byte) { claimFree(image, newestMetaPage(image).freelist(), 1<<60) },
}

func TestDamagedPagesHarmNobody(t *testing.T) {
	for name, damage := range pageDamages {
		t.Run(name, func(t *testing.T) {
			image := smallImage(t)
			damage(image)
			if e := examineImage(t, image); !e.found || e.err != nil {
				t.Errorf("found: %v, %v", e.found, e.err)
			}
			err := exercise(t, image)
			if name != "freelist of used pages" { // which a transaction need not come by
				wantClass(t, err, model.ErrCorrupt)
			}
		})
	}
}

// A file without a freelist is what bbolt leaves behind if it is told to.
func TestFileWithoutAFreelistIsMended(t *testing.T) {
	image := smallImage(t)
	newestMetaPage(image).setFreelist(^uint64(0))
	if err := exercise(t, image); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedBitsHarmNoWriter flips bits and then writes. If nothing can be
// found to be wrong before, the same must hold afterwards.
func TestFlippedBitsHarmNoWriter(t *testing.T) {
	image := smallImage(t)
	n := 0
	flips(image, func(offset int, bit byte) {
		if n++; n%61 != 0 || t.Failed() {
			return
		}
		flipped := slices.Clone(image)
		flipped[offset] ^= 1 << bit
		found := examineImage(t, flipped).found
		err := exercise(t, flipped)
		if err != nil && !found {
			t.Errorf("bit %d of byte %d of page %d: %v", bit, offset%pageSize, offset/pageSize, err)
		}
	})
}

func TestTruncatedFilesAreNoticed(t *testing.T) {
	image := smallImage(t)
	for pages := range len(image) / pageSize {
		for _, size := range []int{pages * pageSize, pages*pageSize + 100} {
			part := image[:size]
			if e := examineImage(t, part); !e.found || e.err != nil {
				t.Errorf("%d bytes: found: %v, %v", size, e.found, e.err)
			}
			wantClass(t, exercise(t, part), model.ErrCorrupt)
		}
	}
}

func TestPagesOfZerosAreNoticed(t *testing.T) {
	image := smallImage(t)
	healthy := examineImage(t, image)
	for page := range len(image) / pageSize {
		part := slices.Clone(image)
		clear(part[page*pageSize:][:pageSize])
		if e := examineImage(t, part); e.err != nil || !e.found && e.dumped != healthy.dumped {
			t.Errorf("page %d: found: %v, %v", page, e.found, e.err)
		}
		_ = exercise(t, part)
	}
}

func TestSwappedPagesAreNoticed(t *testing.T) {
	image, other := smallImage(t), smallImage(t)
	healthy := examineImage(t, image)
	for a := range len(image) / pageSize {
		for _, from := range [][]byte{image, other} {
			part := slices.Clone(image)
			b := (a + 3) % (min(len(image), len(from)) / pageSize)
			copy(part[a*pageSize:][:pageSize], from[b*pageSize:][:pageSize])
			// With the right number it is harder to tell.
			for range 2 {
				if e := examineImage(t, part); e.err != nil || !e.found && e.dumped != healthy.dumped {
					t.Errorf("page %d instead of %d: found: %v, %v", b, a, e.found, e.err)
				}
				_ = exercise(t, part)
				binary.LittleEndian.PutUint64(part[a*pageSize:], uint64(a))
			}
		}
	}
}

// TestFileThatBecomesShorter cuts a file off while transactions run. Memory
// that it was mapped to cannot be read then.
func TestFileThatBecomesShorterHarmsNobody(t *testing.T) {
	for _, size := range []int64{0, 100, 4096, 3 * 4096, 10 * 4096} {
		for name, use := range map[string]func(*db.DB) error{
			"reader": func(database *db.DB) error {
				return database.View(t.Context(), func(tx *db.ReadTx) error {
					truncate(t, database.Path(), size)
					return errors.Join(second(tx.Layers()), second(tx.Check(t.Context())))
				})
			},
			"writer": func(database *db.DB) error {
				return database.Update(t.Context(), func(tx *db.Tx) error {
					truncate(t, database.Path(), size)
					return createLayer("x")(tx)
				})
			},
			"writer at the end": func(database *db.DB) error {
				return database.Update(t.Context(), func(tx *db.Tx) error {
					err := createLayer("x")(tx)
					truncate(t, database.Path(), size)
					return err
				})
			},
			"readers beside a writer": func(database *db.DB) error {
				return database.Update(t.Context(), func(tx *db.Tx) error {
					begun, cut, done := make(chan struct{}), make(chan struct{}), make(chan error)
					go func() {
						done <- database.View(t.Context(), func(tx *db.ReadTx) error {
							close(begun)
							<-cut
							return second(tx.Layers())
						})
					}()
					<-begun
					truncate(t, database.Path(), size)
					late := make(chan error)
					go func() { late <- read(t.Context(), database) }()
					errLate := <-late
					close(cut)
					return errors.Join(errLate, <-done, second(tx.Images()))
				})
			},
		} {
			t.Run(name, func(t *testing.T) {
				database := withLayers(t, 200)
				root := rootOf(database)
				err := use(database)
				if err != nil || size < 10*4096 {
					wantClass(t, err, model.ErrCorrupt)
				}
				// Nothing is locked, and a whole file can be used again.
				if err := os.Remove(filepath.Join(root, db.FileName)); err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(filepath.Join(root, db.MarkerName)); err != nil {
					t.Fatal(err)
				}
				fresh, err := db.Create(t.Context(), root, "vfs", db.Options{})
				if err != nil {
					t.Fatal(err)
				}
				fresh.Close()
				update(t, database, createLayer("x"))
			})
		}
	}
}
