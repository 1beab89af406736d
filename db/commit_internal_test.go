package db

import (
	"errors"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/model"
)

// A disk that fails at the wrong moment is hard to come by: here the file is
// closed before the commit, so that nobody can look up what became of it.
func TestCommitWhoseOutcomeCannotBeLookedUp(t *testing.T) {
	db, err := Create(t.Context(), t.TempDir(), "vfs", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.file.update(t.Context(), func(h *handle, boltTx *bolt.Tx, space *space) (bool, error) {
		tx := &Tx{space: space, limit: 1}
		defer tx.end()
		err := errors.Join(
			tx.beginStore(h, boltTx), tx.loadUsage(), tx.CreateLayer(&model.Layer{ID: "lost"}), h.file.Close())
		return true, err
	}, nil)
	if !IsUnknown(err) {
		t.Errorf("the outcome is not said to be unknown: %v", err)
	}
	// The next transaction opens the file anew, and finds out.
	err = db.View(t.Context(), func(tx *ReadTx) error {
		if layers, err := tx.Layers(); err != nil || len(layers) > 0 {
			t.Errorf("found %v, %v", layers, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
