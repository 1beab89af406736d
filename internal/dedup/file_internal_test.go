package dedup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// What is opened is what was seen, or nothing.
func TestOpenRefusesWhatHasBeenReplaced(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"by a link": func(path string) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink("file.real", path))
		},
		"by a link above it": func(path string) error {
			dir := filepath.Dir(path)
			return errors.Join(os.Rename(dir, dir+".real"), os.Symlink("dir.real", dir))
		},
		"by a FIFO":           func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)) },
		"by a directory":      func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"by nothing":          os.Remove,
		"by another file":     func(path string) error { return os.Rename(path+".other", path) },
		"by a longer content": func(path string) error { return os.Truncate(path, 100) },
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			path := filepath.Join(root, "dir", "file")
			err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700),
				os.WriteFile(path, []byte("seen"), 0o600), os.WriteFile(path+".other", []byte("seen"), 0o600))
			if err != nil {
				t.Fatal(err)
			}
			f := find(t, root, "dir", "file")
			opened, err := f.open()
			if err != nil {
				t.Fatal(err)
			}
			_ = opened.Close()
			if err := replace(path); err != nil {
				t.Fatal(err)
			}
			opened, err = f.open()
			if err == nil {
				_ = opened.Close()
				t.Fatal("was opened")
			}
			if !gone(err) {
				t.Errorf("would be reported: %v", err)
			}
		})
	}
}

// find returns a file as a walk finds it.
func find(t *testing.T, root, dir, name string) *file {
	t.Helper()
	opened, err := beneath.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	var stat unix.Stat_t
	if err := unix.Lstat(filepath.Join(root, dir, name), &stat); err != nil {
		t.Fatal(err)
	}
	return &file{tree: &tree{name: "tree", dir: opened}, dir: dir, name: name, inode: inodeOf(&stat), size: stat.Size}
}

// A tree may be deeper than a name can be long.
func TestFilesThatCannotBeNamedAreGone(t *testing.T) {
	f := find(t, t.TempDir(), "", ".")
	f.dir = strings.Repeat("d/", 3000) + "d"
	if _, err := f.open(); !gone(err) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// Two large files may take long.
func TestEndOfTheContextEndsTheWorkOnAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, _, err := share(ctx, f, f, 5000, true); !errors.Is(err, enough) {
		t.Errorf("share: %v", err)
	}
	if _, err := newKeyer(CRC).key(ctx, f, 5000); !errors.Is(err, enough) {
		t.Errorf("key: %v", err)
	}
}

// Each size that two files have is in one round, and one that one file has in none
// that is asked for.
func TestRoundsHaveEachSizeOnce(t *testing.T) {
	s := newSizes()
	var bytes int64
	for size := range int64(5000) {
		for range size % 3 {
			s.add(size)
			bytes += size
		}
	}
	const limit = 100
	rounds, total := s.rounds(limit)
	if total > bytes || len(rounds) < 30 {
		t.Errorf("%d bytes in %d rounds", total, len(rounds))
	}
	for size := range int64(5000) {
		in := 0
		for _, r := range rounds {
			if s.has(r, size) {
				in++
			}
		}
		if in > 1 || size%3 == 2 && in != 1 {
			t.Errorf("size %d is in %d rounds", size, in)
		}
	}
	for _, r := range rounds {
		var files int64
		for _, b := range s.buckets[r.from:r.to] {
			if b.files > 1 {
				files += b.files
			}
		}
		if files > limit {
			t.Errorf("a round has %d files", files)
		}
	}
}
