package graph_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/sirupsen/logrus"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// place is where the store of a test is. It can be opened any number of times.
// When the test ends it is examined, see examine.
type place struct {
	driver, root, run string
	// tampered says that the test has damaged content, so that it cannot be
	// read when the test ends.
	tampered bool
	// altered says that the test has changed layers that it made from diffs.
	altered bool
	// images says that there is an image store beside the root.
	images bool
	// with changes the options with which the store is opened each time.
	with func(*graph.Options)
}

// eachDriver runs a test for each driver.
func eachDriver(t *testing.T, test func(t *testing.T, p *place)) {
	t.Helper()
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) { test(t, newPlace(t, driver)) })
	}
}

// newPlace finds a place for a store with the given driver. The test runs at the
// same time as others: they wait for the disk most of the time.
func newPlace(t *testing.T, driver string) *place {
	t.Helper()
	t.Parallel()
	return findPlace(t, driver)
}

// findPlace is newPlace for a test that runs alone.
func findPlace(t *testing.T, driver string) *place {
	t.Helper()
	dir := ""
	if driver == "vfs" {
		dir = t.TempDir()
	} else {
		dir = testutil.SharedLoop(t, "ext4")
	}
	return placeIn(t, driver, dir)
}

// placeIn makes a place for a store in a directory.
func placeIn(t *testing.T, driver, dir string) *place {
	t.Helper()
	p := &place{driver: driver, root: filepath.Join(dir, "root"), run: filepath.Join(dir, "run")}
	t.Cleanup(func() {
		if !t.Skipped() {
			p.examine(t)
		}
	})
	return p
}

