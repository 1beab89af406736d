package repair_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph/repair"
	"github.com/csdb/csdb/model"
)

// undo takes back a repair and looks whether all is as before.
func (s *sample) undo(t *testing.T, before []string, id string) {
	t.Helper()
	undone, err := repair.Undo(t.Context(), s.root, "")
	must(t, err)
	if undone.ID != id {
		t.Errorf("repair %s was taken back, want %s", undone.ID, id)
	}
	if diff := cmp.Diff(ours(before), ours(s.listing(t))); diff != "" {
		t.Errorf("after the undoing: %s", diff)
	}
	_, err = repair.Undo(t.Context(), s.root, "")
	wantClass(t, err, model.ErrNotFound)
	_, err = repair.Undo(t.Context(), s.root, id)
	wantClass(t, err, model.ErrInvalid)
	all, err := repair.List(s.root)
	if len(all) != 1 || !all[0].Done || !all[0].Undone || err != nil {
		t.Errorf("repairs: %+v, %v", all, err)
	}
}

// ours returns what is part of a repair of a listing: what opening the store
// makes anew is not.
func ours(lines []string) (rest []string) {
	for _, line := range lines {
		if !strings.HasPrefix(line, db.MarkerName+" ") && !strings.HasPrefix(line, ". ") {
			rest = append(rest, line)
		}
	}
	return rest
}

// What has changed since the repair is not overwritten by an undo.
func TestUndoOfWhatHasChangedSinceIsRefused(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *sample){
		"mode": func(t *testing.T, s *sample) { must(t, os.Chmod(s.path("%-images/app/manifest"), 0o640)) },
		"something in the place of what was taken away": write("%-layers/nobody/file", "new"),
		"database": func(t *testing.T, s *sample) {
			store := s.open(t)
			must(t, store.SetMetadata(t.Context(), model.LayerID("top"), "text"))
			must(t, store.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSample(t, "vfs")
			must(t, os.Chmod(s.path("%-images/app/manifest"), 0o644))
			write("%-layers/nobody/file", "text")(t, s)
			dbtest.Delete(t, s.path(db.FileName), "uses", "base")
			_, err := repair.Apply(t.Context(), makePlan(t, s))
			must(t, err)
			change(t, s)
			before := s.listing(t)
			_, err = repair.Undo(t.Context(), s.root, "")
			wantClass(t, err, repair.ErrMovedOn)
			if diff := cmp.Diff(before, s.listing(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A repair that was broken off can be taken back, wherever that was.
func TestRepairThatWasBrokenOffCanBeTakenBack(t *testing.T) {
	s := newSample(t, "vfs")
	must(t, os.Chmod(s.path("%-images/app/manifest"), 0o644))
	write("%-layers/nobody/file", "text")(t, s)
	dbtest.Delete(t, s.path(db.FileName), "uses", "base")
	before := s.listing(t)
	result, err := repair.Apply(t.Context(), makePlan(t, s))
	must(t, err)
	notes := filepath.Join(s.root, result.Dir, "undo.jsonl")
	text, err := os.ReadFile(notes)
	must(t, err)
	lines := strings.SplitAfter(string(text), "\n")
	// The process dies while it writes the note of the end.
	must(t, os.WriteFile(notes, []byte(strings.Join(lines[:len(lines)-2], "")+lines[len(lines)-2][:3]), 0o600))
	all, err := repair.List(s.root)
	if len(all) != 1 || all[0].Done || err != nil {
		t.Errorf("repairs: %+v, %v", all, err)
	}
	_, err = repair.Undo(t.Context(), s.root, "")
	must(t, err)
	if diff := cmp.Diff(before[1:], s.listing(t)[1:]); diff != "" {
		t.Error(diff)
	}
}

// What a repair has begun to write when it is killed is removed.
func TestUndoRemovesWhatWasNotFinished(t *testing.T) {
	s := newSample(t, "overlay")
	remove("overlay/top/link")(t, s)
	before := s.listing(t)
	result, err := repair.Apply(t.Context(), makePlan(t, s))
	must(t, err)
	text, err := os.ReadFile(filepath.Join(s.root, result.Dir, "undo.jsonl"))
	must(t, err)
	temp := regexp.MustCompile(`"temp":"(.*?)"`).FindSubmatch(text)
	if temp == nil {
		t.Fatalf("the notes have no name for the new file: %s", text)
	}
	write("overlay/top/"+string(temp[1]), "a part")(t, s)
	s.undo(t, before, result.ID)
}

// The notes may name anything; only what is not finished is removed.
func TestUndoRemovesNothingElse(t *testing.T) {
	s := newSample(t, "overlay")
	remove("overlay/top/link")(t, s)
	result, err := repair.Apply(t.Context(), makePlan(t, s))
	must(t, err)
	notes := filepath.Join(s.root, result.Dir, "undo.jsonl")
	text, err := os.ReadFile(notes)
	must(t, err)
	for _, temp := range []string{"lower", "../base/link", ".tmp-/../lower"} {
		wrong := regexp.MustCompile(`"temp":".*?"`).ReplaceAll(text, []byte(`"temp":"`+temp+`"`))
		must(t, os.WriteFile(notes, wrong, 0o600))
		before := s.listing(t)
		_, err = repair.Undo(t.Context(), s.root, "")
		wantClass(t, err, model.ErrCorrupt)
		if diff := cmp.Diff(before, s.listing(t)); diff != "" {
			t.Errorf("%s: %s", temp, diff)
		}
	}
}

// Of a repair that was killed before it had written a note there is nothing to
// be taken back, and it is in nobody's way.
func TestRepairThatHasNotBegunIsNone(t *testing.T) {
	s := newSample(t, "vfs")
	write("%-layers/nobody/file", "text")(t, s)
	before := s.listing(t)
	result, err := repair.Apply(t.Context(), makePlan(t, s))
	must(t, err)
	makeDir("lost+found/csdb-repair-99991231T000000.000000000Z")(t, s)
	write("lost+found/csdb-repair-99991231T000000.000000001Z/undo.jsonl", "")(t, s)
	write("lost+found/csdb-repair-99991231T000000.000000002Z/undo.jsonl", `{"schema":`)(t, s)
	s.undo(t, before, result.ID)
}
