package db_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func commitsIn(t testing.TB, root string) []db.Commit {
	t.Helper()
	commits, err := db.Commits(root)
	if err != nil {
		t.Fatal(err)
	}
	return commits
}

func lockPath(database *db.DB) string { return filepath.Join(rootOf(database), db.LockName) }

func TestCommitsAreRecorded(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	database := dbtest.New(t, db.Options{Now: func() time.Time { return now }})
	if all := commitsIn(t, rootOf(database)); len(all) > 0 {
		t.Errorf("nothing was committed, but %+v", all)
	}
	update(t, database, createLayer("first"), createLayer("second"))
	now = now.Add(time.Minute)
	update(t, database, func(tx *db.Tx) error {
		time.Sleep(5 * time.Millisecond)
		return addOne(tx)
	})
	update(t, database) // changes nothing
	got := commitsIn(t, rootOf(database))
	self := db.Commit{PID: os.Getpid(), Command: filepath.Base(os.Args[0])}
	want := []db.Commit{self, self}
	want[0].TxID, want[0].Time = uint64(txID(t, database)-1), now.Add(-time.Minute)
	want[0].Op, want[0].Kind, want[0].ID, want[0].Changes = db.OpCreate, model.KindLayer, "first", 2
	want[1].TxID, want[1].Time = uint64(txID(t, database)), now
	want[1].Op, want[1].ID, want[1].Changes = db.OpApp, "apps/com.example.counter", 1
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(db.Commit{}, "Waited", "Ran", "Took", "Written")); diff != "" {
		t.Error(diff)
	}
	for _, c := range got {
		// Two pages at least, and the times are not those of something else.
		if c.Waited <= 0 || c.Ran <= 0 || c.Took <= 0 || c.Written < 8192 || c.Written%4096 != 0 {
			t.Errorf("got %+v", c)
		}
	}
	if got[1].Ran < 5*time.Millisecond || got[0].Ran >= got[1].Ran {
		t.Errorf("the functions took %v and %v", got[0].Ran, got[1].Ran)
	}
}

func TestCommitsOfLongNamesAreRecordedInPart(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	name := strings.Repeat("x", 150)
	update(t, database, func(tx *db.Tx) error { return tx.App(name).Put([]byte("k"), []byte("v")) })
	if all := commitsIn(t, rootOf(database)); len(all) != 1 || all[0].ID != "apps/"+name[:91] {
		t.Errorf("got %+v", all)
	}
}

func TestOnlyTheLastCommitsAreKept(t *testing.T) {
	const kept, more = db.RecordedCommits, 20
	database := dbtest.New(t, db.Options{NoSync: true})
	for range kept + more {
		update(t, database, addOne)
	}
	all := commitsIn(t, rootOf(database))
	if len(all) != kept {
		t.Fatalf("there are %d", len(all))
	}
	last := txID(t, database)
	for i, c := range all {
		if c.TxID != uint64(last-kept+1+i) {
			t.Errorf("commit %d is of transaction %d, and the last one was %d", i, c.TxID, last)
		}
	}
	if info, err := os.Stat(lockPath(database)); err != nil || info.Size() > 64<<10 {
		t.Errorf("%v %v", info.Size(), err)
	}
}

// What others have left in the file, or half of a slot, is no commit.
func TestGarbageInTheLockFileIsNoCommit(t *testing.T) {
	const slot = 256
	database := dbtest.New(t, db.Options{NoSync: true})
	for range 5 {
		update(t, database, addOne)
	}
	path := lockPath(database)
	intact := readFile(t, path)
	all := commitsIn(t, rootOf(database))
	third := int(all[2].TxID) * slot
	for name, test := range map[string]struct {
		damage func(ring []byte) []byte
		want   []db.Commit
	}{
		"nothing":          {func(ring []byte) []byte { return ring }, all},
		"empty":            {func([]byte) []byte { return nil }, nil},
		"noise":            {func([]byte) []byte { return []byte(strings.Repeat("noise", 20_000)) }, nil},
		"zeros":            {func([]byte) []byte { return make([]byte, 1<<20) }, nil},
		"a flipped bit":    {func(ring []byte) []byte { ring[third+70] ^= 1; return ring }, slices.Delete(slices.Clone(all), 2, 3)},
		"a torn slot":      {func(ring []byte) []byte { clear(ring[third+slot/4 : third+slot]); return ring }, slices.Delete(slices.Clone(all), 2, 3)},
		"a slot elsewhere": {func(ring []byte) []byte { copy(ring[:slot], ring[third:third+slot]); return ring }, all},
		"a short file":     {func(ring []byte) []byte { return ring[:len(ring)-1] }, all[:4]},
	} {
		t.Run(name, func(t *testing.T) {
			writeFile(t, path, test.damage(slices.Clone(intact)))
			if diff := cmp.Diff(test.want, commitsIn(t, rootOf(database))); diff != "" {
				t.Error(diff)
			}
		})
	}
	// And it keeps nobody from working.
	writeFile(t, path, []byte("noise"))
	update(t, database, addOne)
	if all := commitsIn(t, rootOf(database)); len(all) != 1 {
		t.Errorf("got %+v", all)
	}
}

