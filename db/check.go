package db

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/csdb/csdb/model"
)

// Problem is something in the database that contradicts its schema, or a
// reference that leads nowhere.
type Problem struct {
	Code ProblemCode
	// Place is the bucket and the key of the value at fault.
	Place string
	// Kind and ID name the object that is concerned, if it can be told.
	Kind model.Kind
	ID   string
	// Expected and Found say what is wrong.
	Expected, Found string
}

// foundNothing is what is found in place of something that is missing.
const foundNothing = "nothing"

// String describes the problem in one line.
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s: expected %s, found %s", p.Code, p.Place, p.Expected, p.Found)
}

// ProblemCode tells what kind of problem it is.
type ProblemCode string

// The kinds of problem.
const (
	ProblemBucket      ProblemCode = "bucket"       // a bucket is missing or unknown
	ProblemRecord      ProblemCode = "record"       // a value is damaged or makes no sense
	ProblemIndex       ProblemCode = "index"        // an index entry is missing or wrong
	ProblemIndexStray  ProblemCode = "index-stray"  // an index entry stands for nothing
	ProblemSequence    ProblemCode = "sequence"     // a number would be given out again
	ProblemUses        ProblemCode = "uses"         // a count of uses is wrong
	ProblemUsage       ProblemCode = "usage"        // a sum is wrong
	ProblemOrphanData  ProblemCode = "orphan-data"  // a data item belongs to no object
	ProblemTrash       ProblemCode = "trash"        // something is both needed and to be removed
	ProblemParent      ProblemCode = "parent"       // a layer's parent does not exist
	ProblemCycle       ProblemCode = "cycle"        // a layer is its own ancestor
	ProblemTopLayer    ProblemCode = "top-layer"    // an image's layer does not exist
	ProblemImage       ProblemCode = "image"        // a container's image does not exist
	ProblemLayer       ProblemCode = "layer"        // a container's layer does not exist
	ProblemSharedLayer ProblemCode = "shared-layer" // a container's layer is somebody else's too
	ProblemHold        ProblemCode = "hold"         // another store needs an object that does not exist
	ProblemElsewhere   ProblemCode = "elsewhere"    // an object is noted to be in another store, and nothing refers to it
)

// IsReference tells whether the problem is a reference between records that
// leads nowhere, be it one of another store, or a note about one that is no longer
// there. That is no contradiction of the schema: a record can be deleted while
// others refer to it, if that is asked for.
func (c ProblemCode) IsReference() bool {
	switch c { //nolint:exhaustive // All others are contradictions.
	case ProblemParent, ProblemTopLayer, ProblemImage, ProblemLayer, ProblemHold, ProblemElsewhere:
		return true
	}
	return false
}

// IsDerived tells whether what is wrong follows from the records, so that it
// can be made anew from them, or is about the history of the store, without
// which it can be used, or is a note about another store that says nothing.
func (p Problem) IsDerived() bool {
	switch p.Code { //nolint:exhaustive // All others are about records.
	case ProblemIndex, ProblemIndexStray, ProblemSequence, ProblemUses, ProblemUsage, ProblemHold, ProblemElsewhere:
		return true
	case ProblemBucket:
		// One that is missing, and had nothing but what follows from records.
		in := bucket(strings.TrimPrefix(p.Place, rootBucket+"/"))
		return p.Found == foundNothing && (linkOwner(in) != nil || in == bucketUses || in == bucketJournal)
	case ProblemRecord:
		for _, in := range []string{
			"names/", "index/", string(bucketUses) + "/", string(bucketJournal) + "/", string(bucketStore) + "/" + keyUsage,
			string(bucketHolds) + "/", string(bucketRuns) + "/",
		} {
			if strings.HasPrefix(p.Place, in) {
				return true
			}
		}
	}
	return false
}

// Check compares everything in the database with the schema: every value with
// its checksum, every record with its index entries and back, every count with
// what it counts, every reference with its target. The order of the problems
// is fixed. The error is about what kept Check from looking.
//
// What a record refers to may also be in a database beside it: that of volatile
// containers does not note which objects are in that of the store.
func (tx *ReadTx) Check(ctx context.Context, beside ...*ReadTx) ([]Problem, error) {
	c := newChecker(ctx, tx)
	c.beside = beside
	for _, step := range []func() error{
		c.checkBuckets, c.checkStore,
		func() error { return checkRecords(c, layers, c.checkLayer) },
		func() error { return checkRecords(c, images, c.checkImage) },
		func() error { return checkRecords(c, containers, c.checkContainer) },
		c.checkCycles, c.checkData, c.checkIndexes, c.checkUses, c.checkTrash, c.checkJournal, c.checkApps, c.checkPlaces, c.checkUsage,
	} {
		if err := step(); err != nil {
			return c.problems, err
		}
	}
	return c.problems, nil
}

// checker collects problems.
type checker struct {
	ctx      context.Context //nolint:containedctx // It lives as long as one call of Check.
	tx       *ReadTx
	beside   []*ReadTx // in which the objects may be that records refer to
	problems []Problem
	reported map[Problem]bool // some buckets are visited twice
	apps     map[uint64]bool  // root pages of the buckets of programs
}

func newChecker(ctx context.Context, tx *ReadTx) *checker {
	return &checker{ctx: ctx, tx: tx, reported: make(map[Problem]bool), apps: make(map[uint64]bool)}
}

func (c *checker) add(code ProblemCode, in bucket, key string, kind model.Kind, id, expected, found string) {
	p := Problem{Code: code, Place: string(in) + "/" + printable(key), Kind: kind, ID: id, Expected: expected, Found: found}
	if !c.reported[p] {
		c.reported[p] = true
		c.problems = append(c.problems, p)
	}
}

// damaged notes an error that says that a value is damaged, and returns any
// other one.
func (c *checker) damaged(err error, in bucket, key string, kind model.Kind, id string) error {
	if err == nil || !errors.Is(err, model.ErrCorrupt) {
		return err
	}
	found := err.Error()
	if record, ok := errors.AsType[*RecordError](err); ok {
		found = record.Err.Error()
	}
	c.add(ProblemRecord, in, key, kind, id, "an intact value", found)
	return nil
}

// eachKey calls fn for each value of a bucket, as long as the context lasts.
func (c *checker) eachKey(in bucket, fn func(key string, value []byte) error) error {
	b, err := c.tx.bucket(in)
	if err != nil {
		return err
	}
	return b.scan(nil, func(key, value []byte) error {
		if err := context.Cause(c.ctx); err != nil {
			return err
		}
		if value == nil {
			c.add(ProblemBucket, in, string(key), "", "", "a value", "a bucket")
			return nil
		}
		return fn(string(key), value)
	})
}

// checkSequence looks whether the number from which a bucket numbers its
// records is as great as the greatest that it has given out.
func (c *checker) checkSequence(in bucket, greatest uint64) error {
	b, err := c.tx.bucket(in)
	if err == nil && b.bolt.Sequence() < greatest {
		c.add(ProblemSequence, in, "", "", "", fmt.Sprintf("a sequence of at least %d", greatest), fmt.Sprint(b.bolt.Sequence()))
	}
	return err
}
