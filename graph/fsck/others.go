package fsck

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// other is the database of another store, or of volatile containers of one.
type other struct {
	root string // of the store
	path string // of the database
	uuid string // of the database
	tx   *db.ReadTx
	// runRoot is where it is if it is one of volatile containers, or "".
	runRoot string
	given   bool // by the options
	// unclear tells that a transaction over several databases has not come to its
	// end there.
	unclear bool
}

// findOthers finds the databases of other stores: those that the options name,
// those that have objects to which records refer, and those that need objects.
func (c *checker) findOthers(at map[string]*db.Examined) error {
	places, err := c.allElsewhere()
	if err != nil {
		return err
	}
	holds, err := c.tx[0].AllHolds()
	if intact(err) != nil {
		return err
	}
	roots := distinct{}
	roots.add(c.options.Root)
	for _, root := range c.options.Others {
		roots.add(root)
	}
	given := len(roots.paths)
	for _, p := range places {
		roots.add(p.Root)
	}
	for _, h := range holds {
		roots.add(h.Root)
	}
	var all []*other
	for i, root := range roots.paths[1:] {
		all = append(all, &other{root: root, path: filepath.Join(root, db.FileName), given: i+1 < given})
	}
	volatile, err := c.volatileHolders(holds, roots.paths[1:])
	if err != nil {
		return err
	}
	all = append(all, volatile...)
	var paths []string
	for _, o := range all {
		paths = append(paths, o.path)
	}
	if err := c.need(paths); err != nil {
		return err
	}
	for _, o := range all {
		if err := c.beginOther(o, at[o.path]); err != nil {
			return err
		}
	}
	return nil
}

// beginOther takes note of the database of another store, if it can be read.
func (c *checker) beginOther(o *other, e *db.Examined) error {
	if e.Err != nil {
		if isAway(e.Err) {
			return nil
		}
		return e.Err
	}
	info, err := e.Tx.Info()
	if err != nil {
		return intact(err)
	}
	pending, err := e.Tx.Prepared()
	if intact(err) != nil {
		return err
	}
	o.uuid, o.tx, o.unclear = info.UUID, e.Tx, len(pending) > 0
	c.others = append(c.others, o)
	return nil
}

// noteOthers notes which other stores are looked at, and which of those that the
// options name cannot be.
func (c *checker) noteOthers() {
	for _, o := range c.others {
		if o.runRoot == "" {
			c.report.Others = append(c.report.Others, o.root)
		}
	}
	for _, root := range c.options.Others {
		if root != c.options.Root && !slices.ContainsFunc(c.report.Others, func(other string) bool { return sameDir(root, other) }) {
			c.unchecked("what is in the store %s: there is none that can be read", root)
		}
	}
}

// sameDir tells whether two paths are those of one directory.
func sameDir(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// isAway tells whether an error says no more than that another store cannot be read.
func isAway(err error) bool {
	return slices.ContainsFunc([]error{fs.ErrNotExist, fs.ErrPermission, model.ErrCorrupt, model.ErrUnsupported}, func(class error) bool {
		return errors.Is(err, class)
	})
}

// allElsewhere returns where the objects are noted to be to which records refer and
// which are in other stores.
func (c *checker) allElsewhere() (all []db.Elsewhere, err error) {
	err = c.tx.each(func(tx *db.ReadTx) error {
		some, err := tx.AllElsewhere()
		for _, e := range some {
			referred, errReferred := tx.IsReferred(e.Kind, e.ID)
			if referred || errReferred != nil { // the others are reported as of no use
				all = append(all, e)
			}
			err = errors.Join(err, errReferred)
		}
		return err
	})
	return all, intact(err)
}

// volatileHolders returns the databases of volatile containers of other stores of
// which there are holds that count.
func (c *checker) volatileHolders(holds []db.Hold, roots []string) (found []*other, err error) {
	runs := make(map[string]*distinct)
	for _, h := range holds {
		if h.RunRoot == "" || !h.Counts(c.boot) || !slices.Contains(roots, filepath.Clean(h.Root)) {
			continue
		}
		if runs[h.Root] == nil {
			runs[h.Root] = &distinct{}
		}
		if !runs[h.Root].add(h.RunRoot) {
			continue
		}
		uuid, err := db.ReadMarker(h.Root)
		if intact(err) != nil {
			return nil, err
		}
		if uuid == "" {
			continue
		}
		for _, path := range graph.VolatileDatabases(h.RunRoot, uuid, c.boot) {
			found = append(found, &other{root: h.Root, path: path, runRoot: h.RunRoot})
		}
	}
	return found, nil
}

// stores returns what is recorded in other stores, but for their volatile
// containers.
func (d *databases) stores() (all records) {
	for _, o := range d.others {
		if o.runRoot == "" {
			all = append(all, o.tx)
		}
	}
	return all
}

// withUUID returns the database of another store with a UUID, or nil.
func (d *databases) withUUID(uuid string) *other {
	i := slices.IndexFunc(d.others, func(o *other) bool { return o.uuid == uuid })
	if i < 0 {
		return nil
	}
	return d.others[i]
}
