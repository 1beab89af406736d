package model_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/csdb/csdb/model"
)

func TestGeneratedIDsAreRandomHexadecimal(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{64}$`)
	seen := make(map[string]bool)
	for range 1000 {
		for kind, id := range map[model.Kind]string{
			model.KindLayer:     string(model.NewLayerID()),
			model.KindImage:     string(model.NewImageID()),
			model.KindContainer: string(model.NewContainerID()),
		} {
			if !form.MatchString(id) {
				t.Fatalf("%s ID %q is not 64 hexadecimal digits", kind, id)
			}
			if err := model.ValidateID(kind, id); err != nil {
				t.Fatal(err)
			}
			if seen[id] {
				t.Fatalf("%s was drawn twice", id)
			}
			seen[id] = true
		}
	}
}

// Of random IDs about one in 281 begins with twelve decimal digits, so among
// 20,000 that were not drawn again there would be about 71.
func TestGeneratedIDsDoNotLookLikeNumbersWhenAbbreviated(t *testing.T) {
	number := regexp.MustCompile(`^[0-9]{12}`)
	for range 20_000 {
		if id := model.NewLayerID(); number.MatchString(string(id)) {
			t.Fatalf("the abbreviation of %s is a number", id)
		}
	}
}

func TestValidateID(t *testing.T) {
	for _, c := range []struct {
		name, id string
		valid    bool
	}{
		{"generated", strings.Repeat("0a", 32), true},
		{"one letter", "x", true},
		{"upper case and digits", "Layer-01_b", true},
		{"not hexadecimal", "my container", true},
		{"other script", "größe-層", true},
		{"longest", strings.Repeat("a", model.MaxIDLength), true},
		{"dot inside", "a.b", true},
		{"all digits", "123456789012", true},
		{"empty", "", false},
		{"too long", strings.Repeat("a", model.MaxIDLength+1), false},
		{"slash", "a/b", false},
		{"way out", "..", false},
		{"hidden", ".a", false},
		{"option", "-rf", false},
		{"escaped name of a data item", "=a", false},
		{"colon of mount options", "a:b", false},
		{"comma of mount options", "a,b", false},
		{"backslash of mount options", `a\b`, false},
		{"tilde of backups", "a~", false},
		{"NUL", "a\x00b", false},
		{"newline", "a\nb", false},
		{"escape sequence", "a\x1b[1m", false},
		{"invalid UTF-8", "a\xffb", false},
		{"invisible", "a\u200bb", false},
		{"space before", " a", false},
		{"space behind", "a ", false},
		{"directory of links", "l", false},
		{"staging directory", "staging", false},
		{"directory for deletions", "tempdirs", false},
		{"temporary directory", "tmp", false},
		{"device node of quotas", "backingFsBlockDev", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, kind := range model.Kinds {
				err := model.ValidateID(kind, c.id)
				if (err == nil) != c.valid {
					t.Errorf("%s ID %q: %v", kind, c.id, err)
				}
				if err == nil {
					continue
				}
				if !errors.Is(err, model.ErrInvalid) {
					t.Errorf("%v is not of the class invalid", err)
				}
				if !strings.HasPrefix(err.Error(), string(kind)+" ID ") {
					t.Errorf("%q does not name the kind", err)
				}
			}
		})
	}
}

func TestParseIDsValidates(t *testing.T) {
	for _, text := range []string{"good", "b/ad"} {
		layer, errLayer := model.ParseLayerID(text)
		image, errImage := model.ParseImageID(text)
		container, errContainer := model.ParseContainerID(text)
		for _, err := range []error{errLayer, errImage, errContainer} {
			if (err == nil) != (text == "good") {
				t.Errorf("%q: %v", text, err)
			}
		}
		if string(layer) != text || string(image) != text || string(container) != text {
			t.Errorf("%q became %q, %q, %q", text, layer, image, container)
		}
	}
}

func TestIDsKnowTheirKind(t *testing.T) {
	for _, kind := range model.Kinds {
		id := model.NewID(kind, "some")
		if id.Kind() != kind || id.String() != "some" {
			t.Errorf("%q, %q", id.Kind(), id)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("there is an ID of a kind that does not exist")
		}
	}()
	model.NewID("thing", "some")
}

func TestNamesOfLayerDirectories(t *testing.T) {
	id := model.NewLayerID()
	a, b := model.NewLayerDir(id), model.NewLayerDir(id)
	if a == b || a == string(id) {
		t.Errorf("%q and %q", a, b)
	}
	for _, dir := range []string{a, b, string(id)} {
		if got, err := model.ParseLayerDir(dir); err != nil || got != id {
			t.Errorf("%q is of %q (%v)", dir, got, err)
		}
		if strings.ContainsAny(dir, "/:,\\") {
			t.Errorf("%q cannot be a mount option", dir)
		}
	}
	for _, dir := range []string{
		"", "a/b", a[:len(a)-1], a + "a", string(id) + "~", string(id) + "~ABCDEFGHIJKLMNOP", string(id) + "~abcdefghijklmn01", a + "~x", "~" + a[65:],
	} {
		if got, err := model.ParseLayerDir(dir); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%q is of %q (%v)", dir, got, err)
		}
	}
}
