package repair_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/repair"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// A container that is mounted goes on working while what is wrong below it is
// put right.
func TestRepairWhileAContainerIsMounted(t *testing.T) {
	t.Parallel() // most of the time is that of the disk
	for _, d := range []damage{
		{name: "file link is missing", do: remove("overlay/top/link")},
		{name: "list of ancestors is missing", do: remove("overlay/web-rw/lower")},
		{name: "list of ancestors is wrong", do: write("overlay/top/lower", "l/"+nobody)},
		{name: "short name leads out", do: on("base", func(base string) func(*testing.T, *sample) { return link("/etc", "overlay/l/"+base) })},
		{name: "short names are missing", do: remove("overlay/l")},
		{name: "content file can be read by all, and a stray", do: all(chmod(manifest, 0o644), write("overlay/nobody/diff/file", "text"))},
	} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newSample(t, "overlay")
			store := s.open(t)
			path, err := store.Mount(t.Context(), "web", graph.MountOptions{})
			must(t, err)
			must(t, os.WriteFile(filepath.Join(path, "written"), []byte("before"), 0o600))
			s.found(t, s.options(), nil)
			d.do(t, s)
			before := s.listing(t)
			result, err := repair.Apply(t.Context(), makePlan(t, s))
			must(t, err)
			s.found(t, s.options(), nil)
			for _, name := range []string{"base", "top", "written"} {
				_, err := os.ReadFile(filepath.Join(path, name))
				must(t, err)
			}
			s.undo(t, before, result.ID)
			_, err = repair.Apply(t.Context(), makePlan(t, s))
			must(t, err)
			for _, mounted := range []bool{true, false} { // it was mounted once, and can be once more
				if !mounted {
					_, err = store.Mount(t.Context(), "web", graph.MountOptions{})
					must(t, err)
				}
				_, err = store.Unmount(t.Context(), "web", false)
				must(t, err)
			}
			must(t, store.Close())
			s.found(t, s.options(), nil)
		})
	}
}

// useUntilTold runs in a process of its own: it makes and deletes layers in the
// store that args describe, and tells of each, until its input ends.
func useUntilTold(ctx context.Context, args []string) (err error) {
	store, err := graph.Open(ctx, graph.Options{Driver: args[0], Root: args[1], RunRoot: args[2], NoSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	told := make(chan struct{})
	go func() {
		defer close(told)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	for n := 0; ; n++ {
		id := model.LayerID(fmt.Sprintf("made-%d", n))
		if _, err := store.CreateLayer(ctx, graph.LayerSpec{ID: id, Parent: "top"}); err != nil {
			return err
		}
		fmt.Println(id) //nolint:forbidigo // To the parent.
		select {
		case <-told:
			return nil
		case <-time.After(time.Duration(20+5*n) * time.Millisecond): // long enough for a repair, in the end
		}
		if err := store.Delete(ctx, id); err != nil {
			return err
		}
	}
}

// A store is repaired while another process uses it, which notices nothing.
func TestRepairWhileAnotherProcessUsesTheStore(t *testing.T) {
	t.Parallel() // most of the time is that of the disk
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			s := newSample(t, driver)
			all(write("@nobody/file", "text"), chmod(manifest, 0o644))(t, s)
			dbtest.Delete(t, s.path(db.FileName), "names/image", "tool:1")
			child := testutil.Child(t, "use", driver, s.root, s.run)
			in, err := child.StdinPipe()
			must(t, err)
			out, err := child.StdoutPipe()
			must(t, err)
			must(t, child.Start())
			lines := bufio.NewReader(out)
			_, err = lines.ReadString('\n')
			must(t, err)

			var result *repair.Result
			for n := 0; result == nil; n++ {
				result, err = repair.Apply(t.Context(), makePlan(t, s))
				if err != nil && (n == 1000 || !errors.Is(err, repair.ErrMovedOn)) {
					t.Fatal(err)
				}
			}
			repairs, err := repair.List(s.root)
			if len(repairs) != 1 || !repairs[0].Done || err != nil {
				t.Errorf("repairs: %+v, %v", repairs, err)
			}
			s.found(t, s.options(), nil)
			for range 3 {
				_, err = lines.ReadString('\n')
				must(t, err)
			}
			must(t, in.Close())
			_, err = io.Copy(io.Discard, lines)
			must(t, errors.Join(err, child.Wait()))
			s.found(t, s.options(), nil)
		})
	}
}

// What another handle of the store has staged is not taken for stray.
func TestRepairLeavesWhatIsBeingMade(t *testing.T) {
	s := newSample(t, "overlay")
	write("overlay/nobody/file", "text")(t, s)
	store := s.open(t)
	staged, err := store.StageLayer(t.Context(), graph.LayerSpec{ID: "staged", Parent: "base"}, diff(t, "staged"))
	must(t, err)
	plan := makePlan(t, s)
	same(t, "steps", []string{"move overlay/nobody to lost+found"}, stepsOf(plan, nil))
	_, err = repair.Apply(t.Context(), plan)
	must(t, err)
	must(t, store.Update(t.Context(), func(tx *graph.Tx) error {
		_, err := tx.AddLayer(staged)
		return err
	}))
	must(t, store.Close())
	s.found(t, s.options(), nil)
	works(t, s)
}
