package fsck_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// company is a sample with stores beside it: images is its image store, with a layer
// "their-top" on its layer "side", an image "their-image", and a container and a
// volatile one of that; additional has an image "lent" of the layers "lent-base" and
// "lent-top", of which there is a container, too.
type company struct {
	sample

	images, additional string
}

func newCompany(t *testing.T, driver string) *company {
	t.Helper()
	c := &company{sample: *newSample(t, driver)}
	c.images, c.additional = filepath.Join(filepath.Dir(c.root), "images"), filepath.Join(filepath.Dir(c.root), "additional")
	lender := &sample{driver: driver, root: c.additional, runRoot: c.runRoot + "-lender"}
	lender.open(t)
	lender.layer(t, "lent-base", "")
	lender.layer(t, "lent-top", "lent-base")
	lender.image(t, "lent", "lent-top", "lent:1")
	lender.closeStore(t)
	c.use(t, func() {
		c.layer(t, "their-top", "side")
		c.image(t, "their-image", "their-top", "theirs:1")
		c.container(t, "theirs", "their-image")
		_, err := c.store.CreateContainer(t.Context(), graph.ContainerSpec{ID: "lost", Image: "their-image", Layer: "lost-rw", Volatile: true})
		must(t, err)
		c.container(t, "borrowed", "lent")
		for _, id := range []string{"theirs", "lost", "borrowed"} {
			c.mount(t, id, func(path string) { must(t, os.WriteFile(filepath.Join(path, "written"), nil, 0o644)) })
		}
	})
	return c
}

// use opens the store with the others.
func (c *company) use(t *testing.T, do func()) {
	t.Helper()
	store, err := graph.Open(t.Context(), graph.Options{
		Root: c.root, RunRoot: c.runRoot, Driver: c.driver, NoSync: true, ImageStore: c.images, AdditionalStores: []string{c.additional},
	})
	must(t, err)
	c.store = store
	do()
	c.closeStore(t)
}

// of returns the options for a check of one of the stores.
func (c *company) of(root string) fsck.Options {
	return fsck.Options{Root: root, RunRoot: c.runRoot}
}

// inOther changes the database of another store.
func inOther(t *testing.T, root string, fn func(tx *db.Tx) error) {
	t.Helper()
	database, err := db.Open(t.Context(), root, db.Options{})
	must(t, err)
	defer database.Close()
	must(t, database.Update(t.Context(), fn))
}

// uuid returns that of a store.
func uuid(t *testing.T, root string) string {
	t.Helper()
	uuid, err := db.ReadMarker(root)
	must(t, err)
	return uuid
}

func TestStoresThatNeedEachOtherAreHealthy(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			c := newCompany(t, driver)
			others := map[string][]string{c.root: {c.images, c.additional}, c.images: {c.root}, c.additional: nil}
			for root, want := range others {
				for _, depth := range fsck.Depths() {
					options := c.of(root)
					options.Depth = depth
					report := check(t.Context(), t, options)
					wantFindings(t, report)
					if got := slices.Sorted(slices.Values(report.Others)); depth != fsck.Structure && !slices.Equal(got, slices.Sorted(slices.Values(want))) {
						t.Errorf("%s: looked at %q", root, got)
					}
				}
			}
			options := c.of(c.images)
			options.Others = []string{c.root + "/", c.images}
			wantFindings(t, check(t.Context(), t, options))
			options.Depth, options.Only = fsck.Contents, []string{"their-image"}
			if report := check(t.Context(), t, options); report.Checked.Contents != 4 {
				t.Errorf("read %d contents", report.Checked.Contents)
			}
			options = c.of(c.root)
			options.Depth, options.Only = fsck.Contents, []string{"theirs"} // its item, and what is here of its layers
			if report := check(t.Context(), t, options); report.Checked.Contents != 6 {
				t.Errorf("read %d contents", report.Checked.Contents)
			}
		})
	}
}

