package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
)

// databases are those that a check looks at besides that of the store itself.
type databases struct {
	// volatile are those of the store's volatile containers.
	volatile []*db.Examined
	// others are those of other stores, and those of their volatile containers of
	// which there are holds.
	others []*other
	// blind says why there may be volatile containers that cannot be seen, and
	// undecided are the transactions over several databases that have not come to
	// their end.
	blind     []string
	undecided []db.Prepared
}

// look runs fn with what can be seen of the store's database and of all others that
// belong to it, which nobody changes meanwhile. Which these are the databases
// tell, so there may be further attempts. If the first one cannot be read, fn is not
// called and the error tells why.
func (c *checker) look(ctx context.Context, fn func() error) (pages *db.PageReport, err error) {
	for {
		var errInside error
		err := db.ExamineAll(ctx, c.options.Wait, append([]string{c.report.Database}, c.paths...), func(all []*db.Examined) error {
			pages = all[0].Pages
			if all[0].Err != nil {
				return all[0].Err
			}
			// What goes wrong in here need not be the fault of the database.
			if errInside = c.begin(all); errInside == nil {
				errInside = fn()
			}
			return nil
		})
		if err != nil || !errors.Is(errInside, errMoreDatabases) {
			c.errInside = errInside
			return pages, err
		}
	}
}

// errMoreDatabases is the reason for a further attempt.
var errMoreDatabases = errors.New("there are further databases")

// begin takes note of the databases, unless there are further ones.
func (c *checker) begin(all []*db.Examined) (err error) {
	c.tx, c.databases = records{all[0].Tx}, databases{}
	if c.options.Root == "" {
		return nil
	}
	if c.boot, err = db.BootID(); err != nil {
		return err
	}
	at := make(map[string]*db.Examined, len(all))
	for _, e := range all {
		at[e.Path] = e
	}
	paths, err := c.volatilePaths(all[0].Tx)
	if err != nil {
		return err
	}
	if err := c.need(paths); err != nil {
		return err
	}
	c.report.Volatile = nil
	for _, path := range paths {
		c.beginVolatile(at[path])
	}
	if c.options.Depth != Structure {
		if err := c.findOthers(at); err != nil {
			return err
		}
	}
	c.undecided, err = c.interrupted()
	return err
}

// need returns errMoreDatabases unless all databases are among those that are looked
// at.
func (c *checker) need(paths []string) error {
	known := len(c.paths)
	for _, path := range paths {
		if !slices.Contains(c.paths, path) {
			c.paths = append(c.paths, path)
		}
	}
	if len(c.paths) > known {
		return errMoreDatabases
	}
	return nil
}

// interrupted returns the transactions over several databases of which it is not
// known here whether they have taken effect.
func (c *checker) interrupted() (all []db.Prepared, err error) {
	err = c.tx.each(func(tx *db.ReadTx) error {
		some, err := tx.Prepared()
		all = append(all, some...)
		return err
	})
	return all, intact(err)
}

// unclear tells whether there may be content of which nobody can say what it
// belongs to.
func (c *checker) unclear() bool { return len(c.blind)+len(c.undecided) > 0 }

// volatilePaths returns the databases of volatile containers that there are at this
// boot of the machine: in the run roots that are noted, and in the one at hand.
func (c *checker) volatilePaths(tx *db.ReadTx) ([]string, error) {
	runs, err := tx.Runs()
	if intact(err) != nil {
		return nil, err
	}
	if err != nil {
		c.blind = append(c.blind, "a run root is noted of which the name cannot be read")
	}
	uuid, err := c.storeID(tx)
	if err != nil || uuid == "" {
		return nil, err
	}
	roots := distinct{}
	roots.add(c.options.RunRoot)
	for _, run := range runs {
		roots.add(run.Path)
	}
	var paths []string
	for _, root := range roots.paths {
		paths = append(paths, graph.VolatileDatabases(root, uuid, c.boot)...)
	}
	return paths, nil
}

// storeID returns the UUID of the store, "" if neither its database nor the marker
// tells.
func (c *checker) storeID(tx *db.ReadTx) (string, error) {
	info, err := tx.Info()
	if err == nil {
		return info.UUID, nil
	}
	if err := ignoreMissing(intact(err)); err != nil {
		return "", err
	}
	uuid, err := db.ReadMarker(c.options.Root)
	return uuid, intact(err)
}

// beginVolatile takes note of a database of volatile containers.
func (c *checker) beginVolatile(e *db.Examined) {
	switch {
	case errors.Is(e.Err, fs.ErrNotExist): // the run root has just been cleaned
		return
	case e.Err != nil:
		c.blind = append(c.blind, fmt.Sprintf("%s, which cannot be read: %s", e.Path, oneLine(e.Err)))
	default:
		c.tx = append(c.tx, e.Tx)
	}
	c.volatile = append(c.volatile, e)
	c.report.Volatile = append(c.report.Volatile, e.Path)
}

// distinct are directories, none of which is there twice by another name: nobody
// may lock the same database twice.
type distinct struct {
	paths []string
	infos []os.FileInfo
}

// add adds a directory, and returns false if it is not there, or not for the first
// time.
func (d *distinct) add(path string) bool {
	if path == "" {
		return false
	}
	path = filepath.Clean(path)
	info, err := os.Stat(path)
	if err != nil || slices.ContainsFunc(d.infos, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
		return false
	}
	d.paths, d.infos = append(d.paths, path), append(d.infos, info)
	return true
}
