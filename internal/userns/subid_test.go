package userns_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/userns"
	"github.com/csdb/csdb/model"
)

func TestSubIDsAreThoseOfTheOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "subuid")
	const file = "# a comment\nalice:100000:65536\nbob:300000:10\n\nalice:500000:5\n1000:700000:7\nbroken\nbroken:x:1\nbroken:1:4294967296\nalicex:1:1\n"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	alice := []model.IDMap{{HostID: 100000, Size: 65536}, {ContainerID: 65536, HostID: 500000, Size: 5}}
	for _, test := range []struct {
		name  string
		names []string
		want  []model.IDMap
	}{
		{"by name", []string{"alice"}, alice},
		{"by name and number", []string{"alice", "1000"}, append(alice[:2:2], model.IDMap{ContainerID: 65541, HostID: 700000, Size: 7})},
		{"by number", []string{"1000"}, []model.IDMap{{HostID: 700000, Size: 7}}},
	} {
		if got, err := userns.SubIDs(path, test.names...); err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("%s: %v, %v; want %v", test.name, got, err, test.want)
		}
	}
	for _, name := range []string{"carol", "ali", "broken", "#", ""} {
		if got, err := userns.SubIDs(path, name); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("ranges of %q: %v, %v; want none", name, got, err)
		}
	}
	if _, err := userns.SubIDs(path+"none", "alice"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}
