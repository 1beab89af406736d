package graph

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// keysName is the lock file for single objects, in the root of a store.
const keysName = "csdb.locks"

// Store is a store that has been opened. It may be used by several goroutines.
// Several processes, and several handles in one process, may have the same
// store open.
type Store struct {
	options Options
	info    db.Info
	boot    string // ID of the boot of the machine
	db      *db.DB
	run     *db.Run // nil if read-only
	files   *content.Files
	keys    *flock.Keys
	driver  drivers.Driver // nil if read-only

	// owner is the store that this one is a part of: itself, but for those in the
	// following fields of another one. What concerns more than the content of
	// single objects is the owner's affair.
	owner      *Store
	images     *Store // the image store, or nil
	volatiles  []*volatile
	runs       otherRuns
	additional []*Store // those that are only read; they have the owner's driver, run database and locks

	views views
	// lasting is that of Open, but does not end.
	lasting context.Context //nolint:containedctx // It is for Close, which has none.

	mu     sync.Mutex
	staged map[*claim]bool // nil when the store is closed
}

// Open opens the store in options.Root, and makes one there if the directory
// does not exist, or holds nothing that could be a store.
//
// Opening never deletes or repairs anything: see Recover.
func Open(ctx context.Context, options Options) (*Store, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	s := &Store{
		options: options,
		lasting: context.WithoutCancel(ctx),
		keys:    flock.NewKeys(filepath.Join(options.Root, keysName)),
		staged:  make(map[*claim]bool),
	}
	s.owner = s
	err := s.open(ctx)
	if err == nil {
		s.findVolatile()
		err = s.openOthers(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", options.Root, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if onlyReadable(s.options.Root) {
		s.options.ReadOnly = true
	}
	options := db.Options{
		ReadOnly: s.options.ReadOnly, NoSync: s.options.NoSync, Now: s.options.Now,
		NoAutoCompact: s.options.NoAutoCompact, Log: s.options.Log,
	}
	if !s.options.ReadOnly {
		for _, dir := range []string{s.options.Root, s.options.RunRoot} {
			if err := fsutil.MakeDirs(dir, 0o700); err != nil {
				return err
			}
		}
	}
	var err error
	s.db, err = db.Open(ctx, s.options.Root, options)
	if errors.Is(err, fs.ErrNotExist) && !s.options.ReadOnly {
		err = s.create(ctx, options)
	}
	if err != nil {
		return err
	}
	if err := s.readInfo(ctx); err != nil {
		return err
	}
	if s.boot, err = db.BootID(); err != nil {
		return err
	}
	if s.files, err = content.Open(s.options.Root); err != nil || s.options.ReadOnly {
		return err
	}
	if s.run, err = db.OpenRun(ctx, s.options.RunRoot, s.info.UUID); err != nil {
		return err
	}
	return s.openDriver(ctx)
}

// readInfo reads the description of the store.
func (s *Store) readInfo(ctx context.Context) error {
	return s.db.View(ctx, func(tx *db.ReadTx) error {
		info, err := tx.Info()
		if err == nil {
			s.info = *info
		}
		return err
	})
}

// onlyReadable tells whether a directory is on a read-only file system.
func onlyReadable(dir string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(dir, &stat) == nil && stat.Flags&unix.ST_RDONLY != 0
}

// create makes a new store, unless the directory belongs to somebody else.
func (s *Store) create(ctx context.Context, options db.Options) error {
	foreign, err := filepath.Glob(filepath.Join(escapeGlob(s.options.Root), "*-layers", "layers.json"))
	if err != nil {
		return err
	}
	if len(foreign) > 0 {
		return fmt.Errorf("%w: %s shows that containers/storage keeps a store here; use another root", model.ErrExists, foreign[0])
	}
	name, err := s.driverForNew(ctx)
	if err != nil {
		return err
	}
	driver, err := s.options.Drivers.Open(ctx, s.driverSpec(name))
	if err != nil {
		return err
	}
	s.driver = driver
	for _, kind := range model.Kinds {
		area := filepath.Join(s.options.Root, content.Area(driver.Name(), kind))
		if err := fsutil.MakeDirs(area, 0o700); err != nil {
			return err
		}
	}
	s.db, err = db.Create(ctx, s.options.Root, driver.Name(), options)
	if errors.Is(err, model.ErrExists) { // somebody was faster
		s.db, err = db.Open(ctx, s.options.Root, options)
	}
	return err
}

// driverForNew returns the name of the driver for a new store, or "" if it is to be
// chosen: it is that of the image store, if there is one already.
func (s *Store) driverForNew(ctx context.Context) (name string, err error) {
	if s.options.Driver != "" || s.options.ImageStore == "" || s.owner != s {
		return s.options.Driver, nil
	}
	images, err := db.Open(ctx, s.options.ImageStore, db.Options{ReadOnly: true, Log: s.options.Log})
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("image store %s: %w", s.options.ImageStore, err)
	}
	defer images.Close()
	return name, images.View(ctx, func(tx *db.ReadTx) error {
		info, err := tx.Info()
		if err == nil {
			name = info.Driver
		}
		return err
	})
}