func TestObjectsThatAnotherStoreHasLost(t *testing.T) {
	c := newCompany(t, "vfs")
	inOther(t, c.additional, func(tx *db.Tx) error {
		_, _, err := tx.DeleteLayer("lent-top")
		return err
	})
	inOther(t, c.images, func(tx *db.Tx) error {
		_, _, err := tx.DeleteImage("their-image")
		return err
	})
	report := check(t.Context(), t, c.of(c.root))
	wantFindings(t, report, "damage REF-IMAGE "+c.volatile(t)[0]+": containers/lost", "damage REF-IMAGE containers/theirs", "damage REF-PARENT layers/borrowed-rw")
	for _, f := range report.Findings {
		wantExplained(t, &f)
		if !strings.Contains(f.Expected, c.images) && !strings.Contains(f.Expected, c.additional) {
			t.Errorf("the other store is not named in %q", f.Expected)
		}
	}
	wantFindings(t, check(t.Context(), t, fsck.Options{Root: c.root, RunRoot: c.runRoot, Depth: fsck.Structure}))
}

func TestStoreThatIsAwayIsNoDamage(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			c := newCompany(t, driver)
			moved := c.additional + "-moved"
			must(t, os.Rename(c.additional, moved))
			report := check(t.Context(), t, fsck.Options{Root: c.root, RunRoot: c.runRoot, Depth: fsck.Contents})
			wantFindings(t, report, "info STORE-AWAY elsewhere")
			f := &report.Findings[0]
			wantExplained(t, f)
			if !strings.Contains(f.Expected, c.additional) || !strings.Contains(f.Expected, "(2)") {
				t.Errorf("got %q", f.Expected)
			}
			options := c.of(c.root)
			options.Others = []string{moved}
			wantFindings(t, check(t.Context(), t, options))
			options.Others = []string{c.additional}
			if report := check(t.Context(), t, options); len(report.Unchecked) != 1 || report.Verdict != fsck.Unchecked {
				t.Errorf("got %s, %q", report.Verdict, report.Unchecked)
			}
		})
	}
}

