package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/docker/go-units"

	"github.com/csdb/csdb/model"
)

// kind is what a value may be.
type kind struct {
	// name says it in an error.
	name string
	// read returns the value in the form of Setting.Value, false if it is of
	// another type or may not be.
	read func(value any) (any, bool)
}

// The kinds of values. Much of what is no text is written as one: that is how
// the engines read it.
var (
	kindText       = kind{"a text", of[string]}
	kindBool       = kind{"true or false, without quotes", of[bool]}
	kindTextBool   = kind{`"true" or "false", in quotes`, textThat(isBool)}
	kindNumber     = kind{fmt.Sprintf("a number from 0 to %d", uint32(math.MaxUint32)), readNumber}
	kindTextNumber = kind{"a number in quotes", textThat(isNumber)}
	kindSize       = kind{`a size in quotes, such as "10G"`, textThat(isSize)}
	kindMask       = kind{`"shared", "private" or an octal number in quotes`, textThat(isMask)}
	kindPath       = kind{"an absolute path, which may contain variables", textThat(isPath)}
	kindList       = kind{"a list of texts", readList}
	kindTexts      = kind{"a table of texts", readTexts}
	kindAnyTable   = kind{"a table of anything", of[map[string]any]}
	kindTable      = kind{"a table", of[map[string]any]}
)

// check returns the setting with its value as the kind has it. The error
// matches model.ErrInvalid.
func (k kind) check(s Setting) (Setting, error) {
	value, ok := k.read(s.Value)
	if !ok {
		return s, s.wrap(fmt.Errorf("%s is %w: it has to be %s", shown(s.Value), model.ErrInvalid, k.name))
	}
	s.Value = value
	return s, nil
}

// shown writes a value in an error.
func shown(value any) string {
	switch value.(type) {
	case string, bool, int64, float64:
		return fmt.Sprintf("%#v", value)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a time"
}

func of[T any](value any) (any, bool) {
	_, ok := value.(T)
	return value, ok
}

// textThat returns the reading of texts that are empty or pass a test.
func textThat(passes func(string) bool) func(any) (any, bool) {
	return func(value any) (any, bool) {
		s, ok := value.(string)
		return value, ok && (s == "" || passes(s))
	}
}

// isBool tells whether drivers take a text for true or false.
func isBool(s string) bool {
	_, err := strconv.ParseBool(s)
	return err == nil
}

// isOn tells whether a text stands for true.
func isOn(value any) bool {
	on, err := strconv.ParseBool(fmt.Sprint(value))
	return err == nil && on
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

func isSize(s string) bool {
	n, err := units.RAMInBytes(s)
	return err == nil && n >= 0
}

func isMask(s string) bool {
	_, err := strconv.ParseUint(s, 8, 12)
	return err == nil || s == "shared" || s == "private"
}

// expanding are the beginnings of paths that may turn out to be absolute.
var expanding = regexp.MustCompile(`^(/|\$)`)

func isPath(s string) bool { return expanding.MatchString(s) && !strings.Contains(s, "\x00") }

func readNumber(value any) (any, bool) {
	n, ok := value.(int64)
	return value, ok && n >= 0 && n <= math.MaxUint32
}

func readList(value any) (any, bool) {
	all, ok := value.([]any)
	if !ok {
		return value, false
	}
	read := make([]string, len(all))
	for i, one := range all {
		if read[i], ok = one.(string); !ok {
			return value, false
		}
	}
	return read, true
}

func readTexts(value any) (any, bool) {
	all, ok := value.(map[string]any)
	if !ok {
		return value, false
	}
	read := make(map[string]string, len(all))
	for name, one := range all {
		if read[name], ok = one.(string); !ok {
			return value, false
		}
	}
	return read, true
}

// isZero tells whether a value is the same as none.
func isZero(value any) bool {
	switch v := value.(type) {
	case string:
		return v == ""
	case []string:
		return len(v) == 0 || strings.Join(v, "") == ""
	case bool:
		return !v
	case int64:
		return v == 0
	case map[string]string:
		return len(v) == 0
	}
	return value == nil
}
