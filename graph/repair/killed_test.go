package repair_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/graph/repair"
	"github.com/csdb/csdb/internal/testutil"
)

// repairOnce runs in a process of its own: it repairs the store whose roots args
// name, with the sources that are the rest of args.
func repairOnce(ctx context.Context, args []string) error {
	plan, err := repair.Make(ctx, fsck.Options{Root: args[0], RunRoot: args[1], Depth: fsck.Contents}, args[2:]...)
	if err != nil {
		return err
	}
	_, err = repair.Apply(ctx, plan)
	return err
}

// kills is how often a repair is killed.
const kills = 10

// A repair that is killed can be taken back, to the same bytes, and it can be
// begun once more, whatever the first one has done.
func TestRepairThatIsKilled(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			original := newPatient(t, driver)
			archive, notes := filepath.Join(t.TempDir(), "layer.tar"), filepath.Join(t.TempDir(), "notes")
			must(t, errors.Join(os.WriteFile(archive, original.archive, 0o600), os.WriteFile(notes, []byte("a blob"), 0o600)))
			original.hurt(t)
			all(chmod(manifest, 0o644), write("%-layers/nobody/file", "text"), write("@nobody/file", "text"), chown(split))(t, original.sample)
			if driver == "overlay" {
				all(remove("overlay/top/link"), remove("overlay/web-rw/work"), write("overlay/base/lower", "?"))(t, original.sample)
			}
			dbtest.Delete(t, original.path(db.FileName), "uses", "base")
			for round := range kills {
				p := &patient{sample: copyOf(t, original.sample)}
				before, entries := p.listing(t), dbtest.Entries(t, p.path(db.FileName))
				p.kill(t, rand.IntN(40), archive, notes)
				if round%2 == 0 {
					p.undoAll(t, before, entries)
				}
				plan, err := repair.Make(t.Context(), p.options(), archive, notes)
				must(t, err)
				if len(plan.Steps) > 0 {
					_, err = repair.Apply(t.Context(), plan)
					must(t, err)
				}
				p.found(t, p.options(), nil)
				works(t, p.sample)
			}
		})
	}
}

// kill repairs the store in a process that is killed when its notes have so
// many lines, or comes to its end before.
func (p *patient) kill(t *testing.T, lines int, sources ...string) {
	t.Helper()
	child := testutil.Child(t, "repair", append([]string{p.root, p.run}, sources...)...)
	must(t, child.Start())
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for {
		select {
		case err := <-ended:
			must(t, err)
			return
		case <-time.After(50 * time.Microsecond):
		}
		if p.noted(t) >= lines {
			_ = child.Process.Kill() // it may have ended
			if err := <-ended; err != nil {
				t.Logf("killed when the notes had %d lines: %v", p.noted(t), err)
			}
			return
		}
	}
}

// noted returns how many lines the notes of the latest repair have, or -1 if there
// are none.
func (p *patient) noted(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(p.root, "lost+found/*/undo.jsonl"))
	must(t, err)
	if len(found) == 0 {
		return -1
	}
	text, err := os.ReadFile(found[0])
	must(t, err)
	return strings.Count(string(text), "\n")
}

// undoAll takes back what there is to be taken back. Of a transaction that was
// broken off there may be something in pages of the database that are free.
func (p *patient) undoAll(t *testing.T, before, entries []string) {
	t.Helper()
	repairs, err := repair.List(p.root)
	must(t, err)
	for range repairs {
		_, err := repair.Undo(t.Context(), p.root, "")
		must(t, err)
	}
	files := func(lines []string) []string {
		return slices.DeleteFunc(ours(lines), func(line string) bool { return strings.HasPrefix(line, db.FileName+" ") })
	}
	if diff := cmp.Diff(files(before), files(p.listing(t))); diff != "" {
		t.Errorf("after the undoing: %s", diff)
	}
	if diff := cmp.Diff(entries, dbtest.Entries(t, p.path(db.FileName))); diff != "" {
		t.Errorf("the database after the undoing: %s", diff)
	}
}
