package fsck_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestCheckWritesNothing(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s := copyOf(t, newSample(t, driver))
			for _, damaged := range []bool{false, true} {
				if damaged {
					removeLayer("side")(t, s)
					remove(manifest)(t, s)
					remove(db.MarkerName)(t, s)
					remove(db.LockName)(t, s)
					dbtest.FlipBit(t, s.database(), "layers", "middle")
				}
				before := testutil.Snapshot(t, filepath.Dir(s.root))
				s.check(t)
				if diff := cmp.Diff(before, testutil.Snapshot(t, filepath.Dir(s.root))); diff != "" {
					t.Errorf("damaged: %t: the check has changed the copy:\n%s", damaged, diff)
				}
			}
		})
	}
}

func TestCheckOfAReadOnlyFileSystem(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			disk := testutil.LoopMount(t, "ext4")
			s := &sample{driver: driver, root: filepath.Join(disk, "root"), runRoot: filepath.Join(disk, "run")}
			s.fill(t)
			remove("%-images/tool/manifest")(t, s)
			must(t, unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
			wantFindings(t, s.check(t), s.named("damage DATA-MISSING %-images/tool/manifest"))
		})
	}
}

func TestCheckOfADatabaseFileAlone(t *testing.T) {
	s := newSample(t, "vfs")
	s.open(t)
	backup := filepath.Join(t.TempDir(), "monday.backup")
	must(t, s.store.Backup(t.Context(), backup))
	s.closeStore(t)
	report := check(t.Context(), t, fsck.Options{Database: backup})
	wantFindings(t, report)
	if report.Depth != fsck.Structure || report.Root != "" || report.Driver != "vfs" || report.Checked.Layers != 6 || report.Checked.Files != 0 {
		t.Errorf("got %+v", report)
	}
	dbtest.FlipBit(t, backup, "images", "tool")
	report = check(t.Context(), t, fsck.Options{Database: backup})
	wantFindings(t, report, "damage DB-RECORD images/tool")
	want := []fsck.Object{{Kind: model.KindImage, ID: "tool", Names: []string{"tool:2"}}}
	if diff := cmp.Diff(want, report.Findings[0].Images); diff != "" {
		t.Errorf("images that suffer: %s", diff)
	}
}

func TestDepthStructureLooksAtTheDatabaseOnly(t *testing.T) {
	s := newSample(t, "vfs")
	remove("vfs")(t, s)
	remove(manifest)(t, s)
	wantFindings(t, check(t.Context(), t, fsck.Options{Root: s.root, Depth: fsck.Structure}))
}

func TestCheckSaysWhyItCannotCheck(t *testing.T) {
	s := newSample(t, "vfs")
	empty := t.TempDir()
	for _, test := range []struct {
		name    string
		options fsck.Options
		want    error
	}{
		{"no root and no file", fsck.Options{}, model.ErrInvalid},
		{"root and file", fsck.Options{Root: s.root, Database: s.database()}, model.ErrInvalid},
		{"unknown depth", fsck.Options{Root: s.root, Depth: "deep"}, model.ErrInvalid},
		{"references of a file", fsck.Options{Database: s.database(), Depth: fsck.References}, model.ErrInvalid},
		{"unknown driver", fsck.Options{Root: s.root, Driver: "floppy"}, model.ErrUnsupported},
		{"another driver", fsck.Options{Root: s.root, Driver: "overlay"}, model.ErrInvalid},
		{"no store", fsck.Options{Root: empty}, fs.ErrNotExist},
		{"no directory", fsck.Options{Root: filepath.Join(empty, "nowhere")}, fs.ErrNotExist},
		{"no file", fsck.Options{Database: filepath.Join(empty, "nothing")}, fs.ErrNotExist},
	} {
		t.Run(test.name, func(t *testing.T) {
			if report, err := fsck.Check(t.Context(), test.options); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v (%+v)", err, test.want, report)
			}
		})
	}
}

func TestCheckWaitsForWritersOnlySoLong(t *testing.T) {
	s := newSample(t, "vfs")
	s.open(t)
	defer s.closeStore(t)
	writing, end := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.store.Update(t.Context(), func(*graph.Tx) error {
			close(writing)
			<-end
			return nil
		})
	}()
	<-writing
	if _, err := fsck.Check(t.Context(), fsck.Options{Root: s.root, Wait: 20 * time.Millisecond}); !errors.Is(err, model.ErrBusy) {
		t.Errorf("got %v", err)
	}
	close(end)
	must(t, <-done)
	wantFindings(t, s.check(t))
}

func TestCheckEndsWithItsContext(t *testing.T) {
	s := newSample(t, "vfs")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fsck.Check(ctx, fsck.Options{Root: s.root}); !errors.Is(err, ctx.Err()) {
		t.Errorf("got %v", err)
	}
}

func TestDriverCanBeNamedWhereTheDatabaseDoesNotTell(t *testing.T) {
	s := newSample(t, "vfs")
	dbtest.FlipBit(t, s.database(), "store", "info")
	remove(manifest)(t, s)
	report := s.check(t)
	wantFindings(t, report, "damage DB-RECORD store/info")
	if len(report.Unchecked) != 1 {
		t.Errorf("unchecked: %q", report.Unchecked)
	}
	report = check(t.Context(), t, fsck.Options{Root: s.root, Driver: "vfs"})
	wantFindings(t, report, s.named("damage DATA-MISSING "+manifest), "damage DB-RECORD store/info")
	if len(report.Unchecked) != 0 {
		t.Errorf("unchecked: %q", report.Unchecked)
	}
}

func TestUnreadableFolderEndsTheCheck(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read everything")
	}
	s := newSample(t, "vfs")
	chmod("%-images/app", 0)(t, s)
	defer chmod("%-images/app", 0o700)(t, s)
	if _, err := fsck.Check(t.Context(), fsck.Options{Root: s.root}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}