func (s *Store) driverSpec(name string) drivers.Spec {
	return drivers.Spec{
		Root: s.options.Root, RunRoot: s.options.RunRoot,
		Name: name, Priority: s.options.DriverPriority, Options: s.options.DriverOptions,
		Others: s.otherRoots(),
	}
}

// openDriver opens the driver that the store was made with.
func (s *Store) openDriver(ctx context.Context) error {
	if wanted := s.options.Driver; wanted != "" {
		name, err := s.options.Drivers.Canonical(wanted)
		if err != nil {
			return err
		}
		if name != s.info.Driver {
			return fmt.Errorf("%w: the store was made with driver %s and cannot be opened with driver %s", model.ErrInvalid, s.info.Driver, name)
		}
	}
	if s.driver != nil {
		if s.driver.Name() == s.info.Driver {
			return nil
		}
		// Somebody else has made the store meanwhile, with another driver.
		if err := s.driver.Close(ctx); err != nil {
			return err
		}
		s.driver = nil
	}
	driver, err := s.options.Drivers.Open(ctx, s.driverSpec(s.info.Driver))
	if err != nil {
		return err
	}
	s.driver = driver
	return nil
}

// escapeGlob makes a path match itself only.
func escapeGlob(path string) string {
	var escaped []rune
	for _, r := range path {
		switch r {
		case '*', '?', '[', '\\':
			escaped = append(escaped, '\\')
		}
		escaped = append(escaped, r)
	}
	return string(escaped)
}

// Close discards what is staged and not committed, and ends the use of the
// store. Mounts stay, see Shutdown. It is called last: when no other method
// runs, and the streams of Diff are closed.
func (s *Store) Close() error {
	s.mu.Lock()
	claims := s.staged
	s.staged = nil
	s.mu.Unlock()
	if claims == nil {
		return nil // it has been closed before
	}
	var errs []error
	for _, v := range s.volatiles {
		v.close()
	}
	for _, other := range s.others() {
		errs = append(errs, other.Close())
	}
	for c := range claims {
		errs = append(errs, c.discard(s.lasting))
		// If nobody knew whether it was committed, now Recover may find out.
		c.lock.Unlock()
	}
	if s.db != nil {
		s.db.Close()
	}
	if s.run != nil && !s.borrows() {
		s.run.Close()
	}
	if s.files != nil {
		errs = append(errs, s.files.Close())
	}
	if s.driver != nil && !s.borrows() {
		errs = append(errs, s.driver.Close(s.lasting))
	}
	return errors.Join(errs...)
}

// Root returns the graph root.
func (s *Store) Root() string { return s.options.Root }

// RunRoot returns the run root.
func (s *Store) RunRoot() string { return s.options.RunRoot }

// Info describes the store.
func (s *Store) Info() db.Info { return s.info }

// DriverName returns the name of the store's driver.
func (s *Store) DriverName() string { return s.info.Driver }

// DriverOptions returns the options that the driver was opened with.
func (s *Store) DriverOptions() []string { return s.options.DriverOptions }

// Durable tells whether what is acknowledged survives a power cut.
func (s *Store) Durable() bool { return !s.options.NoSync }

// DriverStatus returns what the driver says about itself.
func (s *Store) DriverStatus(ctx context.Context) ([]drivers.Pair, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	return s.driver.Status(ctx)
}

// writable returns an error if the store was opened read-only.
func (s *Store) writable() error {
	if s.options.ReadOnly {
		return fmt.Errorf("store %s: %w", s.options.Root, model.ErrStoreIsReadOnly)
	}
	return nil
}

// driverHome returns the directory of the driver.
func (s *Store) driverHome() string { return filepath.Join(s.options.Root, s.info.Driver) }
