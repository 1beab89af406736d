package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// snapshot is what top shows at one time. Durations are in microseconds.
type snapshot struct {
	Time time.Time `json:"time"`
	Root string    `json:"root"`
	UUID string    `json:"uuid,omitempty"` // if the marker tells
	// Recorded tells whether anything is known about transactions.
	Recorded  bool      `json:"recorded"`
	Commits   rates     `json:"commits"`
	Processes []process `json:"processes"`
	Work      []work    `json:"work"`
	// WorkUnknown is why Work is not known, "" if it is.
	WorkUnknown string   `json:"work-unknown,omitempty"`
	Last        []commit `json:"last"` // the newest first
}

// rates sum up the transactions of the last minute.
type rates struct {
	Count     int     `json:"count"`
	PerSecond float64 `json:"per-second"`
	Commit    spread  `json:"commit"`
	Wait      spread  `json:"wait"`
	Function  spread  `json:"function"`
}

// spread tells how long something took.
type spread struct {
	Median int64 `json:"median"`
	P95    int64 `json:"p95"` // 95 of 100 took no longer
	Max    int64 `json:"max"`
}

// process is one that uses the database or waits for it.
type process struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
	State   string `json:"state"` // holds, waits
	Mode    string `json:"mode"`  // shared, exclusive, or "" for one that waits at the back
	Foreign bool   `json:"foreign,omitempty"`
	// Seen is for how long it has been seen like this, by one run of top.
	Seen int64 `json:"seen"`
}

