package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// fiveFiles makes a directory with the files of an archive, and returns the
// archive and its tar-split too.
func fiveFiles(t *testing.T) (dir string, stream, split []byte) {
	t.Helper()
	dir = t.TempDir()
	var entries []entry
	for i := range 5 {
		name := fmt.Sprint("f", i)
		size := smallSize
		if i == 2 {
			size = largeSize
		}
		writeFile(t, filepath.Join(dir, name), noise(size))
		entries = append(entries, file(name, noise(size)))
	}
	stream = slices.Concat(makeArchive(t, tar.FormatPAX, entries...), zeros(2))
	return dir, stream, mustRecord(t, stream)
}

func TestVerifyNamesEveryFileThatHasChanged(t *testing.T) {
	dir, stream, split := fiveFiles(t)
	verify := func() (names []string, written []byte) {
		var out bytes.Buffer
		err := tarsplit.Verify(t.Context(), &out, bytes.NewReader(split), directory(dir), func(damage *tarsplit.FileError) error {
			if !errors.Is(damage, model.ErrCorrupt) || damage.Reason == nil {
				t.Errorf("damage of %s: %v", damage.Name, damage)
			}
			names = append(names, damage.Name)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return names, out.Bytes()
	}
	names, written := verify()
	if len(names) > 0 {
		t.Errorf("of intact files %v are said to have changed", names)
	}
	wantSame(t, written, stream)
	flip(t, filepath.Join(dir, "f0"), 0)
	flip(t, filepath.Join(dir, "f2"), -1)
	if err := os.Remove(filepath.Join(dir, "f4")); err != nil {
		t.Fatal(err)
	}
	names, _ = verify()
	if diff := cmp.Diff([]string{"f0", "f2", "f4"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestVerifyEndsWhenItIsToldTo(t *testing.T) {
	dir, _, split := fiveFiles(t)
	flip(t, filepath.Join(dir, "f0"), 0)
	flip(t, filepath.Join(dir, "f1"), 0)
	enough, calls := errors.New("enough"), 0
	err := tarsplit.Verify(t.Context(), io.Discard, bytes.NewReader(split), directory(dir), func(*tarsplit.FileError) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}
