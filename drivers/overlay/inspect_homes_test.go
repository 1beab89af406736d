package overlay_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
)

// threeHomes makes three homes with a layer each, one on top of the other, and
// returns them: that of "top", that of "middle" and that of "base".
func threeHomes(t testing.TB) []string {
	t.Helper()
	homes := []string{newHome(t), newHome(t), newHome(t)}
	parent := ""
	for i, id := range []string{"base", "middle", "top"} {
		home := homes[2-i]
		driver, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Others: homes})
		must(t, err)
		must(t, driver.Create(t.Context(), id, parent, drivers.CreateOptions{}))
		must(t, os.WriteFile(filepath.Join(home, id, "diff", id), []byte("of "+id), 0o600))
		must(t, driver.Close(t.Context()))
		parent = id
	}
	return homes
}

// inspect looks at the layer "top" in the first of the homes and returns what is
// wrong with it.
func inspect(t testing.TB, home string, others []string, layer drivers.InspectedLayer) []string {
	t.Helper()
	inspector, err := overlay.Inspect(t.Context(), home, others)
	must(t, err)
	faults, err := inspector.Layer(t.Context(), layer)
	must(t, err)
	var got []string
	for _, fault := range faults {
		got = append(got, fault.Code+" "+fault.Path)
	}
	must(t, inspector.Close())
	return got
}

func TestLayersOnThoseOfOtherHomesAreSound(t *testing.T) {
	homes := threeHomes(t)
	whole := drivers.InspectedLayer{Dir: "top", Below: []string{"middle", "base"}}
	cut := drivers.InspectedLayer{Dir: "top", Cut: true}
	for name, lose := range map[string]string{"sound": "", "without short names": "l/*", "without records of short names": "*/link"} {
		t.Run(name, func(t *testing.T) {
			homes := homes
			if lose != "" {
				homes = threeHomes(t)
				for _, home := range homes[1:] {
					for _, path := range matches(t, home, lose) {
						must(t, os.Remove(path))
					}
				}
			}
			for what, got := range map[string][]string{
				"all homes are known":                 inspect(t, homes[0], homes[1:], whole),
				"all homes are known, and no records": inspect(t, homes[0], homes[1:], cut),
				"no home is known":                    inspect(t, homes[0], nil, cut),
				"a home does not exist":               inspect(t, homes[0], []string{homes[1], homes[2] + "-missing"}, cut),
			} {
				if len(got) > 0 {
					t.Errorf("%s: %q", what, got)
				}
			}
		})
	}
}

func TestWrongReferencesToOtherHomesAreFaults(t *testing.T) {
	homes := threeHomes(t)
	want := []string{"OVERLAY-LOWER top/lower"}
	swapped := drivers.InspectedLayer{Dir: "top", Below: []string{"base", "middle"}}
	if diff := cmp.Diff(want, inspect(t, homes[0], homes[1:], swapped)); diff != "" {
		t.Errorf("the wrong layers are below: want (-), got (+):\n%s", diff)
	}
	// Of all homes that there are, none has the layer.
	cut := drivers.InspectedLayer{Dir: "top", Below: []string{"middle"}, Cut: true}
	if diff := cmp.Diff(want, inspect(t, homes[0], homes[1:2], cut)); diff != "" {
		t.Errorf("a layer is nowhere: want (-), got (+):\n%s", diff)
	}
	must(t, os.RemoveAll(filepath.Join(homes[2], "base")))
	if diff := cmp.Diff(want, inspect(t, homes[0], homes[1:], cut)); diff != "" {
		t.Errorf("a layer has gone: want (-), got (+):\n%s", diff)
	}
}

func TestContentsBelowAreThoseOfOtherHomes(t *testing.T) {
	homes := threeHomes(t)
	inspector, err := overlay.Inspect(t.Context(), homes[0], homes[1:])
	must(t, err)
	defer inspector.Close()
	layer := drivers.InspectedLayer{Dir: "top", Below: []string{"middle", "base"}}
	content, err := inspector.Content(t.Context(), layer)
	must(t, err)
	for _, id := range []string{"top", "middle", "base"} {
		file, err := content.Open(id)
		must(t, err)
		text, err := io.ReadAll(file)
		must(t, err)
		must(t, file.Close())
		if string(text) != "of "+id {
			t.Errorf("file of %s contains %q", id, text)
		}
	}
	must(t, content.Close())
	var left []string
	must(t, inspector.Leftovers(t.Context(), func(dir string) (bool, error) { return dir == "top", nil }, func(l drivers.Leftover) error {
		left = append(left, l.Path)
		return nil
	}))
	if len(left) > 0 {
		t.Errorf("leftovers: %q", left)
	}
}

func TestParentsAreFoundInOtherHomes(t *testing.T) {
	homes := threeHomes(t)
	find := func(others []string) drivers.FoundLayer {
		inspector, err := overlay.Inspect(t.Context(), homes[0], others)
		must(t, err)
		finder, ok := inspector.(drivers.LayerFinder)
		if !ok {
			t.Fatal("layers cannot be found")
		}
		var found []drivers.FoundLayer
		must(t, finder.FindLayers(t.Context(), func(l drivers.FoundLayer) error {
			found = append(found, l)
			return nil
		}))
		must(t, inspector.Close())
		if len(found) != 1 {
			t.Fatalf("found %+v", found)
		}
		return found[0]
	}
	want := drivers.FoundLayer{Dir: "top", Parent: "middle", ParentHome: homes[1]}
	if diff := cmp.Diff(want, find(homes[1:])); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if got := find(nil); got.Parent != "" || !strings.HasSuffix(got.Problem, "of this home") {
		t.Errorf("no other home is known: got %+v", got)
	}
	if got := find(homes[2:]); got.Parent != "" || !strings.HasSuffix(got.Problem, "leads to no layer") {
		t.Errorf("another home has the parent: got %+v", got)
	}
	for _, path := range matches(t, homes[1], "l/*") {
		must(t, os.Remove(path))
	}
	if diff := cmp.Diff(want, find(homes[1:])); diff != "" {
		t.Errorf("without short names: want (-), got (+):\n%s", diff)
	}
}
