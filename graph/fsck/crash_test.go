package fsck_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// stageForEver runs in a process of its own: it stages a layer and some data in
// the store that args describe, says so, and waits to be killed.
func stageForEver(ctx context.Context, args []string) error {
	store, err := graph.Open(ctx, graph.Options{Driver: args[0], Root: args[1], RunRoot: args[2], NoSync: true})
	if err != nil {
		return err
	}
	if _, err := store.StageLayer(ctx, graph.LayerSpec{ID: "staged", Parent: "base"}, os.Stdin); err != nil {
		return err
	}
	spec := graph.DataSpec{For: model.ImageID("app"), Key: "staged"}
	if _, err := store.StageData(ctx, spec, strings.NewReader("data")); err != nil {
		return err
	}
	fmt.Println("staged") //nolint:forbidigo // To the parent.
	select {}
}

func TestDebrisOfAKilledProcessIsStray(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s := newSample(t, driver)
			child := testutil.Child(t, "stage", driver, s.root, s.runRoot)
			child.Stdin = diff(t, "staged")
			out, err := child.StdoutPipe()
			must(t, err)
			must(t, child.Start())
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "staged\n" {
				t.Fatalf("the child said %q: %v", line, err)
			}
			wantFindings(t, s.check(t)) // it is alive
			must(t, child.Process.Kill())
			if err := child.Wait(); err == nil {
				t.Error("the child was not killed")
			}
			want := []string{
				s.named("repairable STRAY %-images/app/staged"),
				s.named("repairable STRAY %-layers/staged.tar-split.gz"),
				"repairable STRAY " + s.dir("staged"),
			}
			report := s.check(t)
			if driver == "overlay" {
				want = append(want, "repairable STRAY overlay/l/"+s.linkOf(t, "staged"))
			}
			slices.Sort(want)
			wantFindings(t, report, want...)
			if report.Verdict != fsck.NeedsRepair {
				t.Errorf("verdict %s", report.Verdict)
			}
			for _, f := range report.Findings {
				if !strings.Contains(f.Found, fmt.Sprintf("begun by process %d", child.Process.Pid)) {
					t.Errorf("%s: found %q, which does not name the process", f.Place, f.Found)
				}
			}
			s.open(t)
			_, err = s.store.Recover(t.Context())
			must(t, err)
			wantFindings(t, s.check(t))
			s.closeStore(t)
		})
	}
}

func TestTrashIsInformation(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s := newSample(t, driver)
			// As after a deletion whose author died before he could clean up.
			const nobody = 1 << 30 // no process has such an ID
			s.update(t, func(tx *db.Tx) error {
				if _, _, err := tx.DeleteContainer("web"); err != nil {
					return err
				}
				if _, _, err := tx.DeleteLayer("web-rw"); err != nil {
					return err
				}
				return errors.Join(
					tx.AddTrash(db.Trash{Path: s.named("%/web-rw"), Kind: db.TrashLayer, Dir: "web-rw", ObjectKind: model.KindLayer, ID: "web-rw", PID: nobody}),
					tx.AddTrash(db.Trash{Path: s.named("%-containers/web/settings"), Kind: db.TrashFile, ObjectKind: model.KindContainer, ID: "web", PID: nobody}),
					tx.AddTrash(db.Trash{Path: s.named("%-containers/web/userdata"), Kind: db.TrashTree, ObjectKind: model.KindContainer, ID: "web", PID: nobody}))
			})
			report := s.check(t)
			want := []string{
				s.named("info TRASH %-containers/web/settings"), s.named("info TRASH %-containers/web/userdata"), "info TRASH " + s.dir("web-rw"),
			}
			slices.Sort(want)
			wantFindings(t, report, want...)
			if report.Verdict != fsck.Clean {
				t.Errorf("verdict %s", report.Verdict)
			}
		})
	}
}

// update changes the records behind the back of the store.
func (s *sample) update(t testing.TB, fn func(*db.Tx) error) {
	t.Helper()
	database, err := db.Open(t.Context(), s.root, db.Options{NoSync: true})
	must(t, err)
	defer database.Close()
	must(t, database.Update(t.Context(), fn))
}

