package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// xattrRecord begins the names of the PAX records that carry extended
// attributes. It is star's; GNU tar and libarchive read it too.
const xattrRecord = "SCHILY.xattr."

// A PAX record ends its name with "=", so GNU tar writes that character of an
// attribute's name, and the escape character itself, as URLs do.
var (
	escapeAttr   = strings.NewReplacer("%", "%25", "=", "%3D")
	unescapeAttr = strings.NewReplacer("%25", "%", "%3D", "=")
)

// headerXattrs calls set for the extended attributes of an entry, in the order
// of their names, except for those that an archive has no say in:
// security.selinux is the label of the place where the file lies, and the
// attributes of overlays would let an archive steer the driver (a metacopy or
// redirect shows files from elsewhere). Those in except are left out too.
func headerXattrs(hdr *tar.Header, set func(attr string, value []byte) error, except ...string) error {
	if len(hdr.PAXRecords) == 0 {
		return nil
	}
	for _, record := range slices.Sorted(maps.Keys(hdr.PAXRecords)) {
		escaped, isXattr := strings.CutPrefix(record, xattrRecord)
		attr := unescapeAttr.Replace(escaped)
		if !isXattr || attr == "security.selinux" || belongsToOverlay(attr) || !isPossible(hdr, attr) || slices.Contains(except, attr) {
			continue
		}
		if err := checkXattr(attr); err != nil {
			return err
		}
		if err := ignoreUnsupported(set(attr, []byte(hdr.PAXRecords[record]))); err != nil {
			return fmt.Errorf("extended attribute %q: %w", attr, invalid(err))
		}
	}
	return nil
}

// isPossible tells whether Linux lets the file of an entry have an extended
// attribute of that class: only regular files and directories have those of
// users (xattr(7)). Other systems are less strict.
func isPossible(hdr *tar.Header, attr string) bool {
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeDir:
		return true
	}
	return !strings.HasPrefix(attr, "user.")
}

// checkXattr reports whether attr can be the name of an extended attribute.
func checkXattr(attr string) error {
	const maxLength = 255 // XATTR_NAME_MAX in bytes, see xattr(7)
	if attr == "" || len(attr) > maxLength || strings.ContainsRune(attr, 0) {
		return fmt.Errorf("%w: extended attribute %q: not a valid name", model.ErrInvalid, shortName(attr))
	}
	return nil
}

// ignoreUnsupported drops the errors for attributes that the file system, or
// the user namespace, does not allow.
func ignoreUnsupported(err error) error {
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) && inUserNamespace() {
		return nil
	}
	return err
}

func belongsToOverlay(attr string) bool {
	return strings.HasPrefix(attr, "trusted.overlay.") || strings.HasPrefix(attr, "user.overlay.")
}

// dropXattrs removes the extended attributes that an archive could have set,
// so that those of the entry replace them.
func dropXattrs(dir *beneath.Dir, name string) error {
	attrs, err := dir.Xattrs(name)
	if err != nil {
		return err
	}
	for _, attr := range attrs {
		if attr == "security.selinux" || belongsToOverlay(attr) {
			continue
		}
		err := dir.RemoveXattr(name, attr)
		if err = ignoreUnsupported(err); err != nil && !errors.Is(err, unix.ENODATA) {
			return err
		}
	}
	return nil
}

// isPacked tells whether an extended attribute is part of a layer. Others
// depend on the host (security.selinux, trusted.*) or are kept in the mode
// (access control lists).
func isPacked(attr string) bool {
	switch attr {
	case "security.capability", "security.ima":
		return true
	}
	return strings.HasPrefix(attr, "user.") && !belongsToOverlay(attr)
}
