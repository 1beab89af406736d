package drivers

import (
	"context"
	"io"
	"os"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// Applier is implemented by drivers that can unpack a diff onto a layer by a
// shorter way than mounting it, or that have options which concern it.
type Applier interface {
	// Apply unpacks the entries of src onto the layer, whether it is mounted
	// or not. The driver chooses opts.Whiteouts.
	Apply(ctx context.Context, id string, src archive.Source, opts archive.UnpackOptions) (archive.Unpacked, error)
}

// DiffDriver is implemented by drivers whose layers hold nothing but their own
// changes, so that they need not be compared with other layers.
type DiffDriver interface {
	// NativeDiff tells whether the differences between parent and the layer
	// can be read from the layer alone: parent is the layer that it was
	// created on ("" for a base layer), and the kernel writes changes in a
	// form that can be read. Only then the other methods may be called.
	NativeDiff(ctx context.Context, id, parent string) (bool, error)
	// Diff writes the layer's own changes to w as a tar stream.
	Diff(ctx context.Context, id string, w io.Writer) error
	// Changes lists the layer's own changes, sorted by path.
	Changes(ctx context.Context, id string) ([]model.Change, error)
	// DiffSize returns how many bytes of file content the layer itself has,
	// counting a file with several names once.
	DiffSize(ctx context.Context, id string) (int64, error)
}

// Viewer is implemented by drivers that can show a layer's file system for
// reading without mounting it at its mount point, and thus without getting
// into the way of anybody who mounts, unmounts or views it at the same time.
type Viewer interface {
	// View returns a directory that shows the layer as it is, until release
	// is called. The path is valid in this process only.
	View(ctx context.Context, id string) (dir string, release func() error, err error)
}

// Content gives access to the files of a layer by the names that they have in
// the layer's diff.
type Content interface {
	// Open opens a regular file for reading. The name is resolved beneath the
	// layer whatever symbolic links there are on the way, and the last
	// component is not followed.
	Open(name string) (*os.File, error)
	Close() error
}

// Replacer is implemented by drivers that can put new content in the place of a
// layer's without harm to the layers on top of it.
type Replacer interface {
	// Replace gives the layer id what the layer from has. Of id there may be
	// anything or nothing. Both have the same parent, and neither they nor layers
	// on top of id are mounted. What id had is from's then, and is to be removed
	// as from.
	Replace(ctx context.Context, id, from string) error
}

// ContentDriver is implemented by drivers that can reach a layer's files
// without mounting it.
type ContentDriver interface {
	Content(ctx context.Context, id string) (Content, error)
}

// TreeDriver is implemented by drivers that keep the files of a layer in a
// directory of its own, where they can be looked at, mounted or not.
type TreeDriver interface {
	// Tree opens the directory of the files that the layer has on disk for
	// itself, in the driver's own form of deletions. The caller closes it.
	Tree(ctx context.Context, id string) (*beneath.Dir, error)
}

// MetadataDriver is implemented by drivers that have something to tell about a
// layer, such as the directories that an overlay mount is made of.
type MetadataDriver interface {
	Metadata(ctx context.Context, id string) ([]Pair, error)
}

// ParentCopier is implemented by drivers that may give a new layer a copy of
// its parent, as it is at that time, instead of stacking the two.
type ParentCopier interface {
	// CopiesParents tells whether a change of a layer's content concerns that
	// layer alone, and not the layers that were created on it before. The
	// store then does not put off the creation of those beyond the change.
	CopiesParents() bool
}

// CreateChecker is implemented by drivers that can tell before a layer is
// created whether they could, which may be much later.
type CreateChecker interface {
	// CheckCreate reports whether Create would refuse the options, whatever
	// the layer. It takes no time worth speaking of.
	CheckCreate(opts CreateOptions) error
}

// ModeForcer is implemented by drivers that may give all files one mode and one
// owner, and note in archive.OverrideAttr what they should have.
type ModeForcer interface {
	// ForcedModes returns what the attribute means in a layer and in what is
	// below it. Where it is believed nobody but the driver can have set it.
	ForcedModes(ctx context.Context, id string) (archive.Overrides, error)
}
