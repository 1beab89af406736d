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
}

var mounts = table[Mount]{bucketMounts}

// Mount returns how a layer is mounted, or nil if it is not. The kernel may
// know better.
func (tx *RunTx) Mount(id model.LayerID) (*Mount, error) {
	m, err := mounts.getIfAny(&tx.tx.ReadTx, string(id))
	if err != nil || m.Count == 0 {
		return nil, err
	}
	return &m, nil
}

// Mounts returns the mounts of all layers, ordered by layer.
func (tx *RunTx) Mounts() ([]Mount, error) {
	var all []Mount
	if tx.tx.root == nil {
		return nil, nil
	}
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
	var all []Staged
	if tx.tx.root == nil {
		return nil, nil
	}
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
