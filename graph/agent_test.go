package graph_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// op is an operation on a store that can be sent to another process.
type op struct {
	Do     string // what to do, see hands.perform
	Kind   model.Kind
	ID     string
	Parent string
	Key    string
	Names  []string
	Data   []byte
	Force  bool
	Lost   bool // a container is volatile
	N      int
}

// result is what came of an operation.
type result struct {
	Err  string // class of the error, see classOf
	Text string // the error as text
	Data []byte
	List []string
	N    int64
}

// agent is what a child process runs: it opens a store and does what it is
// told, one operation after the other.
func agent(ctx context.Context, args []string) error {
	options := graph.Options{Driver: args[0], Root: args[1], RunRoot: args[2], ImageStore: args[3]}
	s, err := graph.Open(ctx, options)
	if err != nil {
		return err
	}
	h := &hands{store: s}
	answers := json.NewEncoder(os.Stdout)
	for orders := json.NewDecoder(bufio.NewReader(os.Stdin)); ; {
		var o op
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return s.Close()
		} else if err != nil {
			return err
		}
		if err := answers.Encode(h.perform(ctx, o)); err != nil {
			return err
		}
	}
}

// remote is an agent as seen by the test.
type remote struct {
	child   *exec.Cmd
	orders  io.WriteCloser
	encoder *json.Encoder
	answers *json.Decoder
}

// startAgent starts an agent for a store, with more in its environment.
func startAgent(t testing.TB, p *place, environment ...string) *remote {
	t.Helper()
	options := p.options(t)
	child := testutil.Child(t, "agent", p.driver, p.root, p.run, options.ImageStore)
	child.Env = append(child.Env, environment...)
	in := must(child.StdinPipe())(t)
	out := must(child.StdoutPipe())(t)
	noError(t, child.Start())
	return &remote{child: child, orders: in, encoder: json.NewEncoder(in), answers: json.NewDecoder(out)}
}

// startAgents starts several.
func startAgents(t testing.TB, p *place, n int) (all []*remote) {
	t.Helper()
	for range n {
		all = append(all, startAgent(t, p))
	}
	return all
}

// order tells the agent to do something; answer has what came of it.
func (a *remote) order(t testing.TB, o op) {
	t.Helper()
	noError(t, a.encoder.Encode(o))
}

// answer returns what came of an order.
func (a *remote) answer(t testing.TB) (r result) {
	t.Helper()
	noError(t, a.answers.Decode(&r))
	return r
}

// perform lets the agent do something.
func (a *remote) perform(_ context.Context, o op) (r result) {
	if err := errors.Join(a.encoder.Encode(o), a.answers.Decode(&r)); err != nil {
		r.Err, r.Text = "agent", err.Error()
	}
	return r
}

// do lets the agent do something that must work.
func (a *remote) do(t testing.TB, o op) result {
	t.Helper()
	a.order(t, o)
	return a.worked(t)
}

// worked returns what came of an order that must have worked.
func (a *remote) worked(t testing.TB) result {
	t.Helper()
	r := a.answer(t)
	if r.Err != "" {
		t.Fatalf("agent: %s", r.Text)
	}
	return r
}

// kill ends the agent in the middle of whatever it does.
func (a *remote) kill(t testing.TB) {
	t.Helper()
	noError(t, a.child.Process.Kill())
	_ = a.child.Wait()
}

// end lets the agent close its store and waits for it.
func (a *remote) end(t testing.TB) {
	t.Helper()
	noError(t, a.orders.Close())
	noError(t, a.child.Wait())
}
