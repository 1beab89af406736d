package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestStatusTellsTheClassOfAnError(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{model.ErrCorrupt, exitDamaged},
		{model.ErrLayerContentIncorrect, exitDamaged},
		{model.ErrBusy, exitBusy},
		{errors.Join(model.ErrCorrupt, model.ErrBusy), exitBusy},
		{errNoStore, exitUnreadable},
		{fs.ErrPermission, exitUnreadable},
		{model.ErrUnsupported, exitUnreadable},
		{model.ErrImageUnknown, exitFailed},
		{model.ErrInvalid, exitFailed},
		{model.ErrExists, exitFailed},
		{errors.New("any other"), exitFailed},
		{&usageError{err: model.ErrUnsupported}, exitFailed},
	} {
		if got := status(fmt.Errorf("operation: %w", test.err)); got != test.want {
			t.Errorf("%v: got %d, want %d", test.err, got, test.want)
		}
	}
}

func TestStatusTellsTheVerdict(t *testing.T) {
	for verdict, want := range map[fsck.Verdict]int{
		fsck.Clean: 0, fsck.Damaged: 2, fsck.NeedsRepair: 3, fsck.Unchecked: 4,
	} {
		if got := statusOf(verdict); got != want {
			t.Errorf("%s: got %d, want %d", verdict, got, want)
		}
	}
}

// reading are commands that read the store.
func reading(t testing.TB) [][]string {
	t.Helper()
	return [][]string{
		{"info"},
		{"ls"},
		{"inspect", "web"},
		{"refs", "web"},
		{"tree"},
		{"du"},
		{"du", "--verify"},
		{"log"},
		{"fsck"},
		{"fsck", "--depth", "structure"},
		{"report", "--html", filepath.Join(t.TempDir(), "page.html")},
		{"backup", filepath.Join(t.TempDir(), "backup")},
	}
}

func TestStoreThatIsLockedIsBusy(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	defer store.Close()
	writing, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- store.Update(t.Context(), func(*graph.Tx) error {
			close(writing)
			<-end
			return nil
		})
	}()
	<-writing
	for _, args := range reading(t) {
		timeout := 10 * time.Millisecond
		// The time may be over before it has begun to wait, and then it does
		// not know for whom.
		testutil.Eventually(t, fmt.Sprintf("%q names the process", args), func() bool {
			r := s.csdb(t, append([]string{"--timeout", timeout.String()}, args...)...)
			timeout *= 2
			if r.status != exitBusy || r.stdout != "" {
				t.Fatalf("%q: status %d, output %q, error %q", args, r.status, r.stdout, r.stderr)
			}
			return strings.Contains(r.stderr, fmt.Sprintf("process %d", os.Getpid()))
		})
	}
	close(end)
	must(t, <-done)
	if r := s.csdb(t, "--timeout", "0", "ls"); r.status != 0 {
		t.Errorf("afterwards: %+v", r)
	}
}

func TestNewerSchemaCannotBeRead(t *testing.T) {
	s := newSample(t)
	dbtest.Rewrite(t, s.path(db.FileName), "store", "schema", func([]byte) []byte { return []byte{db.SchemaVersion + 1} }) // a number in CBOR
	for _, args := range reading(t) {
		if r := s.csdb(t, args...); r.status != exitUnreadable || !strings.Contains(r.stderr, "use a newer csdb") || r.stdout != "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestErrorsTakeOneLine(t *testing.T) {
	s := newSample(t)
	for _, layer := range midLayers() {
		dbtest.FlipBit(t, s.path(db.FileName), "layers", string(layer))
	}
	r := s.csdb(t, "ls", "layers")
	if strings.Count(r.stderr, "\n") != 1 || strings.Count(r.stderr, "checksum does not match") != 3 {
		t.Errorf("got %q", r.stderr)
	}
	if r.status != exitDamaged || !strings.Contains(r.stdout, "base-layer") || !strings.Contains(r.stdout, shortID(string(sideLayer))) {
		t.Errorf("what is intact is not shown: %+v", r)
	}
}

func TestRootsCanComeFromTheEnvironment(t *testing.T) {
	s := newSample(t)
	r := withEnvironment(t, map[string]string{"CSDB_ROOT": s.root, "CSDB_RUNROOT": s.runRoot}, "info", "--json")
	if !strings.Contains(r.stdout, s.root) || !strings.Contains(r.stdout, s.runRoot) {
		t.Errorf("got %+v", r)
	}
}
