package archive

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// Names with a meaning of their own (OCI image specification, "Layer
// Filesystem Changeset"; the third kind comes from AUFS).
const (
	whiteoutPrefix = ".wh."         // hides the entry that is called like the rest
	metaPrefix     = ".wh..wh."     // files of AUFS itself
	opaqueName     = ".wh..wh..opq" // hides all entries of its directory
	linksName      = ".wh..wh.plnk" // where AUFS keeps the first names of hard links
)

// meaning is what an entry's name asks for.
type meaning int

const (
	ordinary  meaning = iota // a file, directory, link or the like
	hidesOne                 // a whiteout
	hidesAll                 // an opaque whiteout
	belongsTo                // a file of AUFS itself, without meaning for us
)

// meaningOf returns the meaning of a clean name, and the name that a whiteout
// hides.
func meaningOf(dir, entry string) (what meaning, hidden string, err error) {
	for component := range strings.SplitSeq(dir, "/") {
		if component == linksName || !strings.HasPrefix(component, whiteoutPrefix) {
			continue
		}
		if strings.HasPrefix(component, metaPrefix) {
			return belongsTo, "", nil
		}
		return ordinary, "", fmt.Errorf("%w: entry below a whiteout", model.ErrInvalid)
	}
	hidden, isWhiteout := strings.CutPrefix(entry, whiteoutPrefix)
	switch {
	case !isWhiteout, entry == linksName:
		return ordinary, "", nil
	case entry == opaqueName:
		return hidesAll, "", nil
	case strings.HasPrefix(entry, metaPrefix):
		return belongsTo, "", nil
	case hidden == "" || hidden == "." || hidden == "..":
		return ordinary, "", fmt.Errorf("%w: whiteout of nothing", model.ErrInvalid)
	}
	return hidesOne, hidden, nil
}

// overlay tells whether the tree is the upper directory of an overlay.
func (w Whiteouts) overlay() bool { return w != WhiteoutsApplied }

// attribute returns the name of one of the extended attributes in which an
// overlay keeps what is its own.
func (w Whiteouts) attribute(name string) string {
	if w == WhiteoutsOverlayUser {
		return "user.overlay." + name
	}
	return "trusted.overlay." + name
}

// isWhiteout tells whether an entry of an overlay's directory is a whiteout.
func isWhiteout(stat *unix.Stat_t) bool {
	return stat.Mode&unix.S_IFMT == unix.S_IFCHR && stat.Rdev == 0
}

// isOpaque tells whether a directory hides what lower directories of the same
// name contain. Other values of the attribute than "y" have other meanings.
func (w Whiteouts) isOpaque(dir *beneath.Dir, name string) (bool, error) {
	value, err := dir.Xattr(name, w.attribute("opaque"))
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return false, nil
	}
	return string(value) == "y", err
}

// setOpaque makes a directory hide what lower directories of the same name
// contain.
func (w Whiteouts) setOpaque(dir *beneath.Dir, name string) error {
	return dir.SetXattr(name, w.attribute("opaque"), []byte("y"))
}
