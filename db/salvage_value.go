package db

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// nameEntry is an index entry whose value says whom it means.
type nameEntry struct{ owner string }

// valueBuckets are the buckets of the schema with values that are worth
// something, those with the most first. Others can be made anew.
var valueBuckets = []bucket{
	bucketLayers, bucketImageData, bucketImages, bucketJournal, bucketContainers, bucketContainerData, bucketLayerData,
	bucketFiles, bucketImageNames, bucketLayerNames, bucketContainerNames, bucketTrash, bucketStore,
	bucketHolds, bucketElsewhere, bucketPrepared, bucketDecided, bucketRuns,
}

// errForeign means that a value is intact and is not what its key says.
var errForeign = errors.New("the value belongs to another key")

// decodeValue returns what an intact value of a bucket says. For buckets with
// nothing but index entries and counts that is nil.
func decodeValue(in bucket, key, value []byte) (record any, err error) {
	var itself string
	switch in { //nolint:exhaustive // Others have no records.
	case bucketLayers:
		return decodeObject(layers, key, value)
	case bucketImages:
		return decodeObject(images, key, value)
	case bucketContainers:
		return decodeObject(containers, key, value)
	case bucketLayerData, bucketImageData, bucketContainerData:
		var item *model.Data
		if item, err = (table[model.Data]{in}).decode(key, value); err == nil {
			record, itself = item, lastPart(key)
			if item.Key != itself || !bytes.Contains(key, []byte(separator)) {
				return nil, errForeign
			}
		}
		return record, err
	case bucketTrash:
		var t *Trash
		if t, err = trash.decode(key, value); err == nil && t.Path != string(key) {
			return nil, errForeign
		}
		return t, err
	case bucketJournal:
		var entry *JournalEntry
		if entry, err = journal.decode(key, value); err == nil && !bytes.Equal(seqKey(entry.Seq), key) {
			return nil, errForeign
		}
		return entry, err
	case bucketStore:
		return decodeStore(key, value)
	case bucketHolds, bucketElsewhere, bucketPrepared, bucketDecided, bucketRuns:
		return decodePlace(in, key, value)
	case bucketLayerNames, bucketImageNames, bucketContainerNames, bucketFiles:
		owner, err := linkValues(in).decode(key, value)
		if err != nil {
			return nil, err
		}
		return nameEntry{*owner}, nil
	}
	if strings.HasPrefix(string(in), string(bucketApps)+"/") {
		content, err := unseal(in, key, value)
		return bytes.Clone(content), err
	}
	return nil, nil //nolint:nilnil // The comment says what nil means.
}

func decodeObject[R any](o objects[R], key, value []byte) (any, error) {
	r, err := o.decode(key, value)
	if err == nil && o.head(r).id != string(key) {
		err = errForeign
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func decodeStore(key, value []byte) (any, error) {
	var record any
	var err error
	switch string(key) {
	case keyInfo:
		record, err = infos.decode(key, value)
	case keyUsage:
		record, err = usages.decode(key, value)
	default:
		_, err = unseal(bucketStore, key, value)
	}
	if err != nil {
		return nil, err
	}
	return record, nil
}

// identify finds out what a value is that lies anywhere: the bucket in which its
// checksum is right.
func identify(among []bucket, key, value []byte) (in bucket, record any) {
	if len(value) < valueHeader || value[0] != valueFormat {
		return "", nil
	}
	for _, in := range among {
		if record, err := decodeValue(in, key, value); err == nil && record != nil {
			return in, record
		}
	}
	return "", nil
}

// seqOf returns the number of a record in the order of creation, 0 if it has
// none.
func seqOf(record any) uint64 {
	switch r := record.(type) {
	case *model.Layer:
		return r.Seq
	case *model.Image:
		return r.Seq
	case *model.Container:
		return r.Seq
	case *model.Data:
		return r.Seq
	case *JournalEntry:
		return r.Seq
	}
	return 0
}

// objectOf returns what a key of a bucket with records is about. The kind is ""
// if it is about no object.
func objectOf(in bucket, key string) (kind model.Kind, id, item string) {
	for _, kind := range model.Kinds {
		if in == recordsOf(kind) {
			return kind, key, ""
		}
		if in == dataOf(kind) {
			id, item, _ := strings.Cut(key, separator)
			return kind, id, item
		}
	}
	return "", "", ""
}

// bucketOf returns the bucket of the schema, or of an embedding program, that has
// a path.
func bucketOf(path []string) bucket {
	if len(path) < 2 || path[0] != rootBucket {
		return ""
	}
	return bucket(strings.Join(path[1:], "/"))
}

// pathOf returns the path of a bucket. The names of an embedding program's
// buckets may contain slashes themselves, which a value cannot tell.
func pathOf(in bucket) []string {
	if slices.Contains(buckets, in) {
		return []string{rootBucket, string(in)}
	}
	return append([]string{rootBucket}, strings.Split(string(in), "/")...)
}
