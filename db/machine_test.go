package db_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// machine compares a database with a state in maps while it does random things
// to both.
type machine struct {
	root    string
	handles [2]*db.DB
	state   *state
	now     time.Time
	commits uint64
}

// TestDatabaseAndMapsAgree does random things to a database and to maps.
// Failures are repeated with -rapid.failfile or -rapid.seed.
func TestDatabaseAndMapsAgree(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(rt, dir)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"commit":   m.commit,
			"abort":    m.abort,
			"refusals": m.refusals,
			"reopen":   m.reopen,
			"":         m.compare,
		})
	})
}

func newMachine(t *rapid.T, dir string) *machine {
	root, err := os.MkdirTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{root: root, state: newState(), now: fillTime}
	database, err := db.Create(t.Context(), root, dbtest.Driver, m.options())
	if err != nil {
		t.Fatal(err)
	}
	m.handles[0] = database
	if m.handles[1], err = db.Open(t.Context(), root, m.options()); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) options() db.Options {
	return db.Options{NoSync: true, Now: func() time.Time { return m.now }}
}

func (m *machine) close() {
	for _, database := range m.handles {
		database.Close()
	}
	_ = os.RemoveAll(m.root)
}

// database returns one of the handles.
func (m *machine) database(t *rapid.T) *db.DB {
	return m.handles[rapid.IntRange(0, 1).Draw(t, "handle")]
}

// reopen closes one of the handles and opens another one.
func (m *machine) reopen(t *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(t, "handle")
	m.handles[i].Close()
	var err error
	if m.handles[i], err = db.Open(t.Context(), m.root, m.options()); err != nil {
		t.Fatal(err)
	}
}

// commit does some things in one transaction.
func (m *machine) commit(t *rapid.T) {
	next := m.state.clone()
	m.now = m.now.Add(time.Second)
	err := m.database(t).Update(t.Context(), func(tx *db.Tx) error { return m.actions(t, tx, next) })
	if err != nil {
		t.Fatal(err)
	}
	if next.changed {
		m.commits++
	}
	m.state = next
}

// abort does the same, and then thinks better of it.
func (m *machine) abort(t *rapid.T) {
	regret := errors.New("regret")
	err := m.database(t).Update(t.Context(), func(tx *db.Tx) error {
		if err := m.actions(t, tx, m.state.clone()); err != nil {
			return err
		}
		return regret
	})
	if !errors.Is(err, regret) {
		t.Fatal(err)
	}
}

func (m *machine) actions(t *rapid.T, tx *db.Tx, s *state) error {
	s.changed = false
	for range rapid.IntRange(1, 4).Draw(t, "actions") {
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(machineActions))).Draw(t, "action")
		if err := machineActions[name](t, tx, s); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// refusals tries what the state does not allow.
