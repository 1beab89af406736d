package rescue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

// finder makes records of directories and content files, as far as records are
// missing. It takes what an intact part of the database does not have for
// garbage, which is what it is.
type finder struct {
	report *Report
	found  *db.Salvaged
	// needed has the content files that have a record, or are to be removed.
	needed map[string]bool
	files  *content.Files
	home   drivers.Inspector
	// copies tells that the driver gives each layer a copy of its parent.
	copies bool
	// dirs has the layers that the driver's directories belong to.
	dirs map[string]model.LayerID
}

// addFiles adds what the driver's directories and the content files tell.
func (r *Report) addFiles(ctx context.Context, s *db.Salvaged) (err error) {
	f := &finder{report: r, found: s, needed: s.Files(), dirs: make(map[string]model.LayerID)}
	if f.files, err = content.Open(r.Root); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.files.Close()) }()
	if err := f.openHome(ctx); err != nil {
		return err
	}
	if f.home != nil {
		defer func() { err = errors.Join(err, f.home.Close()) }()
		if err := f.addLayers(ctx); err != nil {
			return err
		}
	}
	if err := f.addImages(ctx); err != nil {
		return err
	}
	return f.addItems(ctx)
}

// openHome opens the home of the driver, if it has one that can be looked at.
func (f *finder) openHome(ctx context.Context) error {
	for _, entry := range f.report.options.Drivers {
		if entry.Name != f.report.Driver || entry.Inspect == nil {
			continue
		}
		home, err := entry.Inspect(ctx, filepath.Join(f.report.Root, entry.Name), nil)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		f.home = home
		copier, ok := home.(drivers.ParentCopier)
		f.copies = ok && copier.CopiesParents()
		return nil
	}
	f.unusable("directories of layers: this program cannot look at those of driver %s", f.report.Driver)
	return nil
}

// unusable notes content from which no record can be made.
func (f *finder) unusable(format string, args ...any) {
	f.report.Unusable = append(f.report.Unusable, fmt.Sprintf(format, args...))
}

// layerPath returns the path of something in the home of the driver.
func (f *finder) layerPath(name string) string { return path.Join(f.report.Driver, name) }

// area calls fn for each content file of a kind that has no record and whose
// name is final.
func (f *finder) area(ctx context.Context, kind model.Kind, fn func(content.Found) error) error {
	return f.files.Walk(ctx, content.Area(f.report.Driver, kind), func(found content.Found) error {
		if !isFile(found.Mode) || !found.Finished() || f.needed[found.Path] {
			return nil
		}
		return fn(found)
	})
}