// open opens the store until the test ends.
func (p *place) open(t testing.TB, change ...func(*graph.Options)) *graph.Store {
	t.Helper()
	s, err := graph.Open(t.Context(), p.options(t, change...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// options returns what the store is opened with.
func (p *place) options(t testing.TB, change ...func(*graph.Options)) graph.Options {
	options := graph.Options{Root: p.root, RunRoot: p.run, Driver: p.driver, Log: strictLog(t)}
	if p.images {
		options.ImageStore = p.root + "-images"
	}
	if p.with != nil {
		p.with(&options)
	}
	for _, f := range change {
		f(&options)
	}
	return options
}

// strictLog returns a log in which every warning is an error of the test.
func strictLog(t testing.TB) logrus.FieldLogger {
	log := logrus.New()
	log.Out = io.Discard
	log.AddHook(failOnWarning{t})
	return log
}

type failOnWarning struct{ t testing.TB }

func (failOnWarning) Levels() []logrus.Level { return logrus.AllLevels[:logrus.WarnLevel+1] }

func (h failOnWarning) Fire(e *logrus.Entry) error {
	h.t.Errorf("the store warned: %s: %v", e.Message, e.Data[logrus.ErrorKey])
	return nil
}

// afterwards returns a context for what is done when a test has ended.
func afterwards(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// examine reports everything that must not be when nobody uses the store:
// damage to the database or to contents, something that is stray, staged or in
// the trash, a mount, a file that nobody knows.
func (p *place) examine(t testing.TB) {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(p.root, db.FileName)); err != nil {
		return // no store was made
	}
	ctx := afterwards(t)
	s, err := graph.Open(ctx, p.options(t))
	if err != nil {
		t.Errorf("examine: %v", err)
		return
	}
	defer s.Close()
	if !p.images {
		p.examineFiles(t, s)
	}
	if r, err := s.Recover(ctx); err != nil || len(r.Trash)+len(r.Staged)+len(r.Strays)+len(r.Busy) > 0 {
		t.Errorf("left over at the end: %+v %v", r, err)
	}
	if !p.tampered {
		p.examineContents(t, s)
	}
	p.examineMounts(t)
	database, err := db.Open(ctx, p.root, db.Options{})
	if err != nil {
		t.Errorf("examine: %v", err)
		return
	}
	defer database.Close()
	dbtest.Check(t, database)
}

// examineContents reads everything that the store holds.
func (p *place) examineContents(t testing.TB, s *graph.Store) {
	t.Helper()
	ctx := afterwards(t)
	layers, items := inventory(t, s)
	known := map[model.LayerID]bool{"": true}
	for _, l := range layers {
		known[l.ID] = true
	}
	for _, l := range layers {
		if l.Made && known[l.Parent] { // else the parent was deleted by force
			if err := readDiff(ctx, s, l); err != nil {
				t.Errorf("examine: %v", err)
			}
			if altered, err := s.Altered(ctx, l.ID); err != nil || len(altered) > 0 && !p.altered {
				t.Errorf("examine: layer %s is not as its diff made it: %v, %v", l.ID, altered, err)
			}
		}
	}
	for _, item := range items {
		if err := s.VerifyData(ctx, item.id, item.key); err != nil {
			t.Errorf("examine: %v", err)
		}
	}
}

// readDiff reads the diff of a layer, which verifies it.
func readDiff(ctx context.Context, s *graph.Store, l *model.Layer) error {
	plain := model.Uncompressed
	stream, err := s.Diff(ctx, l.ID, graph.DiffOptions{Compression: &plain})
	if err != nil {
		return err
	}
	defer stream.Close()
	_, err = io.Copy(io.Discard, stream)
	return err
}

// item names a data item.
type item struct {
	id  model.ID
	key string
	at  string // path of the content file
	own bool   // the object is in no additional store
}

// inventory lists the layers and data items of a store.
func inventory(t testing.TB, s *graph.Store) (layers []*model.Layer, items []item) {
	t.Helper()
	err := s.View(afterwards(t), func(tx *graph.ReadTx) (err error) {
		if layers, err = tx.Layers(); err != nil {
			return err
		}
		own := make(map[model.ID]bool)
		for _, l := range layers {
			own[l.ID] = !l.ReadOnly
		}
		images, err := tx.Images()
		if err != nil {
			return err
		}
		for _, i := range images {
			own[i.ID] = !i.ReadOnly
		}
		ids, err := allIDs(tx)
		for _, id := range ids {
			data, err := tx.Data(id)
			if err != nil {
				return err
			}
			for _, d := range data {
				items = append(items, item{id, d.Key, d.Content.Path, own[id]})
			}
		}
		return err
	})
	if err != nil {
		t.Errorf("inventory: %v", err)
	}
	return layers, items
}

// allIDs returns the IDs of all objects.
func allIDs(tx *graph.ReadTx) (ids []model.ID, err error) {
	layers, err := tx.Layers()
	if err != nil {
		return nil, err
	}
	images, err := tx.Images()
	if err != nil {
		return nil, err
	}
	containers, err := tx.Containers()
	for _, l := range layers {
		ids = append(ids, l.ID)
	}
	for _, i := range images {
		ids = append(ids, i.ID)
	}
	for _, c := range containers {
		ids = append(ids, c.ID)
	}
	return ids, err
}

// examineMounts reports mounts below the roots.
func (p *place) examineMounts(t testing.TB) {
	t.Helper()
	for _, dir := range []string{p.root, p.run} {
		mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
		if err != nil {
			t.Error(err)
		}
		for _, m := range mounts {
			t.Errorf("still mounted at the end: %s", m.Mountpoint)
		}
	}
}

// examineFiles compares what is in the roots with what the records say.
func (p *place) examineFiles(t testing.TB, s *graph.Store) {
	t.Helper()
	want := map[string]bool{
		"csdb.db": true, "csdb.id": true, "csdb.lock": true, "csdb.lock.queue": true, "csdb.locks": true,
	}
	layers, items := inventory(t, s)
	made := make(map[string]bool)
	for _, l := range layers {
		if l.ReadOnly {
			continue
		}
		if l.Made {
			made[l.DriverDir()] = true
		}
		if l.Diff != nil && l.Diff.TarSplit != nil {
			want[l.Diff.TarSplit.Path] = true
		}
	}
	for _, item := range items {
		if item.own || item.id.Kind() == model.KindContainer {
			want[item.at] = true
		}
	}
	for _, name := range filesIn(t, p.root, p.driver) {
		if strings.Contains(name, "/userdata/") {
			continue
		}
		if !want[name] {
			t.Errorf("%s is there and nobody knows what for", name)
		}
		delete(want, name)
	}
	delete(want, "csdb.locks") // made when it is first needed
	for name := range want {
		t.Errorf("%s is missing", name)
	}
	p.examineDriver(t, made)
}

// filesIn lists the files below a directory, without those in the given one.
func filesIn(t testing.TB, dir, except string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name == except {
			return filepath.SkipDir
		}
		if !d.IsDir() {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return names
}

// examineDriver compares the directories of the driver with those that layers
// have.
func (p *place) examineDriver(t testing.TB, made map[string]bool) {
	t.Helper()
	home, links := filepath.Join(p.root, p.driver, "dir"), 0
	if p.driver == "overlay" {
		home = filepath.Join(p.root, p.driver)
		short, err := os.ReadDir(filepath.Join(home, "l"))
		if err != nil {
			t.Error(err)
		}
		links = len(short)
		if links != len(made) {
			t.Errorf("%d layers have %d short names", len(made), links)
		}
	}
	dirs, err := os.ReadDir(home)
	if err != nil {
		t.Error(err)
	}
	for _, dir := range dirs {
		if name := dir.Name(); !made[name] && (p.driver != "overlay" || name != "l") {
			t.Errorf("directory %s of the driver belongs to no layer", name)
		}
		delete(made, dir.Name())
	}
	for name := range made {
		t.Errorf("directory %s of the driver is missing", name)
	}
}