func TestMountThatIsGoneIsInformation(t *testing.T) {
	s := newSample(t, "overlay")
	s.open(t)
	defer s.closeStore(t)
	path, err := s.store.Mount(t.Context(), "web", graph.MountOptions{})
	must(t, err)
	wantFindings(t, s.check(t))
	must(t, unix.Unmount(path, 0))
	report := s.check(t)
	wantFindings(t, report, "info MOUNT-STALE "+path)
	if report.Verdict != fsck.Clean {
		t.Errorf("verdict %s", report.Verdict)
	}
	// Without the run root nobody knows of mounts.
	wantFindings(t, check(t.Context(), t, fsck.Options{Root: s.root}))
}

func TestMountOfALayerThatIsGoneIsInformation(t *testing.T) {
	s := newSample(t, "vfs")
	s.open(t)
	path, err := s.store.Mount(t.Context(), "web", graph.MountOptions{})
	must(t, err)
	s.closeStore(t)
	s.update(t, func(tx *db.Tx) error {
		_, _, errContainer := tx.DeleteContainer("web")
		_, _, errLayer := tx.DeleteLayer("web-rw")
		return errors.Join(errContainer, errLayer)
	})
	wantFindings(t, s.check(t),
		"repairable STRAY vfs-containers/web/settings", "repairable STRAY vfs-containers/web/userdata",
		"repairable STRAY vfs/dir/web-rw", "info MOUNT-STALE "+path)
}

// A database that takes the place of another one knows nothing of leases.
func TestLeaseOfAnObjectThatIsGoneIsInformation(t *testing.T) {
	s := newSample(t, "vfs")
	store := s.open(t)
	_, err := store.CreateContainer(t.Context(), graph.ContainerSpec{ID: "spare", Layer: "spare-rw"})
	must(t, err)
	for id, spec := range map[string]graph.LeaseSpec{
		"kept":    {Objects: []model.ID{model.ImageID("app"), model.LayerID("top")}},
		"lost":    {Objects: []model.ID{model.ImageID("app"), model.ContainerID("spare"), model.LayerID("spare-rw")}},
		"expired": {Objects: []model.ID{model.ContainerID("spare")}, For: 1},
	} {
		spec.ID = id
		_, err := store.AddLease(t.Context(), spec)
		must(t, err)
	}
	s.closeStore(t)
	wantFindings(t, s.check(t))
	s.update(t, func(tx *db.Tx) error {
		_, _, errContainer := tx.DeleteContainer("spare")
		_, _, errLayer := tx.DeleteLayer("spare-rw")
		return errors.Join(errContainer, errLayer)
	})
	report := s.check(t)
	wantFindings(t, report, "info LEASE-STALE lost", "info LEASE-STALE lost")
	if report.Verdict != fsck.Clean {
		t.Errorf("verdict %s", report.Verdict)
	}
	for i, want := range []fsck.Object{{Kind: model.KindContainer, ID: "spare"}, {Kind: model.KindLayer, ID: "spare-rw"}} {
		if f := report.Findings[i]; f.Object.Kind != want.Kind || f.Object.ID != want.ID || !slices.Contains(f.Remedies, "`csdb lease remove lost` ends the lease") {
			t.Errorf("got %+v about %+v", f, f.Object)
		}
	}
	must(t, s.open(t).RemoveLease(t.Context(), "lost"))
	s.closeStore(t)
	wantFindings(t, s.check(t))
}

func TestLeaseThatCannotBeReadIsFound(t *testing.T) {
	s := newSample(t, "vfs")
	store := s.open(t)
	for _, id := range []string{"damaged", "intact"} {
		_, err := store.AddLease(t.Context(), graph.LeaseSpec{ID: id, Objects: []model.ID{model.ImageID("app")}})
		must(t, err)
	}
	uuid := store.Info().UUID
	s.closeStore(t)
	dbtest.PutRun(t, filepath.Join(s.runRoot, db.RunFileName), uuid, "leases", "damaged", []byte("garbage"))
	wantFindings(t, s.check(t), "repairable LEASE-RECORD damaged")
	must(t, s.open(t).RemoveLease(t.Context(), "damaged"))
	s.closeStore(t)
	wantFindings(t, s.check(t))
}
