package repair_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/graph/repair"
	"github.com/csdb/csdb/model"
)

// Each damage is found, and nothing else; what is planned is done; afterwards
// nothing is found but what cannot be put right; and all can be taken back, to
// the same bytes.
func TestRepairAndUndo(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			original := newSample(t, driver)
			for _, d := range allDamages() {
				if d.driver == "" || d.driver == driver {
					t.Run(d.name, func(t *testing.T) {
						t.Parallel() // most of the time is that of the disk
						d.test(t, copyOf(t, original))
					})
				}
			}
		})
	}
}

func (d damage) test(t *testing.T, s *sample) {
	d = d.resolved(s)
	d.do(t, s)
	before := s.listing(t)
	options := s.options()
	options.Depth = d.depth
	s.found(t, options, slices.Concat(d.mended, d.left))
	var sources []string
	if d.source != nil {
		sources = append(sources, filepath.Join(t.TempDir(), "source"))
		must(t, os.WriteFile(sources[0], d.source(t), 0o600))
	}
	plan, err := repair.Make(t.Context(), options, sources...)
	must(t, err)
	same(t, "steps", slices.Concat(d.steps, d.quarantine(s)), stepsOf(plan, sources))
	same(t, "left", d.left, s.places(plan.Left))
	if len(plan.Steps) == 0 {
		_, err := repair.Apply(t.Context(), plan)
		wantClass(t, err, model.ErrInvalid)
	}
	if diff := cmp.Diff(before, s.listing(t)); diff != "" {
		t.Errorf("planning has changed the store: %s", diff)
	}
	if t.Failed() || len(plan.Steps) == 0 {
		return
	}
	if s.driver == "overlay" {
		plan = throughJSON(t, plan)
	}
	result, err := repair.Apply(t.Context(), plan)
	must(t, err)
	if result.Steps != len(plan.Steps) {
		t.Errorf("%d of %d steps were done", result.Steps, len(plan.Steps))
	}
	if d.after == nil {
		d.after = d.left
	}
	s.found(t, options, d.after)
	again, err := repair.Make(t.Context(), options, sources...)
	must(t, err)
	same(t, "steps of another repair", nil, stepsOf(again, sources))
	works(t, s)
	s.undo(t, before, result.ID)
	s.found(t, options, slices.DeleteFunc(slices.Concat(d.mended, d.left), func(line string) bool {
		return strings.HasPrefix(line, string(fsck.CodeMarker)) // opening the store has made it anew
	}))
}

// Every kind of finding has its case, and no case is there twice.
func TestEachCodeHasItsDamage(t *testing.T) {
	// Those of databases besides the store's own have tests of their own.
	found, names := map[string]bool{"VOLATILE": true, "UNDECIDED": true, "REF-UNHELD": true, "STORE-AWAY": true}, make(map[string]bool)
	for _, d := range allDamages() {
		if names[d.driver+d.name] {
			t.Errorf("there are two cases %q", d.name)
		}
		names[d.driver+d.name] = true
		for _, line := range slices.Concat(d.mended, d.left) {
			code, _, _ := strings.Cut(line, " ")
			found[code] = true
		}
	}
	for _, kind := range fsck.Kinds(builtin.Registry()) {
		if !found[string(kind.Code)] {
			t.Errorf("no damage is found as %s", kind.Code)
		}
	}
	if len(names) < 60 {
		t.Errorf("there are %d cases", len(names))
	}
}

// found checks the store, and compares what is found with lines of code and
// place.
func (s *sample) found(t *testing.T, options fsck.Options, want []string) {
	t.Helper()
	report, err := fsck.Check(t.Context(), options)
	must(t, err)
	same(t, "found", want, s.places(report.Findings))
	if t.Failed() {
		for _, f := range report.Findings {
			t.Logf("%s %s: expected %s, found %s", f.Code, f.Place, f.Expected, f.Found)
		}
	}
}

// places returns the codes and places of findings. The number of a page says
// nothing.
func (s *sample) places(findings []fsck.Finding) (lines []string) {
	for _, f := range findings {
		place := strings.ReplaceAll(f.Place, s.root, "ROOT")
		if f.Realm == fsck.InDatabase && strings.HasPrefix(place, "page ") {
			place = "PAGE"
		}
		lines = append(lines, string(f.Code)+" "+place)
	}
	return lines
}

func stepsOf(plan *repair.Plan, sources []string) (lines []string) {
	for i := range plan.Steps {
		line := plan.Steps[i].String()
		for _, source := range sources {
			line = strings.ReplaceAll(line, source, "SOURCE")
		}
		line = strings.ReplaceAll(line, plan.Root, "ROOT")
		lines = append(lines, line)
	}
	return lines
}

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// codesOf returns the codes of findings that matter.
func codesOf(findings []fsck.Finding) (codes []string) {
	for _, f := range findings {
		if f.Severity != fsck.Info {
			codes = append(codes, string(f.Code))
		}
	}
	return codes
}

// works looks whether the store can be used.
func works(t *testing.T, s *sample) {
	t.Helper()
	store := s.open(t)
	_, err := store.Layer(t.Context(), "upper")
	must(t, errors.Join(err, store.Close()))
}

func wantClass(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("got error %v, want one that matches %q", err, class)
	}
}
