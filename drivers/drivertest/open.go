package drivertest

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// TestOpenTakesItsOptions in all their spellings.
func (s suite) TestOpenTakesItsOptions(t *testing.T) {
	for _, options := range s.traits.GoodOptions {
		t.Run(strings.Join(options, " "), func(t *testing.T) {
			h := s.open(t, options...)
			h.chain("base", "top")
			h.write("top", "file", "content")
		})
	}
}

// TestOpenRefusesOtherOptions and names them.
func (s suite) TestOpenRefusesOtherOptions(t *testing.T) {
	bad := map[string]error{"unicorns=2": model.ErrInvalid, "": model.ErrInvalid, "unicorns": model.ErrInvalid}
	maps.Copy(bad, s.traits.BadOptions)
	for option, want := range bad {
		config := drivers.Config{Home: s.traits.Dir(t) + "/home", RunHome: t.TempDir(), Options: []string{option}}
		driver, err := s.construct(t.Context(), config)
		if err == nil {
			t.Errorf("%q is accepted", option)
			if err := driver.Close(t.Context()); err != nil {
				t.Error(err)
			}
			continue
		}
		key, _, _ := strings.Cut(option, "=")
		key = key[strings.LastIndex(key, ".")+1:]
		if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), key) {
			t.Errorf("%q: got %v, want one that matches %q and has the option's name", option, err, want)
		}
	}
}

// TestStatusHasItsPairsInOrder.
func (s suite) TestStatusHasItsPairsInOrder(t *testing.T) {
	h := s.open(t)
	pairs, err := h.driver.Status(t.Context())
	h.must(err)
	var got []string
	for _, pair := range pairs {
		got = append(got, pair.Name)
		if pair.Value == "" {
			t.Errorf("%s has no value", pair.Name)
		}
	}
	if !slices.Equal(got, s.traits.Status) {
		t.Errorf("got %q, want %q", got, s.traits.Status)
	}
	if h.driver.Name() == "" {
		t.Error("driver has no name")
	}
}

// TestLayersOutliveTheDriver.
func (s suite) TestLayersOutliveTheDriver(t *testing.T) {
	h := s.open(t)
	h.fixture()
	want := h.snapshot("upper")
	other := s.openAt(t, h.config)
	other.wantLayers("lower", "middle", "upper")
	if got := other.snapshot("upper"); len(got) != len(want) {
		t.Errorf("upper contains %v", got.Lines())
	}
	other.remove("upper")
	if h.exists("upper") {
		t.Error("first driver still sees a layer that is gone")
	}
}

// TestCloseLeavesNoMounts when no layer is mounted.
func (s suite) TestCloseLeavesNoMounts(t *testing.T) {
	h := s.open(t)
	h.chain("base", "top")
	h.write("top", "file", "content")
	h.openAndClose(s)
	if left := h.mounts(); len(left) > 0 {
		t.Errorf("mounted: %q", left)
	}
}

// TestNothingStaysOpen that an operation has opened.
func (s suite) TestNothingStaysOpen(t *testing.T) {
	h := s.open(t)
	h.fixture()
	h.create("stranger", "")
	count := func() int { return len(names(t, "/proc/self/fd")) }
	before := count()
	for range 3 {
		h.create("layer", "upper")
		h.must(h.apply("layer", h.diff("middle", "stranger")))
		h.mount("layer")
		h.must(h.apply("layer", nil))
		h.changes("layer", "stranger")
		h.unmount("layer")
		_ = h.everything("unknown")
		h.remove("unknown")
		content, err := drivers.OpenContent(t.Context(), h.driver, "layer")
		h.must(err)
		h.must(content.Close())
		h.remove("layer")
		h.openAndClose(s)
	}
	if after := count(); after != before {
		t.Errorf("%d files are open, and were %d before", after, before)
	}
}

// TestDamagedHomesAreMendedOrRefused, and nothing in between.
func (s suite) TestDamagedHomesAreMendedOrRefused(t *testing.T) {
	ids := []string{"base", "middle", "top"}
	for _, damage := range s.traits.Damages {
		t.Run(damage.Name, func(t *testing.T) {
			h := s.open(t)
			parent := ""
			for _, id := range ids {
				h.create(id, parent)
				h.write(id, id, "of "+id)
				parent = id
			}
			damage.Do(t, h.config.Home)
			again := s.openAt(t, h.config)
			path, err := again.driver.Mount(t.Context(), "top", drivers.MountOptions{})
			if damage.Want == nil {
				h.must(err)
				for _, id := range ids {
					if got := readFile(t, filepath.Join(path, id)); got != "of "+id {
						t.Errorf("file of %s contains %q", id, got)
					}
				}
			} else if !errors.Is(err, damage.Want) {
				t.Errorf("got %v, want %v", err, damage.Want)
			}
			for _, id := range ids {
				again.remove(id)
			}
			again.wantLayers()
		})
	}
}
