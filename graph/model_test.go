package graph_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// performer does what operations say.
type performer interface {
	perform(ctx context.Context, o op) result
}

// machine runs random operations on a store and on a world, and compares them.
// Two handles and a second process work on the store.
type machine struct {
	t     *testing.T
	place *place
	world *world

	hands [2]*hands
	agent *remote
	// staged are the layers that each performer has staged, by ID.
	staged [3]map[string]*stagedLayer
}

// stagedLayer is a layer that is staged.
type stagedLayer struct {
	o       op
	entries []entry
	under   *object // the parent
	own     map[string]*string
}

// TestStoreBehavesLikeItsModel runs random operations, a second handle and a
// second process among them, and compares the store with a model after each.
func TestStoreBehavesLikeItsModel(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		base, n := p.root, 0
		p.tampered = true // files of layers are changed by hand
		rapid.Check(t, func(rt *rapid.T) {
			n++
			p.root, p.run = filepath.Join(base, fmt.Sprint(n)), filepath.Join(base, fmt.Sprint(n, "-run"))
			m := &machine{t: t, place: p, world: newWorld(p.driver)}
			m.start(rt)
			defer m.stop(rt)
			rt.Repeat(m.actions())
		})
		p.root = filepath.Join(base, "none")
	})
}

// start opens the store.
func (m *machine) start(rt *rapid.T) {
	for i := range m.hands {
		m.openHandle(rt, i)
	}
	m.startAgent()
	m.staged[2] = map[string]*stagedLayer{}
}

func (m *machine) openHandle(rt *rapid.T, i int) {
	s, err := graph.Open(m.t.Context(), m.place.options(m.t, func(o *graph.Options) { o.NoSync = true }))
	if err != nil {
		rt.Fatal(err)
	}
	m.hands[i], m.staged[i] = &hands{store: s}, map[string]*stagedLayer{}
}

func (m *machine) startAgent() { m.agent = startAgent(m.t, m.place) }

// stop ends everything and looks at what is left.
func (m *machine) stop(rt *rapid.T) {
	var err error
	if m.agent != nil {
		err = errors.Join(m.agent.orders.Close(), m.agent.child.Wait())
	}
	s := m.hands[0].store
	_, errShutdown := s.Shutdown(m.t.Context(), true)
	err = errors.Join(err, errShutdown, m.hands[1].store.Close())
	if r := m.hands[0].perform(m.t.Context(), op{Do: "recover"}); r.Err != "" {
		err = errors.Join(err, errors.New(r.Text))
	}
	if err := errors.Join(err, s.Close()); err != nil {
		rt.Error(err)
	}
	failed := m.t.Failed()
	m.place.examine(m.t)
	if m.t.Failed() && !failed {
		rt.Error("see above what is left at the end")
	}
	if err := errors.Join(os.RemoveAll(m.place.root), os.RemoveAll(m.place.run)); err != nil {
		rt.Error(err)
	}
}

// draw chooses who does the next operation.
func (m *machine) draw(rt *rapid.T) (int, performer) {
	switch i := rapid.IntRange(0, 2).Draw(rt, "by"); i {
	case 2:
		return i, m.agent
	default:
		return i, m.hands[i]
	}
}

// run performs an operation and expects an error of the given class, or none.
func (m *machine) run(rt *rapid.T, by performer, o op, class error) result {
	want := ""
	if class != nil {
		want = classOf(class)
	}
	r := by.perform(m.t.Context(), o)
	if r.Err != want {
		rt.Fatalf("%s %s %q: error is %q (%s), want %q", o.Do, o.Kind, o.ID, r.Err, r.Text, want)
	}
	return r
}

// first returns the first error that there is.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// when returns err if the condition holds.
func when(condition bool, err error) error {
	if condition {
		return err
	}
	return nil
}

// unknown returns the error for an object that does not exist.
func (m *machine) unknown(kind model.Kind, id string) error {
	return when(m.world.objects[kind][id] == nil, model.Unknown(kind, id))
}
