package fsck

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
)

// checkHolds compares what other stores are noted to need with what they need.
func (c *checker) checkHolds() error {
	holds, err := c.tx[0].AllHolds()
	if intact(err) != nil {
		return err
	}
	holders := make(map[string]bool)
	for i := range holds {
		holders[holds[i].Store] = true
		if err := c.checkHold(&holds[i]); err != nil {
			return err
		}
	}
	for _, o := range c.others {
		if (o.given || holders[o.uuid]) && !o.unclear {
			if err := c.checkUnheld(o); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkHold looks whether a hold is of any use. That on an object which does not
// exist has been reported.
func (c *checker) checkHold(h *db.Hold) error {
	if _, err := c.tx[0].Names(h.Kind, h.ID); err != nil {
		return ignoreMissing(intact(err))
	}
	found, err := c.useless(h)
	if err != nil || found == "" {
		return err
	}
	c.add(Finding{
		Code: CodeHold, Object: &Object{Kind: h.Kind, ID: h.ID}, Realm: InDatabase,
		Place: placeOfHold(h), Expected: "a store that needs it", Found: found, Hold: h,
	})
	return nil
}

// useless says why a hold is of no use, or "" if it is, or if that cannot be told.
func (c *checker) useless(h *db.Hold) (found string, err error) {
	if !h.Counts(c.boot) {
		return fmt.Sprintf("one of volatile containers of the store %s that went with an earlier boot of the machine", h.Root), nil
	}
	if o := c.withUUID(h.Store); o != nil {
		if o.unclear {
			return "", nil
		}
		needed, err := o.tx.IsReferred(h.Kind, h.ID)
		if needed || err != nil {
			return "", intact(err)
		}
		return fmt.Sprintf("the store %s, which does not", o.root), nil
	}
	switch gone, err := c.isGone(h); {
	case err != nil:
		return "", err
	case gone && h.RunRoot != "":
		return fmt.Sprintf("volatile containers of the store %s in %s, which are not there any more", h.Root, h.RunRoot), nil
	case gone:
		return fmt.Sprintf("the store %s in %s, which is not there any more", h.Store, h.Root), nil
	}
	return "", nil
}

// placeOfHold returns where a hold is in the database.
func placeOfHold(h *db.Hold) string {
	return "holds/" + strconv.Quote(strings.Join([]string{string(h.Kind), h.ID, h.Store}, "\x00"))
}

// isGone tells whether the database is not there any more of which a hold is, and
// will not come back.
func (c *checker) isGone(h *db.Hold) (bool, error) {
	if _, err := os.Stat(h.Root); err != nil {
		return errors.Is(err, fs.ErrNotExist), ignoreAway(err)
	}
	uuid, err := db.ReadMarker(h.Root)
	if err != nil || uuid == "" { // perhaps what is to be there is not mounted
		return false, ignoreAway(err)
	}
	if h.RunRoot == "" {
		return uuid != h.Store, nil
	}
	for _, path := range graph.VolatileDatabases(h.RunRoot, uuid, c.boot) {
		if !slices.ContainsFunc(c.others, func(o *other) bool { return o.path == path }) {
			return false, nil // it cannot be read
		}
	}
	return true, nil
}

func ignoreAway(err error) error {
	if isAway(err) {
		return nil
	}
	return err
}

// checkUnheld looks for objects that another store needs without a hold.
func (c *checker) checkUnheld(o *other) error {
	places, err := o.tx.AllElsewhere()
	if intact(err) != nil {
		return err
	}
	for _, p := range places {
		if p.Store != c.report.UUID {
			continue
		}
		missing, err := c.isUnheld(&p, o)
		if err != nil {
			return err
		}
		if !missing {
			continue
		}
		h := &db.Hold{Kind: p.Kind, ID: p.ID, Store: o.uuid, Root: o.root}
		if o.runRoot != "" {
			h.RunRoot, h.Boot = o.runRoot, c.boot
		}
		c.add(Finding{
			Code: CodeUnheld, Object: &Object{Kind: p.Kind, ID: p.ID}, Realm: InDatabase, Place: placeOfHold(h),
			Expected: "a note that the store " + o.root + " needs it", Found: "none", Hold: h,
		})
	}
	return nil
}

// isUnheld tells whether another store needs an object that is here, and that is not
// noted.
func (c *checker) isUnheld(p *db.Elsewhere, o *other) (bool, error) {
	if _, err := c.tx[0].Names(p.Kind, p.ID); err != nil {
		return false, ignoreMissing(intact(err))
	}
	if needed, err := o.tx.IsReferred(p.Kind, p.ID); !needed || err != nil {
		return false, intact(err)
	}
	holds, err := c.tx[0].Holds(p.Kind, p.ID)
	if err != nil {
		return false, intact(err)
	}
	return !slices.ContainsFunc(holds, func(h db.Hold) bool { return h.Store == o.uuid }), nil
}
