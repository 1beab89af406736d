package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// Check looks at a store and reports what it finds. It writes nothing, not even
// a lock file. An error means that nothing could be checked: it matches
// fs.ErrNotExist if there is no store, model.ErrBusy if a program kept it from
// looking for longer than options.Wait, model.ErrUnsupported if the store has a
// format that is not known, and model.ErrInvalid if the options make no sense.
//
// Programs that want to change the store wait meanwhile, but not while contents
// are read.
func Check(ctx context.Context, options Options) (*Report, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	c := newChecker(options)
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("checking %s: %w", c.report.Database, err)
	}
	c.describe()
	c.report.close()
	return c.report, nil
}

// checker is a check under way.
type checker struct {
	options Options
	kinds   map[Code]Kind
	report  *Report
	// begun is when the check began to look at the records.
	begun time.Time
	// owner is the user whom the database file belongs to.
	owner uint32
	// copies tells that the driver gives each layer a copy of its parent.
	copies bool
	// tx sees the records, and boot is the boot of the machine at which that is.
	// paths are those of the databases besides that of the store. errInside is what
	// went wrong besides reading them.
	tx        records
	boot      string
	paths     []string
	errInside error

	databases
	// away tells that there is a store with objects that cannot be looked at.
	away bool
	// readings are what is to be read at the depth Contents, and driver is the
	// store's driver, if there are any.
	readings []reading
	driver   drivers.Entry
	// othersHomes are those of other stores, see drivers.Entry.Inspect.
	othersHomes []string
}

func newChecker(options Options) *checker {
	c := &checker{
		options: options,
		kinds:   make(map[Code]Kind),
		report: &Report{
			Schema: SchemaName, Root: options.Root, Database: options.database(), Depth: options.Depth,
			Unchecked: []string{}, Findings: []Finding{},
		},
	}
	for _, kind := range Kinds(options.Drivers) {
		c.kinds[kind.Code] = kind
	}
	return c
}

// run looks at everything, from the outside to the inside.
func (c *checker) run(ctx context.Context) error {
	there, err := c.checkFile()
	if err != nil || !there {
		return err
	}
	pages, err := c.look(ctx, func() error {
		c.begun = time.Now()
		return c.inspect(ctx)
	})
	c.notePages("", pages)
	if err := c.noteDamage(err); err != nil {
		return err
	}
	if c.errInside != nil || len(c.readings) == 0 {
		return c.errInside
	}
	return c.checkContents(ctx, c.driver)
}

// inspect looks at the records, and at what they refer to.
func (c *checker) inspect(ctx context.Context) error {
	if err := errors.Join(c.checkRecords(ctx), c.checkVolatile(ctx)); err != nil {
		return err
	}
	if c.options.Root != "" {
		if err := c.checkMarker(); err != nil {
			return err
		}
	}
	if c.options.Depth != Structure {
		if err := errors.Join(c.checkElsewhere(), c.checkHolds()); err != nil {
			return err
		}
		if err := c.checkReferences(ctx); err != nil {
			return err
		}
	}
	return c.attribute(ctx)
}

// add adds a finding. Its severity is that of its kind unless it has one.
func (c *checker) add(f Finding) {
	if f.Severity == "" {
		f.Severity = c.kinds[f.Code].Severity
	}
	f.Images, f.Containers = []Object{}, []Object{}
	c.report.Findings = append(c.report.Findings, f)
}

// unchecked notes what cannot be looked at.
func (c *checker) unchecked(format string, args ...any) {
	c.report.Unchecked = append(c.report.Unchecked, fmt.Sprintf(format, args...))
}

// checkFile looks at the database file from the outside. It returns false if
// there is no use in opening it.
func (c *checker) checkFile() (there bool, err error) {
	var stat unix.Stat_t
	err = unix.Lstat(c.report.Database, &stat)
	if errors.Is(err, fs.ErrNotExist) {
		return false, c.checkMissing()
	}
	if err != nil {
		return false, &os.PathError{Op: "lstat", Path: c.report.Database, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		c.addDatabase(CodeFile, "a regular file", drivers.KindOfFile(stat.Mode))
		return false, nil
	}
	c.owner = stat.Uid
	if c.options.Root != "" && stat.Mode&0o077 != 0 {
		c.add(Finding{
			Code: CodeMode, Realm: InRoot, Place: db.FileName, Expected: "mode 0600", Found: fmt.Sprintf("mode %04o", stat.Mode&0o7777),
			Fix: &drivers.Fix{Op: drivers.FixChmod, Path: db.FileName, Mode: 0o600},
		})
	}
	return true, nil
}

// checkMissing tells a store whose database is missing from a directory that is
// no store.
func (c *checker) checkMissing() error {
	missing := &fs.PathError{Op: "open", Path: c.report.Database, Err: unix.ENOENT}
	if c.options.Root == "" {
		return missing
	}
	uuid, err := db.ReadMarker(c.options.Root)
	if err != nil && !errors.Is(err, model.ErrCorrupt) {
		return err
	}
	if err == nil && uuid == "" {
		return fmt.Errorf("%w: %w", errNoStore, missing)
	}
	c.report.UUID = uuid
	c.addDatabase(CodeFile, "the database of the store that "+db.MarkerName+" speaks of", "nothing")
	return nil
}

// errNoStore is the reason why a directory cannot be checked.
var errNoStore = errors.New("there is no store")

// addDatabase adds a finding about the database file as a whole.
func (c *checker) addDatabase(code Code, expected, found string) {
	c.add(Finding{
		Code: code, Realm: InRoot, Place: filepath.Base(c.report.Database), Expected: expected, Found: found,
	})
}

// checkMarker compares the marker beside the database with it.
func (c *checker) checkMarker() error {
	marked, err := db.ReadMarker(c.options.Root)
	finding := Finding{Code: CodeMarker, Realm: InRoot, Place: db.MarkerName, Expected: "the UUID " + c.report.UUID}
	finding.Derived = c.report.UUID != "" // whoever opens the store for writing makes it anew
	switch {
	case errors.Is(err, model.ErrCorrupt):
		finding.Found = "no UUID"
	case err != nil:
		return err
	case marked == "":
		finding.Found = "nothing"
	case c.report.UUID != "" && marked != c.report.UUID:
		finding.Severity, finding.Derived, finding.Found = Damage, false, "the UUID "+marked
	default:
		return nil
	}
	c.add(finding)
	return nil
}
