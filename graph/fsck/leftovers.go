package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

// checkLeftovers looks for what is in the home of the driver without belonging
// to a layer.
func (s *store) checkLeftovers(ctx context.Context) error {
	if s.home == nil || s.unclear() {
		return nil
	}
	return s.home.Leftovers(ctx, s.needsDir, func(left drivers.Leftover) error {
		finding := Finding{Realm: InRoot, Place: s.layerPath(left.Path), Found: left.What}
		if left.Dir == "" {
			return s.addStray(finding, "")
		}
		if id, err := model.ParseLayerDir(left.Dir); err == nil {
			if _, recorded := s.lineage[id]; recorded {
				finding.Object = layerObject(id)
			}
		}
		return s.addStray(finding, s.layerPath(left.Dir))
	})
}

// needsDir tells whether a directory of the driver belongs to a layer, is about
// to be removed, or is being made.
func (s *store) needsDir(dir string) (bool, error) {
	id, err := model.ParseLayerDir(dir)
	if err != nil {
		return false, nil //nolint:nilerr // No layer has such a directory.
	}
	if layer, known := s.lineage[id]; known {
		if layer.made && layer.dir == dir {
			return true, nil
		}
	} else if _, err := s.tx.Layer(id); errors.Is(err, model.ErrCorrupt) {
		return true, nil // a damaged record may be mended
	}
	return s.noted(s.layerPath(dir))
}

// noted tells whether the content at a path is about to be removed, or being
// made.
func (s *store) noted(path string) (bool, error) {
	_, err := s.tx.Trash(path)
	if err == nil || errors.Is(err, model.ErrCorrupt) {
		return true, nil
	}
	if !errors.Is(err, model.ErrNotFound) {
		return false, err
	}
	return s.busy.OnPath(path)
}

// checkAreas looks for what is in the directories of content files without
// being one that is needed.
func (s *store) checkAreas(ctx context.Context) error {
	for _, kind := range model.Kinds {
		if s.unclear() && (kind != model.KindImage || len(s.undecided) > 0) {
			continue
		}
		area := content.Area(s.driver.Name, kind)
		err := s.files.Walk(ctx, area, func(found content.Found) error {
			needed, err := s.needsContent(kind, found)
			if err != nil || needed {
				return err
			}
			what := drivers.KindOfFile(found.Mode)
			if found.Mode&unix.S_IFMT == unix.S_IFREG {
				what = fmt.Sprintf("a file of %d bytes", found.Size)
			}
			return s.addStray(Finding{Realm: InRoot, Place: found.Path, Found: what}, found.Final)
		})
		finding := Finding{Code: CodeFolder, Realm: InRoot, Place: area, Expected: "a directory of content files"}
		if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
			finding.Found = "something else"
			s.add(finding)
			continue
		}
		if err := s.unreadable(finding, err); err != nil {
			return err
		}
	}
	return nil
}

// needsContent tells whether something in the area of a kind is needed, is
// about to be removed, or is being made.
func (s *store) needsContent(kind model.Kind, found content.Found) (bool, error) {
	var err error
	if found.IsUserDir() {
		_, err = s.tx.Names(kind, path.Base(path.Dir(found.Path)))
	} else {
		_, err = s.tx.FileOwner(found.Final)
	}
	switch {
	case err == nil:
		if found.Finished() {
			return true, nil
		}
	case errors.Is(err, model.ErrCorrupt):
		return true, nil // a damaged record may be mended
	case !errors.Is(err, model.ErrNotFound):
		return false, err
	}
	return s.noted(found.Final)
}

// addStray reports content without a record, unless it has gone meanwhile or
// somebody has begun to work on it. path is what it is called in locks and by
// those who begin something, or "".
func (s *store) addStray(f Finding, path string) error {
	var stat unix.Stat_t
	if errors.Is(unix.Lstat(filepath.Join(s.options.Root, f.Place), &stat), fs.ErrNotExist) {
		return nil
	}
	if path != "" {
		if busy, err := s.busy.OnPath(path); err != nil || busy {
			return err
		}
	}
	f.Code, f.Expected = CodeStray, "nothing without a record"
	f.Fix = &drivers.Fix{Op: drivers.FixAway, Path: f.Place}
	f.Lock = path
	if begun, ok := s.staged[path]; ok {
		f.Found += fmt.Sprintf(", begun by process %d (%s) at %s, which is gone", begun.PID, begun.Command, begun.Since.Format(time.RFC3339))
	}
	s.add(f)
	return nil
}

// oldTrash is what is to be removed and nobody is removing.
func (s *store) oldTrash(ctx context.Context) (old []Finding, err error) {
	for _, tx := range s.tx {
		all, err := tx.AllTrash()
		if err := intact(err); err != nil {
			return nil, err
		}
		some, err := s.oldOf(ctx, all)
		if err != nil {
			return nil, err
		}
		if tx != s.tx[0] { // which repair does not change
			for i := range some {
				some[i].Trash = nil
			}
		}
		old = append(old, some...)
	}
	return old, nil
}

// oldOf returns what nobody is removing of what is to be removed.
func (s *store) oldOf(ctx context.Context, all []db.Trash) (old []Finding, err error) {
	for _, t := range all {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		busy, err := s.busy.OnPath(t.Path)
		if err != nil {
			return nil, err
		}
		if busy || s.doomed(&t) || s.begun.Sub(t.Since) < momentOfRemoval && isAlive(t.PID) {
			continue
		}
		place := t.Path
		var also []string
		if t.Kind == db.TrashLayer {
			place, also = s.placeOf(t.Dir), s.aliases(t.Dir)
		}
		old = append(old, Finding{
			Code: CodeTrash, Realm: InRoot, Place: place, Expected: "nothing, after some time", Found: describeTrash(&t),
			Trash: &Trash{Path: t.Path, Places: append([]string{place}, also...)}, Lock: t.Path,
		})
	}
	return old, nil
}

// aliases returns the paths of what the driver keeps for a layer outside of its
// directory.
func (s *store) aliases(dir string) (paths []string) {
	if namer, ok := s.home.(drivers.Namer); ok {
		for _, name := range namer.Aliases(dir) {
			paths = append(paths, s.layerPath(name))
		}
	}
	return paths
}

// momentOfRemoval is how long the process that has deleted something may take
// to come to the removal of its content. It may be waiting for this check.
const momentOfRemoval = 10 * time.Second

// isAlive tells whether there is a process with an ID.
func isAlive(pid int) bool {
	return pid > 0 && !errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

// doomed tells whether what is to be removed is needed, which has been reported
// as damage.
func (s *store) doomed(t *db.Trash) bool {
	if t.Kind == db.TrashLayer {
		layer, known := s.lineage[model.LayerID(t.ID)]
		return known && layer.made && layer.dir == t.Dir
	}
	_, err := s.tx.FileOwner(t.Path)
	return err == nil
}

// describeTrash says what a trash entry is about.
func describeTrash(t *db.Trash) string {
	what := map[db.TrashKind]string{db.TrashLayer: "the directory", db.TrashFile: "a content file", db.TrashTree: "the directory for its users"}[t.Kind]
	object := strings.TrimSpace(string(t.ObjectKind) + " " + t.ID)
	return fmt.Sprintf("%s of %s, not needed since %s", what, object, t.Since.Format(time.RFC3339))
}
