package repair_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/graph/repair"
	"github.com/csdb/csdb/model"
)

// damage is something that happens to a store, and the steps that put it right.
type damage struct {
	name string
	// driver is the one that it can happen to, or "" for any.
	driver string
	do     func(t *testing.T, s *sample)
	// steps are what is planned, without what differs from run to run.
	steps []string
	// left are the codes of findings about which nothing is done.
	left []string
}

const mend = "make anew what follows from the records of the database"

func remove(name string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { must(t, os.RemoveAll(s.path(name))) }
}

func write(name, content string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		must(t, os.MkdirAll(filepath.Dir(s.path(name)), 0o700))
		must(t, os.WriteFile(s.path(name), []byte(content), 0o600))
	}
}

func inDatabase(do func(t testing.TB, path string)) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { do(t, s.path(db.FileName)) }
}

func both(first, second func(*testing.T, *sample)) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		first(t, s)
		second(t, s)
	}
}

// linkOf returns the short name of a layer, which a step has in place of
// "LINK-OF-layer".
func (s *sample) linkOf(layer string) string {
	text, _ := os.ReadFile(s.path("overlay/" + layer + "/link"))
	return string(text)
}

var damages = []damage{
	{name: "nothing", do: func(*testing.T, *sample) {}},
	{name: "index entry is missing", do: inDatabase(func(t testing.TB, path string) {
		dbtest.Delete(t, path, "index/children", "base\x00top")
	}), steps: []string{mend}},
	{name: "name is damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "names/image", "app:1") }), steps: []string{mend}},
	{name: "sums are damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "store", "usage") }), steps: []string{mend}},
	{name: "count is missing", do: inDatabase(func(t testing.TB, path string) { dbtest.Delete(t, path, "uses", "base") }), steps: []string{mend}},
	{name: "needed layer is to be removed", do: func(t *testing.T, s *sample) {
		database, err := db.Open(t.Context(), s.root, db.Options{})
		must(t, err)
		defer database.Close()
		must(t, database.Update(t.Context(), func(tx *db.Tx) error {
			return tx.AddTrash(db.Trash{Path: s.driver + "/top", Kind: db.TrashLayer, Dir: "top", ObjectKind: model.KindLayer, ID: "top"})
		}))
	}, steps: []string{mend}},
	{name: "marker is missing", do: remove(db.MarkerName), steps: []string{mend}},
	{name: "database can be read by all", do: func(t *testing.T, s *sample) { must(t, os.Chmod(s.path(db.FileName), 0o644)) }, steps: []string{
		"set the mode of csdb.db to 0600",
	}},
	{name: "content file can be read by all", do: func(t *testing.T, s *sample) { must(t, os.Chmod(s.path("%-images/app/manifest"), 0o644)) }, steps: []string{
		"set the mode of %-images/app/manifest to 0600",
	}},
	{name: "content file belongs to somebody else", do: func(t *testing.T, s *sample) {
		must(t, os.Chown(s.path("%-images/app/manifest"), 12345, -1))
	}, steps: []string{"set the owner of %-images/app/manifest to 0"}},
	{name: "file without a record", do: write("%-layers/nobody/file", "text"), steps: []string{"move %-layers/nobody/file to lost+found"}},
	{name: "tree without a record", do: write("%-layers/nobody/file", "text"), steps: []string{"move %-layers/nobody/file to lost+found"}},
	{name: "several at once", do: both(inDatabase(func(t testing.TB, path string) { dbtest.Delete(t, path, "names/layer", "upper") }), write("%-images/x/y", "")), steps: []string{
		mend, "move %-images/x/y to lost+found",
	}},
	{name: "content is missing", do: remove("%-images/app/manifest"), left: []string{"DATA-MISSING"}},
	{name: "record is damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "images", "app") }), left: []string{"DB-RECORD"}},

	{name: "layer without a record", driver: "vfs", do: write("vfs/dir/nobody/file", "text"), steps: []string{"move vfs/dir/nobody to lost+found"}},
	{name: "layer without a record", driver: "overlay", do: write("overlay/nobody/diff/file", "text"), steps: []string{"move overlay/nobody to lost+found"}},
	{name: "work is missing", driver: "overlay", do: remove("overlay/web-rw/work"), steps: []string{"make the directory overlay/web-rw/work"}},
	{name: "link is missing", driver: "overlay", do: remove("overlay/top/link"), steps: []string{`write "LINK-OF-top" into overlay/top/link`}},
	{name: "link is empty", driver: "overlay", do: write("overlay/top/link", ""), steps: []string{`write "LINK-OF-top" into overlay/top/link`}},
	{name: "directory in place of link", driver: "overlay", do: func(t *testing.T, s *sample) {
		must(t, os.Remove(s.path("overlay/top/link")))
		must(t, os.Mkdir(s.path("overlay/top/link"), 0o700))
	}, steps: []string{`write "LINK-OF-top" into overlay/top/link`}},
	{name: "short names are missing", driver: "overlay", do: remove("overlay/l"), steps: []string{
		"make overlay/l/LINK-OF-base a symbolic link to ../base/diff",
		"make overlay/l/LINK-OF-top a symbolic link to ../top/diff",
		"make overlay/l/LINK-OF-web-rw a symbolic link to ../web-rw/diff",
	}},
	{name: "lower is wrong", driver: "overlay", do: write("overlay/top/lower", "l/AAAAAAAAAAAAAAAAAAAAAAAAAA"), steps: []string{
		`write "l/LINK-OF-base" into overlay/top/lower`,
	}},
	{name: "base layer has a lower", driver: "overlay", do: write("overlay/base/lower", "l/AAAAAAAAAAAAAAAAAAAAAAAAAA"), steps: []string{
		"move overlay/base/lower to lost+found",
	}},
}

// each runs fn for each damage of each driver.
func each(t *testing.T, fn func(t *testing.T, s *sample, d *damage, steps []string)) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			for _, d := range damages {
				if d.driver != "" && d.driver != driver {
					continue
				}
				t.Run(d.name, func(t *testing.T) {
					s := newSample(t, driver)
					names := make(map[string]string)
					for _, layer := range []string{"base", "top", "web-rw"} {
						names[layer] = s.linkOf(layer)
					}
					d.do(t, s)
					steps := make([]string, len(d.steps))
					for i, step := range d.steps {
						steps[i] = strings.ReplaceAll(step, "%", driver)
						for layer, name := range names {
							steps[i] = strings.ReplaceAll(steps[i], "LINK-OF-"+layer, name)
						}
					}
					fn(t, s, &d, steps)
				})
			}
		})
	}
}

