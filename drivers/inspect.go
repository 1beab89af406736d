package drivers

import (
	"context"

	"github.com/csdb/csdb/internal/archive"
)

// Inspector reads the home of a driver as plain files, for those who check a
// store: nothing is mounted, probed or written, so it works where the driver
// does not, on a copy of a store, and on a medium that can only be read.
//
// Layer is called for every layer that should be there, and Leftovers after
// that. Nobody may change the home meanwhile, except for directories of which
// Leftovers is told that they belong to somebody. Content may be called at any
// time, by several goroutines at once.
//
// Homes of other stores are looked at for the sake of layers that lie on theirs:
// the content of those is found, and faults in them are not reported.
//
// That of a driver which copies parents is a ParentCopier too.
type Inspector interface {
	// Layer looks at what belongs to the layer with the given directory. An
	// error means that it could not look.
	Layer(ctx context.Context, layer InspectedLayer) ([]Fault, error)
	// Leftovers calls found for everything in the home that belongs to no
	// layer, in a fixed order. Of every directory it asks whether that belongs
	// to a layer.
	Leftovers(ctx context.Context, belongs func(dir string) (bool, error), found func(Leftover) error) error
	// Content gives access to the files of a layer by the names that they have
	// in its diff, as ContentDriver does. The error matches fs.ErrNotExist if
	// the layer has no content.
	Content(ctx context.Context, layer InspectedLayer) (Content, error)
	// Path returns where the directory of a layer is, relative to the home, and
	// ContentPath where in it the files are that the layer itself has.
	Path(dir string) string
	ContentPath(dir string) string
	// Close ends the inspection.
	Close() error
}

// Restorer is what an Inspector can be that can make the content of a layer anew
// of which nothing is left.
type Restorer interface {
	// Restore makes an empty directory what the one at ContentPath was when the
	// diff had been unpacked. The home is not changed.
	Restore(ctx context.Context, layer InspectedLayer, to string, diff archive.Source) error
}

// Namer is what an Inspector can be of a driver that keeps something for a layer
// outside of its directory.
type Namer interface {
	// Aliases returns the paths of that, relative to the home, sorted.
	Aliases(dir string) []string
}

// InspectedLayer is what the home of a driver should contain.
type InspectedLayer struct {
	// Dir is the driver's name for the layer.
	Dir string
	// Below are the names of its ancestors, the nearest first. Each is in the
	// home or in one of those of other stores that are known.
	Below []string
	// Cut tells that Below ends early: it is not known what lies further down,
	// or that is in a store whose home is not known.
	Cut bool
}

// Fault is something that is wrong with a layer's directory.
type Fault struct {
	// Code is that of a FaultKind.
	Code string
	// Path is what is wrong, relative to the home.
	Path string
	// Expected and Found say what is wrong with it.
	Expected, Found string
	// Fix is what puts it right, nil if no change of one file does.
	Fix *Fix
}

// FixOp is what a Fix does.
type FixOp string

// What can be done to a file.
const (
	FixMkdir   FixOp = "mkdir"   // make a directory that is missing
	FixWrite   FixOp = "write"   // give a small file its content
	FixSymlink FixOp = "symlink" // make a symbolic link anew
	FixChmod   FixOp = "chmod"   // set the mode
	FixChown   FixOp = "chown"   // set the owner
	FixAway    FixOp = "away"    // take it away: nothing needs it
)

// Fix is a change of one file that puts something right.
type Fix struct {
	Op FixOp `json:"op"`
	// Path is relative to what it was found in: the home of a driver, or the
	// root of a store.
	Path string `json:"path"`
	// Mode is the permissions for FixMkdir, FixWrite and FixChmod.
	Mode uint32 `json:"mode,omitempty"`
	// Owner is the user for FixChown.
	Owner uint32 `json:"owner,omitempty"`
	// Text is the content for FixWrite, and the target for FixSymlink.
	Text string `json:"text,omitempty"`
}

// FaultKind describes a kind of fault for people.
type FaultKind struct {
	// Code is its stable name, which begins with that of the driver in capital
	// letters.
	Code string
	// Loss tells that content is gone. Everything else can be made anew from
	// what is there and from the store's records.
	Loss bool
	// Effect says what does not work as long as the fault is there.
	Effect string
	// Remedies say what can be done, the best first. "{path}" in them stands
	// for the path of the fault.
	Remedies []string
}

// Codes of the faults that layers of every driver can have. Both mean a loss.
const (
	// FaultMissing: the layer has no directory.
	FaultMissing = "LAYER-DIR-MISSING"
	// FaultNoDir: what has the name of its directory is something else.
	FaultNoDir = "LAYER-DIR-KIND"
)

// Leftover is something in the home of a driver that belongs to no layer.
type Leftover struct {
	// Path is relative to the home.
	Path string
	// What describes it, such as "a directory".
	What string
	// Dir is the layer's directory that it is, was or would have become, or "".
	Dir string
}
