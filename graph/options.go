package graph

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/model"
)

// Options say which store to open, and how. The zero value of a field is its
// default.
type Options struct {
	// Root is the graph root, the directory for what is to last. Required.
	Root string
	// RunRoot is the run root, the directory for what need not survive a
	// reboot; it is normally on a tmpfs. Required, unless ReadOnly is set.
	RunRoot string

	// Driver is the name of the graph driver. A store remembers its driver;
	// opening it with another one fails. For a new store without a name the
	// first driver that works is taken, see drivers.Registry.
	Driver string
	// DriverPriority is the order in which drivers are tried for a new store.
	DriverPriority []string
	// DriverOptions are options of the driver as key=value.
	DriverOptions []string
	// Drivers are those to choose from; nil means all that are built in.
	Drivers drivers.Registry

	// ImageStore is the root of another store that gets the images, and the layers
	// that are not made to be written to; "" means that they are in Root too. It is
	// made if it does not exist. It is a store of its own, which others can use at
	// the same time, and with other graph roots.
	ImageStore string
	// TransientStore makes all containers volatile, see ContainerSpec, and shows
	// none but those that were made so, and those that are not volatile.
	TransientStore bool
	// AdditionalStores are graph roots of stores with the same driver whose images
	// and layers can be used as well, the earlier ones first. Nothing is written
	// there, not even a lock file. A directory without such a store is passed over.
	AdditionalStores []string

	// ReadOnly opens an existing store for reading. Nothing is written, not
	// even a lock file, and no driver is needed. On a read-only file system a
	// store is always opened like this.
	ReadOnly bool
	// NoSync does without making content and records durable. A crash of the
	// machine may then destroy the store: for stores that are thrown away.
	NoSync bool
	// NoAutoCompact leaves it to "csdb compact" to make the database file smaller
	// when most of it is free, see db.Options.
	NoAutoCompact bool
	// MaxLayerSize is the largest uncompressed diff that is accepted, in
	// bytes, and the most content that the files in one may have, of which
	// sparse ones have more than the diff is long; 0 means that only the disk
	// is a limit.
	MaxLayerSize int64

	// Now is the clock of transactions and leases; nil means time.Now.
	Now func() time.Time
	// Log gets what is repaired on the way, and what goes wrong and cannot be returned. Nil means
	// logrus.StandardLogger().
	Log logrus.FieldLogger
}

// complete checks the options and fills in defaults.
func (o *Options) complete() error {
	var faults []error
	if o.Root == "" {
		faults = append(faults, fmt.Errorf("graph root is not given: %w", model.ErrIncompleteOptions))
	}
	if o.RunRoot == "" && !o.ReadOnly {
		faults = append(faults, fmt.Errorf("run root is not given: %w", model.ErrIncompleteOptions))
	}
	if o.MaxLayerSize < 0 {
		faults = append(faults, fmt.Errorf("%w: maximum layer size %d is negative", model.ErrInvalid, o.MaxLayerSize))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if err := o.completeOthers(); err != nil {
		return err
	}
	var errRoot, errRun error
	o.Root, errRoot = filepath.Abs(o.Root)
	if o.RunRoot != "" {
		o.RunRoot, errRun = filepath.Abs(o.RunRoot)
	}
	if o.Drivers == nil {
		o.Drivers = builtin.Registry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = logrus.StandardLogger()
	}
	return errors.Join(errRoot, errRun)
}

// completeOthers checks the roots of other stores, and makes their paths absolute.
func (o *Options) completeOthers() (err error) {
	if o.ImageStore != "" {
		if o.ImageStore, err = filepath.Abs(o.ImageStore); err != nil {
			return err
		}
		if root, err := filepath.Abs(o.Root); err != nil || root == o.ImageStore {
			return errors.Join(err, fmt.Errorf("%w: image store %s is the graph root itself", model.ErrInvalid, o.ImageStore))
		}
	}
	others := make([]string, 0, len(o.AdditionalStores))
	for _, dir := range o.AdditionalStores {
		if dir, err = filepath.Abs(dir); err != nil {
			return err
		}
		if !slices.Contains(others, dir) {
			others = append(others, dir)
		}
	}
	o.AdditionalStores = others
	return checkDirs(others)
}

// checkDirs returns an error unless all paths are those of directories.
func checkDirs(dirs []string) error {
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s: %w", dir, unix.ENOTDIR)
		}
		if err != nil {
			return fmt.Errorf("additional store: %w: %w", model.ErrInvalid, err)
		}
	}
	return nil
}
