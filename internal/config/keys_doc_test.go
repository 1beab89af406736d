package config_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/config"
)

func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	must(t, err)
	documented := make(map[string]string)
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `storage.") && len(cells) == 4 {
			documented[strings.Trim(cells[0], "|` ")] = cells[2]
		}
	}
	for _, test := range keyCases() {
		if test.right == nil { // a table
			continue
		}
		statuses := slices.Collect(maps.Values(test.right))
		got, ok := documented[string(test.key)]
		switch {
		case !ok:
			t.Errorf("%s is not documented", test.key)
		case (got == "refused") != slices.Contains(statuses, refused), got == "used" && !slices.Contains(statuses, used) && !whereTheCaseIsAnother(test.key):
			t.Errorf("%s is said to be %s, and is %q", test.key, got, statuses)
		case got == "ignored" && slices.Contains(statuses, used):
			t.Errorf("%s is said to be ignored, and is used", test.key)
		}
		delete(documented, string(test.key))
	}
	for key := range documented {
		t.Errorf("%s is documented, and is no key", key)
	}
}

// whereTheCaseIsAnother tells of keys that are used, but not by root where a
// driver is named.
func whereTheCaseIsAnother(key config.Key) bool {
	return key == config.DriverPriority || key == config.RootlessStoragePath
}
