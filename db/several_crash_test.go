//go:build crashtest

package db_test

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// A process is killed at each point of a transaction over several databases, while
// another one works on them and a third one looks at them all the time. All of
// the transaction is there then, in all databases, or nothing of it; and whoever
// settles it may be killed as well.
func TestKillAtEveryPointOfATransactionOverSeveralDatabases(t *testing.T) {
	var reached []string
	for _, kill := range []struct {
		point string
		hit   int
		done  bool // the transaction has taken effect
	}{
		{crashpoint.SeveralDecided, 1, false},
		{crashpoint.SeveralPrepared, 1, false},
		{crashpoint.SeveralPrepared, 2, false},
		{crashpoint.SeveralCommitted, 1, true},
		{crashpoint.SeveralFulfilled, 1, true},
		{crashpoint.SeveralFulfilled, 2, true},
	} {
		reached = append(reached, kill.point, crashpoint.SettleKnown)
		for _, alone := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s=%d, alone %v", kill.point, kill.hit, alone), func(t *testing.T) {
				all := []*db.DB{create(t), create(t), create(t)}
				var roots []string
				for _, database := range all {
					roots = append(roots, rootOf(database))
				}
				if !alone {
					worker, watcher := startHolder(t, "several-work", roots...), startHolder(t, "several-watch", roots...)
					defer watcher.letGo(t)
					defer worker.letGo(t)
				}
				killAt(t, kill.point, kill.hit, "several-update", append(roots, "killed")...)
				if alone && kill.point != crashpoint.SeveralDecided && (kill.point != crashpoint.SeveralFulfilled || kill.hit == 1) {
					for _, root := range roots[1:] {
						// One after the other is killed when he has found out.
						if len(preparedAt(t, root)) > 0 {
							killAt(t, crashpoint.SettleKnown, 1, "several-update", root, "unimportant")
						}
					}
				}
				for _, layers := range layersIn(t, all...) {
					if slices.Contains(layers, "killed") != kill.done {
						t.Errorf("layers: %q", layers)
					}
				}
				wantSettled(t, all...)
				for _, database := range all {
					dbtest.Check(t, database)
				}
			})
		}
	}
	for _, point := range crashpoint.Several() {
		if !slices.Contains(reached, point) {
			t.Errorf("nobody was killed at %s", point)
		}
	}
}

// killAt runs an entry until it is killed at the n-th hit of a crash point.
func killAt(t testing.TB, point string, n int, entry string, args ...string) {
	t.Helper()
	child := testutil.Child(t, entry, args...)
	child.Env = append(child.Env, fmt.Sprintf("%s=%s=%d", crashpoint.Variable, point, n))
	err := child.Run()
	killed := false
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status, ok := exit.Sys().(syscall.WaitStatus)
		killed = ok && status.Signal() == syscall.SIGKILL
	}
	if !killed {
		t.Fatalf("it was not killed at %s: %v", point, err)
	}
}

// An acknowledged layer is there; this is the same for processes that are killed at
// any time, over and over.
func TestKilledAgainAndAgainInTransactionsOverSeveralDatabases(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	all := []*db.DB{create(t), create(t), create(t)}
	var roots []string
	for _, database := range all {
		roots = append(roots, rootOf(database))
	}
	points := crashpoint.Several()
	for round := range rounds {
		worker := startHolder(t, "several-work", roots...)
		name := model.LayerID(id("r%d", round))
		point, hit := points[round%4], 1+round%2
		if point == crashpoint.SeveralDecided || point == crashpoint.SeveralCommitted {
			hit = 1
		}
		// Each time another one coordinates.
		turned := append(slices.Clone(roots[round%3:]), roots[:round%3]...)
		killAt(t, point, hit, "several-update", append(turned, string(name))...)
		for i, layers := range layersIn(t, all...) {
			want := point == crashpoint.SeveralCommitted || point == crashpoint.SeveralFulfilled
			if slices.Contains(layers, string(name)) != want {
				t.Errorf("round %d, killed at %s: database %d has %s: %v", round, point, i, name, !want)
			}
		}
		worker.letGo(t)
	}
	for _, database := range all {
		dbtest.Check(t, database)
	}
}

// preparedAt returns what is prepared, and leaves it.
func preparedAt(t testing.TB, root string) []db.Prepared {
	t.Helper()
	readOnly, err := db.Open(t.Context(), root, db.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	return preparedIn(t, readOnly)
}
