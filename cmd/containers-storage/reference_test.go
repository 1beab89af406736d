package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

// The manual pages and the completions of shells are made of the same
// descriptions as the help. `make docs` writes them; these tests fail if that
// would change anything.

// docsDir is where they are, for `make install` to pick up.
const docsDir = "../../docs"

// reference returns the program as it is where nothing is configured, in the way
// of those who read about it.
func reference() *program {
	env := cli.Env{Getenv: func(string) string { return "" }}
	return newProgram(env, programName)
}

// checkDocs compares files, by their paths below the directory of documents,
// with what is there in the place of those that match a pattern. With -update, it
// writes them instead.
func checkDocs(t *testing.T, pattern string, want map[string]string) {
	t.Helper()
	old, err := filepath.Glob(filepath.Join(docsDir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		name, err := filepath.Rel(docsDir, path)
		if err != nil {
			t.Fatal(err)
		}
		if _, wanted := want[name]; wanted {
			continue
		}
		if !*update {
			t.Errorf("nothing makes %s", path)
		} else if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
	for name, text := range want {
		checkDocument(t, filepath.Join(docsDir, name), text)
	}
}

func checkDocument(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, want)
		return
	}
	got, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s has to be made anew by `make docs` (-want +got):\n%s", path, diff)
	}
}

// sortedFlags returns flags in the order of their long names.
func sortedFlags(flags []urfave.Flag) []urfave.Flag {
	return slices.SortedFunc(slices.Values(flags), func(a, b urfave.Flag) int { return strings.Compare(a.Names()[0], b.Names()[0]) })
}

// takesValue tells whether a flag has a value.
func takesValue(flag urfave.Flag) bool {
	documented, ok := flag.(urfave.DocGenerationFlag)
	return ok && documented.TakesValue()
}

// meaning returns what the help says about a flag.
func meaning(flag urfave.Flag) string {
	documented, ok := flag.(urfave.DocGenerationFlag)
	if !ok {
		return ""
	}
	return documented.GetUsage()
}
