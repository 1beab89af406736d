package drivertest

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"

	"github.com/csdb/csdb/model"
)

// fixture makes three layers whose changes are known: everything in the first
// is new; the second deletes files and whole directories and adds some; the
// third adds again what was deleted, and something inside a directory that it
// inherits.
func (h *harness) fixture() {
	h.Helper()
	h.create("lower", "")
	h.inside("lower", func(root string) {
		for _, dir := range []string{"dir1", "dir2/sub", "dir3", "dir4", "dir5/sub/sub", "dir6"} {
			h.must(os.MkdirAll(filepath.Join(root, dir), 0o755))
		}
		for _, file := range []string{"file1", "file2", "file3", "dir2/file", "dir2/sub/file", "dir3/file1", "dir3/file2", "dir5/sub/sub/file", "dir6/file"} {
			writeFile(h, filepath.Join(root, file), "content of "+file)
		}
	})
	h.create("middle", "lower")
	h.inside("middle", func(root string) {
		for _, name := range []string{"file1", "file2", "dir1", "dir2", "dir3", "dir4", "dir5", "dir6"} {
			h.must(os.RemoveAll(filepath.Join(root, name)))
		}
		for _, dir := range []string{"new1", "new2/sub"} {
			h.must(os.MkdirAll(filepath.Join(root, dir), 0o755))
		}
		for _, file := range []string{"file4", "new2/file", "new2/sub/file"} {
			writeFile(h, filepath.Join(root, file), "content of "+file)
		}
	})
	h.create("upper", "middle")
	h.inside("upper", func(root string) {
		for _, dir := range []string{"dir1", "dir2/again", "new1/inside"} {
			h.must(os.MkdirAll(filepath.Join(root, dir), 0o755))
		}
		for _, file := range []string{"file1", "file5", "dir2/again/file", "dir1/file"} {
			writeFile(h, filepath.Join(root, file), "new content of "+file)
		}
	})
}

// changesOf returns the changes of the fixture's layers, sorted.
func changesOf(id string) []model.Change {
	kinds := map[string]map[model.ChangeKind][]string{
		"lower": {model.ChangeAdd: {
			"/file1", "/file2", "/file3", "/dir1", "/dir2", "/dir2/file", "/dir2/sub", "/dir2/sub/file", "/dir3", "/dir3/file1",
			"/dir3/file2", "/dir4", "/dir5", "/dir5/sub", "/dir5/sub/sub", "/dir5/sub/sub/file", "/dir6", "/dir6/file",
		}},
		"middle": {
			model.ChangeDelete: {"/file1", "/file2", "/dir1", "/dir2", "/dir3", "/dir4", "/dir5", "/dir6"},
			model.ChangeAdd:    {"/file4", "/new1", "/new2", "/new2/file", "/new2/sub", "/new2/sub/file"},
		},
		"upper": {
			model.ChangeModify: {"/new1"},
			model.ChangeAdd:    {"/file1", "/file5", "/dir1", "/dir1/file", "/dir2", "/dir2/again", "/dir2/again/file", "/new1/inside"},
		},
	}
	var changes []model.Change
	for kind, paths := range kinds[id] {
		for _, path := range paths {
			changes = append(changes, model.Change{Path: path, Kind: kind})
		}
	}
	sortChanges(changes)
	return changes
}

func sortChanges(changes []model.Change) {
	slices.SortFunc(changes, func(a, b model.Change) int { return cmp.Compare(a.Path, b.Path) })
}

// entriesOf returns the names that the diffs of the fixture's layers have,
// sorted.
func (h *harness) entriesOf(id string) []string {
	h.Helper()
	var names []string
	for _, change := range changesOf(id) {
		name := change.Path[1:]
		switch {
		case change.Kind == model.ChangeDelete:
			name = filepath.Join(filepath.Dir(name), ".wh."+filepath.Base(name))
		case h.isDir(id, name):
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (h *harness) isDir(id, name string) (isDir bool) {
	h.Helper()
	path, release, err := h.look(id)
	h.must(err)
	info, err := os.Lstat(filepath.Join(path, name))
	h.must(err)
	h.must(release())
	return info.IsDir()
}