func TestCommitsAreRecordedInALockFileThatIsReplaced(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, addOne)
	if err := os.Remove(lockPath(database)); err != nil {
		t.Fatal(err)
	}
	if all := commitsIn(t, rootOf(database)); len(all) > 0 {
		t.Errorf("got %+v", all)
	}
	update(t, database, addOne)
	if all := commitsIn(t, rootOf(database)); len(all) != 1 || all[0].TxID != uint64(txID(t, database)) {
		t.Errorf("got %+v", all)
	}
}

func TestCommitsAreRefusedIfTheLockFileIsNone(t *testing.T) {
	root := t.TempDir()
	if all, err := db.Commits(root); err != nil || len(all) > 0 {
		t.Errorf("got %+v, %v", all, err)
	}
	if err := unix.Mkfifo(filepath.Join(root, db.LockName), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := db.Commits(root)
	wantClass(t, err, model.ErrInvalid)
	_, err = db.Users(root)
	wantClass(t, err, model.ErrInvalid)
}

// While processes commit, whoever reads sees commits that have been, and each of
// those at the end.
func TestCommitsOfManyProcessesAreRecorded(t *testing.T) {
	const processes, times = 3, 12
	database := dbtest.New(t, db.Options{})
	var running sync.WaitGroup
	pids := make(map[int]int)
	for range processes {
		child := testutil.Child(t, "count", rootOf(database), strconv.Itoa(times))
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		pids[child.Process.Pid] = 0
		running.Go(func() {
			if err := child.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	ended := make(chan struct{})
	go func() { defer close(ended); running.Wait() }()
	for last, going := 0, true; going; {
		select {
		case <-ended:
			going = false
		default:
		}
		all := commitsIn(t, rootOf(database))
		if len(all) < last {
			t.Fatalf("%d commits, and before %d", len(all), last)
		}
		last = len(all)
		for _, c := range all {
			if _, known := pids[c.PID]; !known || c.Op != db.OpApp {
				t.Fatalf("got %+v", c)
			}
		}
	}
	for _, c := range commitsIn(t, rootOf(database)) {
		pids[c.PID]++
	}
	for pid, n := range pids {
		if n != countingGoroutines*times {
			t.Errorf("process %d has %d commits", pid, n)
		}
	}
}

func usersOf(t testing.TB, root string) []db.User {
	t.Helper()
	all, err := db.Users(root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].Command == "" {
			t.Errorf("process %d has no command", all[i].PID)
		}
		all[i].Command = ""
	}
	return all
}

// wantUsers waits until the kernel shows certain processes.
func wantUsers(t testing.TB, root string, want ...db.User) {
	t.Helper()
	var diff string
	for range 500 {
		if diff = cmp.Diff(want, usersOf(t, root), cmpopts.EquateEmpty()); diff == "" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(diff)
}

// Whoever looks who is in the way must not be kept waiting himself.
func TestUsersAreSeenWithoutWaitingForThem(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	root := rootOf(database)
	update(t, database, addOne)
	wantUsers(t, root)
	reader := startHolder(t, "reader", root)
	second := startHolder(t, "reader", root)
	readers := []int{reader.Process.Pid, second.Process.Pid}
	slices.Sort(readers)
	wantUsers(t, root, db.User{PID: readers[0], Mode: "shared"}, db.User{PID: readers[1], Mode: "shared"})
	second.letGo(t)
	reader.letGo(t)
	writer := startHolder(t, "writer", root)
	if err := writer.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	holds := db.User{PID: writer.Process.Pid, Mode: "exclusive"}
	wantUsers(t, root, holds)
	front := testutil.Child(t, "compact", root)
	if err := front.Start(); err != nil {
		t.Fatal(err)
	}
	first := db.User{PID: front.Process.Pid, Waiting: true, Mode: "shared"} // it looks at the file before
	wantUsers(t, root, holds, first)
	behind := testutil.Child(t, "compact", root)
	if err := behind.Start(); err != nil {
		t.Fatal(err)
	}
	wantUsers(t, root, holds, first, db.User{PID: behind.Process.Pid, Waiting: true})
	if all := commitsIn(t, root); len(all) != 1 {
		t.Errorf("got %+v", all)
	}
	for _, child := range []interface{ Kill() error }{behind.Process, front.Process, writer.Process} {
		if err := child.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	_, _, _ = behind.Wait(), front.Wait(), writer.Wait()
	wantUsers(t, root)
}

func TestProgramsThatDoNotKnowOurLockAreSeen(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	foreign := startHolder(t, "foreign", database.Path())
	wantUsers(t, rootOf(database), db.User{PID: foreign.Process.Pid, Mode: "exclusive", Foreign: true})
	foreign.letGo(t)
	for _, path := range []string{lockPath(database), flock.QueuePath(lockPath(database)), database.Path()} {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Rename(path+".away", path) })
	}
	wantUsers(t, rootOf(database))
}
