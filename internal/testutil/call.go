package testutil

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"
)

// Call is a call that is under way in a goroutine of its own. Its result can be
// had once.
type Call struct {
	id   string // of the goroutine, as in "goroutine 7 ["
	done chan error
}

// Start calls fn in a goroutine of its own.
func Start(fn func() error) *Call {
	c := &Call{done: make(chan error, 1)}
	running := make(chan string)
	go func() {
		id, _, _ := bytes.Cut(stacks(false), []byte("["))
		running <- string(id) + "["
		c.done <- fn()
	}()
	c.id = <-running
	return c
}

// Result waits for the end of the call and returns its error.
func (c *Call) Result() error { return <-c.done }

// AwaitWait waits until the call waits for a channel or a sync.RWMutex in a function, which is given
// as in a stack trace, or as a part of that: "db.(*file).awaitWriter". It ends the
// test if the call returns instead.
func (c *Call) AwaitWait(t testing.TB, function string) {
	t.Helper()
	Eventually(t, "the call waits in "+function, func() bool {
		select {
		case err := <-c.done:
			t.Fatalf("the call does not wait in %s: it has returned, with error: %v", function, err)
		default:
		}
		return c.waitsIn(function)
	})
}

// waitsIn tells whether the goroutine of the call is blocked by a channel or a
// sync.RWMutex, below a function.
func (c *Call) waitsIn(function string) bool {
	for stack := range strings.SplitSeq(string(stacks(true)), "\n\n") {
		state, ok := strings.CutPrefix(stack, c.id)
		if ok {
			blocked := strings.HasPrefix(state, "select") || strings.HasPrefix(state, "chan ") || strings.HasPrefix(state, "sync.RWMutex.")
			return blocked && strings.Contains(stack, function)
		}
	}
	return false
}

// stacks returns the stack of this goroutine, or those of all.
func stacks(all bool) []byte {
	for size := 1 << 16; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, all); n < size {
			return buf[:n]
		}
	}
}

// GiveUp starts a call, ends its context when it waits in a function (see
// AwaitWait), and returns its error. The cause of that end is
// context.DeadlineExceeded: with a real deadline it might come before the call
// has begun to wait.
func GiveUp(t testing.TB, function string, call func(context.Context) error) error {
	t.Helper()
	ctx, end := context.WithCancelCause(t.Context())
	defer end(nil)
	c := Start(func() error { return call(ctx) })
	c.AwaitWait(t, function)
	end(context.DeadlineExceeded)
	return c.Result()
}
