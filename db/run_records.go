package db

import (
	"time"

	"github.com/csdb/csdb/model"
)

// Mount says that a layer is mounted.
type Mount struct {
	Layer model.LayerID `cbor:"1,keyasint"`
	Path  string        `cbor:"2,keyasint"`
	// Count is the number of times it has been mounted and not unmounted.
	Count uint64    `cbor:"3,keyasint"`
	Since time.Time `cbor:"4,keyasint"`
	// Kernel tells that the kernel has the mount in its table, so that it is
	// gone when it is not there. Some drivers need no mount.
	Kernel bool `cbor:"5,keyasint,omitempty"`
}

var mounts = table[Mount]{bucketMounts}

// Mount returns how a layer is mounted, or nil if it is not. The kernel may
// know better.
func (tx *RunTx) Mount(id model.LayerID) (*Mount, error) {
	if stale, err := tx.stale(); err != nil || stale {
		return nil, err
	}
	m, err := mounts.get(&tx.tx.ReadTx, string(id))
	if err != nil || m.Count == 0 {
		return nil, ignoreMissing(err)
	}
	return m, nil
}

// stale tells whether nothing is there that counts.
func (tx *RunTx) stale() (bool, error) {
	if tx.tx.bolt == nil {
		return false, errDone
	}
	return !tx.fresh, nil
}

// Mounts returns the mounts of all layers, ordered by layer.
func (tx *RunTx) Mounts() ([]Mount, error) {
	if stale, err := tx.stale(); err != nil || stale {
		return nil, err
	}
	var all []Mount
	err := mounts.all(&tx.tx.ReadTx, "", func(_ string, m *Mount) error {
		all = append(all, *m)
		return nil
	})
	return all, err
}

// SetMount stores how a layer is mounted.
func (tx *RunTx) SetMount(m Mount) error { return mounts.put(&tx.tx, string(m.Layer), &m) }

// RemoveMount says that a layer is not mounted.
func (tx *RunTx) RemoveMount(id model.LayerID) error { return mounts.remove(&tx.tx, string(id)) }

// Staged is content that has been begun and is not committed yet, or whose
// author died. The author holds a lock on its path as long as he lives.
type Staged struct {
	// Path, Kind and Dir are those of the Trash that it becomes if it is not
	// committed.
	Path    string    `cbor:"1,keyasint"`
	Kind    TrashKind `cbor:"2,keyasint"`
	Dir     string    `cbor:"3,keyasint,omitempty"`
	PID     int       `cbor:"4,keyasint"`
	Command string    `cbor:"5,keyasint"`
	Since   time.Time `cbor:"6,keyasint"`
}

var staged = table[Staged]{bucketStaged}

// Staged returns all content that has been begun, ordered by path.
func (tx *RunTx) Staged() ([]Staged, error) {
	if stale, err := tx.stale(); err != nil || stale {
		return nil, err
	}
	var all []Staged
	err := staged.all(&tx.tx.ReadTx, "", func(_ string, s *Staged) error {
		all = append(all, *s)
		return nil
	})
	return all, err
}

// AddStaged notes content that is being begun.
func (tx *RunTx) AddStaged(s Staged) error { return staged.put(&tx.tx, s.Path, &s) }

// RemoveStaged says that content has been committed or is gone.
func (tx *RunTx) RemoveStaged(paths ...string) error {
	for _, path := range paths {
		if err := staged.remove(&tx.tx, path); err != nil {
			return err
		}
	}
	return nil
}
