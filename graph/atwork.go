package graph

import (
	"path/filepath"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// AtWork tells what programs are at work on in a store, for those who look at
// one without opening it. All methods but Take take no locks and make no files;
// on a copy of a store, or where there is none, nobody is at work.
type AtWork struct{ keys *flock.Keys }

// AtWorkIn returns what tells it for the store in a directory.
func AtWorkIn(root string) AtWork {
	return AtWork{keys: flock.NewKeys(filepath.Join(root, keysName))}
}

// OnPath tells whether a program is making or removing the content at a path,
// which is relative to the root of the store.
func (w AtWork) OnPath(path string) (bool, error) {
	return w.keys.Held(pathKey(path), flock.Exclusive)
}

// OnLayer tells whether a program is changing the content of a layer.
func (w AtWork) OnLayer(id model.LayerID) (bool, error) {
	return w.keys.Held(contentKey(id), flock.Shared)
}

// OnMount tells whether a program is mounting or unmounting a layer.
func (w AtWork) OnMount(id model.LayerID) (bool, error) {
	return w.keys.Held(mountKey(id), flock.Exclusive)
}

// Take takes the lock of whoever works on the content at a path, if nobody has
// it. Unlike the other methods it may make a lock file.
func (w AtWork) Take(path string) (release func(), free bool, err error) {
	lock, err := w.keys.TryLock(pathKey(path), flock.Exclusive)
	if err != nil || lock == nil {
		return nil, false, err
	}
	return lock.Unlock, true, nil
}
