package db

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/internal/crashpoint"
)

// commit lets what has been changed take effect.
func (g *group) commit() error {
	var changed []*member
	for _, m := range g.write {
		if len(m.tx.changes) > 0 || m.tx.silent {
			changed = append(changed, m)
		}
	}
	switch len(changed) {
	case 0:
		return nil
	case 1:
		return changed[0].commit()
	}
	return newAgreement(changed).conclude()
}

// commit commits the transaction of one database.
func (m *member) commit() error {
	if _, err := m.tx.finish(); err != nil {
		return err
	}
	if err := m.tx.space.extend(m.boltTx); err != nil {
		return err
	}
	return m.commitFinished()
}

// commitFinished commits a transaction to which nothing is added any more.
func (m *member) commitFinished() error {
	done, err := m.h.commit(m.boltTx)
	if err != nil {
		return err
	}
	done.ran = m.ran
	m.note(done, m.tx.changes)
	return nil
}

// note notes a commit for those who ask how long it took.
func (m *member) note(done *committed, changes []Change) {
	done.waited = m.waited
	m.done = done
	m.db.record(done, changes)
}

// agreement is how a transaction takes effect in several databases at once, see
// UpdateAll.
type agreement struct {
	coordinator *member
	others      []*member
	prepared    []*Prepared // one for each of the others
	room        []int64     // that making the changes of each takes, in bytes
}

// newAgreement chooses who coordinates. One that is not synced may be lost, with
// what it knows about the others.
func newAgreement(changed []*member) *agreement {
	a := &agreement{coordinator: changed[0]}
	for _, m := range changed {
		if !m.db.options.NoSync {
			a.coordinator = m
			break
		}
	}
	for _, m := range changed {
		if m != a.coordinator {
			a.others = append(a.others, m)
		}
	}
	return a
}

// conclude lets the transaction take effect.
func (a *agreement) conclude() error {
	if err := a.decide(); err != nil {
		return err
	}
	unlock := a.lockGates()
	defer unlock()
	crashpoint.Hit(crashpoint.SeveralDecided)
	for i, m := range a.others {
		if err := m.prepare(a.prepared[i], a.room[i]); err != nil {
			a.withdraw(i)
			return fmt.Errorf("database %s: %w", m.db.file.path, known(err))
		}
		crashpoint.Hit(crashpoint.SeveralPrepared)
	}
	if err := a.coordinator.commitFinished(); err != nil {
		if !IsUnknown(err) {
			a.withdraw(len(a.others))
		}
		return err
	}
	crashpoint.Hit(crashpoint.SeveralCommitted)
	for i, m := range a.others {
		if err := m.fulfill(a.prepared[i], true, m.tx.changes); err != nil {
			m.db.options.Log.WithError(err).Warnf("%s: the changes of a transaction over several databases that has taken effect are made later", m.db.file.path)
		}
		crashpoint.Hit(crashpoint.SeveralFulfilled)
	}
	return nil
}

// known returns the reason of an error whose outcome does not matter: what has been
// prepared and not decided has no effect.
func known(err error) error {
	if unknown, ok := errors.AsType[*CommitError](err); ok {
		return unknown.Err
	}
	return err
}

// decide ends the transactions of the others, whose changes it takes down, and
// writes the decision into that of the coordinator, which is not committed yet.
func (a *agreement) decide() error {
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("UUID: %w", err)
	}
	c := a.coordinator
	if err := c.tx.forgetDecisions(); err != nil {
		return err
	}
	info, err := c.tx.Info()
	if err != nil {
		return err
	}
	root, err := filepath.Abs(filepath.Dir(c.db.file.path))
	if err != nil {
		return err
	}
	for _, m := range a.others {
		p := &Prepared{
			Tx: id.String(), Coordinator: info.UUID, Root: root, PID: os.Getpid(), Command: command(), Since: m.tx.now,
		}
		if err := m.takeDown(p, c.tx); err != nil {
			return err
		}
		a.prepared, a.room = append(a.prepared, p), append(a.room, m.tx.space.needed(m.boltTx))
		m.tx.end()
		m.h.rollback(m.boltTx)
	}
	if _, err := c.tx.finish(); err != nil {
		return err
	}
	return c.tx.space.extend(c.boltTx)
}

// takeDown finishes the transaction and notes its steps. The decision is about
// the store that the database has in it.
func (m *member) takeDown(p *Prepared, coordinator *Tx) error {
	info, err := m.tx.Info()
	if err != nil {
		return err
	}
	m.tx.late = true
	if _, err := m.tx.finish(); err != nil {
		return err
	}
	p.Steps = m.steps
	return decided.put(coordinator, info.UUID, &Decided{Store: info.UUID, Tx: p.Tx, Since: coordinator.now, Boot: m.db.boot})
}

// forgetDecisions drops decisions about volatile databases that have vanished.
func (tx *Tx) forgetDecisions() error {
	all, err := tx.AllDecided()
	if err := ignoreDamage(err); err != nil {
		return err
	}
	for _, d := range all {
		if d.Boot == "" {
			continue
		}
		boot, err := BootID()
		if err != nil {
			return err
		}
		if d.Boot == boot {
			continue
		}
		if err := decided.remove(tx, d.Store); err != nil {
			return err
		}
	}
	return nil
}

// lockGates waits until nobody begins a transaction that reads one of the
// databases, and keeps everybody from that.
func (a *agreement) lockGates() (unlock func()) {
	members := append(slices.Clone(a.others), a.coordinator)
	slices.SortFunc(members, (*member).order)
	for _, m := range members {
		m.db.file.gate.Lock()
	}
	return func() {
		for _, m := range members {
			m.db.file.gate.Unlock()
		}
	}
}

// withdraw drops what the first databases have prepared. If that fails it has no
// effect all the same.
func (a *agreement) withdraw(n int) {
	for i, m := range a.others[:n] {
		_ = m.fulfill(a.prepared[i], false, nil)
	}
}

// prepare notes durably what is to be changed. There is room left to change it, of
// so many bytes.
func (m *member) prepare(p *Prepared, room int64) error {
	return m.change([]Change{{Op: OpPrepare}}, func(tx *Tx) error {
		tx.space.grows, tx.space.later = m.tx.space.grows, room
		return prepared.put(tx, p.Tx, p)
	})
}

// fulfill makes the changes that have been prepared, if that was decided, and drops
// the note.
func (m *member) fulfill(p *Prepared, decided bool, changes []Change) error {
	if len(changes) == 0 {
		changes = []Change{{Op: OpSettle}}
	}
	return m.change(changes, func(tx *Tx) error {
		if decided {
			if err := tx.perform(p.Steps); err != nil {
				return fmt.Errorf("transaction %s: %w", p.Tx, err)
			}
		}
		return prepared.remove(tx, p.Tx)
	})
}

// change runs fn in a transaction of its own, while the lock is held. The journal
// says nothing of it; those who ask how long commits took are told the changes.
func (m *member) change(changes []Change, fn func(*Tx) error) error {
	if m.h.broken.Load() {
		return &DamageError{Path: m.h.path, Err: errFault}
	}
	done, err := m.h.update(func(boltTx *bolt.Tx, space *space) (bool, error) {
		tx := m.db.newTx(space)
		defer tx.end()
		if err := tx.beginStore(m.h, boltTx); err != nil {
			return false, err
		}
		if err := tx.upgrade(); err != nil {
			return false, err
		}
		return true, fn(tx)
	})
	if done != nil {
		m.note(done, changes)
	}
	return err
}
