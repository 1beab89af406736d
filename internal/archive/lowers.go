package archive

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// lowers are the trees below the upper directory of an overlay, nearest first.
// Together they make one tree, in which a directory consists of the
// directories of that name in several of them (the kernel's
// Documentation/filesystems/overlayfs.rst, "Upper and Lower").
//
// The directory that was looked at last stays open for the next question.
type lowers struct {
	roots     []*beneath.Dir
	whiteouts Whiteouts
	lastName  string
	last      *lowerDir
}

func openLowers(paths []string, whiteouts Whiteouts) (*lowers, error) {
	l := &lowers{whiteouts: whiteouts}
	for _, path := range paths {
		root, err := beneath.Open(path)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.roots = append(l.roots, root)
	}
	return l, nil
}

func (l *lowers) close() error {
	err := l.forget()
	return errors.Join(err, closeAll(l.roots))
}

// forget closes the directory that was looked at last.
func (l *lowers) forget() error {
	if l.last == nil {
		return nil
	}
	last := l.last
	l.last = nil
	return last.close()
}

// all returns the numbers of all trees.
func (l *lowers) all() []int {
	which := make([]int, len(l.roots))
	for i := range which {
		which[i] = i
	}
	return which
}

// at opens the directories that make up the directory called name. which are
// the numbers of the trees that have one which is not hidden by a nearer tree.
func (l *lowers) at(name string, which []int) (*lowerDir, error) {
	d := &lowerDir{whiteouts: l.whiteouts, which: which}
	for _, i := range which {
		dir, err := l.roots[i].PlainDir(name)
		if err != nil {
			return nil, errors.Join(err, d.close())
		}
		d.dirs = append(d.dirs, dir)
	}
	return d, nil
}

// find looks up what the trees together have under a name.
func (l *lowers) find(name string) (lowerEntry, error) {
	parent, entry := splitName(name)
	dir, err := l.dir(parent)
	if err != nil {
		return lowerEntry{}, err
	}
	return dir.find(entry)
}

// dir opens the directory called name, which consists of no directories if the
// trees do not have it. It stays open until another one is asked for.
func (l *lowers) dir(name string) (*lowerDir, error) {
	if l.last != nil && l.lastName == name {
		return l.last, nil
	}
	which := l.all()
	if name != "" {
		found, err := l.find(name)
		if err != nil {
			return nil, err
		}
		which = found.which
	}
	if err := l.forget(); err != nil {
		return nil, err
	}
	dir, err := l.at(name, which)
	if err != nil {
		return nil, err
	}
	l.lastName, l.last = name, dir
	return dir, nil
}

// lowerDir is one directory of the lower trees together.
type lowerDir struct {
	dirs      []*beneath.Dir
	which     []int // the numbers of the trees that dirs belong to
	whiteouts Whiteouts
}

// lowerEntry is an entry of such a directory; dir is nil if there is none.
type lowerEntry struct {
	dir   *beneath.Dir // where it is, which is open as long as its lowerDir
	stat  unix.Stat_t
	which []int // for a directory: the trees that it consists of
}

// isDir tells whether the entry is a directory.
func (e *lowerEntry) isDir() bool { return len(e.which) > 0 }

// find looks an entry up. The nearest tree that has it decides; if it is a
// directory, those behind add to it until one hides the rest.
func (d *lowerDir) find(name string) (found lowerEntry, err error) {
	for i, dir := range d.dirs {
		stat, err := dir.Stat(name)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return lowerEntry{}, err
		}
		if isWhiteout(&stat) {
			break
		}
		if found.dir == nil {
			found.dir, found.stat = dir, stat
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			break
		}
		found.which = append(found.which, d.which[i])
		opaque, err := d.whiteouts.isOpaque(dir, name)
		if err != nil {
			return lowerEntry{}, err
		}
		if opaque {
			break
		}
	}
	return found, nil
}

// names returns the names of the entries, sorted.
func (d *lowerDir) names() ([]string, error) {
	var all []string
	for _, dir := range d.dirs {
		names, err := dir.Names()
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	var visible []string
	for _, name := range slices.Compact(all) {
		found, err := d.find(name)
		if err != nil {
			return nil, err
		}
		if found.dir != nil {
			visible = append(visible, name)
		}
	}
	return visible, nil
}

func (d *lowerDir) close() error { return closeAll(d.dirs) }

func closeAll(dirs []*beneath.Dir) error {
	errs := make([]error, 0, len(dirs))
	for _, dir := range dirs {
		errs = append(errs, dir.Close())
	}
	return errors.Join(errs...)
}
