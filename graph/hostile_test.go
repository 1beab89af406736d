package graph_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// surroundings is what hostile diffs must leave alone: a folder beside the
// roots, the names of all files in the roots, and the records.
type surroundings struct {
	Canary  testutil.Listing
	Changed map[string]unix.Timespec // last changes of the canary's inodes
	Names   []string
	Records records
}

func (p *place) canary() string { return filepath.Join(filepath.Dir(p.root), "canary") }

// plantCanary makes the folder that must not change.
func (p *place) plantCanary(t testing.TB) {
	t.Helper()
	noError(t, os.Mkdir(p.canary(), 0o755))
	writeFile(t, filepath.Join(p.canary(), "secret"), "secret")
}

// look describes the surroundings.
func (p *place) look(t testing.TB, s *graph.Store) surroundings {
	t.Helper()
	found := surroundings{Canary: testutil.Snapshot(t, p.canary()), Changed: make(map[string]unix.Timespec)}
	for name := range found.Canary {
		var stat unix.Stat_t
		noError(t, unix.Lstat(filepath.Join(p.canary(), name), &stat))
		found.Changed[name] = stat.Ctim
	}
	found.Records = recordsOf(t, s)
	noError(t, filepath.WalkDir(filepath.Dir(p.root), func(path string, _ os.DirEntry, err error) error {
		found.Names = append(found.Names, path)
		return err
	}))
	return found
}

// unharmed checks that everything is as it was, and that there is nothing to
// clean up.
func (p *place) unharmed(t testing.TB, s *graph.Store, before surroundings) {
	t.Helper()
	if diff := cmp.Diff(before, p.look(t, s)); diff != "" {
		t.Errorf("something has changed (-before +after):\n%s", diff)
	}
	r := must(s.Recover(t.Context()))(t)
	if len(r.Trash)+len(r.Staged)+len(r.Strays)+len(r.Busy) > 0 {
		t.Errorf("left over: %+v", r)
	}
}

// verdict checks the error that an attack ended with.
func (a attack) verdict(t testing.TB, err error) {
	t.Helper()
	if a.err == nil {
		noError(t, err)
		return
	}
	wantError(t, err, a.err)
}

// stage stages the diff.
func (a attack) stage(t testing.TB, s *graph.Store, parent model.LayerID) {
	t.Helper()
	staged, err := s.StageLayer(t.Context(), graph.LayerSpec{Parent: parent}, bytes.NewReader(a.diff))
	a.verdict(t, err)
	if err == nil {
		noError(t, staged.Discard(t.Context()))
	}
}

// applyFresh applies the diff to a layer without content, which stays so if
// that fails.
func (a attack) applyFresh(t testing.TB, p *place, s *graph.Store, parent model.LayerID) {
	t.Helper()
	layer := createLayer(t, s, "", parent).ID
	before := p.look(t, s)
	_, err := s.ApplyDiff(t.Context(), layer, bytes.NewReader(a.diff))
	a.verdict(t, err)
	if err != nil {
		p.unharmed(t, s, before)
	}
	noError(t, s.DeleteLayer(t.Context(), layer))
}

// applyInPlace applies the diff to a layer with content. It is incomplete if
// that fails, and can be deleted.
func (a attack) applyInPlace(t testing.TB, s *graph.Store, parent model.LayerID) {
	t.Helper()
	layer := importLayer(t, s, "", parent, file("old", "1")).ID
	_, err := s.ApplyDiff(t.Context(), layer, bytes.NewReader(a.diff))
	a.verdict(t, err)
	noError(t, s.DeleteLayer(t.Context(), layer))
}

func TestHostileDiffs(t *testing.T) {
	t.Parallel()
	testutil.NeedRoot(t) // for devices
	eachDriver(t, func(t *testing.T, p *place) {
		p.plantCanary(t)
		s := p.open(t, func(o *graph.Options) { o.MaxLayerSize, o.NoSync = hostileLimit, true })
		plain := importLayer(t, s, "plain", "", file("plain", "1")).ID
		for i, a := range attacks(t, p.canary()) {
			if testutil.Race && i%2 == 0 == (p.driver == "vfs") {
				continue // each attack is one on one driver only
			}
			t.Run(a.name, func(t *testing.T) {
				parent := plain
				if a.parent != nil {
					parent = importLayer(t, s, "", "", a.parent...).ID
				}
				before := p.look(t, s)
				a.stage(t, s, parent)
				p.unharmed(t, s, before)
				a.applyFresh(t, p, s, parent)
				a.applyInPlace(t, s, parent)
				p.unharmed(t, s, before)
			})
		}
	})
}
