package fsck

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// checkElsewhere looks whether the objects are there that other stores are noted
// to have.
func (c *checker) checkElsewhere() error {
	c.noteOthers()
	places, err := c.allElsewhere()
	if err != nil {
		return err
	}
	lost := make(map[ref]*db.Elsewhere)
	away := make(map[string]*awayStore)
	for _, p := range places {
		_, err := c.anywhere().Names(p.Kind, p.ID)
		switch {
		case !errors.Is(err, model.ErrNotFound):
			if err := intact(err); err != nil { // what cannot be read is for the check of that store
				return err
			}
		case c.withUUID(p.Store) != nil:
			if !c.withUUID(p.Store).unclear {
				lost[ref{p.Kind, p.ID}] = &p
			}
		default:
			if away[p.Store] == nil {
				away[p.Store] = &awayStore{place: p}
			}
			away[p.Store].objects++
		}
	}
	for _, store := range away {
		c.noteAway(store)
	}
	c.away = len(away) > 0
	if len(lost) == 0 || len(c.undecided) > 0 {
		return nil
	}
	return c.noteLost(lost)
}

// awayStore is a store that has objects and cannot be looked at.
type awayStore struct {
	place   db.Elsewhere
	objects int
}

func (c *checker) noteAway(store *awayStore) {
	c.add(Finding{
		Code: CodeAway, Realm: InDatabase, Place: "elsewhere",
		Expected: fmt.Sprintf("the store %s in %s, which has objects that are needed here (%d)", store.place.Store, store.place.Root, store.objects),
		Found:    "none that could be read",
	})
}

// noteLost makes findings of the records that refer to objects which are missing
// where they are noted to be.
func (c *checker) noteLost(lost map[ref]*db.Elsewhere) error {
	for i, tx := range c.tx {
		note := func(code Code, kind model.Kind, id string, relation string, target ref) {
			place, missing := lost[target]
			if !missing {
				return
			}
			f := Finding{
				Code: code, Object: &Object{Kind: kind, ID: id}, Realm: InDatabase, Place: string(kind) + "s/" + id,
				Expected: fmt.Sprintf("%s %s in the store %s", relation, target.id, place.Root), Found: fmt.Sprintf("no such %s in that store", target.kind),
			}
			if i > 0 {
				f.Realm, f.Place = InVolatile, c.volatilePath(tx)+volatileSeparator+f.Place
			}
			c.add(f)
		}
		layer := func(id model.LayerID) ref { return ref{model.KindLayer, string(id)} }
		err := errors.Join(
			intact(tx.EachLayer(func(l *model.Layer) error {
				note(CodeParent, model.KindLayer, string(l.ID), "parent", layer(l.Parent))
				return nil
			})),
			intact(tx.EachImage(func(image *model.Image) error {
				for _, top := range image.TopLayers() {
					note(CodeLayer, model.KindImage, string(image.ID), "layer", layer(top))
				}
				return nil
			})),
			intact(tx.EachContainer(func(r *model.Container) error {
				note(CodeImage, model.KindContainer, string(r.ID), "image", ref{model.KindImage, string(r.Image)})
				note(CodeLayer, model.KindContainer, string(r.ID), "layer", layer(r.Layer))
				return nil
			})))
		if err != nil {
			return err
		}
	}
	return nil
}

// volatilePath returns the path of a database of volatile containers.
func (d *databases) volatilePath(tx *db.ReadTx) string {
	i := slices.IndexFunc(d.volatile, func(e *db.Examined) bool { return e.Tx == tx })
	return d.volatile[i].Path
}

// homes returns where the driver has the layers of other stores. It is nil if there
// are none, or it is not known which stores these are: what layers lie on whose
// records are lost has been reported, and need not be once more by the driver.
func (c *checker) homes(driver string) ([]string, error) {
	for _, tx := range c.tx {
		if _, err := tx.AllElsewhere(); err != nil {
			return nil, intact(err)
		}
	}
	places, err := c.allElsewhere()
	if err != nil {
		return nil, err
	}
	roots := slices.Clone(c.options.Others)
	for _, p := range places {
		roots = append(roots, p.Root)
	}
	var homes []string
	for _, root := range roots {
		if home := filepath.Join(cmp.Or(root, "/"), driver); !slices.Contains(homes, home) {
			homes = append(homes, home)
		}
	}
	return homes, nil
}
