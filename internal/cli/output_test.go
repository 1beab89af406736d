package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/cli"
)

// content returns a function that writes a text, part by part, and then fails
// with err.
func content(err error, parts ...string) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, part := range parts {
			if _, err := io.WriteString(w, part); err != nil {
				return err
			}
		}
		return err
	}
}

func TestWriteOutputWritesToStdoutWithoutFile(t *testing.T) {
	var stdout bytes.Buffer
	if err := (cli.Env{Stdout: &stdout}).WriteOutput("", content(nil, "a", "b")); err != nil {
		t.Fatal(err)
	}
	if stdout.String() != "ab" {
		t.Errorf("stdout has %q, want %q", stdout.String(), "ab")
	}
}

func TestWriteOutputGivesTheNameToTheWholeFileOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	err := cli.Env{}.WriteOutput(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "all of it")
		if _, errStat := os.Lstat(path); !errors.Is(errStat, fs.ErrNotExist) {
			t.Errorf("the file has its name before it is complete: %v", errStat)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"out": "all of it"})
}

func TestWriteOutputLeavesNothingBehindAfterAnError(t *testing.T) {
	dir := t.TempDir()
	broken := errors.New("broken")
	if err := (cli.Env{}).WriteOutput(filepath.Join(dir, "new"), content(broken, "half")); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	wantFiles(t, dir, map[string]string{})

	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, []byte("as it was"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := (cli.Env{}).WriteOutput(old, content(broken, "half")); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	wantFiles(t, dir, map[string]string{"old": "as it was"})
}

func TestWriteOutputReplacesAFileAndKeepsItsMode(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := os.WriteFile(path, []byte("something longer than what comes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("out", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := (cli.Env{}).WriteOutput(filepath.Join(dir, "link"), content(nil, "new")); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"out": "new", "link": "new"})
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want %v", info.Mode(), err, fs.FileMode(0o600))
	}
	if info, err := os.Lstat(filepath.Join(dir, "link")); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the symbolic link has been replaced: %v, %v", info.Mode(), err)
	}
}

func TestWriteOutputWritesToWhatIsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		text, err := os.ReadFile(path)
		read <- fmt.Sprint(string(text), err)
	}()
	if err := (cli.Env{}).WriteOutput(path, content(nil, "through")); err != nil {
		t.Fatal(err)
	}
	if got := <-read; got != "through<nil>" {
		t.Errorf("the pipe gave %q", got)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("the pipe has been replaced: %v, %v", info.Mode(), err)
	}
}

func TestWriteOutputNamesTheFileInItsErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "out")
	err := cli.Env{}.WriteOutput(path, content(nil, "x"))
	var about *fs.PathError
	if !errors.As(err, &about) || about.Path != path || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one that says that %s cannot be made", err, path)
	}
}

// wantFiles compares the files in a directory with the wanted ones.
func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(want) {
		t.Errorf("there are the files %v, want %d of them", entries, len(want))
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("file %s has %q, %v; want %q", name, got, err, text)
		}
	}
}
