package rescue_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/graph/rescue"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// sample is a store with three layers in a row, an image and a container.
type sample struct{ root, runRoot, driver string }

func newSample(t *testing.T, driver string) *sample {
	t.Helper()
	dir := t.TempDir()
	s := &sample{root: filepath.Join(dir, "root"), runRoot: filepath.Join(dir, "run"), driver: driver}
	store := s.open(t)
	var diffs []digest.Digest
	parent := model.LayerID("")
	for _, id := range []model.LayerID{"base", "middle", "top"} {
		layer, err := store.ImportLayer(t.Context(), graph.LayerSpec{ID: id, Parent: parent}, diff(t, string(id)))
		must(t, err)
		diffs, parent = append(diffs, layer.Diff.Digest), id
	}
	config, err := json.Marshal(map[string]any{"created": "2026-03-01T12:00:00Z", "rootfs": map[string]any{"type": "layers", "diff_ids": diffs}})
	must(t, err)
	key := digest.FromBytes(config).String()
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "config": map[string]any{"digest": key}})
	must(t, err)
	_, err = store.CreateImage(t.Context(), graph.ImageSpec{ID: "app", TopLayer: "top", Names: []string{"registry.example/app:1"}})
	must(t, err)
	image := model.ImageID("app")
	must(t, store.SetData(t.Context(), image, key, bytes.NewReader(config)))
	must(t, store.SetData(t.Context(), image, "manifest", bytes.NewReader(manifest)))
	must(t, store.SetData(t.Context(), image, "signature-1", strings.NewReader("signature")))
	_, err = store.CreateContainer(t.Context(), graph.ContainerSpec{ID: "job", Image: image, Layer: "own"})
	must(t, err)
	must(t, store.Close())
	return s
}

func (s *sample) open(t testing.TB) *graph.Store {
	t.Helper()
	store, err := graph.Open(t.Context(), graph.Options{Root: s.root, RunRoot: s.runRoot, Driver: s.driver, NoSync: true})
	if errors.Is(err, model.ErrUnsupported) {
		t.Skip(err)
	}
	must(t, err)
	return store
}

func (s *sample) database() string { return filepath.Join(s.root, db.FileName) }

func (s *sample) options() rescue.Options {
	return rescue.Options{Root: s.root, RunRoot: s.runRoot, Output: s.database() + ".rescued"}
}

// rescue rescues the store and installs the result.
func (s *sample) rescue(t *testing.T, options rescue.Options) *rescue.Report {
	t.Helper()
	report, err := rescue.Rescue(t.Context(), options)
	must(t, err)
	must(t, rescue.Install(t.Context(), report, time.Now()))
	return report
}

// state is what is in a store.
type state struct {
	Layers     []*model.Layer
	Images     []*model.Image
	Containers []*model.Container
	Data       map[string][]model.Data
}

func (s *sample) state(t *testing.T) (all state) {
	t.Helper()
	all.Data = make(map[string][]model.Data)
	_, err := db.Examine(t.Context(), 0, s.database(), func(tx *db.ReadTx) error {
		var errs [4]error
		all.Layers, errs[0] = tx.Layers()
		all.Images, errs[1] = tx.Images()
		all.Containers, errs[2] = tx.Containers()
		for _, image := range all.Images {
			all.Data[string(image.ID)], errs[3] = tx.Data(model.KindImage, string(image.ID))
		}
		return errors.Join(errs[:]...)
	})
	must(t, err)
	return all
}

func diff(t testing.TB, name string) *bytes.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	content := strings.Repeat(name, 1000)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}))
	_, err := w.Write([]byte(content))
	must(t, err)
	must(t, w.Close())
	return bytes.NewReader(buf.Bytes())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// zero destroys pages of the database.
func (s *sample) zero(t *testing.T, pages ...int64) {
	t.Helper()
	f, err := os.OpenFile(s.database(), os.O_RDWR, 0)
	must(t, err)
	for _, page := range pages {
		_, err := f.WriteAt(make([]byte, 4096), page*4096)
		must(t, err)
	}
	must(t, f.Close())
}

func TestStoreIsTheSameAfterItsRescue(t *testing.T) {
	s := newSample(t, "vfs")
	before := s.state(t)
	s.zero(t, 0, 1)
	report := s.rescue(t, s.options())
	if diff := cmp.Diff(before, s.state(t)); diff != "" {
		t.Error(diff)
	}
	if report.Check.Verdict != fsck.Clean || report.Unknown || len(report.Lost) > 0 {
		t.Errorf("verdict %s, unknown losses %v, lost %v", report.Check.Verdict, report.Unknown, report.Lost)
	}
	if kept, err := os.Stat(report.Kept); err != nil || kept.Size() != report.Size {
		t.Errorf("the old database: %v", err)
	}
	store := s.open(t)
	_, err := store.CreateContainer(t.Context(), graph.ContainerSpec{ID: "another", Image: "app"})
	must(t, errors.Join(err, store.Close()))
}

