package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
)

// IsReference tells whether the problem is a reference between records that
// leads nowhere. That is no contradiction of the schema: a record can be
// deleted while others refer to it, if that is asked for.
func (c ProblemCode) IsReference() bool {
	switch c { //nolint:exhaustive // All others are contradictions.
	case ProblemParent, ProblemTopLayer, ProblemImage, ProblemLayer:
		return true
	}
	return false
}

// Check compares everything in the database with the schema: every value with
// its checksum, every record with its index entries and back, every count with
// what it counts, every reference with its target. The order of the problems
// is fixed. The error is about what kept Check from looking.
func (tx *ReadTx) Check(ctx context.Context) ([]Problem, error) {
	c := &checker{ctx: ctx, tx: tx}
	for _, step := range []func() error{
		c.checkBuckets, c.checkStore,
		func() error { return checkRecords(c, layers, c.checkLayer) },
		func() error { return checkRecords(c, images, c.checkImage) },
		func() error { return checkRecords(c, containers, c.checkContainer) },
		c.checkCycles, c.checkData, c.checkIndexes, c.checkUses, c.checkTrash, c.checkJournal, c.checkApps, c.checkUsage,
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
	problems []Problem
}

func (c *checker) add(code ProblemCode, in bucket, key string, kind model.Kind, id, expected, found string) {
	c.problems = append(c.problems, Problem{
		Code: code, Place: string(in) + "/" + printable(key), Kind: kind, ID: id, Expected: expected, Found: found,
	})
}

// damaged notes an error that says that a value is damaged, and returns any
// other one.
func (c *checker) damaged(err error, in bucket, key string, kind model.Kind, id string) error {
	if err == nil || !errors.Is(err, model.ErrCorrupt) {
		return err
	}
	var record *RecordError
	found := err.Error()
	if errors.As(err, &record) {
		found = record.Err.Error()
	}
	c.add(ProblemRecord, in, key, kind, id, "an intact value", found)
	return nil
}

// checkBuckets looks whether there are exactly the buckets of the schema.
func (c *checker) checkBuckets() error {
	known := make(map[string]bool)
	for _, name := range buckets {
		known[string(name)] = true
		if c.tx.root.Bucket([]byte(name)) == nil {
			c.add(ProblemBucket, rootBucket, string(name), "", "", "a bucket", "nothing")
		}
	}
	if len(c.problems) > 0 {
		return &DamageError{Path: c.tx.path, Err: errors.New("buckets are missing")}
	}
	return c.tx.root.ForEach(func(key, value []byte) error {
		if !known[string(key)] || value != nil {
			c.add(ProblemBucket, rootBucket, string(key), "", "", "nothing", "an unknown bucket or value")
		}
		return nil
	})
}

// checkStore looks at the values about the store as a whole.
func (c *checker) checkStore() error {
	_, errInfo := c.tx.Info()
	_, errUsage := c.tx.Usage()
	_, errSchema := c.tx.Schema()
	return errors.Join(
		c.damaged(errInfo, bucketStore, keyInfo, "", ""),
		c.damaged(errUsage, bucketStore, keyUsage, "", ""),
		c.damaged(errSchema, bucketStore, keySchema, "", ""))
}

// checkRecords looks at all records of a kind and at their index entries.
func checkRecords[R any](c *checker, o objects[R], check func(*R) error) error {
	return c.eachKey(o.name, func(key string, _ []byte) error {
		r, err := o.load(c.tx, key)
		if err != nil {
			return c.damaged(err, o.name, key, o.kind, key)
		}
		if err := model.ValidateID(o.kind, key); err != nil {
			c.add(ProblemRecord, o.name, key, o.kind, key, "a valid ID", err.Error())
		}
		for _, l := range o.links(r) {
			if err := c.checkLink(l, o.kind, key); err != nil {
				return err
			}
		}
		return check(r)
	})
}

// eachKey calls fn for each value of a bucket, as long as the context lasts.
func (c *checker) eachKey(in bucket, fn func(key string, value []byte) error) error {
	b, err := c.tx.bucket(in)
	if err != nil {
		return err
	}
	return b.ForEach(func(key, value []byte) error {
		if err := context.Cause(c.ctx); err != nil {
			return err
		}
		return fn(string(key), value)
	})
}

// checkLink looks whether the index entry is there that a record stands for.
func (c *checker) checkLink(l link, kind model.Kind, id string) error {
	if l.value == "" {
		b, err := c.tx.bucket(l.in)
		if err == nil && b.Get([]byte(l.key)) == nil {
			c.add(ProblemIndex, l.in, l.key, kind, id, "an entry", "nothing")
		}
		return err
	}
	value, err := linkValues(l.in).get(c.tx, l.key)
	switch {
	case errors.Is(err, model.ErrNotFound):
		c.add(ProblemIndex, l.in, l.key, kind, id, printable(l.value), "nothing")
	case errors.Is(err, model.ErrCorrupt):
		// checkIndexes reports it.
	case err != nil:
		return err
	case *value != l.value:
		c.add(ProblemIndex, l.in, l.key, kind, id, printable(l.value), printable(*value))
	}
	return nil
}

func (c *checker) exists(kind model.Kind, id string) (bool, error) {
	return keeperOf(kind).has(c.tx, id)
}

// checkLayer looks at the references of a layer.
func (c *checker) checkLayer(l *model.Layer) error {
	id := string(l.ID)
	if l.Parent != "" {
		found, err := c.exists(model.KindLayer, string(l.Parent))
		if err != nil {
			return err
		}
		if !found {
			c.add(ProblemParent, bucketLayers, id, model.KindLayer, id, "parent "+string(l.Parent), "no such layer")
		}
	}
	return nil
}

// checkImage looks at the references of an image.
func (c *checker) checkImage(i *model.Image) error {
	for _, layer := range i.TopLayers() {
		found, err := c.exists(model.KindLayer, string(layer))
		if err != nil {
			return err
		}
		if !found {
			c.add(ProblemTopLayer, bucketImages, string(i.ID), model.KindImage, string(i.ID), "layer "+string(layer), "no such layer")
		}
	}
	digests, err := c.tx.manifestDigests(string(i.ID))
	if err != nil {
		return ignoreDamage(err) // checkData reports it
	}
	if !slices.Equal(digests, i.ManifestDigests) {
		c.add(ProblemRecord, bucketImages, string(i.ID), model.KindImage, string(i.ID),
			fmt.Sprintf("manifests %v", digests), fmt.Sprintf("manifests %v", i.ManifestDigests))
	}
	return nil
}

// checkContainer looks at the references of a container.
func (c *checker) checkContainer(r *model.Container) error {
	id := string(r.ID)
	if r.Image != "" {
		found, err := c.exists(model.KindImage, string(r.Image))
		if err != nil {
			return err
		}
		if !found {
			c.add(ProblemImage, bucketContainers, id, model.KindContainer, id, "image "+string(r.Image), "no such image")
		}
	}
	found, err := c.exists(model.KindLayer, string(r.Layer))
	if err != nil {
		return err
	}
	if !found {
		c.add(ProblemLayer, bucketContainers, id, model.KindContainer, id, "layer "+string(r.Layer), "no such layer")
	}
	owners, err := c.tx.ContainersOfLayer(r.Layer)
	if err == nil && len(owners) > 1 {
		c.add(ProblemSharedLayer, bucketContainers, id, model.KindContainer, id, "a layer of its own", fmt.Sprintf("layer %s belongs to %d containers", r.Layer, len(owners)))
	}
	return err
}

// checkData looks at all data items.
func (c *checker) checkData() error {
	for _, kind := range model.Kinds {
		items := dataItems(kind)
		err := c.eachKey(items.name, func(key string, value []byte) error {
			id, name, _ := strings.Cut(key, separator)
			item, err := items.decode([]byte(key), value)
			if err != nil {
				return c.damaged(err, items.name, key, kind, id)
			}
			if item.Key != name {
				c.add(ProblemRecord, items.name, key, kind, id, "item "+printable(name), "item "+printable(item.Key))
			}
			if found, err := c.exists(kind, id); err != nil {
				return err
			} else if !found {
				c.add(ProblemOrphanData, items.name, key, kind, id, "an object that it belongs to", "none")
			}
			return c.checkLink(fileLink(item.Content.Path, kind, id, item.Key), kind, id)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
