package db_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

func leaseOf(id string) db.Lease {
	return db.Lease{
		ID: id, Objects: []db.LeasedObject{{Kind: model.KindImage, ID: "image"}, {Kind: model.KindLayer, ID: "layer"}},
		Reason: "reason", PID: 7, Command: "command", Since: fillTime, Expires: fillTime.Add(time.Hour),
	}
}

func putLeases(t *testing.T, run *db.Run, ids ...string) {
	t.Helper()
	err := run.Update(t.Context(), func(tx *db.RunTx) error {
		for _, id := range ids {
			if err := tx.PutLease(leaseOf(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leasesOf lists the leases, and returns the error for those that are damaged.
func leasesOf(t *testing.T, run *db.Run) (ids []string, damage error) {
	t.Helper()
	err := run.View(t.Context(), func(tx *db.RunTx) error {
		var all []db.Lease
		all, damage = tx.Leases()
		for _, l := range all {
			ids = append(ids, l.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids, damage
}

func wantLeases(t *testing.T, run *db.Run, want ...string) {
	t.Helper()
	if got, err := leasesOf(t, run); !slices.Equal(got, want) || err != nil {
		t.Errorf("leases: %q, want %q: %v", got, want, err)
	}
}

func TestLeases(t *testing.T) {
	root := t.TempDir()
	run := openRun(t, root, "uuid", "boot")
	wantLeases(t, run)
	putLeases(t, run, "b", "a", "c")
	again := openRun(t, root, "uuid", "boot")
	wantLeases(t, again, "a", "b", "c")
	err := again.Update(t.Context(), func(tx *db.RunTx) error {
		got, errLease := tx.Lease("a")
		if diff := cmp.Diff(leaseOf("a"), *got); diff != "" {
			t.Error(diff)
		}
		none, errNone := tx.Lease("unknown")
		unknown, errUnknown := tx.HasLease("unknown")
		known, errKnown := tx.HasLease("a")
		if none != nil || unknown || !known {
			t.Errorf("%v %v %v", none, unknown, known)
		}
		return errors.Join(errLease, errNone, errUnknown, errKnown, tx.RemoveLease("a"), tx.RemoveLease("unknown"))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantLeases(t, run, "b", "c")
	if err := run.Update(t.Context(), (*db.RunTx).RemoveLeases); err != nil {
		t.Fatal(err)
	}
	wantLeases(t, run)
}

func TestLeaseExpiresAtItsTime(t *testing.T) {
	l := leaseOf("a")
	for at, want := range map[time.Time]bool{
		l.Since: false, l.Expires.Add(-1): false, l.Expires: true, l.Expires.Add(1): true, l.Since.Add(-time.Hour): false,
	} {
		if l.Expired(at) != want {
			t.Errorf("expired at %v: %v", at, !want)
		}
	}
}

func TestAnotherBootEndsLeases(t *testing.T) {
	root := t.TempDir()
	putLeases(t, openRun(t, root, "uuid", "boot 1"), "a")
	putLeases(t, openRun(t, root, "other uuid", "boot 1"), "b")
	after := openRun(t, root, "uuid", "boot 2")
	wantLeases(t, after)
	putLeases(t, after, "c")
	wantLeases(t, after, "c")
}

func TestLeasesOfAnEarlierBootAreNotSeen(t *testing.T) {
	root := t.TempDir()
	putLeases(t, openRun(t, root, "uuid", "an earlier boot"), "a")
	err := db.ExamineRun(t.Context(), root, "uuid", func(tx *db.RunTx) error {
		all, errAll := tx.Leases()
		one, errOne := tx.Lease("a")
		known, errKnown := tx.HasLease("a")
		if len(all) > 0 || one != nil || known {
			t.Errorf("%v %v %v", all, one, known)
		}
		return errors.Join(errAll, errOne, errKnown)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLeaseCannotBeUsedAfterTheTransaction(t *testing.T) {
	run := openRun(t, t.TempDir(), "uuid", "boot")
	var tx *db.RunTx
	if err := run.Update(t.Context(), func(open *db.RunTx) error { tx = open; return nil }); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Lease": second(tx.Lease("a")), "HasLease": second(tx.HasLease("a")), "Leases": second(tx.Leases()),
		"PutLease": tx.PutLease(leaseOf("a")), "RemoveLease": tx.RemoveLease("a"), "RemoveLeases": tx.RemoveLeases(),
	} {
		if wantClass(t, err, model.ErrInvalid); t.Failed() {
			t.Error(name)
		}
	}
}

// A run database lives as long as the machine runs, and so longer than a version
// of the program. One that knew no leases has no bucket for them.
func TestRunDatabaseWithoutLeasesIsCompleted(t *testing.T) {
	root := t.TempDir()
	run := openRun(t, root, "uuid", "boot")
	setMount(t, run, "mounted")
	dbtest.RemoveRunBucket(t, run.Path(), "uuid", "leases")
	wantLeases(t, run)
	putLeases(t, run, "a")
	wantLeases(t, run, "a")
	wantMounts(t, run, "mounted")
}

func TestDamagedLeaseIsReportedAndCanBeRemoved(t *testing.T) {
	run := openRun(t, t.TempDir(), "uuid", "boot")
	putLeases(t, run, "a", "b")
	dbtest.PutRun(t, run.Path(), "uuid", "leases", "a", []byte("garbage"))
	ids, err := leasesOf(t, run)
	wantClass(t, err, model.ErrCorrupt)
	if !slices.Equal(ids, []string{"b"}) {
		t.Errorf("leases: %q", ids)
	}
	err = run.Update(t.Context(), func(tx *db.RunTx) error {
		known, err := tx.HasLease("a")
		if !known {
			t.Error("it is not known")
		}
		return errors.Join(err, tx.RemoveLease("a"))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantLeases(t, run, "b")
}

func TestLeaseThatMakesNoSenseIsDamaged(t *testing.T) {
	run := openRun(t, t.TempDir(), "uuid", "boot")
	strange := leaseOf("strange")
	strange.Objects[0].Kind = "volume"
	err := run.Update(t.Context(), func(tx *db.RunTx) error { return tx.PutLease(strange) })
	if err != nil {
		t.Fatal(err)
	}
	ids, damage := leasesOf(t, run)
	wantClass(t, damage, model.ErrCorrupt)
	err = run.View(t.Context(), func(tx *db.RunTx) error {
		_, err := tx.Lease("strange")
		return err
	})
	if wantClass(t, err, model.ErrCorrupt); len(ids) > 0 {
		t.Errorf("leases: %q", ids)
	}
}
