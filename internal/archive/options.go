package archive

import (
	"archive/tar"
	"io"

	"github.com/csdb/csdb/model"
)

// Source is a sequence of archive entries. A *tar.Reader is one, and so is a
// *tarsplit.Recorder, which notes down the stream while it is read.
type Source interface {
	// Next advances to the next entry. It returns io.EOF at the end.
	Next() (*tar.Header, error)
	// Reader reads the content of the entry.
	io.Reader
}

// Whiteouts tells how deletions are represented in a tree.
type Whiteouts int

const (
	// WhiteoutsApplied: the tree is the whole file system. Unpacking a
	// whiteout removes what it names.
	WhiteoutsApplied Whiteouts = iota
	// WhiteoutsOverlay: the tree is the upper directory of an overlay mounted
	// by root: trusted.overlay.opaque.
	WhiteoutsOverlay
	// WhiteoutsOverlayUser: the same for an overlay mounted with userxattr:
	// user.overlay.opaque.
	WhiteoutsOverlayUser
)

// UnpackOptions say how an archive becomes a tree.
type UnpackOptions struct {
	Whiteouts Whiteouts
	// Lowers are the trees below an overlay's upper directory, nearest first.
	// A whiteout is put into the upper directory only where one of them has
	// something to hide: in a directory that the lower trees do not have, an
	// overlay lists whiteouts like files. Directories that are made on the way
	// to an entry get the attributes of the lower ones.
	Lowers []string
	// UIDMap and GIDMap translate the owners in the headers to those on disk.
	// Empty means that they are the same.
	UIDMap, GIDMap []model.IDMap
	// IgnoreChownErrors goes on where an owner cannot be set.
	IgnoreChownErrors bool
	// ForceMask is the mode that every file and directory gets, whose owner is
	// not set either; what they should have goes to OverrideAttr, and special
	// files become regular ones. nil means that they get what they should have.
	ForceMask *uint32
	// OverrideAttr is the attribute to be used in its place if it is not empty.
	OverrideAttr string
	// MaxSize is how many bytes of file content are unpacked at most, holes
	// included; 0 is no limit. An archive can claim far more than its own
	// size: a sparse file takes no room in it.
	MaxSize int64
}

// Unpacked is what Unpack measured.
type Unpacked struct {
	// Size is the number of bytes of file content written, counting a file
	// with several names once.
	Size int64
	// Entries is the number of entries read.
	Entries int
}

// PackOptions say how a tree becomes an archive.
type PackOptions struct {
	// Whiteouts tells how deletions are represented in the tree; in the
	// archive they are always ".wh." files.
	Whiteouts Whiteouts
	// Lowers are the trees below an overlay's upper directory, nearest first.
	// An opaque directory is worth a whiteout only if one of them has it.
	Lowers []string
	// UIDMap and GIDMap translate the owners on disk to those in the headers.
	UIDMap, GIDMap []model.IDMap
	// Overrides says what OverrideAttr means.
	Overrides Overrides
}

// CompareOptions say how trees are compared.
type CompareOptions struct {
	// Overrides is as in PackOptions, and is about both trees.
	Overrides Overrides
}
