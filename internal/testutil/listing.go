package testutil

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Listing describes a tree so that cmp.Diff can compare it with another one:
// an entry for each name relative to the root of the tree, which is ".".
type Listing map[string]Entry

// Entry is what a Listing tells about a file. What depends on the file system
// and not on the contents is left out: inode numbers, the sizes of
// directories, the blocks that are allocated.
type Entry struct {
	Type     string            // file, dir, symlink, fifo, char, block or socket
	Mode     uint32            // permissions, set-id bits and sticky bit, as in chmod(2)
	UID, GID uint32            // owners
	Rdev     string            // major:minor of a device, otherwise ""
	Size     int64             // bytes of a regular file, otherwise 0
	ModTime  time.Time         // time of the last modification, UTC
	Target   string            // target of a symbolic link, otherwise ""
	SHA256   string            // digest of a regular file's content in hex, otherwise ""
	Xattrs   map[string]string // extended attributes but for security.selinux; nil if none
	Link     string            // first of the names in the tree if the file has several, otherwise ""
}

// Snapshot lists the tree at dir. Symbolic links in it are not followed.
func Snapshot(t testing.TB, dir string) Listing {
	t.Helper()
	listing, err := snapshot(dir)
	if err != nil {
		t.Fatalf("list %s: %v", dir, err)
	}
	return listing
}

// Describe is Snapshot as text, with a line for each name, in their order.
func Describe(t testing.TB, dir string) []string {
	t.Helper()
	return Snapshot(t, dir).Lines()
}

// Lines returns the listing as text, with a line for each name, in their
// order.
func (l Listing) Lines() []string {
	lines := make([]string, 0, len(l))
	for _, name := range slices.Sorted(maps.Keys(l)) {
		lines = append(lines, fmt.Sprintf("%q %v", name, l[name]))
	}
	return lines
}

// String returns what there is to tell in one line.
func (e Entry) String() string {
	var line strings.Builder
	fmt.Fprintf(&line, "%s %04o %d:%d %s", e.Type, e.Mode, e.UID, e.GID, e.ModTime.Format(time.RFC3339Nano))
	if e.Type == typeFile {
		fmt.Fprintf(&line, " size=%d", e.Size)
	}
	for _, part := range []struct{ name, value string }{
		{"rdev", e.Rdev},
		{"target", e.Target},
		{"sha256", e.SHA256},
		{"link", e.Link},
	} {
		if part.value != "" {
			fmt.Fprintf(&line, " %s=%q", part.name, part.value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		fmt.Fprintf(&line, " %s=%q", name, e.Xattrs[name])
	}
	return line.String()
}

// Values of Entry.Type.
const (
	typeFile    = "file"
	typeDir     = "dir"
	typeSymlink = "symlink"
	typeFIFO    = "fifo"
	typeChar    = "char"
	typeBlock   = "block"
	typeSocket  = "socket"
)

// typeOf returns the value of Entry.Type for the st_mode of stat(2).
func typeOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return typeFile
	case unix.S_IFDIR:
		return typeDir
	case unix.S_IFLNK:
		return typeSymlink
	case unix.S_IFIFO:
		return typeFIFO
	case unix.S_IFCHR:
		return typeChar
	case unix.S_IFBLK:
		return typeBlock
	case unix.S_IFSOCK:
		return typeSocket
	}
	return fmt.Sprintf("unknown %o", mode)
}

// inode identifies a file that may have several names.
type inode struct{ dev, ino uint64 }

// snapshot is Snapshot with an error.
func snapshot(dir string) (Listing, error) {
	listing := make(Listing)
	names := make(map[inode][]string)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			return &fs.PathError{Op: "lstat", Path: path, Err: err}
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if listing[name], err = describe(path, &stat); err != nil {
			return err
		}
		if stat.Nlink > 1 && listing[name].Type != typeDir {
			id := inode{stat.Dev, stat.Ino}
			names[id] = append(names[id], name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	listing.noteLinks(names)
	return listing, nil
}

// noteLinks sets Link in the entries of files with several names in the tree.
func (l Listing) noteLinks(names map[inode][]string) {
	for _, group := range names {
		if len(group) < 2 {
			continue
		}
		first := slices.Min(group)
		for _, name := range group {
			entry := l[name]
			entry.Link = first
			l[name] = entry
		}
	}
}

// describe makes the entry of one file.
func describe(path string, stat *unix.Stat_t) (entry Entry, err error) {
	entry = Entry{
		Type:    typeOf(stat.Mode),
		Mode:    stat.Mode & 0o7777,
		UID:     stat.Uid,
		GID:     stat.Gid,
		ModTime: time.Unix(stat.Mtim.Sec, stat.Mtim.Nsec).UTC(),
	}
	switch entry.Type {
	case typeFile:
		entry.Size = stat.Size
		entry.SHA256, err = digest(path)
	case typeSymlink:
		entry.Target, err = os.Readlink(path)
	case typeChar, typeBlock:
		entry.Rdev = fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
	}
	if err != nil {
		return Entry{}, err
	}
	entry.Xattrs, err = xattrs(path)
	return entry, err
}

// digest returns the SHA-256 of a regular file in hex.
func digest(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// xattrs returns the extended attributes of a file, or nil if it has none. The
// label of SELinux is the machine's and not the file's.
func xattrs(path string) (map[string]string, error) {
	names, err := grow(func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) })
	if errors.Is(err, unix.ENOTSUP) || len(names) == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "llistxattr", Path: path, Err: err}
	}
	found := make(map[string]string)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		if name == "security.selinux" {
			continue
		}
		value, err := grow(func(buf []byte) (int, error) { return unix.Lgetxattr(path, name, buf) })
		if err != nil {
			return nil, &fs.PathError{Op: "lgetxattr " + name, Path: path, Err: err}
		}
		found[name] = string(value)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found, nil
}

// grow calls a function that fills a buffer, with larger ones until the result
// fits.
func grow(fill func([]byte) (int, error)) ([]byte, error) {
	for size := 256; ; size *= 2 {
		buf := make([]byte, size)
		n, err := fill(buf)
		if !errors.Is(err, unix.ERANGE) {
			return buf[:max(n, 0)], err
		}
	}
}
