package model

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind tells the three kinds of object apart.
type Kind string

// The kinds of object.
const (
	KindLayer     Kind = "layer"
	KindImage     Kind = "image"
	KindContainer Kind = "container"
)

// Kinds lists every kind in the order in which look-ups without a kind try
// them.
var Kinds = []Kind{KindLayer, KindImage, KindContainer}

// LayerID identifies a layer.
type LayerID string

// ImageID identifies an image.
type ImageID string

// ContainerID identifies a container.
type ContainerID string

// ID is the ID of an object of any kind.
type ID interface {
	// Kind returns the kind of the object.
	Kind() Kind
	// String returns the ID as text.
	String() string
}

// Kind returns KindLayer.
func (LayerID) Kind() Kind { return KindLayer }

// Kind returns KindImage.
func (ImageID) Kind() Kind { return KindImage }

// Kind returns KindContainer.
func (ContainerID) Kind() Kind { return KindContainer }

func (id LayerID) String() string     { return string(id) }
func (id ImageID) String() string     { return string(id) }
func (id ContainerID) String() string { return string(id) }

// NewID returns s as an ID of the given kind. It does not validate it.
func NewID(kind Kind, s string) ID {
	switch kind {
	case KindLayer:
		return LayerID(s)
	case KindImage:
		return ImageID(s)
	case KindContainer:
		return ContainerID(s)
	}
	panic(fmt.Sprintf("unknown kind %q", kind))
}

// IDSize is the length of a generated ID in hexadecimal digits.
const IDSize = 64

// MaxIDLength is the greatest length of an ID in bytes. IDs name directories,
// and a suffix must still fit below NAME_MAX (255).
const MaxIDLength = 200

// shortIDSize is the length of the abbreviated IDs that people type.
const shortIDSize = 12

// NewLayerID returns a random layer ID.
func NewLayerID() LayerID { return LayerID(newID()) }

// NewImageID returns a random image ID.
func NewImageID() ImageID { return ImageID(newID()) }

// NewContainerID returns a random container ID.
func NewContainerID() ContainerID { return ContainerID(newID()) }

// newID returns 32 random bytes in hexadecimal. An ID whose abbreviation would
// be all digits is drawn again, because tools take such a string for a number.
func newID() string {
	for {
		var b [IDSize / 2]byte
		// crypto/rand.Read never fails (it crashes the program instead).
		_, _ = rand.Read(b[:])
		id := hex.EncodeToString(b[:])
		if strings.ContainsFunc(id[:shortIDSize], func(r rune) bool { return r > '9' }) {
			return id
		}
	}
}

// reservedIDs are names that drivers use themselves in the directory in which
// a layer's ID names a sub-directory.
var reservedIDs = map[string]bool{
	"l": true, "staging": true, "tempdirs": true, "tmp": true, "backingFsBlockDev": true,
}

// ValidateID reports whether id can identify an object of the given kind. IDs
// become names of directories and appear in mount options, so path separators,
// the separators of mount options, control characters and a leading dot are
// refused, as are the names that drivers use themselves. Any other string of
// up to MaxIDLength bytes is fine; generated IDs have 64 hexadecimal digits.
func ValidateID(kind Kind, id string) error {
	reason := ""
	switch {
	case id == "":
		reason = "is empty"
	case len(id) > MaxIDLength:
		reason = fmt.Sprintf("is longer than %d bytes", MaxIDLength)
	case !utf8.ValidString(id):
		reason = "is not valid UTF-8"
	case strings.ContainsAny(id, `/\:,~`):
		reason = `contains one of / \ : , ~`
	case id[0] == '.' || id[0] == '-' || id[0] == '=':
		reason = "begins with a dot, a dash or an equals sign"
	case id != strings.TrimSpace(id):
		reason = "begins or ends with white space"
	case strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }):
		reason = "contains a character that cannot be printed"
	case reservedIDs[id]:
		reason = "is reserved"
	}
	if reason == "" {
		return nil
	}
	return fmt.Errorf("%s ID %q %s: %w", kind, id, reason, ErrInvalid)
}

// ParseLayerID returns s as a layer ID if it is a valid one.
func ParseLayerID(s string) (LayerID, error) {
	return LayerID(s), ValidateID(KindLayer, s)
}

// ParseImageID returns s as an image ID if it is a valid one.
func ParseImageID(s string) (ImageID, error) {
	return ImageID(s), ValidateID(KindImage, s)
}

// ParseContainerID returns s as a container ID if it is a valid one.
func ParseContainerID(s string) (ContainerID, error) {
	return ContainerID(s), ValidateID(KindContainer, s)
}

// dirSeparator stands between a layer's ID and the suffix that tells its
// directory from others that were made for the same ID. No ID contains it.
const dirSeparator = "~"

// NewLayerDir returns a name for a directory of the layer other than its ID,
// for when that is taken. It is different each time.
func NewLayerDir(id LayerID) string {
	return string(id) + dirSeparator + strings.ToLower(rand.Text()[:dirSuffixSize])
}

// dirSuffixSize is the length of the suffix in characters of five bits.
const dirSuffixSize = 16

// ParseLayerDir returns the ID of the layer that a driver's directory was made
// for, from the name of the directory: the ID itself, or what NewLayerDir made
// of it.
func ParseLayerDir(dir string) (LayerID, error) {
	id, suffix, found := strings.Cut(dir, dirSeparator)
	if found && (len(suffix) != dirSuffixSize || strings.Trim(suffix, "abcdefghijklmnopqrstuvwxyz234567") != "") {
		return "", fmt.Errorf("directory name %q is not that of a layer: %w", dir, ErrInvalid)
	}
	return ParseLayerID(id)
}
