package beneath_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestResolve(t *testing.T) {
	root, outside := house(t)
	mkdirs(t, root+"/usr/lib", root+"/a/b")
	write(t, root+"/file", "")
	symlink(t, "usr/lib", root+"/lib")
	symlink(t, "/usr/lib", root+"/a/absolute")
	symlink(t, "../../../../usr", root+"/a/b/up")
	symlink(t, "/no/such", root+"/dangling")
	symlink(t, outside, root+"/escape")
	symlink(t, "self/self", root+"/self")
	symlink(t, "lib/../lib", root+"/twice")
	symlink(t, "/", root+"/top")
	dir := open(t, root)
	tests := []struct {
		name, want string
		err        error
	}{
		{name: "", want: ""},
		{name: "usr/lib", want: "usr/lib"},
		{name: "lib", want: "usr/lib"},
		{name: "lib/x/y", want: "usr/lib/x/y"},
		{name: "a/absolute", want: "usr/lib"},
		{name: "a/b/up/lib", want: "usr/lib"},
		{name: "dangling/x", want: "no/such/x"},
		{name: "escape/secret", want: strings.TrimPrefix(outside, "/") + "/secret"},
		{name: "../../x", want: "x"},
		{name: "file/x", want: "file/x"},
		{name: "twice", want: "usr/lib"}, // lib/.. is usr, as for the kernel
		{name: "top", want: ""},
		{name: "top/top/lib", want: "usr/lib"},
		{name: "self", err: unix.ELOOP},
		{name: strings.Repeat("n", 256), err: unix.ENAMETOOLONG},
		{name: strings.Repeat("n/", 4096), err: unix.ENAMETOOLONG},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.30s", tt.name), func(t *testing.T) {
			got, err := dir.Resolve(tt.name)
			if !errors.Is(err, tt.err) || got != tt.want {
				t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestResolveFollowsAsManyLinksAsTheKernel(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/0")
	for i := 1; i <= 41; i++ {
		symlink(t, fmt.Sprint(i-1), fmt.Sprintf("%s/%d", root, i))
	}
	dir := open(t, root)
	if got, err := dir.Resolve("40"); err != nil || got != "0" {
		t.Errorf("40 links: got %q, %v", got, err)
	}
	if _, err := dir.Resolve("41"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("41 links: got %v, want %v", err, unix.ELOOP)
	}
	if _, err := dir.Dir("41"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("41 links, kernel: got %v, want %v", err, unix.ELOOP)
	}
}

// TestResolveAgreesWithTheKernel compares with RESOLVE_IN_ROOT in random trees
// of directories and symbolic links.
func TestResolveAgreesWithTheKernel(t *testing.T) {
	top, round := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		root := filepath.Join(top, fmt.Sprint(round))
		mkdirs(t, root)
		component := rapid.SampledFrom([]string{"a", "b", "c", "..", "."})
		name := rapid.Map(rapid.SliceOfN(component, 1, 4), func(parts []string) string { return strings.Join(parts, "/") })
		for range rapid.IntRange(0, 12).Draw(rt, "files") {
			path := filepath.Join(root, filepath.Join("/", name.Draw(rt, "path")))
			if rapid.Bool().Draw(rt, "directory") {
				_ = os.MkdirAll(path, 0o700)
				continue
			}
			target := rapid.SampledFrom([]string{"", "/"}).Draw(rt, "slash") + name.Draw(rt, "target")
			_ = os.Symlink(target, path)
		}
		dir := open(t, root)
		asked := name.Draw(rt, "asked")
		byKernel, kernelErr := dir.Dir(asked)
		if kernelErr != nil {
			return // where Resolve goes on by itself: it is asked for what is missing
		}
		defer byKernel.Close()
		resolved, err := dir.Resolve(asked)
		if err != nil {
			rt.Fatalf("Resolve(%q): %v", asked, err)
		}
		got, err := dir.PlainDir(resolved)
		if err != nil {
			rt.Fatalf("PlainDir(%q): %v", resolved, err)
		}
		defer got.Close()
		if inode(t, got) != inode(t, byKernel) {
			rt.Fatalf("Resolve(%q) = %q is another directory than the kernel finds", asked, resolved)
		}
	})
}
