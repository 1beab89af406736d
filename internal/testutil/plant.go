package testutil

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// plan describes a file to be made.
type plan struct {
	name   string // relative to the tree, parents first; "." is the root
	kind   string // of Entry.Type, or kindLink
	mode   uint32
	uid    int
	gid    int
	pieces []piece // content of a regular file
	size   int64   // its size if larger than the content; the rest is a hole
	target string  // of a symbolic link; of kindLink, the name of another file
	rdev   uint64
	xattrs map[string]string
	mtime  time.Time
}

// kindLink is another name for a file of the tree.
const kindLink = "link"

// piece is content at an offset; what is between two pieces is a hole.
type piece struct {
	at   int64
	data []byte
}

// plant makes the files of a tree in dir, which exists. Without root, what
// only root can make is left out or belongs to the user.
func plant(t testing.TB, dir string, plans []plan) {
	t.Helper()
	if os.Geteuid() != 0 || !ownsAllIDs() {
		plans = withoutPrivilege(plans)
	}
	for _, p := range plans {
		if err := p.make(dir); err != nil {
			t.Fatalf("make %q: %v", p.name, err)
		}
		if err := p.dress(t, dir); err != nil {
			t.Fatalf("attributes of %q: %v", p.name, err)
		}
	}
	// Making a file changes the time of its folder.
	for _, p := range plans {
		if err := p.setTime(dir); err != nil {
			t.Fatalf("time of %q: %v", p.name, err)
		}
	}
}

// withoutPrivilege returns what an ordinary user can make of the plans.
func withoutPrivilege(plans []plan) []plan {
	var possible []plan
	for _, p := range plans {
		if p.kind == typeChar || p.kind == typeBlock {
			continue
		}
		p.uid, p.gid = os.Geteuid(), os.Getegid()
		if p.kind == typeFile || p.kind == typeDir {
			p.mode |= 0o400 // or nobody could list the tree
		}
		p.xattrs = maps.Clone(p.xattrs)
		delete(p.xattrs, capability)
		possible = append(possible, p)
	}
	return possible
}

// make makes the file with what content it has.
func (p plan) make(dir string) error {
	path := filepath.Join(dir, p.name)
	switch p.kind {
	case typeFile:
		return p.write(path)
	case typeDir:
		if p.name == "." {
			return nil
		}
		return os.Mkdir(path, 0o700)
	case typeSymlink:
		return os.Symlink(p.target, path)
	case kindLink:
		return os.Link(filepath.Join(dir, p.target), path)
	case typeFIFO:
		return unix.Mkfifo(path, 0o600)
	case typeSocket:
		return unix.Mknod(path, unix.S_IFSOCK|0o600, 0)
	case typeChar:
		return unix.Mknod(path, unix.S_IFCHR|0o600, int(p.rdev))
	case typeBlock:
		return unix.Mknod(path, unix.S_IFBLK|0o600, int(p.rdev))
	}
	return fmt.Errorf("unknown kind %q", p.kind)
}

// write makes a regular file.
func (p plan) write(path string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for _, piece := range p.pieces {
		if _, err := file.WriteAt(piece.data, piece.at); err != nil {
			return err
		}
	}
	if p.size > 0 {
		return file.Truncate(p.size)
	}
	return nil
}

// dress sets all attributes but the time, in an order in which none undoes
// another: a change of owner clears set-id bits and capabilities.
func (p plan) dress(t testing.TB, dir string) error {
	if p.kind == kindLink {
		return nil
	}
	path := filepath.Join(dir, p.name)
	if err := os.Lchown(path, p.uid, p.gid); err != nil {
		return err
	}
	if p.kind != typeSymlink { // whose mode Linux cannot change
		if err := unix.Chmod(path, p.mode); err != nil {
			return &fs.PathError{Op: "chmod", Path: path, Err: err}
		}
	}
	for name, value := range p.xattrs {
		err := unix.Lsetxattr(path, name, []byte(value), 0)
		if errors.Is(err, unix.ENOTSUP) {
			t.Logf("%q goes without %s, which its file system does not support", p.name, name)
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "lsetxattr " + name, Path: path, Err: err}
		}
	}
	return nil
}

func (p plan) setTime(dir string) error {
	if p.kind == kindLink {
		return nil
	}
	// Not unix.NsecToTimespec: a Timespec reaches further than 2262.
	when := unix.Timespec{Sec: p.mtime.Unix(), Nsec: int64(p.mtime.Nanosecond())}
	return unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, p.name), []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW)
}
