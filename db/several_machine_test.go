package db_test

import (
	"errors"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// severalMachine compares several databases with maps while it changes both in
// transactions over all of them, some of which are interrupted.
type severalMachine struct {
	t      *testing.T
	all    []*db.DB
	states []map[string]string // what there is, with its value
}

// TestSeveralDatabasesAndMapsAgree does random things to several databases in
// transactions over any of them.
func TestSeveralDatabasesAndMapsAgree(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		m := &severalMachine{t: t}
		defer m.close()
		for range rapid.IntRange(2, 3).Draw(rt, "databases") {
			m.add(rt, dir)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"commit":    m.commit,
			"abort":     m.abort,
			"interrupt": m.interrupt,
			"reopen":    m.reopen,
			"compact":   m.compact,
			"compare":   m.compare,
		})
		m.compare(rt)
		for _, database := range m.all {
			dbtest.Check(t, database)
		}
	})
}

// add makes one more database.
func (m *severalMachine) add(t *rapid.T, dir string) {
	root, err := os.MkdirTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	database, err := db.Create(m.t.Context(), root, dbtest.Driver, db.Options{NoSync: true, JournalLimit: 5})
	if err != nil {
		t.Fatal(err)
	}
	m.all, m.states = append(m.all, database), append(m.states, make(map[string]string))
}

func (m *severalMachine) close() {
	for _, database := range m.all {
		database.Close()
	}
}

// some returns the numbers of some databases, in any order.
func (m *severalMachine) some(t *rapid.T) []int {
	numbers := make([]int, len(m.all))
	for i := range numbers {
		numbers[i] = i
	}
	order := rapid.Permutation(numbers).Draw(t, "order")
	return order[:rapid.IntRange(1, len(order)).Draw(t, "how many")]
}

func (m *severalMachine) databases(numbers []int) (all []*db.DB) {
	for _, n := range numbers {
		all = append(all, m.all[n])
	}
	return all
}

// draw chooses what to change in a database, and changes its state.
func (m *severalMachine) draw(t *rapid.T, state map[string]string) func(*db.Tx) error {
	var steps []func(*db.Tx) error
	for range rapid.IntRange(0, 3).Draw(t, "steps") {
		key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
		in := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "bucket")
		value := rapid.StringN(0, 20, -1).Draw(t, "value")
		switch rapid.IntRange(0, 4).Draw(t, "do") {
		case 0:
			state[in+"/"+key] = value
			steps = append(steps, func(tx *db.Tx) error { return tx.App("app").Bucket(in).Put([]byte(key), []byte(value)) })
		case 1:
			delete(state, in+"/"+key)
			steps = append(steps, func(tx *db.Tx) error { return tx.App("app").Bucket(in).Delete([]byte(key)) })
		case 2:
			maps.DeleteFunc(state, func(k, _ string) bool { return k[:1] == in })
			steps = append(steps, func(tx *db.Tx) error { return tx.App("app").DeleteBucket(in) })
		default:
			steps = append(steps, toggleLayer(state, key))
		}
	}
	return func(tx *db.Tx) error {
		var errs []error
		for _, step := range steps {
			errs = append(errs, step(tx))
		}
		return errors.Join(errs...)
	}
}

// toggleLayer deletes a layer if it is there, and makes it otherwise.
func toggleLayer(state map[string]string, key string) func(*db.Tx) error {
	if _, there := state["layer/"+key]; there {
		delete(state, "layer/"+key)
		return func(tx *db.Tx) error {
			_, _, err := tx.DeleteLayer(model.LayerID(key))
			return err
		}
	}
	state["layer/"+key] = ""
	return func(tx *db.Tx) error {
		return tx.CreateLayer(&model.Layer{ID: model.LayerID(key), Size: 5, Names: []string{key}})
	}
}

// drawAll is draw for some databases. keep lets what is chosen become their state.
func (m *severalMachine) drawAll(t *rapid.T, numbers []int) (fns []func(*db.Tx) error, keep func()) {
	states := slices.Clone(m.states)
	for _, n := range numbers {
		states[n] = maps.Clone(states[n])
		fns = append(fns, m.draw(t, states[n]))
	}
	return fns, func() { m.states = states }
}

func (m *severalMachine) commit(t *rapid.T) {
	numbers := m.some(t)
	fns, keep := m.drawAll(t, numbers)
	if err := updateAll(m.t, m.databases(numbers), fns...); err != nil {
		t.Fatal(err)
	}
	keep()
}

func (m *severalMachine) abort(t *rapid.T) {
	numbers := m.some(t)
	fns, _ := m.drawAll(t, numbers)
	fns[len(fns)-1] = func(*db.Tx) error { return model.ErrBusy }
	if err := updateAll(m.t, m.databases(numbers), fns...); !errors.Is(err, model.ErrBusy) {
		t.Fatal(err)
	}
}

func (m *severalMachine) interrupt(t *rapid.T) {
	numbers := m.some(t)
	fns, keep := m.drawAll(t, numbers)
	committed := rapid.Bool().Draw(t, "committed")
	// It begins as others do, with settling what was before.
	all := m.databases(numbers)
	if err := updateAll(m.t, all, inEach(all, func(*db.Tx) error { return nil })...); err != nil {
		t.Fatal(err)
	}
	if err := db.Interrupt(m.t.Context(), all, committed, fns...); err != nil {
		t.Fatal(err)
	}
	if committed {
		keep()
	}
}

func (m *severalMachine) reopen(t *rapid.T) {
	n := rapid.IntRange(0, len(m.all)-1).Draw(t, "database")
	m.all[n].Close()
	var err error
	if m.all[n], err = db.Open(m.t.Context(), rootOf(m.all[n]), db.Options{NoSync: true, JournalLimit: 5}); err != nil {
		t.Fatal(err)
	}
}

// compact compacts a database, seldom: it takes long.
func (m *severalMachine) compact(t *rapid.T) {
	if rapid.IntRange(0, 7).Draw(t, "compact") > 0 {
		return
	}
	n := rapid.IntRange(0, len(m.all)-1).Draw(t, "database")
	if _, err := m.all[n].Compact(m.t.Context(), db.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (m *severalMachine) compare(t *rapid.T) {
	numbers := m.some(t)
	err := db.ViewAll(m.t.Context(), m.databases(numbers), func(read []*db.ReadTx) error {
		for i, tx := range read {
			got, err := stateOf(tx)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(m.states[numbers[i]], got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("database %d: %s", numbers[i], diff)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stateOf returns what there is in a database.
func stateOf(tx *db.ReadTx) (map[string]string, error) {
	got := make(map[string]string)
	err := tx.EachLayer(func(l *model.Layer) error { got["layer/"+string(l.ID)] = ""; return nil })
	for _, in := range []string{"x", "y"} {
		err = errors.Join(err, tx.App("app").Bucket(in).Each(nil, func(key, value []byte) error {
			got[in+"/"+string(key)] = string(value)
			return nil
		}))
	}
	return got, err
}
