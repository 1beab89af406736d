package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/cli"
)

// following is "csdb log --follow" under way.
type following struct {
	lines  *bufio.Reader
	stop   context.CancelFunc
	status chan int
}

func (s *sample) follow(t testing.TB) *following {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	out, in := io.Pipe()
	f := &following{lines: bufio.NewReader(out), stop: stop, status: make(chan int, 1)}
	env := cli.Env{Stdin: nil, Stdout: in, Stderr: io.Discard, Getenv: func(string) string { return "" }, Now: time.Now}
	go func() {
		f.status <- run(ctx, env, []string{"csdb", "--root", s.root, "--runroot", s.runRoot, "log", "--follow", "--json", "-n", "1"})
		_ = in.Close()
	}()
	t.Cleanup(stop)
	return f
}

// next returns the next entry.
func (f *following) next(t testing.TB) (e db.JournalEntry) {
	t.Helper()
	line, err := f.lines.ReadBytes('\n')
	must(t, err)
	must(t, json.Unmarshal(line, &e))
	return e
}

func TestLogFollowsWhatHappens(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	defer store.Close()
	backup := s.backup(t)
	f := s.follow(t)
	last := f.next(t)
	for range 2 {
		must(t, store.SetMetadata(t.Context(), toolImage, "changed"))
		must(t, store.SetMetadata(t.Context(), appImage, "changed"))
		for _, id := range []string{string(toolImage), string(appImage)} {
			e := f.next(t)
			if e.TxID <= last.TxID || e.Changes[0].ID != id {
				t.Errorf("after transaction %d: %+v", last.TxID, e)
			}
			last = e
		}
		// The numbers of entries go back, and the file is another one.
		s.restore(t, exitOK, backup)
		if e := f.next(t); e.Changes[0].Op != db.OpRestore || e.Seq >= last.Seq {
			t.Errorf("after entry %d: %+v", last.Seq, e)
		}
	}
	f.stop()
	go func() { _, _ = io.Copy(io.Discard, f.lines) }()
	if status := <-f.status; status != exitOK {
		t.Errorf("ended with status %d", status)
	}
}
