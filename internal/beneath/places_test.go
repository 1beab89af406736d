package beneath_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

func TestMkdirAllMakesDirectoriesBeneath(t *testing.T) {
	root, outside := house(t)
	mkdirs(t, root+"/etc")
	write(t, root+"/file", "")
	symlink(t, "/etc", root+"/absolute")
	symlink(t, "/no/such", root+"/dangling")
	symlink(t, outside, root+"/escape")
	symlink(t, "a/../loop", root+"/loop")
	dir := open(t, root)
	tests := []struct {
		name, want string
		err        error
	}{
		{name: "", want: "."},
		{name: "a/b/c", want: "a/b/c"},
		{name: "a/b/d", want: "a/b/d"},
		{name: "absolute/x", want: "etc/x"},
		{name: "dangling/y", want: "no/such/y"},
		{name: "escape/z", want: filepath.Join(".", outside, "z")},
		{name: "../../up", want: "up"},
		{name: "file", err: unix.ENOTDIR},
		{name: "file/x", err: unix.ENOTDIR},
		{name: "loop/x", err: unix.ELOOP},
		{name: "nul\x00", err: unix.EINVAL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := dir.MkdirAll(tt.name, 0o755); !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if tt.err == nil && !exists(t, filepath.Join(root, tt.want)) {
				t.Errorf("%q is missing", tt.want)
			}
		})
	}
	names, err := open(t, outside).Names()
	if diff := cmp.Diff([]string{"folder", "secret"}, names); err != nil || diff != "" {
		t.Errorf("changed outside: %v %s", err, diff)
	}
}

func TestMkdirAllIgnoresTheUmask(t *testing.T) {
	root, _ := house(t)
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	defer syscall.Umask(syscall.Umask(0o077))
	if err := beneath.MkdirAll(dir, "a/b", 0o1775); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a/b"} {
		stat, err := open(t, root+"/"+name).Stat(".")
		if err != nil || stat.Mode&0o7777 != 0o1775 {
			t.Errorf("%s has mode %#o, want 01775, %v", name, stat.Mode&0o7777, err)
		}
	}
}

func TestPlacesNamesDirectoriesWithoutLinks(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/usr/lib/x")
	symlink(t, "usr/lib", root+"/lib")
	symlink(t, "..", root+"/usr/top")
	places := newPlaces(t, root)
	for name, want := range map[string]string{
		"": "", "usr": "usr", "lib": "usr/lib", "lib/x": "usr/lib/x", "usr/top": "", "usr/top/lib": "usr/lib",
	} {
		place, err := places.Find(name)
		if err != nil || place.Name != want {
			t.Errorf("Find(%q) is %q, %v; want %q", name, place.Name, err, want)
		}
	}
	if _, err := places.Find("none"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want %v", err, unix.ENOENT)
	}
}

func newPlaces(t *testing.T, root string) *beneath.Places {
	t.Helper()
	places := beneath.NewPlaces(open(t, root), nil)
	t.Cleanup(func() {
		if err := places.Close(); err != nil {
			t.Error(err)
		}
	})
	return places
}

func TestPlacesKeepsTheLastOnesOpen(t *testing.T) {
	root, _ := house(t)
	for i := range 40 {
		mkdirs(t, fmt.Sprintf("%s/%d", root, i))
	}
	places := newPlaces(t, root)
	find := func(i int) beneath.Place {
		t.Helper()
		place, err := places.Find(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		return place
	}
	before := descriptors(t)
	first := find(0)
	for i := range 40 {
		kept := find(i)
		if again := find(i); again.Dir != kept.Dir {
			t.Fatalf("directory %d was opened twice", i)
		}
		if i < 16 && find(0).Dir != first.Dir {
			t.Fatal("the directory in constant use was opened again")
		}
		for back := max(0, i-15); back <= i; back++ {
			if _, err := find(back).Stat("."); err != nil {
				t.Fatalf("directory %d is closed after %d: %v", back, i, err)
			}
		}
	}
	if open := descriptors(t) - before; open != 16 {
		t.Errorf("%d descriptors are open, want 16", open)
	}
}

func TestPlacesForgets(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/a", root+"/b")
	places := newPlaces(t, root)
	old, err := places.Find("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(root+"/a"), os.Rename(root+"/b", root+"/a")); err != nil {
		t.Fatal(err)
	}
	if now, err := places.Find("a"); err != nil || now.Dir != old.Dir {
		t.Error("looked again although nobody said so")
	}
	places.Forget()
	now, err := places.Find("a")
	if err != nil {
		t.Fatal(err)
	}
	if inode(t, now.Dir) != inode(t, open(t, root+"/a")) {
		t.Error("still finds the directory that was removed")
	}
	if _, err := old.Stat("."); err != nil {
		t.Errorf("closed what is in use: %v", err)
	}
}
