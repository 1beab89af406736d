package db

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"

	"github.com/csdb/csdb/model"
)

// nesting notices a transaction that is begun inside another one on the same
// file, which would wait for itself for ever. The transaction is a parameter
// of the function that runs in it, but nothing in Go stops that function from
// calling the store once more, so the goroutines that are inside are noted.
// What a transaction does in another goroutine cannot be seen; waiting for
// that one ends with its context.
type nesting struct {
	mu     sync.Mutex
	inside map[uint64]bool
}

// enter notes the calling goroutine, and returns its number for leave.
func (n *nesting) enter() (uint64, error) {
	id := goroutineID()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.inside[id] {
		return 0, model.ErrNested
	}
	if n.inside == nil {
		n.inside = make(map[uint64]bool)
	}
	n.inside[id] = true
	return id, nil
}

// leave forgets a goroutine.
func (n *nesting) leave(id uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.inside, id)
}

// goroutineID reads the number of the calling goroutine from the first line of
// its stack trace, "goroutine 123 [running]:". The runtime offers no other
// way; it costs about a microsecond.
func goroutineID() uint64 {
	var buf [32]byte
	text := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	number, _, _ := bytes.Cut(text, []byte(" "))
	id, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		panic("the runtime does not name goroutines by number any more")
	}
	return id
}
