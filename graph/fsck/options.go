package fsck

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/model"
)

// Depth is how far a check goes. Each depth includes those before it.
type Depth string

// The depths.
const (
	// Structure is all that can be told from the database file alone: its
	// pages, every record's checksum, every index entry, count and reference.
	Structure Depth = "structure"
	// References adds all files and directories that records refer to, and
	// those that nothing refers to.
	References Depth = "references"
	// Contents reads what is recorded with a digest: all data items, the
	// tar-splits, and the files of layers, from which their diffs are put
	// together again. Nobody waits while that goes on.
	Contents Depth = "contents"
)

// Depths lists the depths in their order.
func Depths() []Depth { return []Depth{Structure, References, Contents} }

// Options say what to check. Either Root or Database is required.
type Options struct {
	// Root is the graph root of the store.
	Root string
	// RunRoot is its run root. Without one, or without a run database in it,
	// nothing is said about mounts and leases.
	RunRoot string
	// Others are the graph roots of other stores that have objects to which records
	// refer, or that need objects of this one. Those that are noted in the database
	// are looked at in any case if they are there. What is wrong with such a store
	// by itself is not reported.
	Others []string
	// Database is a database file to be checked by itself, whatever its name
	// and wherever it is.
	Database string
	// Instead is a database file that is looked at in place of the one in Root,
	// such as one that is about to be put there.
	Instead string
	// Depth is References for a store unless it is set, and Structure for a
	// database file, about which nothing more can be told.
	Depth Depth
	// Subset is how much is read at the depth Contents.
	Subset Subset
	// Only names the objects whose contents are read at the depth Contents, with
	// what they are made of; none means all. Each is an ID, a name, or the
	// beginning of an ID.
	Only []string
	// Progress is called, unless it is nil, before contents are read, with the
	// number of bytes that there are to be read. What it returns is called by
	// several goroutines with the number of bytes that have been read since.
	Progress func(total int64) func(n int64)
	// Driver is the name of the store's driver, for a database that cannot
	// tell. A name that contradicts the database is an error.
	Driver string
	// Drivers are those whose directories can be looked at; nil means all that
	// are built in.
	Drivers drivers.Registry
	// Wait is how long to wait for a program that changes the store; 0 means as
	// long as the context lasts.
	Wait time.Duration

	subset subset
}

// complete checks the options and fills in defaults.
func (o *Options) complete() error {
	var faults []error
	if (o.Root == "") == (o.Database == "") {
		faults = append(faults, fmt.Errorf("%w: either a graph root or a database file must be given", model.ErrInvalid))
	}
	if o.Depth == "" {
		o.Depth = References
		if o.Database != "" {
			o.Depth = Structure
		}
	}
	if !slices.Contains(Depths(), o.Depth) {
		faults = append(faults, fmt.Errorf("%w: depth %q is none of %q", model.ErrInvalid, o.Depth, Depths()))
	}
	if o.Depth != Structure && o.Root == "" {
		faults = append(faults, fmt.Errorf("%w: a database file by itself is checked to the depth %q", model.ErrInvalid, Structure))
	}
	if o.Instead != "" && o.Root == "" {
		faults = append(faults, fmt.Errorf("%w: a database can only be checked in place of the one in a graph root", model.ErrInvalid))
	}
	if o.Depth != Contents && (o.Subset != "" || len(o.Only) > 0) {
		faults = append(faults, fmt.Errorf("%w: a part of the contents can be chosen at the depth %q only", model.ErrInvalid, Contents))
	}
	subset, err := o.Subset.parse()
	faults = append(faults, err)
	o.subset = subset
	if o.Drivers == nil {
		o.Drivers = builtin.Registry()
	}
	if o.Driver != "" {
		name, err := o.Drivers.Canonical(o.Driver)
		faults = append(faults, err)
		o.Driver = name
	}
	if len(o.Others) > 0 && o.Root == "" {
		faults = append(faults, fmt.Errorf("%w: other stores can only be looked at together with a graph root", model.ErrInvalid))
	}
	o.Others = slices.Clone(o.Others)
	for i := range o.Others {
		abs, err := filepath.Abs(o.Others[i])
		faults = append(faults, err)
		o.Others[i] = abs
	}
	for _, path := range []*string{&o.Root, &o.Database, &o.Instead} {
		if *path != "" {
			abs, err := filepath.Abs(*path)
			faults = append(faults, err)
			*path = abs
		}
	}
	return errors.Join(faults...)
}

// database returns the path of the database file.
func (o *Options) database() string {
	if o.Instead != "" {
		return o.Instead
	}
	if o.Root == "" {
		return o.Database
	}
	return filepath.Join(o.Root, db.FileName)
}
