package drivers

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"

	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// Homes are the places in which a driver finds layers: the directory of layers
// of its own home, and those of the homes of other stores (Config.Others),
// which are only ever read. Of two layers with one name the first counts.
//
// Those of other stores are opened for each search and not kept open: one may
// come into being at any time, and one on a medium must not keep anybody from
// unmounting that.
type Homes struct {
	own    *LayerDirs
	others []string
}

// NewHomes returns the driver's own directory of layers, which stays the
// caller's to close, together with those at the paths others in homes of other
// stores.
func NewHomes(own *LayerDirs, others []string) (*Homes, error) {
	homes := &Homes{own: own}
	for _, other := range others {
		path, err := filepath.Abs(other)
		if err != nil {
			return nil, err
		}
		homes.others = append(homes.others, path)
	}
	return homes, nil
}

// OpenOthers opens those of the directories of layers in homes of other stores
// that exist, for an Inspector. missing tells that some do not.
func OpenOthers(others []string) (opened []*LayerDirs, missing bool, err error) {
	for _, path := range others {
		dirs, err := OpenLayerDirs(path)
		switch {
		case err == nil:
			opened = append(opened, dirs)
		case errors.Is(err, fs.ErrNotExist):
			missing = true
		default:
			for _, dirs := range opened {
				err = errors.Join(err, dirs.Close())
			}
			return nil, false, fmt.Errorf("home of another store: %w", err)
		}
	}
	return opened, missing, nil
}

// Alone tells whether there are no homes of other stores.
func (h *Homes) Alone() bool { return len(h.others) == 0 }

// Exists tells whether one of the homes has the layer.
func (h *Homes) Exists(id string) (bool, error) {
	home, _, err := h.homeOf(id)
	return home != "", err
}

// Need returns an error that matches model.ErrLayerUnknown if none of the homes
// has the layer.
func (h *Homes) Need(id string) error {
	_, err := h.Path(id)
	return err
}

// Path returns the path of the layer's directory. The error matches
// model.ErrLayerUnknown if none of the homes has it.
func (h *Homes) Path(id string) (path string, err error) {
	search := h.search()
	defer func() { err = errors.Join(err, search.Close()) }()
	home, err := search.First(id)
	if err == nil && home == nil {
		err = search.unknown(id)
	}
	if err != nil {
		return "", err
	}
	return home.Path(id), nil
}

// NeedOwn returns an error if the driver's own home does not have the layer: it
// matches model.ErrStoreIsReadOnly if the home of another store has it, and
// model.ErrLayerUnknown otherwise.
func (h *Homes) NeedOwn(id string) error {
	if err := h.NotElsewhere(id); err != nil {
		return err
	}
	return h.own.Need(id)
}

// NotElsewhere returns an error that matches model.ErrStoreIsReadOnly if the
// layer is in the home of another store and not in the driver's own.
func (h *Homes) NotElsewhere(id string) error {
	home, foreign, err := h.homeOf(id)
	if err == nil && foreign {
		err = inOtherStore(home)
	}
	return err
}

// Vacant returns an error that matches model.ErrExists if the home of another
// store has the layer and the driver's own, of which the caller sees to it
// himself, has not.
func (h *Homes) Vacant(id string) error {
	home, foreign, err := h.homeOf(id)
	if err == nil && foreign {
		err = fmt.Errorf("%s: %w", filepath.Join(home, id), model.ErrExists)
	}
	return err
}

func inOtherStore(home string) error {
	return fmt.Errorf("%w: the layer is in %s, which belongs to another store", model.ErrStoreIsReadOnly, home)
}

// homeOf returns the path of the directory of layers in which a layer is found,
// or "", and whether that is in the home of another store.
func (h *Homes) homeOf(id string) (path string, foreign bool, err error) {
	search := h.search()
	defer func() { err = errors.Join(err, search.Close()) }()
	first, err := search.First(id)
	if err != nil || first == nil {
		return "", false, err
	}
	return first.Path("."), first != h.own, nil
}

