package model

import (
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
)

// Layer is the record of a layer.
type Layer struct {
	ID      LayerID   `cbor:"1,keyasint"`
	Parent  LayerID   `cbor:"2,keyasint,omitempty"` // "" for a base layer
	Names   []string  `cbor:"3,keyasint,omitempty"`
	Created time.Time `cbor:"4,keyasint"`
	// Seq numbers the layers of a store in the order of their creation.
	Seq uint64 `cbor:"5,keyasint"`

	Metadata   string         `cbor:"6,keyasint,omitempty"`
	Flags      map[string]any `cbor:"7,keyasint,omitempty"`
	MountLabel string         `cbor:"8,keyasint,omitempty"` // SELinux label for mounts
	// Writable marks a layer that was made to be written to: a container's,
	// or one whose content is made by hand.
	Writable bool `cbor:"9,keyasint,omitempty"`

	// Made tells whether the driver has a directory for the layer. An empty
	// layer gets one only when it is first needed.
	Made bool `cbor:"10,keyasint,omitempty"`
	// Dir is the driver's name for that directory if it is not the ID.
	Dir string `cbor:"11,keyasint,omitempty"`
	// Incomplete marks a layer whose content is being changed in place, or
	// was when a process died.
	Incomplete bool `cbor:"12,keyasint,omitempty"`

	// Diff describes the tar stream that the content was last made from; it
	// is nil for a layer to which no diff has been applied.
	Diff *Diff `cbor:"13,keyasint,omitempty"`
	// TOCDigest is the digest of the table of contents of a partial pull.
	TOCDigest digest.Digest `cbor:"14,keyasint,omitempty"`
	// Size is what the layer's own content takes on disk in bytes, each file
	// counted once, as measured when a diff was applied. SizeUnknown means
	// that it has been written to by hand since.
	Size int64 `cbor:"15,keyasint,omitempty"`

	// UIDMap and GIDMap are the mappings by which the owners on disk are
	// shifted; empty means not at all.
	UIDMap []IDMap `cbor:"16,keyasint,omitempty"`
	GIDMap []IDMap `cbor:"17,keyasint,omitempty"`

	// StorageOpt are options of the driver for the layer ("size", "inodes").
	StorageOpt map[string]string `cbor:"18,keyasint,omitempty"`

	// Damage is the code of the finding because of which the layer's files are
	// in quarantine, "" if they are not; see Damaged.
	Damage string `cbor:"19,keyasint,omitempty"`
	// ReadOnly tells that it is in another store, which is only read. It is no
	// part of the record.
	ReadOnly bool `cbor:"-" json:"-"`
}

// SizeUnknown is the size of something that has not been measured.
const SizeUnknown = -1

// Diff describes a tar stream that was applied to a layer.
type Diff struct {
	// CompressedDigest and CompressedSize describe the stream as received.
	CompressedDigest digest.Digest `cbor:"1,keyasint"`
	CompressedSize   int64         `cbor:"2,keyasint"`
	// Digest (the DiffID) and Size describe the uncompressed stream.
	Digest      digest.Digest `cbor:"3,keyasint"`
	Size        int64         `cbor:"4,keyasint"`
	Compression Compression   `cbor:"5,keyasint"`
	// UIDs and GIDs are the owners in the stream's headers, sorted and without
	// repetition; whiteouts do not count.
	UIDs []uint32 `cbor:"6,keyasint,omitempty"`
	GIDs []uint32 `cbor:"7,keyasint,omitempty"`
	// TarSplit is the content file from which the stream can be reproduced
	// bit for bit. It is nil if the layer's content was changed by hand.
	TarSplit *Content `cbor:"8,keyasint,omitempty"`
}

// Content refers to a content file.
type Content struct {
	// Path is relative to the store's root.
	Path   string        `cbor:"1,keyasint"`
	Digest digest.Digest `cbor:"2,keyasint"`
	Size   int64         `cbor:"3,keyasint"` // bytes
	// Damage is the code of the finding because of which the file is in
	// quarantine, "" if it is not.
	Damage string `cbor:"4,keyasint,omitempty"`
}

// Data is the record of a data item.
type Data struct {
	Key string `cbor:"1,keyasint"`
	// Seq orders the items of an object by when they were first stored.
	Seq     uint64  `cbor:"2,keyasint"`
	Content Content `cbor:"3,keyasint"`
	// ManifestDigest is the digest by which an image with this manifest can
	// be found. The caller may compute it otherwise than from all the bytes.
	ManifestDigest digest.Digest `cbor:"4,keyasint,omitempty"`
}

// Damaged returns an error that matches ErrDamaged if the layer's files are in
// quarantine: they are damaged or missing, and a repair found nothing to bring
// them back from. Nothing is mounted, made or reproduced from them until they
// are whole again.
func (l *Layer) Damaged() error {
	if l.Damage == "" {
		return nil
	}
	way := "delete it, or bring its content back with `csdb repair --from`"
	if l.Diff != nil {
		way = "import the same layer again under its ID, or bring its content back with `csdb repair --from`"
	}
	return OnObject(KindLayer, l.ID, fmt.Errorf("%w (%s): %s", ErrDamaged, l.Damage, way))
}

// Damaged returns an error that matches ErrDamaged if the file is in quarantine.
func (c *Content) Damaged() error {
	if c.Damage == "" {
		return nil
	}
	return fmt.Errorf("content file %s: %w (%s): store the same content again, or bring it back with `csdb repair --from`", c.Path, ErrDamaged, c.Damage)
}

// DriverDir returns the driver's name for the layer.
func (l *Layer) DriverDir() string {
	if l.Dir != "" {
		return l.Dir
	}
	return string(l.ID)
}

// UncompressedSize returns the length of the layer's uncompressed diff in
// bytes, or SizeUnknown.
func (l *Layer) UncompressedSize() int64 {
	if l.Diff == nil {
		return SizeUnknown
	}
	return l.Diff.Size
}
