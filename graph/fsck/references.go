package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

// store is a store whose files are being compared with its records.
type store struct {
	*checker
	files *content.Files
	// home is the home of the driver, nil if there is none that could be
	// looked at.
	home drivers.Inspector
	// lineage tells what each layer whose record can be read lies on, and foreign
	// does so for those of other stores that have been asked for.
	lineage, foreign map[model.LayerID]ancestry
	// busy tells what programs are at work on at this moment.
	busy graph.AtWork
	// staged is what has been begun, by its path, mounts what is noted as
	// mounted, and leases all of them. badLease is the first that cannot be
	// read, or nil.
	staged   map[string]db.Staged
	mounts   []db.Mount
	leases   []db.Lease
	badLease *db.RecordError
}

// ancestry is what the directories of a layer's ancestors follow from.
type ancestry struct {
	parent model.LayerID
	dir    string // the driver's name for the layer
	made   bool   // it has a directory
}

// checkReferences compares everything in the store's folders with the records.
func (c *checker) checkReferences(ctx context.Context) (err error) {
	s := &store{checker: c, lineage: make(map[model.LayerID]ancestry), foreign: make(map[model.LayerID]ancestry)}
	known, err := s.findDriver()
	if err != nil || !known {
		return err
	}
	if s.files, err = content.Open(c.options.Root); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.files.Close()) }()
	s.busy = graph.AtWorkIn(c.options.Root)
	if err := s.loadLineage(ctx); err != nil {
		return err
	}
	if err := s.openHome(ctx); err != nil {
		return err
	}
	defer func() {
		if s.home != nil {
			err = errors.Join(err, s.home.Close())
		}
	}()
	for _, step := range []func(context.Context) error{
		s.readRun, s.checkLayers, s.checkItems, s.checkLeftovers, s.checkAreas, s.checkUnfinished,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if c.options.Depth == Contents {
		return s.planReadings(ctx)
	}
	return nil
}

// findDriver finds out which driver the store has. It returns false if that is
// not known, so that nothing can be said about the store's folders.
func (s *store) findDriver() (known bool, err error) {
	name := s.report.Driver
	switch wanted := s.options.Driver; {
	case name == "":
		name = wanted
	case wanted != "" && wanted != name:
		return false, fmt.Errorf("%w: the store was made with driver %s and not with driver %s", model.ErrInvalid, name, wanted)
	}
	if name == "" {
		s.unchecked("files and directories: the database does not tell the driver of the store")
		return false, nil
	}
	s.report.Driver = name
	if entry, known := s.options.Drivers.Find(name); known && entry.Inspect != nil {
		s.driver = entry
		return true, nil
	}
	s.unchecked("files and directories: driver %s is not known", name)
	return false, nil
}

// loadLineage notes what each layer lies on.
func (s *store) loadLineage(ctx context.Context) error {
	return intact(s.tx.EachLayer(func(l *model.Layer) error {
		s.lineage[l.ID] = ancestry{parent: l.Parent, dir: l.DriverDir(), made: l.Made}
		return context.Cause(ctx)
	}))
}

// openHome opens the home of the driver. If it is missing although there are
// layers in it, that is one finding and not one for each of them.
func (s *store) openHome(ctx context.Context) error {
	finding := Finding{Code: CodeFolder, Realm: InRoot, Place: s.driver.Name, Expected: "the directory of driver " + s.driver.Name}
	// As the driver does, this follows a symbolic link.
	info, err := os.Stat(filepath.Join(s.options.Root, s.driver.Name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !s.anyMade() {
			return nil
		}
		finding.Found = "nothing"
	case err != nil:
		return s.unreadable(finding, err)
	case !info.IsDir():
		finding.Found = "something else"
	default:
		if s.othersHomes, err = s.homes(s.driver.Name); err != nil {
			return err
		}
		home, err := s.driver.Inspect(ctx, filepath.Join(s.options.Root, s.driver.Name), s.othersHomes)
		if err != nil {
			return s.unreadable(finding, err)
		}
		s.home = home
		copier, ok := home.(drivers.ParentCopier)
		s.copies = ok && copier.CopiesParents()
		return nil
	}
	s.add(finding)
	return nil
}

// ancestor tells what a layer of this store or of another one lies on.
func (s *store) ancestor(id model.LayerID) (layer ancestry, known bool) {
	if layer, known = s.lineage[id]; known {
		return layer, true
	}
	if layer, known = s.foreign[id]; known {
		return layer, true
	}
	l, err := s.stores().Layer(id)
	if err != nil {
		return ancestry{}, false
	}
	s.foreign[id] = ancestry{parent: l.Parent, dir: l.DriverDir(), made: l.Made}
	return s.foreign[id], true
}

func (s *store) anyMade() bool {
	for _, layer := range s.lineage {
		if layer.made {
			return true
		}
	}
	return false
}

// unreadable makes a finding of an error which says that something cannot be
// read because of what is below it, and returns any other one.
func (c *checker) unreadable(f Finding, err error) error {
	if err == nil {
		return nil
	}
	if !isBroken(err) {
		return err
	}
	f.Code, f.Severity, f.Found = CodeUnreadable, "", err.Error()
	c.add(f)
	return nil
}

// isBroken tells whether an error says that something cannot be read because of
// what is below it.
func isBroken(err error) bool {
	broken := errors.Is(err, model.ErrCorrupt)
	for _, errno := range []error{unix.EIO, unix.EUCLEAN, unix.EBADMSG, unix.ESTALE, unix.ENXIO} {
		broken = broken || errors.Is(err, errno)
	}
	return broken
}
