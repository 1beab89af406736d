package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/model"
)

func TestValidateNameAndDataKey(t *testing.T) {
	for _, c := range []struct {
		name, text string
		valid      bool
	}{
		{"reference", "docker.io/library/alpine:3", true},
		{"with spaces", " a b ", true},
		{"any bytes", "\xff\n", true},
		{"dots", "..", true},
		{"longest", strings.Repeat("n", model.MaxNameLength), true},
		{"empty", "", false},
		{"too long", strings.Repeat("n", model.MaxNameLength+1), false},
		{"NUL", "a\x00", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			errName, errKey := model.ValidateName(c.text), model.ValidateDataKey(c.text)
			if (errName == nil) != c.valid || (errKey == nil) != c.valid {
				t.Fatalf("as a name: %v; as a key: %v", errName, errKey)
			}
			if c.valid {
				return
			}
			if !errors.Is(errName, model.ErrInvalid) || errors.Is(errName, model.ErrDataKeyInvalid) {
				t.Errorf("as a name: %v", errName)
			}
			if !errors.Is(errKey, model.ErrInvalid) || !errors.Is(errKey, model.ErrDataKeyInvalid) {
				t.Errorf("as a key: %v", errKey)
			}
			if len(errName.Error()) > 200 {
				t.Errorf("the message has %d bytes", len(errName.Error()))
			}
		})
	}
}

func TestUniqueNamesKeepsFirstOccurrences(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"a"}, []string{"a"}},
		{[]string{"b", "a", "b", "c", "a"}, []string{"b", "a", "c"}},
	} {
		if diff := cmp.Diff(c.want, model.UniqueNames(c.in...)); diff != "" {
			t.Errorf("%q: %s", c.in, diff)
		}
	}
}

// The steps are those of the example in the library specification.
func TestRecordNamesMovesEachCurrentNameToTheFront(t *testing.T) {
	var history []string
	for _, step := range []struct {
		what          string
		current, want []string
	}{
		{"names x and y", []string{"x", "y"}, []string{"y", "x"}},
		{"c is added", []string{"c", "x", "y"}, []string{"y", "x", "c"}},
		{"x is removed", []string{"c", "y"}, []string{"y", "c", "x"}},
		{"all are removed", nil, []string{"y", "c", "x"}},
		{"x comes back", []string{"x"}, []string{"x", "y", "c"}},
	} {
		history = model.RecordNames(history, step.current)
		if diff := cmp.Diff(step.want, history); diff != "" {
			t.Fatalf("%s: %s", step.what, diff)
		}
	}
}

func TestRecordNamesForgetsNothingAndRepeatsNothing(t *testing.T) {
	names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 0, 6)
	rapid.Check(t, func(t *rapid.T) {
		history := model.UniqueNames(names.Draw(t, "history")...)
		current := names.Draw(t, "current")
		got := model.RecordNames(history, current)
		want := make(map[string]bool)
		for _, name := range append(history, current...) {
			want[name] = true
		}
		if len(got) != len(want) {
			t.Fatalf("%q and %q became %q", history, current, got)
		}
		for _, name := range got {
			if !want[name] {
				t.Fatalf("%q came from nowhere", name)
			}
		}
		if unique := model.UniqueNames(current...); len(unique) > 0 && got[0] != current[len(current)-1] {
			t.Fatalf("%q and %q became %q", history, current, got)
		}
	})
}
