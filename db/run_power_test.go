package db_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// The run database is not synced, so after a power cut any of its pages may
// be an old one, or none.
func TestRunDatabaseOfAnEarlierBootMayBeDamagedAnywhere(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, db.RunFileName)
	states := [2][]byte{}
	for i := range states {
		run := openRun(t, root, "uuid", "1")
		for n := range 40 {
			setMount(t, run, model.LayerID(id("layer-%d", i*40+n)))
		}
		run.Close()
		var err error
		if states[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	size := os.Getpagesize()
	for at := 0; at < 40*size; at += size {
		for name, page := range map[string][]byte{
			"old":   states[0][at : at+size],
			"none":  make([]byte, size),
			"noise": bytes.Repeat([]byte{0xff}, size),
		} {
			damaged := slices.Replace(slices.Clone(states[1]), at, at+size, page...)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			run, err := db.OpenRunAtBoot(t.Context(), root, "uuid", "2")
			if err != nil {
				t.Errorf("%s page at %d: %v", name, at, err)
				continue
			}
			setMount(t, run, "after")
			wantMounts(t, run, "after")
			run.Close()
		}
	}
}
