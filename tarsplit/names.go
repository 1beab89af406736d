package tarsplit

import (
	"crypto/sha256"
	"path"
	"strings"
)

// names remembers the names in an archive in 16 bytes each, whatever their
// length: half of a SHA-256 digest. No accident makes two of them equal; whoever
// does it on purpose gets his archive refused.
type names map[[sha256.Size / 2]byte]struct{}

// add remembers a name. It returns false if a name that denotes the same entry
// of the tree has been added before: "a", "./a/" and "/a" are the same.
func (n names) add(name string) bool {
	digest := sha256.Sum256([]byte(path.Clean("/" + name)))
	key := [sha256.Size / 2]byte(digest[:])
	if _, known := n[key]; known {
		return false
	}
	n[key] = struct{}{}
	return true
}

// whiteoutPrefix begins the names of entries that stand for a deletion (OCI
// image specification, layer.md).
const whiteoutPrefix = ".wh."

// isWhiteout tells whether an entry stands for a deletion.
func isWhiteout(name string) bool {
	return strings.HasPrefix(path.Base(name), whiteoutPrefix)
}

// isWithinWhiteout tells whether an entry, or a directory on the way to it, has
// the name of a whiteout.
func isWithinWhiteout(name string) bool {
	return strings.HasPrefix(name, whiteoutPrefix) || strings.Contains(name, "/"+whiteoutPrefix)
}
