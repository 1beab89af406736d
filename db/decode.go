package db

import (
	"strings"

	"github.com/csdb/csdb/model"
)

// Decoded returns what the value of a record means, for people: a record of
// package model or of this one, a number or a text, the bytes that an embedding
// program has stored, or nil for an entry that says all with its key. The error
// matches model.ErrCorrupt if the value is damaged.
func (r *Record) Decoded() (any, error) {
	if len(r.Bucket) < 2 || r.Bucket[0] != rootBucket {
		return r.Value, nil // not ours
	}
	in := bucket(strings.Join(r.Bucket[1:], "/"))
	if len(r.Value) == 0 {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	content, err := unseal(in, r.Key, r.Value)
	if err != nil || strings.HasPrefix(string(in), string(bucketApps)+"/") {
		return content, err
	}
	value := newValue(in, string(r.Key))
	if value == nil {
		return content, nil
	}
	if err := decoding.Unmarshal(content, value); err != nil {
		return nil, &RecordError{Bucket: string(in), Key: string(r.Key), Err: err}
	}
	return value, nil
}

// newValue returns a pointer to what the values in a bucket are; nil means that
// this is not known.
func newValue(in bucket, key string) any {
	switch in { //nolint:exhaustive // The others have no values.
	case bucketStore:
		switch key {
		case keySchema:
			return new(uint64)
		case keyInfo:
			return new(Info)
		case keyUsage:
			return new(Usage)
		}
	case bucketLayers:
		return new(model.Layer)
	case bucketImages:
		return new(model.Image)
	case bucketContainers:
		return new(model.Container)
	case bucketLayerNames, bucketImageNames, bucketContainerNames, bucketFiles:
		return new(string)
	case bucketLayerData, bucketImageData, bucketContainerData:
		return new(model.Data)
	case bucketUses:
		return new(uint64)
	case bucketTrash:
		return new(Trash)
	case bucketJournal:
		return new(JournalEntry)
	case bucketHolds:
		return new(Hold)
	case bucketElsewhere:
		return new(Elsewhere)
	case bucketPrepared:
		return new(Prepared)
	case bucketDecided:
		return new(Decided)
	case bucketRuns:
		return new(RunRoot)
	}
	return nil
}