// What a store has noted about others survives, for without it what they need may be
// deleted.
func TestNotesAboutOtherStoresAreRescued(t *testing.T) {
	s := newSample(t, "vfs")
	other := t.TempDir() // in which a disk may have been mounted
	database, err := db.Open(t.Context(), s.root, db.Options{})
	must(t, err)
	must(t, database.Update(t.Context(), func(tx *db.Tx) error {
		return errors.Join(
			tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "base", Store: "uuid", Root: other}),
			tx.CreateLayer(&model.Layer{ID: "near", Parent: "far"}),
			tx.SetElsewhere(db.Elsewhere{Kind: model.KindLayer, ID: "far", Store: "uuid", Root: other}))
	}))
	database.Close()
	s.zero(t, 0, 1)
	report := s.rescue(t, s.options())
	var notes []string
	for _, r := range report.Records {
		if r.Kind == rescue.KindNote {
			notes = append(notes, r.ID)
		}
	}
	if diff := cmp.Diff([]string{"elsewhere/layer/far", "holds/layer/base/uuid"}, notes); diff != "" {
		t.Error(diff)
	}
	if report.Check.Verdict != fsck.Clean || len(report.Lost) > 0 {
		t.Errorf("verdict %s, lost %v: %+v", report.Check.Verdict, report.Lost, report.Check.Findings)
	}
	database, err = db.Open(t.Context(), s.root, db.Options{})
	must(t, err)
	defer database.Close()
	must(t, database.View(t.Context(), func(tx *db.ReadTx) error {
		holds, err := tx.AllHolds()
		places, errPlaces := tx.AllElsewhere()
		if len(holds) != 1 || len(places) != 1 {
			t.Errorf("%v, %v", holds, places)
		}
		return errors.Join(err, errPlaces)
	}))
}

// TestRescueFromFiles does without a database, and without a backup.
func TestRescueFromFiles(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			if driver == "overlay" {
				testutil.NeedRoot(t)
			}
			s := newSample(t, driver)
			before := s.state(t)
			must(t, os.Remove(s.database()))
			options := s.options()
			options.FromFiles = true
			report := s.rescue(t, options)
			if report.State != rescue.Missing || !report.Unknown || report.Driver != driver || report.Strays() > 0 {
				t.Errorf("state %s, unknown losses %v, driver %s, strays %d", report.State, report.Unknown, report.Driver, report.Strays())
			}
			want := before
			want.Containers = nil
			want.Images[0].Names, want.Images[0].NamesHistory = nil, nil // nothing tells
			want.Images[0].Created = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			want.Layers = want.Layers[:3] // the container's own has no directory yet
			for _, l := range want.Layers {
				l.Size = model.SizeUnknown
				l.Diff.CompressedDigest, l.Diff.CompressedSize, l.Diff.UIDs, l.Diff.GIDs = "", 0, nil, nil
				if driver == "vfs" {
					l.Parent = ""
				}
			}
			got := s.state(t)
			alike := cmp.Options{
				cmpopts.IgnoreFields(model.Layer{}, "Created"),
				cmpopts.IgnoreFields(model.Data{}, "Seq"), cmpopts.SortSlices(func(a, b model.Data) bool { return a.Key < b.Key }),
				cmpopts.IgnoreFields(model.Layer{}, "Seq"), cmpopts.SortSlices(func(a, b *model.Layer) bool { return a.ID < b.ID }),
			}
			if diff := cmp.Diff(want, got, alike); diff != "" {
				t.Error(diff)
			}
			contents, err := fsck.Check(t.Context(), fsck.Options{Root: s.root, Depth: fsck.Contents})
			must(t, err)
			if contents.Verdict != fsck.Clean {
				t.Errorf("contents: %+v", contents.Findings)
			}
			store := s.open(t)
			_, err = store.Mount(t.Context(), "top", graph.MountOptions{})
			must(t, err)
			_, err = store.Unmount(t.Context(), "top", false)
			must(t, errors.Join(err, store.Close()))
		})
	}
}

