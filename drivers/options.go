package drivers

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/csdb/csdb/model"
)

// ParseOptions reads options of the form key=value. Blanks around key and
// value do not count, and keys are not case-sensitive. Every key begins with
// one of prefixes, which is cut off: a driver "zfs" passes "zfs.", and one
// that is also addressed by a bare or empty driver name "" or ".". The longest
// prefix that fits is taken. Of several options with one key the last counts.
//
// The error matches model.ErrInvalid and names every option that is wrong.
func ParseOptions(options []string, prefixes ...string) (map[string]string, error) {
	prefixes = slices.SortedFunc(slices.Values(prefixes), func(a, b string) int { return len(b) - len(a) })
	parsed := make(map[string]string, len(options))
	var faults []error
	for _, option := range options {
		key, value, found := strings.Cut(option, "=")
		if !found {
			faults = append(faults, fmt.Errorf("option %q is not of the form key=value: %w", option, model.ErrInvalid))
			continue
		}
		key = strings.ToLower(strings.TrimSpace(key))
		fits := func(prefix string) bool { return strings.HasPrefix(key, prefix) && key != prefix }
		i := slices.IndexFunc(prefixes, fits)
		if i < 0 {
			faults = append(faults, fmt.Errorf("option %q does not begin with %s: %w", option, quoted(prefixes, " or "), model.ErrInvalid))
			continue
		}
		parsed[key[len(prefixes[i]):]] = strings.TrimSpace(value)
	}
	return parsed, errors.Join(faults...)
}

// UnknownOption returns the error for an option that the driver does not have.
func UnknownOption(driver, key string, known []string) error {
	return fmt.Errorf("driver %s has no option %q, it knows %s: %w", driver, key, strings.Join(known, ", "), model.ErrInvalid)
}

// ParseBool reads the value of an option that is on or off.
func ParseBool(key, value string) (bool, error) {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("option %s=%q is neither true nor false: %w", key, value, model.ErrInvalid)
	}
	return on, nil
}

func quoted(words []string, separator string) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = strconv.Quote(word)
	}
	return strings.Join(texts, separator)
}
