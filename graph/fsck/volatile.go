package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// look runs fn with what can be seen of the store's database and of those of its
// volatile containers, which nobody changes meanwhile. Which these are only the
// first one tells, so there may be a second attempt. If the first one cannot be
// read, fn is not called and the error tells why.
func (c *checker) look(ctx context.Context, fn func() error) (pages *db.PageReport, err error) {
	for {
		var errInside error
		err := db.ExamineAll(ctx, c.options.Wait, append([]string{c.report.Database}, c.report.Volatile...), func(all []*db.Examined) error {
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

// errMoreDatabases is the reason for a second attempt.
var errMoreDatabases = errors.New("there are further databases")

// begin takes note of the databases, unless there are further ones.
func (c *checker) begin(all []*db.Examined) error {
	c.tx, c.volatile, c.blind = records{all[0].Tx}, nil, nil
	if c.options.Root == "" {
		return nil
	}
	paths, err := c.volatilePaths(all[0].Tx)
	if err != nil {
		return err
	}
	more := slices.ContainsFunc(paths, func(path string) bool { return !slices.Contains(c.report.Volatile, path) })
	if c.report.Volatile = paths; more {
		return errMoreDatabases
	}
	for _, e := range all[1:] {
		switch {
		case errors.Is(e.Err, fs.ErrNotExist), !slices.Contains(paths, e.Path): // the run root has just been cleaned
			continue
		case e.Err != nil:
			c.blind = append(c.blind, fmt.Sprintf("%s, which cannot be read: %s", e.Path, oneLine(e.Err)))
		default:
			c.tx = append(c.tx, e.Tx)
		}
		c.volatile = append(c.volatile, e)
	}
	c.undecided, err = c.interrupted()
	return err
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

// volatilePaths returns the databases of volatile containers that there are at this
// boot of the machine: in the run roots that are noted, and in the one at hand.
func (c *checker) volatilePaths(tx *db.ReadTx) (paths []string, err error) {
	boot, err := db.BootID()
	if err != nil {
		return nil, err
	}
	runs, err := tx.Runs()
	if intact(err) != nil {
		return nil, err
	}
	if err != nil {
		c.blind = append(c.blind, "a run root is noted of which the name cannot be read")
	}
	roots := []string{c.options.RunRoot}
	for _, run := range runs {
		if run.Path != c.options.RunRoot {
			roots = append(roots, run.Path)
		}
	}
	uuid, err := c.storeID(tx)
	if err != nil || uuid == "" {
		return nil, err
	}
	for _, root := range roots {
		if root != "" {
			paths = append(paths, graph.VolatileDatabases(root, uuid, boot)...)
		}
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

// checkVolatile looks at everything in the databases of volatile containers.
func (c *checker) checkVolatile(ctx context.Context) error {
	for _, e := range c.volatile {
		c.notePages(e.Path, e.Pages)
		if e.Err != nil {
			if err := c.noteVolatileDamage(e); err != nil {
				return err
			}
			continue
		}
		if err := c.checkDatabase(ctx, e.Tx, e.Path, c.tx[0]); err != nil {
			return err
		}
	}
	for _, why := range c.blind {
		c.add(Finding{
			Code: CodeVolatile, Realm: InDatabase, Place: "runs",
			Expected: "run roots in which all volatile containers can be seen", Found: why,
		})
	}
	for _, p := range c.undecided {
		c.add(Finding{
			Code: CodeUndecided, Realm: InDatabase, Place: "prepared/" + p.Tx, Expected: "transactions that have come to their end",
			Found: fmt.Sprintf("one that process %d (%s) began at %s over several stores, among them %s", p.PID, p.Command, p.Since.Format(time.RFC3339), p.Root),
		})
	}
	return nil
}

// unclear tells whether there may be content of which nobody can say what it
// belongs to.
func (c *checker) unclear() bool { return len(c.blind)+len(c.undecided) > 0 }

// noteVolatileDamage notes why a database of volatile containers cannot be read.
// That it is not for this user to read is no damage.
func (c *checker) noteVolatileDamage(e *db.Examined) error {
	if errors.Is(e.Err, fs.ErrPermission) {
		return nil
	}
	if !errors.Is(e.Err, model.ErrCorrupt) {
		return e.Err
	}
	c.add(Finding{
		Code: CodeFile, Realm: InVolatile, Place: e.Path,
		Expected: "a database that can be opened", Found: oneLine(reason(e.Err)),
	})
	return nil
}

// inVolatile returns the database of volatile containers that a finding is about, "".
func (c *checker) inVolatile(f *Finding) string {
	if f.Realm != InVolatile {
		return ""
	}
	path, _, _ := strings.Cut(f.Place, volatileSeparator)
	return path
}

// volatileSeparator stands between the path of a database of volatile containers
// and what is in it.
const volatileSeparator = ": "