func (m *machine) refusals(t *rapid.T) {
	try := func(want error, fn func(*db.Tx) error) {
		if err := m.database(t).Update(t.Context(), fn); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	if id, ok := m.state.takenID(t, model.KindLayer); ok {
		id := model.LayerID(id)
		try(model.ErrDuplicateID, func(tx *db.Tx) error { return tx.CreateLayer(&model.Layer{ID: id}) })
		for _, name := range m.state.layers[id].Names {
			try(model.ErrDuplicateName, func(tx *db.Tx) error { return tx.CreateLayer(&model.Layer{ID: "new", Names: []string{name}}) })
		}
		try(model.ErrInvalid, func(tx *db.Tx) error {
			return second(tx.UpdateLayer(db.OpModify, id, func(l *model.Layer) error { l.Parent = m.state.descendant(id); return nil }))
		})
	}
	if id, ok := m.state.takenID(t, model.KindContainer); ok {
		if layer := m.state.containers[model.ContainerID(id)].Layer; layer != "" {
			try(model.ErrLayerUsedByContainer, func(tx *db.Tx) error {
				return tx.CreateContainer(&model.Container{ID: "new", Layer: layer})
			})
		}
	}
}

// compare looks whether the database is as the state says, seen by either
// handle.
func (m *machine) compare(t *rapid.T) {
	database := m.database(t)
	err := database.View(t.Context(), func(tx *db.ReadTx) error {
		return errors.Join(
			m.compareProblems(t, tx), m.compareRecords(t, tx), m.compareNames(t, tx), m.compareLookups(t, tx), m.compareRest(t, tx))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// compareProblems checks the whole database. Nothing may be found but the
// references that lead nowhere in the state, too.
func (m *machine) compareProblems(t *rapid.T, tx *db.ReadTx) error {
	pages, err := tx.CheckPages(t.Context())
	if err != nil {
		return err
	}
	problems, err := tx.Check(t.Context())
	got := make([]string, 0, len(problems))
	for _, p := range append(problems, pages.Problems...) {
		got = append(got, string(p.Code)+" "+p.ID)
	}
	slices.Sort(got)
	if diff := cmp.Diff(m.state.dangling(), got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatal(diff)
	}
	return err
}

// ignored are fields that the state does not keep.
var ignored = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.IgnoreFields(model.Layer{}, "Seq", "Created"),
	cmpopts.IgnoreFields(model.Image{}, "Seq", "Created"),
	cmpopts.IgnoreFields(model.Container{}, "Seq", "Created"),
	cmpopts.IgnoreFields(model.Data{}, "Seq"),
}

func (m *machine) compareRecords(t *rapid.T, tx *db.ReadTx) error {
	layers, errLayers := tx.Layers()
	images, errImages := tx.Images()
	containers, errContainers := tx.Containers()
	for _, diff := range []string{
		cmp.Diff(inOrder(m.state.order[model.KindLayer], m.state.layers), layers, ignored),
		cmp.Diff(inOrder(m.state.order[model.KindImage], m.state.images), images, ignored),
		cmp.Diff(inOrder(m.state.order[model.KindContainer], m.state.containers), containers, ignored),
	} {
		if diff != "" {
			t.Fatal(diff)
		}
	}
	return errors.Join(errLayers, errImages, errContainers)
}

// inOrder returns records in the order of their creation.
func inOrder[ID ~string, R any](order []string, records map[ID]*R) []*R {
	all := make([]*R, 0, len(order))
	for _, id := range order {
		all = append(all, records[ID(id)])
	}
	return all
}

func (m *machine) compareNames(t *rapid.T, tx *db.ReadTx) error {
	for _, kind := range model.Kinds {
		owners := m.state.owners(kind)
		for _, name := range poolNames {
			got, err := tx.NameOwner(kind, name)
			if errors.Is(err, model.ErrNotFound) {
				got, err = "", nil
			}
			if err != nil {
				return err
			}
			if got != owners[name] {
				t.Fatalf("%s name %s belongs to %q, not to %q", kind, name, got, owners[name])
			}
		}
	}
	return nil
}

func (m *machine) compareLookups(t *rapid.T, tx *db.ReadTx) error {
	for _, id := range poolIDs {
		layer := model.LayerID(id)
		children, errChildren := tx.Children(layer)
		images, errImages := tx.ImagesOfLayer(layer)
		containers, errContainers := tx.ContainersOfLayer(layer)
		made, errMade := tx.ContainersOfImage(model.ImageID(id))
		if err := errors.Join(errChildren, errImages, errContainers, errMade); err != nil {
			return err
		}
		got := fmt.Sprint(children, images, containers, made)
		if want := m.state.lookups(id); got != want {
			t.Fatalf("look-ups of %s: %s, want %s", id, got, want)
		}
		uses, err := tx.Uses(layer)
		if _, known := m.state.layers[layer]; !known {
			if !errors.Is(err, model.ErrLayerUnknown) {
				t.Fatalf("uses of an unknown layer: %v", err)
			}
		} else if err != nil || int(uses) != m.state.uses(layer) {
			t.Fatalf("uses of %s: %d, want %d (%v)", id, uses, m.state.uses(layer), err)
		}
	}
	for _, d := range poolDigests {
		got, err := tx.LayersByDigest(db.DiffDigest, d)
		if err != nil {
			return err
		}
		images, err := tx.ImagesByDigest(d)
		if err != nil {
			return err
		}
		if n, want := len(got)+len(images), m.state.withDigest(d); n != want {
			t.Fatalf("%s finds %d objects, want %d", d, n, want)
		}
	}
	return nil
}

func (m *machine) compareRest(t *rapid.T, tx *db.ReadTx) error {
	usage, err := tx.Usage()
	if err != nil {
		return err
	}
	if diff := cmp.Diff(m.state.usage(), *usage); diff != "" {
		t.Fatal(diff)
	}
	var entries uint64
	err = tx.Journal(0, func(e *db.JournalEntry) bool {
		entries++
		return e.Seq == entries && len(e.Changes) > 0
	})
	if entries != m.commits {
		t.Fatalf("%d entries of the journal after %d transactions", entries, m.commits)
	}
	trash, errTrash := tx.AllTrash()
	paths := make([]string, 0, len(trash))
	for _, entry := range trash {
		paths = append(paths, entry.Path)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(m.state.trash)), paths, cmpopts.EquateEmpty()); diff != "" {
		t.Fatal(diff)
	}
	for key, want := range m.state.data {
		items, err := tx.Data(key.kind, key.id)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, items, ignored); diff != "" {
			t.Fatal(diff)
		}
	}
	return errors.Join(err, errTrash)
}

// What the machine chooses from. There are few of everything, so that what has
// been deleted comes back.
var (
	poolIDs     = []string{"i0", "i1", "i2", "i3", "i4", "i5"}
	poolNames   = []string{"n0", "n1", "n2", "n3"}
	poolKeys    = []string{"k0", "k1", "manifest", "manifest-1"}
	poolDigests = []digest.Digest{digest.FromString("d0"), digest.FromString("d1"), digest.FromString("d2")}
)
