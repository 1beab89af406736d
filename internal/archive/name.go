package archive

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

const (
	maxName      = unix.PathMax - 1 // bytes; the kernel's limit includes the NUL
	maxComponent = unix.NAME_MAX    // bytes
)

// cleanName returns the name of an archive entry as a clean name relative to
// the root of the tree, which is "". Leading slashes mean nothing; a name that
// leads out of the tree, or that no file can have, is an error.
func cleanName(name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("%w: empty name", model.ErrInvalid)
	case strings.ContainsRune(name, 0):
		return "", fmt.Errorf("%w: name contains a NUL", model.ErrInvalid)
	}
	clean := path.Clean(strings.TrimLeft(name, "/"))
	switch {
	case clean == ".":
		return "", nil
	case clean == ".." || strings.HasPrefix(clean, "../"):
		return "", fmt.Errorf("%w: name leads out of the tree", model.ErrInvalid)
	}
	return clean, checkLength(clean)
}

// checkLength reports whether a clean name is short enough for a file.
func checkLength(clean string) error {
	if len(clean) > maxName {
		return fmt.Errorf("%w: name is longer than %d bytes", model.ErrInvalid, maxName)
	}
	dir, base := path.Split(clean)
	for component := range strings.SplitSeq(dir, "/") {
		if len(component) > maxComponent {
			return fmt.Errorf("%w: component of the name is longer than %d bytes", model.ErrInvalid, maxComponent)
		}
	}
	// A whiteout is never a file of its own name, so what counts is the name
	// that it hides.
	if len(strings.TrimPrefix(base, whiteoutPrefix)) > maxComponent {
		return fmt.Errorf("%w: component of the name is longer than %d bytes", model.ErrInvalid, maxComponent)
	}
	return nil
}

// splitName splits a clean name into the directory, "" for the root, and the
// entry.
func splitName(clean string) (dir, entry string) {
	dir, entry = path.Split(clean)
	return strings.TrimSuffix(dir, "/"), entry
}

// shortName returns a name for an error message.
func shortName(name string) string {
	const limit = 300
	if len(name) > limit {
		return name[:limit] + "..."
	}
	return name
}
