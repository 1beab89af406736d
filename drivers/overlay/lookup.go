package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// lookup finds layers by their short names, during one operation: in the
// directory of short names of each home, the driver's own first. A short name
// that is in none of them is lost, and is restored in the driver's own home. In
// the homes of other stores nothing is written; there, what the layers' own
// directories say has to do.
type lookup struct {
	driver *Driver
	search *drivers.Search
	// links has linkDir of each home; nil stands for one that has none.
	links map[*drivers.LayerDirs]*at.Dir
	// noted has the short names that are written down in the layers of homes
	// of other stores, once they had to be read.
	noted map[*drivers.LayerDirs]map[link]string
	// mended: what could be restored has been.
	mended bool
}

func (d *Driver) newLookup(search *drivers.Search) *lookup {
	return &lookup{
		driver: d, search: search,
		links: make(map[*drivers.LayerDirs]*at.Dir), noted: make(map[*drivers.LayerDirs]map[link]string),
	}
}

func (l *lookup) close() (err error) {
	for _, links := range l.links {
		if links != nil {
			err = errors.Join(err, links.Close())
		}
	}
	return err
}

// open opens the content of the layer that has a short name.
func (l *lookup) open(ctx context.Context, name link) (content, error) {
	found, err := l.byLink(name)
	if !errors.Is(err, errNoLink) {
		return found, err
	}
	if !l.mended {
		l.mended = true
		if err := l.driver.withLinks(func(links *at.Dir) error { return l.driver.mendLinks(ctx, links) }); err != nil {
			return content{}, err
		}
		if found, err = l.byLink(name); !errors.Is(err, errNoLink) {
			return found, err
		}
	}
	if found, errNoted := l.byNote(ctx, name); !errors.Is(errNoted, errNoLink) {
		return found, errNoted
	}
	if missing := l.search.Missing(); len(missing) > 0 {
		// No damage as far as can be seen.
		err = fmt.Errorf("%w: the layer with the short name %s; there is no %s, where it may be",
			model.ErrNotFound, name, strings.Join(missing, ", "))
	}
	return content{}, err
}

// byLink looks in the directories of short names. Where one leads to a layer
// that is not there, another home may still have it. The error matches errNoLink
// if there is no such short name.
func (l *lookup) byLink(name link) (content, error) {
	var errGone, errMissing error
	for home, err := range l.search.All() {
		if err != nil {
			return content{}, err
		}
		found, err := l.linked(home, name)
		switch {
		case err == nil:
			return found, nil
		case errors.Is(err, errNoLink):
			if errMissing == nil {
				errMissing = err
			}
		case errors.Is(err, fs.ErrNotExist):
			errGone = fmt.Errorf("%w: layer %q below it is missing: %w", model.ErrCorrupt, found.id, err)
		default:
			return content{}, err
		}
	}
	if errGone != nil {
		return content{}, errGone
	}
	return content{}, errMissing
}

// linked opens the content of the layer that has the short name in one home.
func (l *lookup) linked(home *drivers.LayerDirs, name link) (content, error) {
	links, err := l.linksOf(home)
	if err != nil {
		return content{}, err
	}
	if links == nil {
		return content{}, errNoLink
	}
	id, err := readTarget(links, name)
	if err != nil {
		return content{}, err
	}
	short := name.path()
	if !l.search.Own(home) {
		short = home.Path(short)
	}
	return openContent(home, id, contentDir, short)
}

// linksOf returns the directory of short names of a home.
func (l *lookup) linksOf(home *drivers.LayerDirs) (*at.Dir, error) {
	if links, known := l.links[home]; known {
		return links, nil
	}
	foreign := !l.search.Own(home)
	if foreign {
		if err := l.driver.checkMark(home); err != nil {
			return nil, err
		}
	}
	links, err := home.Sub(linkDir)
	if err != nil && (!foreign || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	l.links[home] = links
	return links, nil
}

// byNote looks into the layers in homes of other stores for the one that has the
// short name written down.
func (l *lookup) byNote(ctx context.Context, name link) (content, error) {
	for home, err := range l.search.All() {
		if err != nil {
			return content{}, err
		}
		if l.search.Own(home) {
			continue
		}
		if l.noted[home] == nil {
			if l.noted[home], err = notes(ctx, home); err != nil {
				return content{}, fmt.Errorf("short names in %s: %w", home.Path("."), err)
			}
		}
		if id, found := l.noted[home][name]; found {
			return l.driver.openAt(home, id, contentDir)
		}
	}
	return content{}, errNoLink
}

// notes returns the short names that are written down in the layers of a home.
// Each layer has its spare one too: it may be all that is known of it.
func notes(ctx context.Context, home *drivers.LayerDirs) (map[link]string, error) {
	ids, err := home.List()
	if err != nil {
		return nil, err
	}
	noted := make(map[link]string, 2*len(ids))
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		noted[spareLink(id)] = id
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if name, err := noteOf(home, id); err != nil {
			return nil, err
		} else if name != "" {
			noted[name] = id
		}
	}
	return noted, nil
}

// noteOf returns the short name that is written down in a layer, or "".
func noteOf(home *drivers.LayerDirs, id string) (name link, err error) {
	layer, err := home.Layer(id)
	if errors.Is(err, model.ErrLayerUnknown) || errors.Is(err, model.ErrCorrupt) {
		return "", nil // in part, or damaged
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	name, err = readLink(layer)
	if errors.Is(err, model.ErrCorrupt) {
		return "", nil
	}
	return name, err
}

// foreignLink returns a short name by which a layer in the home of another store
// is found. It may be lost there in part or as a whole. The error matches
// model.ErrCorrupt if what the home says leads to another layer.
func (l *lookup) foreignLink(ctx context.Context, layer *drivers.Located) (link, error) {
	name, err := readLink(layer.Dir)
	if errors.Is(err, errNoLink) {
		name, err = l.anyLink(layer)
	}
	if err != nil {
		return "", err
	}
	found, err := l.open(ctx, name)
	if err != nil {
		return "", err
	}
	if found.home != layer.Home || found.id != layer.ID {
		err = fmt.Errorf("%w: its short name %s leads to %s", model.ErrCorrupt, name, found.Path("."))
	}
	return name, errors.Join(err, found.Close())
}

// anyLink returns the first short name that leads to a layer in its home, or
// else its spare one.
func (l *lookup) anyLink(layer *drivers.Located) (link, error) {
	links, err := l.linksOf(layer.Home)
	if err != nil || links == nil {
		return spareLink(layer.ID), err
	}
	name, err := firstLink(links, layer.ID)
	if errors.Is(err, errNoLink) {
		return spareLink(layer.ID), nil
	}
	return name, err
}
