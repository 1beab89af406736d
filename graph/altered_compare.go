package graph

import (
	"archive/tar"
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// compareListings compares what a layer has with what is recorded. whole tells
// that it has everything, and not only what differs from its parent, and owners that
// files have the owners that were recorded.
//
// An entry that is recorded behind a symbolic link is there by another name. So
// what was added counts only if nothing is gone that was called alike, and the
// other way round. A directory on the way to others need not have been recorded.
func compareListings(recorded, actual *listing, whole, owners bool) (altered []Alteration) {
	gone, come := recorded.basesWithout(actual), actual.basesWithout(recorded)
	note := func(kind model.ChangeKind, name string, entry listed, what string) {
		altered = append(altered, Alteration{Path: name, Dir: entry.kind == tar.TypeDir, Kind: kind, What: what})
	}
	for name, now := range actual.entries {
		was, known := recorded.entries[name]
		onTheWay := now.kind == tar.TypeDir && (recorded.above[name] || actual.above[name])
		switch what := was.differs(now, owners); {
		case name == "/":
		case !known && !onTheWay && !gone[path.Base(name)]:
			note(model.ChangeAdd, name, now, "")
		case known && what != "":
			note(model.ChangeModify, name, now, what)
		}
	}
	for name := range actual.hidden {
		if !recorded.hides(name) {
			note(model.ChangeDelete, name, listed{}, "")
		}
	}
	for name, was := range recorded.entries {
		_, there := actual.entries[name]
		if whole && !there && !actual.hidden[name] && !come[path.Base(name)] && !recorded.excuses(name, was) {
			note(model.ChangeDelete, name, was, "")
		}
	}
	slices.SortFunc(altered, func(a, b Alteration) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Kind, b.Kind))
	})
	return altered
}

// basesWithout returns the last elements of the paths of entries that the other
// listing has not.
func (l *listing) basesWithout(other *listing) map[string]bool {
	bases := make(map[string]bool)
	for name := range l.entries {
		if _, there := other.entries[name]; !there {
			bases[path.Base(name)] = true
		}
	}
	return bases
}

// hides tells whether what a layer hides may be hidden by what is recorded: by a
// whiteout, which there may be a symbolic link on the way to, or by something on
// the way to it.
func (l *listing) hides(name string) bool {
	if _, known := l.entries[name]; known || l.bases[path.Base(name)] {
		return true
	}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		entry, known := l.entries[dir]
		if l.opaque[dir] || l.hidden[dir] || known && entry.kind != tar.TypeDir {
			return true
		}
		if dir == "/" {
			return false
		}
	}
}

// excuses tells whether a layer need not have something that is recorded: a
// device or a pipe, which not everybody may make, or what is behind a symbolic
// link.
func (l *listing) excuses(name string, entry listed) bool {
	if entry.kind == tar.TypeChar || entry.kind == tar.TypeBlock || entry.kind == tar.TypeFifo {
		return true
	}
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		if above, known := l.entries[dir]; known && above.kind != tar.TypeDir {
			return true
		}
	}
	return name == "/"
}

// differs says what has been modified, or "".
func (was listed) differs(now listed, owners bool) string {
	if was.kind != now.kind {
		return fmt.Sprintf("type:%c￫%c", was.kind, now.kind)
	}
	if was.link || now.link {
		return ""
	}
	var what []string
	if was.kind == tar.TypeReg && was.size != now.size {
		what = append(what, fmt.Sprintf("size:%d￫%d", was.size, now.size))
	}
	if was.kind != tar.TypeSymlink && was.mode != now.mode {
		what = append(what, fmt.Sprintf("mode:%04o￫%04o", was.mode, now.mode))
	}
	if owners && was.uid != now.uid {
		what = append(what, fmt.Sprintf("uid:%d￫%d", was.uid, now.uid))
	}
	if owners && was.gid != now.gid {
		what = append(what, fmt.Sprintf("gid:%d￫%d", was.gid, now.gid))
	}
	if was.kind == tar.TypeReg || was.kind == tar.TypeSymlink {
		if everyDiskKeeps(was.mtime) && was.mtime != now.mtime {
			what = append(what, fmt.Sprintf("mtime:%d￫%d", was.mtime, now.mtime))
		}
	}
	return strings.Join(what, ",")
}

// everyDiskKeeps tells whether a time can be kept by every file system. Those with
// 32 bits for the seconds have the nearest one instead of others.
func everyDiskKeeps(seconds int64) bool { return seconds >= 0 && seconds <= math.MaxInt32 }
