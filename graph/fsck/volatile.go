package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

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
