package drivertest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/testutil"
)

// TestManyLayersAtTheSameTime: children of one parent are made, changed,
// compared and removed beside each other, through two drivers on one home.
func (s suite) TestManyLayersAtTheSameTime(t *testing.T) {
	const workers, rounds = 8, 5
	h := s.open(t)
	other := s.openAt(t, h.config)
	h.create("base", "")
	h.inside("base", func(root string) { testutil.Tree(t, root, 11) })
	h.create("parent", "base")
	var group sync.WaitGroup
	for worker := range workers {
		driver := []drivers.Driver{h.driver, other.driver}[worker%2]
		group.Go(func() {
			for round := range rounds {
				if err := s.lifeOfALayer(h, driver, fmt.Sprintf("child%d-%d", worker, round)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	want := []string{"base", "parent"}
	for worker := range workers {
		want = append(want, fmt.Sprintf("child%d-%d", worker, rounds-1))
	}
	slices.Sort(want)
	h.wantLayers(want...)
	for _, id := range want[1 : len(want)-1] {
		if got := h.read(id, "own"); got != id {
			t.Errorf("%s contains %q", id, got)
		}
	}
}

// lifeOfALayer takes a layer from its beginning to its end; the last round's
// layer stays.
func (s suite) lifeOfALayer(h *harness, d drivers.Driver, id string) error {
	ctx := h.Context()
	if err := d.Create(ctx, id, "parent", drivers.CreateOptions{Writable: true}); err != nil {
		return err
	}
	root, err := d.Mount(ctx, id, drivers.MountOptions{})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "own"), []byte(id), 0o600); err != nil {
		return err
	}
	if !s.traits.OneReader {
		changes, err := drivers.Changes(ctx, d, id, "base")
		if err != nil {
			return err
		}
		if len(changes) != 1 || changes[0].Path != "/own" {
			return fmt.Errorf("changes of %s are %v", id, changes)
		}
	}
	if err := d.Unmount(ctx, id); err != nil {
		return err
	}
	if id[len(id)-1] == '4' {
		return nil
	}
	return d.Remove(ctx, id)
}

// TestManyReadersOfOneLayer do not get into each other's way: none unmounts
// what another one reads.
func (s suite) TestManyReadersOfOneLayer(t *testing.T) {
	if s.traits.OneReader {
		t.Skip("a layer has one reader at a time")
	}
	h := s.open(t)
	h.fixture()
	h.create("stranger", "")
	want := h.diff("upper", "stranger")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 5 {
				var got bytes.Buffer
				if err := drivers.Diff(t.Context(), h.driver, "upper", "stranger", &got); err != nil {
					t.Error(err)
				} else if !bytes.Equal(got.Bytes(), want) {
					t.Errorf("diff has %d bytes, want the same %d as before", got.Len(), len(want))
				}
			}
		})
	}
	group.Wait()
}
