package drivers

import (
	"context"

	"github.com/csdb/csdb/model"
)

// Driver keeps the directories of layers in a home directory and makes a file
// system out of a layer and its ancestors. It knows layers by the names of
// their directories (model.Layer.DriverDir), has no records, and takes no lock: the store calls it
// with one operation per layer at a time, and with any number of layers at the
// same time. An error means that the operation had no effect that a later
// Create, Remove, Mount or Unmount of the same layer would stumble over.
//
// A layer that is unknown to the driver gives an error that matches
// model.ErrLayerUnknown, and a name that cannot be a layer's (see
// CheckLayer) one that matches model.ErrInvalid. Other errors do not name the
// layer that the operation is about, only others that take part: the caller
// names it (model.OnObject), by the ID that people know it by.
//
// A layer may be in the home of another store (Config.Others). It can be read
// and be the parent of a new layer; what would change it gives an error that
// matches model.ErrStoreIsReadOnly and touches nothing. If the driver's own home
// has a layer of that name, the other one is as good as not there. The same
// holds for the optional interfaces.
type Driver interface {
	// Name returns the driver's name, which is also the name of its home.
	Name() string
	// Create makes the directory of a new empty layer on top of parent, or of
	// a base layer if parent is "". An existing directory is never touched:
	// Create fails with an error that matches model.ErrExists, also if the
	// layer is in the home of another store. A layer is
	// there as a whole or not at all, wherever Create is interrupted. What it
	// made is not yet durable; the store syncs the file system of the home.
	Create(ctx context.Context, id, parent string, opts CreateOptions) error
	// Remove unmounts the layer if need be and deletes all that belongs to
	// it, including what an interrupted Create or Remove has left. Removing a
	// layer that does not exist succeeds. If there is nothing of it in the
	// driver's own home but the home of another store has it, the error matches
	// model.ErrStoreIsReadOnly.
	Remove(ctx context.Context, id string) error
	// Exists tells whether the layer is there as a whole, in the driver's own
	// home or in that of another store.
	Exists(ctx context.Context, id string) (bool, error)
	// List returns the names of all layers of which anything is in the driver's
	// own home, sorted: also of those that an interrupted Create or Remove has left in
	// part, so that whoever collects garbage finds it.
	List(ctx context.Context) ([]string, error)
	// Mount makes the layer's file system available and returns where. A
	// layer that is mounted stays as it is. One in the home of another store
	// can be mounted read-only; nothing is made there for that.
	Mount(ctx context.Context, id string, opts MountOptions) (string, error)
	// Unmount undoes Mount. Unmounting what is not mounted succeeds.
	Unmount(ctx context.Context, id string) error
	// Mountpoint returns the path at which Mount makes the layer available,
	// and whether the kernel has it mounted there. A driver that mounts
	// nothing always answers false.
	Mountpoint(ctx context.Context, id string) (path string, mounted bool, err error)
	// Status describes the driver in pairs of name and value, in a fixed
	// order.
	Status(ctx context.Context) ([]Pair, error)
	// Close undoes what opening the driver did to the system, except where
	// mounted layers need it. The driver cannot be used afterwards.
	Close(ctx context.Context) error
}

// Pair is one line of a status.
type Pair struct{ Name, Value string }

// CreateOptions are what may be said about a new layer.
type CreateOptions struct {
	// Writable asks for a layer that is to be written to.
	Writable bool
	// StorageOpt are options of the driver for a writable layer ("size",
	// "inodes"). One that the driver does not know is an error.
	StorageOpt map[string]string
	// MountLabel is the SELinux label that the layer is to be mounted with.
	MountLabel string
	// UIDMap and GIDMap are the mappings of the layer's owners. The root
	// directory of a base layer belongs to the mapped root.
	UIDMap, GIDMap []model.IDMap
}

// MountOptions are what may be said about a mount.
type MountOptions struct {
	// ReadOnly mounts the layer so that nothing in it can be changed.
	ReadOnly bool
	// Label is the SELinux label of the mount.
	Label string
	// Options are mount options as in mount(8), one or more (separated by
	// commas) per string. If there are any, they replace the driver's
	// configured ones.
	Options []string
	// Volatile allows the kernel to skip syncs.
	Volatile bool
}

// Config is what a driver is opened with.
type Config struct {
	// Home is the driver's directory, <graph root>/<driver name>. It is
	// created if it does not exist.
	Home string
	// RunHome is a directory for what need not survive a reboot: results of
	// probes, private mount points. It is created when it is first needed.
	RunHome string
	// Options are the driver's options as key=value, see ParseOptions.
	Options []string
	// Others are homes of the same driver in other stores, in which ancestors
	// of layers may be, in the order in which they are searched after Home.
	// Nothing is ever written to them. One that does not exist is an error for
	// those layers only that are nowhere else; it may come into being while the
	// driver is open.
	Others []string
}

// Constructor opens a driver. An error that matches
// model.ErrDriverNotSupported, model.ErrDriverPrerequisites or
// model.ErrIncompatibleFS means that the driver cannot be used here and
// another one may be tried; Home is then not left behind if it was made.
type Constructor func(ctx context.Context, config Config) (Driver, error)
