package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/config"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/internal/userns"
)

// localStore runs commands in this process on a store of the driver vfs.
type localStore struct{ root, runRoot, files string }

func newLocalStore(t *testing.T) localStore {
	t.Helper()
	testutil.NeedRoot(t) // to whom the files in layers belong
	dir := t.TempDir()
	s := localStore{root: filepath.Join(dir, "root"), runRoot: filepath.Join(dir, "run"), files: filepath.Join(dir, "files")}
	if err := os.CopyFS(s.files, os.DirFS("testdata/files")); err != nil {
		t.Fatal(err)
	}
	return s
}

// result is what came of running a command.
type result struct {
	stdout, stderr string
	status         int
}

// runIn runs a command with an environment and a standard input.
func (s localStore) runIn(ctx context.Context, environment map[string]string, stdin string, words ...string) result {
	return runHere(ctx, environment, stdin, s.args(words))
}

// runHere runs the program in this process.
func runHere(ctx context.Context, environment map[string]string, stdin string, args []string) result {
	var stdout, stderr bytes.Buffer
	env := cli.Env{
		Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr, Now: time.Now,
		Getenv: func(name string) string { return environment[name] },
		Host: config.Host{LookupEnv: func(name string) (string, bool) {
			value, set := environment[name]
			return value, set
		}},
	}
	// A namespace is never made in this process, but it can be in one.
	env.User = min(userns.StateOf(env.Getenv), userns.Inside)
	status := run(ctx, env, args)
	return result{stdout: stdout.String(), stderr: stderr.String(), status: status}
}

// args returns the arguments of the program. If the words do not begin with
// flags, those that say which store is meant stand before them.
func (s localStore) args(words []string) []string {
	args := []string{"/usr/bin/containers-storage"}
	if len(words) == 0 || !strings.HasPrefix(words[0], "-") {
		args = append(args, "--graph", s.root, "--run", s.runRoot, "--storage-driver", "vfs")
	}
	return append(args, words...)
}

// runTo runs a command whose standard output is w, and returns its exit status
// and what it prints on the standard error.
func (s localStore) runTo(t *testing.T, w io.Writer, words ...string) (status int, stderr string) {
	t.Helper()
	var errors bytes.Buffer
	env := cli.Env{
		Stdin: strings.NewReader(""), Stdout: w, Stderr: &errors, Now: time.Now, Getenv: func(string) string { return "" },
	}
	return run(t.Context(), env, s.args(words)), errors.String()
}

// run runs a command.
func (s localStore) run(t *testing.T, words ...string) result {
	t.Helper()
	return s.runIn(t.Context(), nil, "", words...)
}

// ok runs a command that has to succeed without a word on the standard error,
// and returns what it prints.
func (s localStore) ok(t *testing.T, words ...string) string {
	t.Helper()
	r := s.run(t, words...)
	if r.status != 0 || r.stderr != "" {
		t.Fatalf("%q: exit status %d, stdout %q, stderr %q", words, r.status, r.stdout, r.stderr)
	}
	return r.stdout
}

// fails runs a command that has to fail, and returns what it prints on the
// standard error.
func (s localStore) fails(t *testing.T, words ...string) string {
	t.Helper()
	r := s.run(t, words...)
	if r.status != 1 {
		t.Fatalf("%q: exit status %d instead of 1, stdout %q, stderr %q", words, r.status, r.stdout, r.stderr)
	}
	return r.stderr
}
