package archive_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

func TestTreeOpensWhatUnpackMade(t *testing.T) {
	near, beside := layerAndCanary(t)
	far := filepath.Join(filepath.Dir(near), "far")
	mkdir(t, near+"/d", near+"/only-near", far+"/d", far+"/usr/lib")
	write(t, near+"/d/both", "near")
	write(t, far+"/d/both", "far")
	write(t, far+"/d/far", "far")
	write(t, far+"/usr/lib/so", "library")
	write(t, far+"/only-near", "far")
	write(t, near+"/f", "file")
	if err := errors.Join(
		os.Symlink("usr/lib", far+"/lib"), os.Symlink("/usr/lib", far+"/usr/absolute"),
		os.Symlink("../canary/secret", near+"/l"), os.Symlink("../canary", near+"/out"), os.Symlink("/", near+"/top"),
		os.Symlink("x", near+"/x"), unix.Mkfifo(near+"/p", 0o600), unix.Mknod(near+"/socket", unix.S_IFSOCK|0o600, 0),
	); err != nil {
		t.Fatal(err)
	}
	tree, err := archive.OpenTree(near, far)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	tests := []struct {
		name, want string
		err        error
	}{
		{name: "d/both", want: "near"},
		{name: "./d//both", want: "near"},
		{name: "/d/both", want: "near"},
		{name: "x/../d/far", want: "far"},
		{name: "lib/so", want: "library"},
		{name: "usr/absolute/so", want: "library"},
		{name: "f", want: "file"},
		{name: "top/f", want: "file"},
		{name: "none", err: model.ErrNotFound},
		{name: "f/x", err: model.ErrNotFound},
		{name: "only-near", err: model.ErrInvalid}, // a directory, in the first that has it
		{name: "d", err: model.ErrInvalid},
		{name: ".", err: model.ErrInvalid},
		{name: "", err: model.ErrInvalid},
		{name: "l", err: model.ErrInvalid},
		{name: "p", err: model.ErrInvalid},
		{name: "socket", err: model.ErrInvalid},
		{name: "x/f", err: model.ErrInvalid},
		{name: "out/secret", err: model.ErrNotFound},
		{name: "top/../canary/secret", err: model.ErrNotFound},
		{name: "../canary/secret", err: model.ErrInvalid},
		{name: "d/../../canary/secret", err: model.ErrInvalid},
		{name: beside.dir + "/secret", err: model.ErrNotFound},
		{name: "a\x00b", err: model.ErrInvalid},
		{name: strings.Repeat("d/", 3000), err: model.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(shortened(tt.name), func(t *testing.T) {
			file, err := tree.Open(tt.name)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			defer file.Close()
			if content, err := io.ReadAll(file); err != nil || string(content) != tt.want {
				t.Errorf("got %q, %v; want %q", content, err, tt.want)
			}
		})
	}
	beside.check(t)
}

func shortened(name string) string { return name[:min(len(name), 40)] }

func TestTreeOfNothingHasNothing(t *testing.T) {
	if _, err := archive.OpenTree(t.TempDir(), t.TempDir()+"/none"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want %v", err, unix.ENOENT)
	}
	tree, err := archive.OpenTree()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Open("f"); !errors.Is(err, model.ErrNotFound) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, model.ErrNotFound)
	}
	if err := tree.Close(); err != nil {
		t.Error(err)
	}
}
