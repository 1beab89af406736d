package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// ViewAll is View for several databases: fn sees one consistent state of all of
// them, in the order in which they are given. What an UpdateAll changes it sees in
// all of them or in none, unless one is opened read-only that was interrupted in
// the middle of it, see UpdateAll.
//
// The same database must not be given twice; the error matches model.ErrInvalid.
// fn must not begin another transaction on any store, which might wait for somebody
// who waits for this one; on one of these it fails with model.ErrNested.
func ViewAll(ctx context.Context, dbs []*DB, fn func([]*ReadTx) error) error {
	if len(dbs) == 1 {
		return dbs[0].View(ctx, func(tx *ReadTx) error { return fn([]*ReadTx{tx}) })
	}
	return several(ctx, nil, dbs, func(_ []*Tx, read []*ReadTx) error { return fn(read) })
}

// UpdateAll is Update for several databases, and View for others: what fn changes
// takes effect in all of them or in none. That holds for a process that is killed
// at any instant, and for a power cut if the databases are synced. fn gets the
// transactions in the order of the databases; see ViewAll for what it must not do.
//
// If more than one has changed, one of them coordinates: the first that has, and is
// synced unless none is. The others commit their changes as a note first (Prepared).
// Then the coordinator commits its own changes and with them the decision
// (Decided), which is what gives effect to all of them; then the others make the
// changes, and drop the note. Whoever begins a transaction on a database with such a
// note asks the coordinator what has become of it, and makes the changes or drops
// them. That the changes are late in a database is no error of UpdateAll: it is
// logged.
//
// As long as the coordinator cannot be asked, since its root is not there or has
// another store in it, who reads the database sees the state before, and so does who
// has opened it read-only, since he cannot make the changes; who wants to write gets
// an *UndecidedError. Forsake is the way out if the coordinator is lost.
//
// An error for which IsUnknown is true means that nobody knows, yet, whether the
// transaction took effect: in all databases or in none, as the coordinator tells
// when it can be read again. After any other error nothing has changed.
func UpdateAll(ctx context.Context, write, read []*DB, fn func(write []*Tx, read []*ReadTx) error) error {
	if len(write) == 1 && len(read) == 0 {
		return write[0].Update(ctx, func(tx *Tx) error { return fn([]*Tx{tx}, nil) })
	}
	return several(ctx, write, read, fn)
}

// several runs fn in a transaction over several databases, after those before it
// have been settled.
func several(ctx context.Context, write, read []*DB, fn func([]*Tx, []*ReadTx) error) error {
	blind := make(map[*DB]bool)
	for _, db := range read {
		blind[db] = !db.canSettle()
	}
	for {
		g, err := newGroup(write, read)
		if err != nil {
			return err
		}
		g.blind = blind
		err = g.run(ctx, fn)
		if g.pending == nil {
			g.shrink(ctx)
			return err
		}
		in := g.pendingIn
		err = in.db.settle(ctx, g.pending, slices.Concat(write, read))
		switch {
		case err == nil:
		case ctx.Err() != nil || in.mode == flock.Exclusive:
			return err
		default:
			in.db.warn(g.pending, err)
			blind[in.db] = true
		}
	}
}

// identity tells the root of a store from all others, by whatever path it is found.
type identity struct{ device, inode uint64 }

func identityOf(root string) (identity, error) {
	var stat unix.Stat_t
	if err := unix.Stat(root, &stat); err != nil {
		return identity{}, fmt.Errorf("root %s: %w", root, err)
	}
	return identity{device: stat.Dev, inode: stat.Ino}, nil
}

// group is a transaction over several databases.
type group struct {
	write, read []*member
	// inOrder are all of them in the order of their locks.
	inOrder []*member
	// blind are those in which the transaction does not look for others that have
	// to be settled first; pending is such a one, and pendingIn where it was found.
	blind     map[*DB]bool
	pending   *Prepared
	pendingIn *member
}

// member is a database in a group.
type member struct {
	db     *DB
	mode   flock.Mode
	h      *handle
	waited time.Duration // for the lock
	// boltTx is the transaction, and tx or readTx what fn is given.
	boltTx *bolt.Tx
	tx     *Tx
	readTx *ReadTx
	steps  []Step
	ran    time.Duration
	done   *committed // the last commit
}

// order is the order in which everybody takes the locks of several databases, so
// that two who want the same ones never wait for each other. Copies of a store have
// the same UUID.
func (m *member) order(other *member) int {
	a, b := m.db, other.db
	return cmp.Or(
		strings.Compare(a.uuid, b.uuid), cmp.Compare(a.identity.device, b.identity.device), cmp.Compare(a.identity.inode, b.identity.inode))
}

