package archive

import (
	"bytes"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// located is a file and where it is.
type located struct {
	dir  *beneath.Dir
	name string
	stat unix.Stat_t
	opts CompareOptions
}

func (f *located) kind() uint32 { return f.stat.Mode & unix.S_IFMT }
func (f *located) isDir() bool  { return f.kind() == unix.S_IFDIR }

// locate looks an entry up.
func (o CompareOptions) locate(dir *beneath.Dir, name string) (located, error) {
	stat, err := dir.Stat(name)
	if err != nil {
		return located{}, err
	}
	return o.located(dir, name, stat)
}

// located returns an entry that has been looked up.
func (o CompareOptions) located(dir *beneath.Dir, name string, stat unix.Stat_t) (f located, err error) {
	if dir != nil {
		err = o.Overrides.apply(dir, name, &stat)
	}
	return located{dir: dir, name: name, stat: stat, opts: o}, err
}

// differ tells whether two files of the same type that are not directories
// differ in what a layer says about them. Contents are not compared: what
// changes them changes the time.
func differ(old, now *located) (bool, error) {
	if !sameTime(old.stat.Mtim, now.stat.Mtim) || old.stat.Size != now.stat.Size || old.stat.Rdev != now.stat.Rdev {
		return true, nil
	}
	if old.kind() == unix.S_IFLNK {
		oldTarget, err := old.dir.Readlink(old.name)
		if err != nil {
			return false, err
		}
		target, err := now.dir.Readlink(now.name)
		if err != nil || target != oldTarget {
			return target != oldTarget, err
		}
	}
	return attributesDiffer(old, now)
}

// attributesDiffer tells whether two files of the same type differ in owner,
// mode or extended attributes.
func attributesDiffer(old, now *located) (bool, error) {
	if old.stat.Mode != now.stat.Mode || old.stat.Uid != now.stat.Uid || old.stat.Gid != now.stat.Gid {
		return true, nil
	}
	if kind := old.kind(); kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return false, nil // nothing else has attributes of these kinds
	}
	oldAttrs, err := comparedXattrs(old)
	if err != nil {
		return false, err
	}
	attrs, err := comparedXattrs(now)
	if err != nil || !slices.Equal(attrs, oldAttrs) {
		return !slices.Equal(attrs, oldAttrs), err
	}
	for _, attr := range attrs {
		oldValue, err := valueOf(old, attr)
		if err != nil {
			return false, err
		}
		value, err := valueOf(now, attr)
		if err != nil || !bytes.Equal(value, oldValue) {
			return !bytes.Equal(value, oldValue), err
		}
	}
	return false, nil
}

// sameTime tells whether two times are the same as far as both are known: file
// systems and archives without fractions of seconds say 0.
func sameTime(a, b unix.Timespec) bool {
	return a.Sec == b.Sec && (a.Nsec == b.Nsec || a.Nsec == 0 || b.Nsec == 0)
}

// comparedXattrs returns the names of the extended attributes that are part of
// a layer, sorted.
func comparedXattrs(f *located) ([]string, error) {
	attrs, err := f.dir.Xattrs(f.name)
	attrs = slices.DeleteFunc(attrs, func(attr string) bool { return !isPacked(attr) || f.opts.Overrides.hides(attr) })
	slices.Sort(attrs)
	return attrs, err
}

// valueOf returns the value of an extended attribute; one that has just gone
// has none.
func valueOf(f *located, attr string) ([]byte, error) {
	value, err := f.dir.Xattr(f.name, attr)
	if errors.Is(err, unix.ENODATA) {
		return nil, nil
	}
	return value, err
}