func makePlan(t *testing.T, s *sample) *repair.Plan {
	t.Helper()
	plan, err := repair.Make(t.Context(), s.options())
	must(t, err)
	return plan
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

// What is planned is done; afterwards nothing is found but what cannot be put
// right; and all can be taken back, to the same bytes.
func TestRepairAndUndo(t *testing.T) {
	each(t, func(t *testing.T, s *sample, d *damage, steps []string) {
		before := s.listing(t)
		plan := makePlan(t, s)
		var got []string
		for i := range plan.Steps {
			got = append(got, plan.Steps[i].String())
		}
		if diff := cmp.Diff(steps, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(d.left, codesOf(plan.Left), cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(before, s.listing(t)); diff != "" {
			t.Errorf("planning has changed the store: %s", diff)
		}
		if len(plan.Steps) == 0 {
			_, err := repair.Apply(t.Context(), plan)
			wantClass(t, err, model.ErrInvalid)
			return
		}
		result, err := repair.Apply(t.Context(), plan)
		must(t, err)
		if result.Steps != len(plan.Steps) {
			t.Errorf("%d of %d steps were done", result.Steps, len(plan.Steps))
		}
		report, err := fsck.Check(t.Context(), s.options())
		must(t, err)
		if diff := cmp.Diff(d.left, codesOf(report.Findings), cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("found after the repair: %s", diff)
		}
		works(t, s)
		s.undo(t, before, result.ID)
	})
}

// works looks whether the store can be used.
func works(t *testing.T, s *sample) {
	t.Helper()
	store := s.open(t)
	_, err := store.Layer(t.Context(), "upper")
	must(t, errors.Join(err, store.Close()))
}

// undo takes back a repair and looks whether all is as before.
func (s *sample) undo(t *testing.T, before []string, id string) {
	t.Helper()
	undone, err := repair.Undo(t.Context(), s.root, "")
	must(t, err)
	if undone.ID != id {
		t.Errorf("repair %s was taken back, want %s", undone.ID, id)
	}
	// What opening the store makes anew is not part of the repair.
	ours := func(lines []string) (rest []string) {
		for _, line := range lines {
			if !strings.HasPrefix(line, db.MarkerName+" ") && !strings.HasPrefix(line, ". ") {
				rest = append(rest, line)
			}
		}
		return rest
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

// A plan is carried out as it was reviewed, or not at all.
func TestOutdatedPlanIsRefused(t *testing.T) {
	s := newSample(t, "vfs")
	write("vfs-layers/nobody/file", "")(t, s)
	plan := makePlan(t, s)
	text, err := json.Marshal(plan)
	must(t, err)
	var reviewed repair.Plan
	must(t, json.Unmarshal(text, &reviewed))
	write("vfs-layers/nobody/other", "")(t, s)
	before := s.listing(t)
	_, err = repair.Apply(t.Context(), &reviewed)
	wantClass(t, err, repair.ErrMovedOn)
	if diff := cmp.Diff(before, s.listing(t)); diff != "" {
		t.Error(diff)
	}
	must(t, os.Remove(s.path("vfs-layers/nobody/other")))
	_, err = repair.Apply(t.Context(), &reviewed)
	must(t, err)

	write("vfs-layers/nobody/file", "")(t, s)
	must(t, json.Unmarshal(text, &reviewed))
	reviewed.UUID = "another"
	_, err = repair.Apply(t.Context(), &reviewed)
	wantClass(t, err, repair.ErrMovedOn)
	reviewed.Schema = "csdb.repair-plan/2"
	_, err = repair.Apply(t.Context(), &reviewed)
	wantClass(t, err, model.ErrUnsupported)
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

func wantClass(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("got error %v, want one that matches %q", err, class)
	}
}
