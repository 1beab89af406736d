package db_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func openRun(t *testing.T, runRoot, uuid, boot string) *db.Run {
	t.Helper()
	run, err := db.OpenRunAtBoot(t.Context(), runRoot, uuid, boot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run.Close)
	return run
}

func mountOf(layer model.LayerID) db.Mount {
	return db.Mount{Layer: layer, Path: "/mnt/" + string(layer), Count: 2, Since: fillTime}
}

func setMount(t *testing.T, run *db.Run, layer model.LayerID) {
	t.Helper()
	err := run.Update(t.Context(), func(tx *db.RunTx) error { return tx.SetMount(mountOf(layer)) })
	if err != nil {
		t.Fatal(err)
	}
}

// mountsOf lists what is mounted.
func mountsOf(t *testing.T, run *db.Run) (ids []string) {
	t.Helper()
	err := run.View(t.Context(), func(tx *db.RunTx) error {
		mounts, err := tx.Mounts()
		for _, m := range mounts {
			ids = append(ids, string(m.Layer))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func wantMounts(t *testing.T, run *db.Run, want ...string) {
	t.Helper()
	if got := mountsOf(t, run); !slices.Equal(got, want) {
		t.Errorf("mounted: %q, want %q", got, want)
	}
}

func TestMounts(t *testing.T) {
	root := t.TempDir()
	run := openRun(t, root, "uuid", "boot")
	wantMounts(t, run)
	setMount(t, run, "b")
	setMount(t, run, "a")
	again := openRun(t, root, "uuid", "boot")
	wantMounts(t, again, "a", "b")
	err := again.Update(t.Context(), func(tx *db.RunTx) error {
		got, err := tx.Mount("a")
		if err != nil {
			return err
		}
		if diff := cmp.Diff(mountOf("a"), *got); diff != "" {
			t.Error(diff)
		}
		if none, err := tx.Mount("unknown"); err != nil || none != nil {
			t.Errorf("%v %v", none, err)
		}
		return errors.Join(tx.RemoveMount("a"), tx.RemoveMount("unknown"))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantMounts(t, run, "b")
}

func TestStaged(t *testing.T) {
	run := openRun(t, t.TempDir(), "uuid", "boot")
	want := []db.Staged{
		{Path: "a", Kind: db.TrashLayer, Dir: "dir", PID: 7, Command: "command", Since: fillTime},
		{Path: "b", Kind: db.TrashFile, PID: 8, Since: fillTime},
	}
	err := run.Update(t.Context(), func(tx *db.RunTx) error {
		return errors.Join(tx.AddStaged(want[1]), tx.AddStaged(want[0]), tx.AddStaged(db.Staged{Path: "c"}), tx.RemoveStaged("c", "unknown"))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = run.View(t.Context(), func(tx *db.RunTx) error {
		got, err := tx.Staged()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRunTransactionsAreAllOrNothing(t *testing.T) {
	run := openRun(t, t.TempDir(), "uuid", "boot")
	regret := errors.New("regret")
	err := run.Update(t.Context(), func(tx *db.RunTx) error { return errors.Join(tx.SetMount(mountOf("a")), regret) })
	wantClass(t, err, regret)
	wantMounts(t, run)
	err = run.View(t.Context(), func(tx *db.RunTx) error { return tx.SetMount(mountOf("a")) })
	wantClass(t, err, model.ErrReadOnly)
	err = run.View(t.Context(), func(*db.RunTx) error { return run.Update(t.Context(), func(*db.RunTx) error { return nil }) })
	wantClass(t, err, model.ErrNested)
}

func TestRunTransactionCannotBeUsedAfterItsEnd(t *testing.T) {
	run := openRun(t, t.TempDir(), "uuid", "boot")
	var tx *db.RunTx
	err := run.Update(t.Context(), func(open *db.RunTx) error { tx = open; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Mount": second(tx.Mount("a")), "Mounts": second(tx.Mounts()), "SetMount": tx.SetMount(mountOf("a")),
		"Staged": second(tx.Staged()), "AddStaged": tx.AddStaged(db.Staged{Path: "p"}), "RemoveStaged": tx.RemoveStaged("p"),
	} {
		if wantClass(t, err, model.ErrInvalid); t.Failed() {
			t.Error(name)
		}
	}
}

// What was mounted before the machine was booted is not mounted any more.
func TestAnotherBootEndsEverything(t *testing.T) {
	root := t.TempDir()
	before := openRun(t, root, "uuid", "boot 1")
	setMount(t, before, "a")
	other := openRun(t, root, "other uuid", "boot 1")
	setMount(t, other, "b")

	after := openRun(t, root, "uuid", "boot 2")
	wantMounts(t, after)
	setMount(t, after, "c")
	wantMounts(t, after, "c")
	// Each store is on its own.
	wantMounts(t, other, "b")
	wantMounts(t, openRun(t, root, "other uuid", "boot 2"))
}

func TestStoresShareARunRoot(t *testing.T) {
	root := t.TempDir()
	a, b := openRun(t, root, "a", "boot"), openRun(t, root, "b", "boot")
	setMount(t, a, "of-a")
	setMount(t, b, "of-b")
	wantMounts(t, a, "of-a")
	wantMounts(t, b, "of-b")
}

// Directories for temporary files are cleaned while they are in use.
func TestRunDatabaseThatIsRemovedIsMadeAgain(t *testing.T) {
	for name, clean := range map[string]func(root string) error{
		"file":         func(root string) error { return os.Remove(filepath.Join(root, db.RunFileName)) },
		"all files":    func(root string) error { return errors.Join(os.RemoveAll(root), os.Mkdir(root, 0o700)) },
		"whole folder": os.RemoveAll,
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "run")
			if err := os.Mkdir(root, 0o700); err != nil {
				t.Fatal(err)
			}
			run, other := openRun(t, root, "uuid", "boot"), openRun(t, root, "other", "boot")
			setMount(t, run, "before")
			if err := clean(root); err != nil {
				t.Fatal(err)
			}
			wantMounts(t, run)
			setMount(t, run, "after")
			setMount(t, other, "other")
			wantMounts(t, run, "after")
			wantMounts(t, openRun(t, root, "uuid", "boot"), "after")
			wantMounts(t, openRun(t, root, "other", "boot"), "other")
		})
	}
}

func TestRunDatabaseThatCannotBeReadIsMadeAnew(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"empty":     func(path string) error { return os.Truncate(path, 0) },
		"short":     func(path string) error { return os.Truncate(path, 5000) },
		"garbage":   func(path string) error { return os.WriteFile(path, make([]byte, 1<<16), 0o600) },
		"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"boot ID": func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i := range b {
				if string(b[i:min(i+4, len(b))]) == "boot" && i > 8192 {
					b[i+4] ^= 1 // the value behind the key
				}
			}
			return os.WriteFile(path, b, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			run := openRun(t, root, "uuid", "1")
			setMount(t, run, "before")
			run.Close()
			path := filepath.Join(root, db.RunFileName)
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			// Of many who find it so one replaces it.
			var all sync.WaitGroup
			for i := range 4 {
				all.Go(func() {
					run, err := db.OpenRunAtBoot(t.Context(), root, "uuid", "1")
					if err != nil {
						t.Error(err)
						return
					}
					defer run.Close()
					layer := model.LayerID(id("after-%d", i))
					if err := run.Update(t.Context(), func(tx *db.RunTx) error { return tx.SetMount(mountOf(layer)) }); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			wantMounts(t, openRun(t, root, "uuid", "1"), "after-0", "after-1", "after-2", "after-3")
		})
	}
}

func TestRunDatabaseKnowsTheBoot(t *testing.T) {
	root := t.TempDir()
	for range 2 {
		run, err := db.OpenRun(t.Context(), root, "uuid")
		if err != nil {
			t.Fatal(err)
		}
		if len(mountsOf(t, run)) == 0 {
			setMount(t, run, "a")
		} else {
			wantMounts(t, run, "a")
		}
		run.Close()
	}
	err := db.ExamineRun(t.Context(), root, "uuid", func(tx *db.RunTx) error {
		m, err := tx.Mount("a")
		if m == nil {
			t.Error("the mount is not found")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWaitForTheRunDatabaseEnds(t *testing.T) {
	root := t.TempDir()
	run, other := openRun(t, root, "uuid", "boot"), openRun(t, root, "uuid", "boot")
	err := run.Update(t.Context(), func(*db.RunTx) error {
		err := testutil.GiveUp(t, inQueue, func(ctx context.Context) error {
			return other.View(ctx, func(*db.RunTx) error { return nil })
		})
		wantClass(t, err, model.ErrBusy, context.DeadlineExceeded)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
