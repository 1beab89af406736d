package model

import (
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Image is the record of an image.
type Image struct {
	ID      ImageID   `cbor:"1,keyasint"`
	Names   []string  `cbor:"2,keyasint,omitempty"`
	Created time.Time `cbor:"3,keyasint"`
	// Seq numbers the images of a store in the order of their creation.
	Seq uint64 `cbor:"4,keyasint"`

	// TopLayer is "" for an image without layers.
	TopLayer LayerID `cbor:"5,keyasint,omitempty"`
	// MappedTopLayers have the content and the parent of TopLayer but other
	// ID mappings.
	MappedTopLayers []LayerID `cbor:"6,keyasint,omitempty"`

	// Digest is the digest given at creation, or "".
	Digest digest.Digest `cbor:"7,keyasint,omitempty"`
	// ManifestDigests are those of the manifests that are stored now, in the
	// order in which their keys were first used. They repeat what the data
	// items say, so that Digests needs no look-up.
	ManifestDigests []digest.Digest `cbor:"8,keyasint,omitempty"`

	Metadata string         `cbor:"9,keyasint,omitempty"`
	Flags    map[string]any `cbor:"10,keyasint,omitempty"`
	// NamesHistory lists present and former names, see RecordNames.
	NamesHistory []string `cbor:"11,keyasint,omitempty"`
	// ReadOnly tells that it is in another store, which is only read. It is no
	// part of the record.
	ReadOnly bool `cbor:"-" json:"-"`
}

// ManifestKeyPrefix begins the key of every data item that is a manifest.
const ManifestKeyPrefix = "manifest"

// IsManifestKey tells whether the data item key of an image is a manifest.
func IsManifestKey(key string) bool { return strings.HasPrefix(key, ManifestKeyPrefix) }

// MainDigest returns the digest given at creation, or else that of the first
// manifest, or "".
func (i *Image) MainDigest() digest.Digest {
	if i.Digest == "" && len(i.ManifestDigests) > 0 {
		return i.ManifestDigests[0]
	}
	return i.Digest
}

// Digests returns every digest by which the image can be found, the main one
// first.
func (i *Image) Digests() []digest.Digest {
	var all []digest.Digest
	for _, d := range append([]digest.Digest{i.Digest}, i.ManifestDigests...) {
		if d != "" && !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

// TopLayers returns the image's top layer and the mapped variants of it.
func (i *Image) TopLayers() []LayerID {
	if i.TopLayer == "" {
		return slices.Clone(i.MappedTopLayers)
	}
	return append([]LayerID{i.TopLayer}, i.MappedTopLayers...)
}
