package layering_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strings"
	"testing"
)

// source is a Go file of the module.
type source struct {
	name  string // path beneath the folder of the module
	pkg   string // import path without that of the module
	test  bool
	lines int
	tree  *ast.File
}

// parse reads all Go files of the module in a folder, whatever system or build
// tag they are for.
func parse(t *testing.T, module fs.FS) []source {
	t.Helper()
	var sources []source
	err := fs.WalkDir(module, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skip(module, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		content, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, content, parser.ParseComments|parser.SkipObjectResolution)
		sources = append(sources, source{
			name:  name,
			pkg:   path.Dir(name),
			test:  strings.HasSuffix(name, "_test.go"),
			lines: bytes.Count(content, []byte("\n")),
			tree:  tree,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// skip returns fs.SkipDir for folders that the go command would leave out, and
// for modules of their own.
func skip(module fs.FS, dir string) error {
	base := path.Base(dir)
	if dir == "." {
		return nil
	}
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	_, err := fs.Stat(module, path.Join(dir, "go.mod"))
	if err == nil {
		return fs.SkipDir
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("is %s a module: %w", dir, err)
}
