package cli_test

import (
	"errors"
	"testing"

	"github.com/csdb/csdb/internal/cli"
)

// failing takes a number of writes.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left == 0 {
		return 0, errors.New("full")
	}
	f.left--
	return len(p), nil
}

func TestWriterRemembersTheFirstError(t *testing.T) {
	under := &failing{left: 1}
	w := cli.NewWriter(under)
	if n, err := w.Write([]byte("a")); n != 1 || err != nil || w.Err() != nil {
		t.Errorf("the first write: %d, %v, %v", n, err, w.Err())
	}
	_, first := w.Write([]byte("b"))
	under.left = 1
	n, err := w.Write([]byte("c"))
	if n != 0 || first == nil || !errors.Is(err, first) || !errors.Is(w.Err(), first) || under.left != 1 {
		t.Errorf("after the error %v: %d, %v, %v; %d writes left", first, n, err, w.Err(), under.left)
	}
}