func TestInstallRefusesWhatHasChanged(t *testing.T) {
	s := newSample(t, "vfs")
	options := s.options()
	options.Force = true
	report, err := rescue.Rescue(t.Context(), options)
	must(t, err)
	store := s.open(t)
	_, err = store.CreateImage(t.Context(), graph.ImageSpec{ID: "later"})
	must(t, errors.Join(err, store.Close()))
	if err := rescue.Install(t.Context(), report, time.Now()); !errors.Is(err, model.ErrBusy) {
		t.Errorf("got %v", err)
	}
	if n := len(s.state(t).Images); n != 2 {
		t.Errorf("%d images", n)
	}
}

// TestOldDatabaseIsNotTouched rescues without installing.
func TestOldDatabaseIsNotTouched(t *testing.T) {
	s := newSample(t, "vfs")
	s.zero(t, 0, 3)
	before, err := os.ReadFile(s.database())
	must(t, err)
	options := s.options()
	options.Output = ""
	report, err := rescue.Rescue(t.Context(), options)
	must(t, err)
	if report.Output != "" || report.Check != nil || len(report.Records) == 0 {
		t.Errorf("%+v", report)
	}
	if _, err := os.Stat(s.options().Output); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	_, err = rescue.Rescue(t.Context(), s.options())
	must(t, err)
	after, err := os.ReadFile(s.database())
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the old database has changed")
	}
	entries, err := filepath.Glob(filepath.Join(s.root, ".tmp-*"))
	must(t, err)
	if len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestRescueRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, s *sample, o *rescue.Options)
		class   error
	}{
		{"a database that is fine", func(*testing.T, *sample, *rescue.Options) {}, rescue.ErrNotNeeded},
		{"no root", func(_ *testing.T, _ *sample, o *rescue.Options) { o.Root = "" }, model.ErrInvalid},
		{"an output elsewhere", func(t *testing.T, _ *sample, o *rescue.Options) {
			t.Helper()
			o.Output = filepath.Join(t.TempDir(), "x")
		}, model.ErrInvalid},
		{"the database as the output", func(_ *testing.T, s *sample, o *rescue.Options) { o.Output = s.database() }, model.ErrInvalid},
		{"no store", func(t *testing.T, _ *sample, o *rescue.Options) { t.Helper(); o.Root = t.TempDir(); o.Output = "" }, fs.ErrNotExist},
		{"no backup", func(t *testing.T, s *sample, o *rescue.Options) {
			t.Helper()
			s.zero(t, 0, 1)
			o.Backup = s.root + "/nothing"
		}, model.ErrNotFound},
		{"a backup of another store", func(t *testing.T, s *sample, o *rescue.Options) {
			t.Helper()
			s.zero(t, 0, 1)
			o.Backup = newSample(t, "vfs").database()
		}, model.ErrInvalid},
		{"a backup that is none", func(t *testing.T, s *sample, o *rescue.Options) {
			t.Helper()
			s.zero(t, 0, 1)
			o.Backup = filepath.Join(s.root, db.MarkerName)
		}, model.ErrCorrupt},
		{"an output that exists", func(t *testing.T, s *sample, o *rescue.Options) {
			t.Helper()
			s.zero(t, 0, 1)
			must(t, os.WriteFile(o.Output, nil, 0o600))
		}, model.ErrExists},
		{"another driver", func(t *testing.T, s *sample, o *rescue.Options) { t.Helper(); s.zero(t, 0, 1); o.Driver = "overlay" }, model.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSample(t, "vfs")
			options := s.options()
			c.prepare(t, s, &options)
			if _, err := rescue.Rescue(t.Context(), options); !errors.Is(err, c.class) {
				t.Errorf("got %v, want an error that matches %q", err, c.class)
			}
		})
	}
}

// TestBackupFillsGaps destroys the file after a backup, and after that backup an
// image was deleted, of which only the journal in the file knows.
func TestBackupFillsGaps(t *testing.T) {
	s := newSample(t, "vfs")
	backup := filepath.Join(t.TempDir(), "backup.db")
	store := s.open(t)
	must(t, store.Backup(t.Context(), backup))
	must(t, store.Close())
	before := s.state(t)
	must(t, os.Truncate(s.database(), 4096*3))
	options := s.options()
	options.Backup = backup
	report := s.rescue(t, options)
	if diff := cmp.Diff(before, s.state(t)); diff != "" {
		t.Error(diff)
	}
	for _, r := range report.Records {
		if r.Kind == "layer" && r.Origin != db.FromBackup && r.Origin != db.FromFreed {
			t.Errorf("%+v", r)
		}
	}
}