func TestHoldsAreComparedWithWhatOthersNeed(t *testing.T) {
	hold := func(kind model.Kind, id, store string) string {
		return `holds/"` + string(kind) + `\x00` + id + `\x00` + store + `"`
	}
	for _, test := range []struct {
		name string
		do   func(t *testing.T, c *company) (in string)
		want func(c *company, main, images, volatile string) []string
	}{
		{
			"volatile containers are gone",
			func(t *testing.T, c *company) string { must(t, os.RemoveAll(c.runRoot)); return c.images },
			func(_ *company, _, _, volatile string) []string {
				return []string{"repairable REF-HOLD " + hold(model.KindImage, "their-image", volatile), "repairable REF-HOLD " + hold(model.KindLayer, "their-top", volatile)}
			},
		},
		{
			"earlier boot", func(t *testing.T, c *company) string {
				inOther(t, c.images, func(tx *db.Tx) error {
					return tx.AddHold(db.Hold{Kind: model.KindImage, ID: "their-image", Store: "earlier", Root: t.TempDir(), RunRoot: c.runRoot, Boot: "earlier"})
				})
				return c.images
			},
			func(*company, string, string, string) []string {
				return []string{"repairable REF-HOLD " + hold(model.KindImage, "their-image", "earlier")}
			},
		},
		{
			"store is gone", func(t *testing.T, c *company) string { must(t, os.RemoveAll(c.root)); return c.images },
			func(_ *company, main, _, volatile string) []string {
				want := []string{}
				for _, id := range []string{main, volatile} {
					want = append(want, "repairable REF-HOLD "+hold(model.KindImage, "their-image", id), "repairable REF-HOLD "+hold(model.KindLayer, "their-top", id))
				}
				slices.Sort(want)
				return append(want, "info STORE-AWAY elsewhere")
			},
		},
		{
			"another store in its place", func(t *testing.T, c *company) string {
				inOther(t, c.images, func(tx *db.Tx) error {
					return tx.AddHold(db.Hold{Kind: model.KindImage, ID: "their-image", Store: "another", Root: c.root})
				})
				return c.images
			},
			func(*company, string, string, string) []string {
				return []string{"repairable REF-HOLD " + hold(model.KindImage, "their-image", "another")}
			},
		},
		{
			"what should be mounted is not", func(t *testing.T, c *company) string {
				must(t, os.RemoveAll(c.root))
				must(t, os.Mkdir(c.root, 0o700))
				return c.images
			},
			func(*company, string, string, string) []string { return []string{"info STORE-AWAY elsewhere"} },
		},
		{
			"it is not needed", func(t *testing.T, c *company) string {
				inOther(t, c.root, func(tx *db.Tx) error {
					return tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "base", Store: uuid(t, c.images), Root: c.images})
				})
				return c.root
			},
			func(_ *company, _, images, _ string) []string {
				return []string{"repairable REF-HOLD " + hold(model.KindLayer, "base", images)}
			},
		},
		{
			"who is read reads this store", func(t *testing.T, c *company) string {
				inOther(t, c.additional, func(tx *db.Tx) error {
					must(t, tx.SetElsewhere(db.Elsewhere{Kind: model.KindLayer, ID: "base", Store: uuid(t, c.root), Root: c.root}))
					return tx.CreateLayer(&model.Layer{ID: "own", Parent: "base"})
				})
				return c.root
			},
			func(*company, string, string, string) []string { return nil },
		},
		{
			"hold is missing", func(t *testing.T, c *company) string {
				inOther(t, c.images, func(tx *db.Tx) error { return tx.RemoveHold(model.KindImage, "their-image", uuid(t, c.root)) })
				return c.images
			},
			func(_ *company, main, _, _ string) []string {
				return []string{"repairable REF-UNHELD " + hold(model.KindImage, "their-image", main)}
			},
		},
		{
			"hold of a volatile container is missing", func(t *testing.T, c *company) string {
				inOther(t, c.images, func(tx *db.Tx) error {
					return tx.RemoveHold(model.KindLayer, "their-top", uuid(t, filepath.Dir(c.volatile(t)[0])))
				})
				return c.images
			},
			func(_ *company, _, _, volatile string) []string {
				return []string{"repairable REF-UNHELD " + hold(model.KindLayer, "their-top", volatile)}
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCompany(t, "vfs")
			main, images, volatile := uuid(t, c.root), uuid(t, c.images), uuid(t, filepath.Dir(c.volatile(t)[0]))
			in := test.do(t, c)
			report := check(t.Context(), t, c.of(in))
			wantFindings(t, report, test.want(c, main, images, volatile)...)
			for _, f := range report.Findings {
				wantExplained(t, &f)
			}
		})
	}
}

// Who reads a store makes no hold in it. That is a finding only for who says that
// they belong together.
func TestReaderWithoutAHold(t *testing.T) {
	c := newCompany(t, "vfs")
	options := c.of(c.additional)
	wantFindings(t, check(t.Context(), t, options))
	options.Others = []string{c.root}
	main := uuid(t, c.root)
	wantFindings(t, check(t.Context(), t, options),
		`repairable REF-UNHELD holds/"image\x00lent\x00`+main+`"`, `repairable REF-UNHELD holds/"layer\x00lent-top\x00`+main+`"`)
}

func TestDamageOfAnotherStoreIsNotReported(t *testing.T) {
	c := newCompany(t, "vfs")
	dbtest.FlipBit(t, filepath.Join(c.images, db.FileName), "layers", "their-top")
	wantFindings(t, check(t.Context(), t, c.of(c.root)))
	must(t, os.WriteFile(filepath.Join(c.images, db.FileName), []byte(strings.Repeat("no database ", 10_000)), 0o600))
	wantFindings(t, check(t.Context(), t, c.of(c.root)), "info STORE-AWAY elsewhere")
}
