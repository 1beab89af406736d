package repair_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph/repair"
	"github.com/csdb/csdb/model"
)

func makePlan(t *testing.T, s *sample) *repair.Plan {
	t.Helper()
	plan, err := repair.Make(t.Context(), s.options())
	must(t, err)
	return plan
}

// throughJSON returns the plan that is made of the text of another one.
func throughJSON(t *testing.T, plan *repair.Plan) *repair.Plan {
	t.Helper()
	text, err := json.Marshal(plan)
	must(t, err)
	var read repair.Plan
	must(t, json.Unmarshal(text, &read))
	again, err := json.Marshal(&read)
	must(t, err)
	if diff := cmp.Diff(string(text), string(again)); diff != "" {
		t.Errorf("the plan read: %s", diff)
	}
	return &read
}

// A plan is carried out as it was reviewed, or not at all.
func TestOutdatedPlanIsRefused(t *testing.T) {
	s := newSample(t, "vfs")
	write("vfs-layers/nobody/file", "")(t, s)
	plan := makePlan(t, s)
	reviewed := throughJSON(t, plan)
	write("vfs-layers/nobody/other", "")(t, s)
	before := s.listing(t)
	_, err := repair.Apply(t.Context(), reviewed)
	wantClass(t, err, repair.ErrMovedOn)
	if diff := cmp.Diff(before, s.listing(t)); diff != "" {
		t.Error(diff)
	}
	must(t, os.Remove(s.path("vfs-layers/nobody/other")))
	_, err = repair.Apply(t.Context(), reviewed)
	must(t, err)

	write("vfs-layers/nobody/file", "")(t, s)
	reviewed = throughJSON(t, plan)
	reviewed.UUID = "another"
	_, err = repair.Apply(t.Context(), reviewed)
	wantClass(t, err, repair.ErrMovedOn)
	reviewed.Schema = "csdb.repair-plan/2"
	_, err = repair.Apply(t.Context(), reviewed)
	wantClass(t, err, model.ErrUnsupported)
}

// What was reviewed is done, and not what would be done instead.
func TestPlanThatWasEditedIsRefused(t *testing.T) {
	s := newSample(t, "vfs")
	write("vfs-layers/nobody/file", "")(t, s)
	must(t, os.Chmod(s.path("%-images/app/manifest"), 0o644))
	before := s.listing(t)
	for name, edit := range map[string]func(*repair.Plan){
		"another mode":    func(p *repair.Plan) { p.Steps[1].Fix.Mode = 0o666 },
		"another file":    func(p *repair.Plan) { p.Steps[0].Fix.Path = "csdb.db" },
		"nothing to do":   func(p *repair.Plan) { p.Steps[0].Fix = nil },
		"a step less":     func(p *repair.Plan) { p.Steps = p.Steps[:1] },
		"a step more":     func(p *repair.Plan) { p.Steps = append(p.Steps, p.Steps[0]) },
		"another finding": func(p *repair.Plan) { p.Steps[0].Findings[0].Place = "csdb.db" },
	} {
		plan := throughJSON(t, makePlan(t, s))
		edit(plan)
		_, err := repair.Apply(t.Context(), plan)
		if !errors.Is(err, repair.ErrMovedOn) {
			t.Errorf("%s: error %v", name, err)
		}
		if diff := cmp.Diff(before, s.listing(t)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A link that somebody has put in the way is not followed.
func TestRepairStaysInTheStore(t *testing.T) {
	s := newSample(t, "overlay")
	remove("overlay/top/link")(t, s)
	plan := makePlan(t, s)
	outside := t.TempDir()
	must(t, os.Rename(s.path("overlay/top"), s.path("overlay/moved")))
	must(t, os.Symlink(outside, s.path("overlay/top")))
	_, err := repair.Apply(t.Context(), plan)
	if err == nil {
		t.Error("the plan was carried out")
	}
	entries, err := os.ReadDir(outside)
	if len(entries) > 0 || err != nil {
		t.Errorf("outside of the store: %v, %v", entries, err)
	}
}
