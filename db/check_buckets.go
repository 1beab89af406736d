package db

import (
	"errors"
	"fmt"
	"slices"

	"github.com/csdb/csdb/model"
)

// checkBuckets looks whether there are exactly the buckets of the schema.
func (c *checker) checkBuckets() error {
	if c.tx.bolt == nil {
		return errDone
	}
	known := make(map[string]bool)
	for _, name := range buckets {
		known[string(name)] = true
		found, err := c.tx.root.bucket(string(name))
		if err != nil {
			return err
		}
		if found == nil && !c.tx.lacks(name) {
			c.add(ProblemBucket, rootBucket, string(name), "", "", "a bucket", foundNothing)
		}
	}
	if len(c.problems) > 0 {
		return &DamageError{Path: c.tx.path, Err: errors.New("buckets are missing")}
	}
	return c.tx.root.scan(nil, func(key, value []byte) error {
		if !known[string(key)] || value != nil {
			c.add(ProblemBucket, rootBucket, string(key), "", "", "nothing", "an unknown bucket or value")
		}
		return nil
	})
}

// checkStore looks at the values about the store as a whole. Without a version
// of the schema there would be no transaction.
func (c *checker) checkStore() error {
	_, errInfo := c.tx.Info()
	_, errUsage := c.tx.Usage()
	_, errSchema := c.tx.Schema()
	if errors.Is(errInfo, model.ErrNotFound) {
		c.add(ProblemRecord, bucketStore, keyInfo, "", "", "a description of the store", "nothing")
		errInfo = nil
	}
	if errors.Is(errUsage, model.ErrNotFound) {
		c.add(ProblemUsage, bucketStore, keyUsage, "", "", "sums", "nothing")
		errUsage = nil
	}
	err := c.eachKey(bucketStore, func(key string, _ []byte) error {
		if !slices.Contains([]string{keyInfo, keySchema, keyUsage}, key) {
			c.add(ProblemRecord, bucketStore, key, "", "", "nothing", "an unknown value")
		}
		return nil
	})
	return errors.Join(err,
		c.damaged(errInfo, bucketStore, keyInfo, "", ""),
		c.damaged(errUsage, bucketStore, keyUsage, "", ""),
		c.damaged(errSchema, bucketStore, keySchema, "", ""))
}

// checkTrash looks whether anything is to be removed that is needed.
func (c *checker) checkTrash() error {
	return c.eachKey(bucketTrash, func(key string, value []byte) error {
		t, err := trash.decode([]byte(key), value)
		if err != nil {
			return c.damaged(err, bucketTrash, key, "", "")
		}
		if t.Path != key {
			c.add(ProblemRecord, bucketTrash, key, t.ObjectKind, t.ID, "path "+printable(key), "path "+printable(t.Path))
		}
		if owner, err := c.tx.FileOwner(t.Path); err == nil {
			c.add(ProblemTrash, bucketTrash, key, owner.Kind, owner.ID, "content that nothing needs", "content of "+string(owner.Kind)+" "+owner.ID)
		}
		l, err := c.tx.Layer(model.LayerID(t.ID))
		if t.Kind == TrashLayer && err == nil && l.Made && l.DriverDir() == t.Dir {
			c.add(ProblemTrash, bucketTrash, key, model.KindLayer, t.ID, "a layer that nothing needs", "the directory of layer "+t.ID)
		}
		return nil
	})
}

// checkJournal looks whether the journal can be read.
func (c *checker) checkJournal() error {
	var greatest uint64
	err := c.eachKey(bucketJournal, func(key string, value []byte) error {
		entry, err := journal.decode([]byte(key), value)
		if err == nil && string(seqKey(entry.Seq)) != key {
			err = &RecordError{Bucket: string(bucketJournal), Key: key, Err: fmt.Errorf("has number %d", entry.Seq)}
		}
		if err == nil {
			greatest = entry.Seq
		}
		return c.damaged(err, bucketJournal, key, "", "")
	})
	return errors.Join(err, c.checkSequence(bucketJournal, greatest))
}

// checkApps looks whether the values of embedding programs are intact.
func (c *checker) checkApps() error {
	apps, err := c.tx.bucket(bucketApps)
	if err != nil {
		return err
	}
	return apps.scan(nil, func(key, value []byte) error {
		if value != nil {
			c.add(ProblemBucket, bucketApps, string(key), "", "", "a bucket", "a value")
			return nil
		}
		return c.checkApp(c.tx.App(string(key)))
	})
}

func (c *checker) checkApp(app *ReadBucket) error {
	err := app.usable()
	if errors.Is(err, model.ErrInvalid) {
		c.add(ProblemBucket, app.name, "", "", "", "a valid name", err.Error())
		return nil
	}
	if err != nil || app.tree == nil {
		return err
	}
	if root := uint64(app.tree.bolt.Root()); root != 0 {
		if c.apps[root] {
			c.add(ProblemBucket, app.name, "", "", "", "pages of its own", "those of another bucket")
			return nil
		}
		c.apps[root] = true
	}
	return app.tree.scan(nil, func(key, value []byte) error {
		if value == nil {
			return c.checkApp(app.Bucket(string(key)))
		}
		_, err := unseal(app.name, key, value)
		return c.damaged(err, app.name, string(key), "", "")
	})
}
