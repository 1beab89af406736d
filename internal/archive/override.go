package archive

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// OverrideAttr is the extended attribute that says which owner, mode and type a
// file has that could not be given them, or must not be: as
//
//	UID:GID:MODE[:TYPE]
//
// with the mode in octal and a type like "file", "pipe" or "char-5-1", where the
// file itself is a regular one or a directory. containers/storage writes it, and
// fuse-overlayfs(1) shows files as it says.
const OverrideAttr = "user.containers.override_stat"

// Overrides says what OverrideAttr means in a tree.
type Overrides int

const (
	// OverridesIgnored: it is an attribute like others.
	OverridesIgnored Overrides = iota
	// OverridesForTypes: a program shows the files as it says, as far as owners
	// and modes are concerned, which may have been changed since; their types
	// still come from it.
	OverridesForTypes
	// OverridesBelieved: it counts more than owner, mode and type of a file. That
	// is for trees in which nobody else can set it.
	OverridesBelieved
)

// hides tells whether an attribute is not one of the file.
func (o Overrides) hides(attr string) bool { return o != OverridesIgnored && attr == OverrideAttr }

// apply puts into stat what counts.
func (o Overrides) apply(dir *beneath.Dir, name string, stat *unix.Stat_t) error {
	if o == OverridesIgnored {
		return nil
	}
	shown := *stat
	err := trueStat(dir, name, stat)
	if o == OverridesForTypes {
		stat.Uid, stat.Gid, stat.Mode = shown.Uid, shown.Gid, stat.Mode&unix.S_IFMT|shown.Mode&^unix.S_IFMT
	}
	return err
}

// typeNames are the types of files in an override that are one word.
var typeNames = map[uint32]string{
	unix.S_IFREG: "file", unix.S_IFDIR: "dir", unix.S_IFLNK: "symlink", unix.S_IFIFO: "pipe", unix.S_IFSOCK: "socket",
}

// FormatOverride returns the value of OverrideAttr for a file that should have
// the owner, mode, type and device number in stat.
func FormatOverride(stat *unix.Stat_t) string {
	kind, isOneWord := typeNames[stat.Mode&unix.S_IFMT]
	if !isOneWord {
		kind = "char"
		if stat.Mode&unix.S_IFMT == unix.S_IFBLK {
			kind = "block"
		}
		kind = fmt.Sprintf("%s-%d-%d", kind, unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
	}
	return fmt.Sprintf("%d:%d:%04o:%s", stat.Uid, stat.Gid, stat.Mode&0o7777, kind)
}

// override puts what an override says into stat. The type is that of the file if
// the override has none.
func override(value string, stat *unix.Stat_t) error {
	fields := strings.SplitN(value, ":", 4)
	if len(fields) < 3 {
		return badOverride(value)
	}
	uid, errUID := strconv.ParseUint(fields[0], 10, 32)
	gid, errGID := strconv.ParseUint(fields[1], 10, 32)
	mode, errMode := strconv.ParseUint(fields[2], 8, 32)
	if errors.Join(errUID, errGID, errMode) != nil {
		return badOverride(value)
	}
	kind, device := stat.Mode&unix.S_IFMT, uint64(0)
	if len(fields) == 4 {
		var ok bool
		if kind, device, ok = parseType(fields[3]); !ok {
			return badOverride(value)
		}
	}
	stat.Uid, stat.Gid, stat.Mode, stat.Rdev = uint32(uid), uint32(gid), kind|uint32(mode)&0o7777, device
	return nil
}

// ParseOverride returns the owner and the mode in a value of OverrideAttr. The
// error matches model.ErrCorrupt.
func ParseOverride(value string) (uid, gid int, mode uint32, err error) {
	var stat unix.Stat_t
	err = override(value, &stat)
	return int(stat.Uid), int(stat.Gid), stat.Mode & 0o7777, err
}

func badOverride(value string) error {
	return fmt.Errorf("%w: attribute %s is %q", model.ErrCorrupt, OverrideAttr, shortName(value))
}

// parseType reads the type in an override.
func parseType(text string) (kind uint32, device uint64, ok bool) {
	for kind, name := range typeNames {
		if name == text {
			return kind, 0, true
		}
	}
	// More numbers than two are nothing to stumble over.
	parts := strings.Split(text, "-")
	if len(parts) < 3 || parts[0] != "char" && parts[0] != "block" {
		return 0, 0, false
	}
	major, errMajor := strconv.ParseUint(parts[1], 10, 12)
	minor, errMinor := strconv.ParseUint(parts[2], 10, 20)
	kind = unix.S_IFCHR
	if parts[0] == "block" {
		kind = unix.S_IFBLK
	}
	return kind, unix.Mkdev(uint32(major), uint32(minor)), errMajor == nil && errMinor == nil
}

// trueStat puts into stat what the overrides of an entry say, if it has any. They
// are in the given attributes, of which the last counts, or in OverrideAttr.
func trueStat(dir *beneath.Dir, name string, stat *unix.Stat_t, attrs ...string) error {
	if kind := stat.Mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return nil // others have no attributes of users
	}
	if len(attrs) == 0 {
		attrs = []string{OverrideAttr}
	}
	for _, attr := range attrs {
		value, err := dir.Xattr(name, attr)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
			continue
		}
		if err != nil {
			return err
		}
		if err := override(string(value), stat); err != nil {
			return err
		}
	}
	return nil
}

// force gives a new file the mode that all have, and writes down which owner,
// mode and type it should have. Symbolic links have neither.
func (u *unpacker) force(n node, stat *unix.Stat_t) error {
	if stat.Mode&unix.S_IFMT == unix.S_IFLNK {
		return nil
	}
	// The mode may be one with which the attribute could not be set.
	attr := u.overrideAttr()
	if err := n.setXattr(attr, []byte(FormatOverride(stat))); err != nil {
		return fmt.Errorf("extended attribute %q: %w", attr, err)
	}
	if err := n.chmod(*u.opts.ForceMask); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return nil
}

func (u *unpacker) overrideAttr() string { return cmp.Or(u.opts.OverrideAttr, OverrideAttr) }

// statOf returns what the file of an entry should have.
func statOf(hdr *tar.Header, uid, gid int) unix.Stat_t {
	stat := unix.Stat_t{Uid: uint32(uid), Gid: uint32(gid), Mode: permissions(hdr)}
	switch hdr.Typeflag {
	case tar.TypeDir:
		stat.Mode |= unix.S_IFDIR
	case tar.TypeSymlink:
		stat.Mode |= unix.S_IFLNK
	case tar.TypeFifo:
		stat.Mode |= unix.S_IFIFO
	case tar.TypeChar:
		stat.Mode |= unix.S_IFCHR
	case tar.TypeBlock:
		stat.Mode |= unix.S_IFBLK
	default:
		stat.Mode |= unix.S_IFREG
	}
	if hdr.Typeflag == tar.TypeChar || hdr.Typeflag == tar.TypeBlock {
		stat.Rdev = unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor))
	}
	return stat
}