// newGroup prepares a transaction over several databases.
func newGroup(write, read []*DB) (*group, error) {
	g := &group{}
	for _, db := range write {
		if db.options.ReadOnly || db.file.lock == nil {
			return nil, db.refuse()
		}
		g.write = append(g.write, &member{db: db, mode: flock.Exclusive})
	}
	for _, db := range read {
		g.read = append(g.read, &member{db: db, mode: flock.Shared})
	}
	g.inOrder = slices.Concat(g.write, g.read)
	slices.SortFunc(g.inOrder, (*member).order)
	for i, m := range g.inOrder[min(1, len(g.inOrder)):] {
		if m.order(g.inOrder[i]) == 0 {
			return nil, fmt.Errorf("%w: the database %s is given twice", model.ErrInvalid, m.db.file.path)
		}
	}
	return g, nil
}

// lock takes the locks of all databases and runs fn.
func (g *group) lock(ctx context.Context, fn func() error) error {
	return lockInOrder(ctx, g.inOrder, fn)
}

func lockInOrder(ctx context.Context, members []*member, fn func() error) error {
	if len(members) == 0 {
		return fn()
	}
	m, begin := members[0], time.Now()
	return m.db.file.transact(ctx, m.mode, func(h *handle) error {
		m.h, m.waited = h, time.Since(begin)
		return lockInOrder(ctx, members[1:], fn)
	})
}

// run runs fn in transactions on all databases, and lets what it has changed take
// effect.
func (g *group) run(ctx context.Context, fn func([]*Tx, []*ReadTx) error) error {
	return g.lock(ctx, func() error {
		// Whoever commits a transaction over several of these is waited for.
		for _, m := range g.inOrder {
			m.db.file.gate.RLock()
		}
		open := sync.OnceFunc(func() {
			for _, m := range g.inOrder {
				m.db.file.gate.RUnlock()
			}
		})
		defer open()
		return g.begin(g.inOrder, func() (err error) {
			open()
			defer g.catch(&err)
			return g.inside(fn)
		})
	})
}

// begin begins the transactions and runs fn in them.
func (g *group) begin(members []*member, fn func() error) error {
	if len(members) == 0 {
		return fn()
	}
	m := members[0]
	return m.h.within(
		func() (*bolt.Tx, error) { return m.h.begin(m.mode == flock.Exclusive) },
		func(boltTx *bolt.Tx) error {
			m.boltTx = boltTx
			return g.begin(members[1:], fn)
		})
}

// catch is handle.catch for a panic that one of the databases has caused, of which
// it is not known which one.
func (g *group) catch(err *error) {
	value := recover()
	if value == nil {
		return
	}
	if !causedByFile(value) {
		panic(value)
	}
	var paths []string
	for _, m := range g.inOrder {
		m.h.broken.Store(true)
		paths = append(paths, m.db.file.path)
	}
	*err = &DamageError{Path: strings.Join(paths, " or "), Err: fmt.Errorf("%w: %v", errFault, value)}
}

// inside runs fn when all transactions have begun.
func (g *group) inside(fn func([]*Tx, []*ReadTx) error) error {
	begin := time.Now()
	defer g.end()
	var write []*Tx
	var read []*ReadTx
	for _, m := range g.write {
		if err := m.beginWriting(len(g.write) > 1); err != nil {
			return err
		}
		write = append(write, m.tx)
	}
	for _, m := range g.read {
		if err := m.beginReading(); err != nil {
			return err
		}
		read = append(read, m.readTx)
	}
	for _, m := range slices.Concat(g.write, g.read) {
		pending, err := m.readTx.pending()
		if err != nil {
			return err
		}
		if pending != nil && !g.blind[m.db] {
			g.pending, g.pendingIn = pending, m
			return errPending
		}
	}
	if err := fn(write, read); err != nil {
		return err
	}
	for _, m := range g.write {
		m.ran = time.Since(begin)
	}
	return g.commit()
}

// beginWriting prepares a transaction that may write. One that is to be prepared
// for another database notes its steps.
func (m *member) beginWriting(noting bool) error {
	space, err := m.h.reserve(m.boltTx)
	if err != nil {
		return err
	}
	m.tx = m.db.newTx(space)
	m.readTx = &m.tx.ReadTx
	if noting {
		m.tx.steps = &m.steps
	}
	if err := m.tx.beginStore(m.h, m.boltTx); err != nil {
		return err
	}
	if err := m.tx.upgrade(); err != nil {
		return err
	}
	return m.tx.loadUsage()
}

// beginReading prepares a transaction that only reads.
func (m *member) beginReading() error {
	m.readTx = &ReadTx{}
	if err := m.readTx.beginStore(m.h, m.boltTx); err != nil {
		return err
	}
	return m.readTx.checkSchema()
}

// end makes the transactions unusable.
func (g *group) end() {
	for _, m := range g.inOrder {
		if m.readTx != nil {
			m.readTx.end()
		}
	}
}

// shrink compacts databases of which most is free, see DB.shrink.
func (g *group) shrink(ctx context.Context) {
	for _, m := range g.write {
		if m.done != nil {
			m.db.shrink(ctx, m.done)
		}
	}
}

// errPending is the error of a transaction that has not begun because another one
// has to be settled first.
var errPending = errors.New("another transaction has to be settled first")
