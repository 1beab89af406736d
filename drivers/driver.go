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
type Driver interface {
	// Name returns the driver's name, which is also the name of its home.
	Name() string
	// Create makes the directory of a new empty layer on top of parent, or of
	// a base layer if parent is "". An existing directory is never touched:
	// Create fails with an error that matches model.ErrExists. A layer is
	// there as a whole or not at all, wherever Create is interrupted. What it
	// made is not yet durable; the store syncs the file system of the home.
	Create(ctx context.Context, id, parent string, opts CreateOptions) error
	// Remove unmounts the layer if need be and deletes all that belongs to
	// it, including what an interrupted Create or Remove has left. Removing a
	// layer that does not exist succeeds.
	Remove(ctx context.Context, id string) error
	// Exists tells whether the layer is there as a whole.
	Exists(ctx context.Context, id string) (bool, error)
	// List returns the names of all layers of which anything is there,
	// sorted: also of those that an interrupted Create or Remove has left in
	// part, so that whoever collects garbage finds it.
	List(ctx context.Context) ([]string, error)
	// Mount makes the layer's file system available and returns where. A
	// layer that is mounted stays as it is.
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
}

// Constructor opens a driver. An error that matches
// model.ErrDriverNotSupported, model.ErrDriverPrerequisites or
// model.ErrIncompatibleFS means that the driver cannot be used here and
// another one may be tried; Home is then not left behind if it was made.
type Constructor func(ctx context.Context, config Config) (Driver, error)
