package db

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/csdb/csdb/model"
)

// SchemaVersion is the version of the schema that this program writes. The
// history of versions is in the package comment.
const SchemaVersion = 2

// oldestReadable is the oldest version of the schema that can be read without
// being brought to this one.
const oldestReadable = 1

// rootBucket contains everything. Its name changes only if programs that know
// an older schema could not even find out that they do not know the new one.
const rootBucket = "v1"

// bucket is the name of a bucket below the root bucket.
type bucket string

// The buckets. The package comment draws what is in them.
const (
	bucketStore      bucket = "store"
	bucketLayers     bucket = "layers"
	bucketImages     bucket = "images"
	bucketContainers bucket = "containers"

	bucketLayerNames     bucket = "names/layer"
	bucketImageNames     bucket = "names/image"
	bucketContainerNames bucket = "names/container"

	bucketLayerData     bucket = "data/layer"
	bucketImageData     bucket = "data/image"
	bucketContainerData bucket = "data/container"

	bucketChildren         bucket = "index/children"
	bucketLayerImages      bucket = "index/layer-images"
	bucketLayerContainers  bucket = "index/layer-containers"
	bucketImageContainers  bucket = "index/image-containers"
	bucketDiffDigest       bucket = "index/digest/diff"
	bucketCompressedDigest bucket = "index/digest/compressed"
	bucketTOCDigest        bucket = "index/digest/toc"
	bucketImageDigest      bucket = "index/digest/image"
	bucketFiles            bucket = "index/files"

	bucketUses    bucket = "uses"
	bucketTrash   bucket = "trash"
	bucketJournal bucket = "journal"
	bucketApps    bucket = "apps"

	bucketHolds     bucket = "holds"
	bucketElsewhere bucket = "elsewhere"
	bucketPrepared  bucket = "prepared"
	bucketDecided   bucket = "decided"
	bucketRuns      bucket = "runs"
)

// buckets lists all buckets below the root bucket.
var buckets = []bucket{
	bucketStore, bucketLayers, bucketImages, bucketContainers,
	bucketLayerNames, bucketImageNames, bucketContainerNames,
	bucketLayerData, bucketImageData, bucketContainerData,
	bucketChildren, bucketLayerImages, bucketLayerContainers, bucketImageContainers,
	bucketDiffDigest, bucketCompressedDigest, bucketTOCDigest, bucketImageDigest, bucketFiles,
	bucketUses, bucketTrash, bucketJournal, bucketApps,
	bucketHolds, bucketElsewhere, bucketPrepared, bucketDecided, bucketRuns,
}

// since returns the version of the schema from which on there is a bucket.
func since(name bucket) uint64 {
	switch name { //nolint:exhaustive // All others have been there from the beginning.
	case bucketHolds, bucketElsewhere, bucketPrepared, bucketDecided, bucketRuns:
		return 2
	}
	return 1
}

// Keys in bucketStore.
const (
	keySchema = "schema"
	keyInfo   = "info"
	keyUsage  = "usage"
)

// separator stands between the parts of a key. No ID, name or digest contains
// it.
const separator = "\x00"

// joinKey makes a key of several parts.
func joinKey(parts ...string) string { return strings.Join(parts, separator) }

// lastPart returns the part of a key behind its first separator.
func lastPart(key []byte) string {
	_, last, _ := strings.Cut(string(key), separator)
	return last
}

// seqKey makes a key that sorts by number.
func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// namesOf returns the bucket of the names of a kind.
func namesOf(kind model.Kind) bucket {
	return ofKind(kind, bucketLayerNames, bucketImageNames, bucketContainerNames)
}

// dataOf returns the bucket of the data items of a kind.
func dataOf(kind model.Kind) bucket {
	return ofKind(kind, bucketLayerData, bucketImageData, bucketContainerData)
}

// recordsOf returns the bucket of the records of a kind.
func recordsOf(kind model.Kind) bucket {
	return ofKind(kind, bucketLayers, bucketImages, bucketContainers)
}

// ofKind chooses by kind.
func ofKind(kind model.Kind, layer, image, container bucket) bucket {
	switch kind {
	case model.KindLayer:
		return layer
	case model.KindImage:
		return image
	case model.KindContainer:
		return container
	}
	panic(fmt.Sprintf("unknown kind %q", kind))
}
