package model

import (
	"fmt"
	"slices"
	"strings"
)

// MaxNameLength is the greatest length of a name or of the key of a data item
// in bytes.
const MaxNameLength = 4096

// ValidateName reports whether name can be given to an object. Names are
// opaque: they are neither normalised nor parsed. They may not be empty,
// contain a NUL, or be longer than MaxNameLength.
func ValidateName(name string) error {
	return validateText("name", name)
}

// ValidateDataKey reports whether key can name a data item; the rules are
// those of names. The error matches ErrDataKeyInvalid.
func ValidateDataKey(key string) error {
	if err := validateText("data item", key); err != nil {
		return fmt.Errorf("%w: %w", ErrDataKeyInvalid, err)
	}
	return nil
}

func validateText(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%s is empty: %w", what, ErrInvalid)
	case len(s) > MaxNameLength:
		return fmt.Errorf("%s %.40q... is longer than %d bytes: %w", what, s, MaxNameLength, ErrInvalid)
	case strings.ContainsRune(s, 0):
		return fmt.Errorf("%s %q contains a NUL: %w", what, s, ErrInvalid)
	}
	return nil
}

// UniqueNames returns names without repetitions, keeping each first
// occurrence. It returns nil if there is nothing to return.
func UniqueNames(names ...string) []string {
	seen := make(map[string]bool, len(names))
	var unique []string
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			unique = append(unique, name)
		}
	}
	return unique
}

// RecordNames returns the names history of an image after its names have
// become current: each current name in turn moves to the front, so that the
// last one ends up first, and names given up earlier stay behind them.
func RecordNames(history, current []string) []string {
	recorded := slices.Clone(current)
	slices.Reverse(recorded)
	return UniqueNames(append(recorded, history...)...)
}