// work is content that a living program is making or removing.
type work struct {
	Path    string    `json:"path"`
	Kind    string    `json:"kind"`
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// commit is a transaction that was committed.
type commit struct {
	Time     time.Time  `json:"time"`
	TxID     uint64     `json:"tx"`
	PID      int        `json:"pid"`
	Command  string     `json:"command"`
	Op       db.Op      `json:"op,omitempty"`
	Kind     model.Kind `json:"kind,omitempty"`
	ID       string     `json:"id,omitempty"`
	Changes  int        `json:"changes"`
	Commit   int64      `json:"commit"`
	Wait     int64      `json:"wait"`
	Function int64      `json:"function"`
	Written  int64      `json:"written"` // bytes
}

const (
	// window is how long ago transactions count.
	window = time.Minute
	// lastShown is how many transactions are shown one by one.
	lastShown = 20
	// patience is how long the run database is waited for.
	patience = 50 * time.Millisecond
)

// watch looks at a store over and over.
type watch struct {
	s *session
	// commits are those of the window, and more, the oldest first.
	commits []db.Commit
	// first is since when processes are seen.
	first map[db.User]time.Time
}

func newWatch(s *session) *watch { return &watch{s: s} }

// look returns what can be seen now.
func (w *watch) look(ctx context.Context) (*snapshot, error) {
	root := w.s.settings.root
	if err := w.s.storeThere(); err != nil {
		return nil, err
	}
	now := &snapshot{Time: w.s.Now(), Root: root, Processes: []process{}, Work: []work{}, Last: []commit{}}
	now.UUID, _ = db.ReadMarker(root)
	commits, err := db.Commits(root)
	if err != nil {
		return nil, err
	}
	w.remember(commits, now.Time)
	now.Recorded = len(w.commits) > 0
	now.Commits = ratesOf(w.commits, now.Time)
	for _, c := range slices.Backward(w.commits[max(0, len(w.commits)-lastShown):]) {
		now.Last = append(now.Last, commitOf(&c))
	}
	users, err := db.Users(root)
	if err != nil {
		return nil, err
	}
	w.see(now, users)
	if err := w.atWork(ctx, now); err != nil {
		now.WorkUnknown = oneLine(err)
	}
	return now, nil
}

// remember adds transactions to those that are known, and forgets what was long
// ago and is not recorded any more.
func (w *watch) remember(recorded []db.Commit, now time.Time) {
	known := slices.DeleteFunc(w.commits, func(c db.Commit) bool { return now.Sub(c.Time) > window })
	known = append(known, recorded...)
	slices.SortStableFunc(known, func(a, b db.Commit) int { return cmp.Compare(a.TxID, b.TxID) })
	w.commits = slices.CompactFunc(known, func(a, b db.Commit) bool { return a.TxID == b.TxID })
}

// see notes who uses the database, and since when.
func (w *watch) see(now *snapshot, users []db.User) {
	first := make(map[db.User]time.Time, len(users))
	for _, u := range users {
		since, known := w.first[u]
		if !known {
			since = now.Time
		}
		first[u] = since
		state := "holds"
		if u.Waiting {
			state = "waits"
		}
		now.Processes = append(now.Processes, process{
			PID: u.PID, Command: u.Command, State: state, Mode: u.Mode, Foreign: u.Foreign, Seen: now.Time.Sub(since).Microseconds(),
		})
	}
	w.first = first
}

// atWork finds what living programs are making or removing.
func (w *watch) atWork(ctx context.Context, now *snapshot) error {
	if now.UUID == "" {
		return nil
	}
	busy := fmt.Errorf("%w: others use the run database", model.ErrBusy)
	wait, cancel := context.WithTimeoutCause(ctx, patience, busy)
	defer cancel()
	var staged []db.Staged
	err := db.ExamineRun(wait, w.s.settings.runRoot, now.UUID, func(tx *db.RunTx) (err error) {
		staged, err = tx.Staged()
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, busy) {
		return busy
	}
	locks := graph.AtWorkIn(now.Root)
	for _, e := range staged {
		alive, errLock := locks.OnPath(e.Path)
		if err = errors.Join(err, errLock); alive {
			now.Work = append(now.Work, work{Path: e.Path, Kind: string(e.Kind), PID: e.PID, Command: e.Command, Since: e.Since})
		}
	}
	return err
}

// ratesOf sums up the transactions of the window. Some may have been missed: the
// numbers of those before and after them tell.
func ratesOf(commits []db.Commit, now time.Time) rates {
	recent := slices.DeleteFunc(slices.Clone(commits), func(c db.Commit) bool { return now.Sub(c.Time) > window || c.Time.After(now) })
	if len(recent) == 0 {
		return rates{}
	}
	of := func(what func(*db.Commit) time.Duration) spread {
		all := make([]int64, 0, len(recent))
		for i := range recent {
			all = append(all, what(&recent[i]).Microseconds())
		}
		return spreadOf(all)
	}
	r := rates{
		Count:    int(recent[len(recent)-1].TxID-recent[0].TxID) + 1,
		Commit:   of(func(c *db.Commit) time.Duration { return c.Took }),
		Wait:     of(func(c *db.Commit) time.Duration { return c.Waited }),
		Function: of(func(c *db.Commit) time.Duration { return c.Ran }),
	}
	span := window
	if len(recent) == len(commits) && len(commits) >= db.RecordedCommits {
		// Those before are not recorded any more.
		span = max(now.Sub(recent[0].Time), time.Second)
	}
	r.PerSecond = float64(r.Count) / span.Seconds()
	return r
}

// spreadOf returns the median, the 95th percentile and the greatest of at least
// one number.
func spreadOf(all []int64) spread {
	slices.Sort(all)
	at := func(percent int) int64 { return all[(len(all)*percent+99)/100-1] }
	return spread{Median: at(50), P95: at(95), Max: at(100)}
}

func commitOf(c *db.Commit) commit {
	return commit{
		Time: c.Time, TxID: c.TxID, PID: c.PID, Command: c.Command, Op: c.Op, Kind: c.Kind, ID: c.ID, Changes: c.Changes,
		Commit: c.Took.Microseconds(), Wait: c.Waited.Microseconds(), Function: c.Ran.Microseconds(), Written: c.Written,
	}
}