// Located is the open directory of a layer.
type Located struct {
	*at.Dir
	// ID is the name of the layer, and Home the directory of layers that it
	// was found in. Foreign tells that this is the home of another store.
	ID      string
	Home    *LayerDirs
	Foreign bool
	// Search is what found it and can find its ancestors.
	Search *Search
}

// Find opens the directory of a layer. The caller closes it.
func (h *Homes) Find(id string) (_ *Located, err error) {
	search := h.search()
	defer func() {
		if err != nil {
			err = errors.Join(err, search.Close())
		}
	}()
	for home, err := range search.All() {
		if err != nil {
			return nil, err
		}
		dir, err := home.Layer(id)
		switch {
		case err == nil:
			return &Located{Dir: dir, ID: id, Home: home, Foreign: home != h.own, Search: search}, nil
		case !errors.Is(err, model.ErrLayerUnknown):
			return nil, err
		}
	}
	return nil, search.unknown(id)
}

// NeedWritable returns an error that matches model.ErrStoreIsReadOnly if the
// layer is in the home of another store.
func (l *Located) NeedWritable() error {
	if l.Foreign {
		return inOtherStore(l.Home.Path("."))
	}
	return nil
}

// Close closes the directory and ends the search.
func (l *Located) Close() error { return errors.Join(l.Dir.Close(), l.Search.Close()) }

// Search goes through homes, as often as one operation needs, and opens each
// when it is first reached. It is not for several goroutines at once.
type Search struct {
	homes   *Homes
	opened  []*LayerDirs // of other stores
	reached int          // how many of the others were tried to be opened
	missing []string
}

func (h *Homes) search() *Search { return &Search{homes: h} }

// All goes through the directories of layers that exist, the driver's own
// first. They are open until Close.
func (s *Search) All() iter.Seq2[*LayerDirs, error] {
	return func(yield func(*LayerDirs, error) bool) {
		if !yield(s.homes.own, nil) {
			return
		}
		for i := 0; i < len(s.opened) || s.reached < len(s.homes.others); i++ {
			if err := s.reach(i); err != nil {
				yield(nil, err)
				return
			}
			if i == len(s.opened) || !yield(s.opened[i], nil) {
				return
			}
		}
	}
}

// First returns the directory of layers in which a layer is found, nil if it is
// in none.
func (s *Search) First(id string) (*LayerDirs, error) {
	for home, err := range s.All() {
		if err != nil {
			return nil, err
		}
		if exists, err := home.Exists(id); err != nil || exists {
			return home, err
		}
	}
	return nil, nil //nolint:nilnil // The comment says what nil means.
}

// reach opens further directories until there are more than n, or no more that
// exist.
func (s *Search) reach(n int) error {
	for len(s.opened) <= n && s.reached < len(s.homes.others) {
		path := s.homes.others[s.reached]
		dirs, err := OpenLayerDirs(path)
		switch {
		case err == nil:
			s.opened = append(s.opened, dirs)
		case errors.Is(err, fs.ErrNotExist):
			s.missing = append(s.missing, path)
		default:
			return fmt.Errorf("home of another store: %w", err)
		}
		s.reached++
	}
	return nil
}

// Own tells whether a directory of layers is that of the driver's own home.
func (s *Search) Own(dirs *LayerDirs) bool { return dirs == s.homes.own }

// unknown returns the error for a layer that was found nowhere.
func (s *Search) unknown(id string) error {
	err := model.Unknown(model.KindLayer, id)
	if len(s.missing) > 0 {
		err = fmt.Errorf("%w; there is no %s, where it may have been", err, strings.Join(s.missing, ", "))
	}
	return err
}

// Missing returns the paths that were reached and do not exist.
func (s *Search) Missing() []string { return s.missing }

// Close closes the directories of other stores.
func (s *Search) Close() (err error) {
	for _, dirs := range s.opened {
		err = errors.Join(err, dirs.Close())
	}
	s.opened, s.reached, s.missing = nil, 0, nil
	return err
}
