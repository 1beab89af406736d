package flock_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/internal/flock"
)

func TestHeldTellsOfLocksAndTakesNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	keys := flock.NewKeys(path)
	want := func(key string, mode flock.Mode, want bool) {
		t.Helper()
		if held, err := keys.Held(key, mode); err != nil || held != want {
			t.Errorf("key %s, %s: held %t (%v), want %t", key, mode, held, err, want)
		}
	}
	want("a", flock.Exclusive, false)
	if _, err := os.Lstat(path); err == nil {
		t.Error("a lock file was made")
	}
	for _, test := range []struct{ mode, probe flock.Mode }{
		{flock.Exclusive, flock.Exclusive}, {flock.Exclusive, flock.Shared}, {flock.Shared, flock.Exclusive}, {flock.Shared, flock.Shared},
	} {
		lock, err := flock.NewKeys(path).TryLock("a", test.mode)
		if err != nil || lock == nil {
			t.Fatalf("cannot be locked: %v", err)
		}
		want("a", test.probe, test.mode == flock.Exclusive || test.probe == flock.Exclusive)
		want("b", test.probe, false)
		lock.Unlock()
		want("a", test.probe, false)
	}
}
