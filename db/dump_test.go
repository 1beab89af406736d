package db_test

import (
	"encoding/json"
	"errors"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// contents are all records of a database.
type contents struct {
	Info       *db.Info
	Usage      *db.Usage
	Layers     []*model.Layer
	Images     []*model.Image
	Containers []*model.Container
	Data       map[string][]model.Data
	Uses       map[model.LayerID]uint64
	Trash      []db.Trash
	Apps       map[string]string
	Journal    []*db.JournalEntry
	Holds      []db.Hold      `json:",omitempty"`
	Elsewhere  []db.Elsewhere `json:",omitempty"`
	Prepared   []db.Prepared  `json:",omitempty"`
	Decided    []db.Decided   `json:",omitempty"`
	Runs       []db.RunRoot   `json:",omitempty"`
}

// dump returns all records as a transaction sees them, in JSON. Two databases
// with the same dump have the same logical content.
func dump(tx *db.ReadTx) (string, error) {
	c := contents{Data: make(map[string][]model.Data), Uses: make(map[model.LayerID]uint64), Apps: make(map[string]string)}
	var errs [7]error
	c.Info, errs[0] = tx.Info()
	c.Usage, errs[1] = tx.Usage()
	c.Layers, errs[2] = tx.Layers()
	c.Images, errs[3] = tx.Images()
	c.Containers, errs[4] = tx.Containers()
	c.Trash, errs[5] = tx.AllTrash()
	errs[6] = tx.Journal(0, func(e *db.JournalEntry) bool { c.Journal = append(c.Journal, e); return true })
	if err := errors.Join(errs[:]...); err != nil {
		return "", err
	}
	err := errors.Join(c.dumpDetails(tx), c.dumpPlaces(tx), c.dumpApp(tx.App("com.example.engine"), "com.example.engine"))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(c)
	return string(text), err
}

func (c *contents) dumpDetails(tx *db.ReadTx) (err error) {
	dumpData := func(kind model.Kind, id string) {
		items, errItems := tx.Data(kind, id)
		if len(items) > 0 {
			c.Data[string(kind)+" "+id] = items
		}
		err = errors.Join(err, errItems)
	}
	for _, l := range c.Layers {
		uses, errUses := tx.Uses(l.ID)
		c.Uses[l.ID] = uses
		err = errors.Join(err, errUses)
		dumpData(model.KindLayer, string(l.ID))
	}
	for _, i := range c.Images {
		dumpData(model.KindImage, string(i.ID))
	}
	for _, r := range c.Containers {
		dumpData(model.KindContainer, string(r.ID))
	}
	return err
}

func (c *contents) dumpPlaces(tx *db.ReadTx) error {
	var errs [5]error
	c.Holds, errs[0] = tx.AllHolds()
	c.Elsewhere, errs[1] = tx.AllElsewhere()
	c.Prepared, errs[2] = tx.Prepared()
	c.Decided, errs[3] = tx.AllDecided()
	c.Runs, errs[4] = tx.Runs()
	return errors.Join(errs[:]...)
}

func (c *contents) dumpApp(app *db.ReadBucket, name string) error {
	err := app.Each(nil, func(key, value []byte) error {
		c.Apps[name+"/"+string(key)] = string(value)
		return nil
	})
	inner, errInner := app.Buckets()
	err = errors.Join(err, errInner)
	for _, b := range inner {
		err = errors.Join(err, c.dumpApp(app.Bucket(b), name+"/"+b))
	}
	return err
}
