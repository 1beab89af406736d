package rescue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// identify finds out which store it is and with which driver. Without a record of
// that, the marker tells the UUID, and the directories in the root the driver.
func (r *Report) identify(s *db.Salvaged) (*db.Info, error) {
	known, err := r.uuid(s)
	if err != nil {
		return nil, err
	}
	info := s.Info()
	if info == nil {
		info = &db.Info{UUID: known}
		if info.UUID == "" {
			info.UUID = uuid.NewString()
		}
		if info.Driver, err = r.driver(); err != nil {
			return nil, err
		}
		stat, err := os.Stat(r.Root)
		if err != nil {
			return nil, err
		}
		info.Created = stat.ModTime().UTC() // better than nothing
	}
	if wanted := r.options.Driver; wanted != "" && wanted != info.Driver {
		return nil, fmt.Errorf("%w: the store was made with driver %s and not with driver %s", model.ErrInvalid, info.Driver, wanted)
	}
	return info, nil
}

// driver returns the driver that has a home in the root.
func (r *Report) driver() (string, error) {
	var found []string
	for _, name := range r.options.Drivers.Names() {
		info, err := os.Lstat(filepath.Join(r.Root, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err == nil && info.IsDir() {
			found = append(found, name)
		}
	}
	wanted := r.options.Driver
	switch {
	case wanted != "" && len(found) > 0 && !slices.Contains(found, wanted):
		return "", fmt.Errorf("%w: there are layers of the drivers %q in it, and none of driver %s", model.ErrInvalid, found, wanted)
	case wanted != "":
		return wanted, nil
	case len(found) != 1:
		return "", fmt.Errorf("%w: nothing tells the driver of the store, and %d drivers have directories in it; name the driver", model.ErrInvalid, len(found))
	}
	return found[0], nil
}
