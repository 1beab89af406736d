package main

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInterruptedCommandLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.ok(t, "create-layer", "-i", "layer")
		// One that nothing needs yet; whatever is interrupted, it stays empty.
		s.ok(t, "create-layer", "-i", "fresh")
		s.ok(t, "create-image", "-i", "image", "layer")
		before := s.ok(t, "layers", "-j") + s.ok(t, "images", "-j")
		for _, words := range [][]string{
			{"import-layer", "-i", "new", "layer"},
			{"apply-diff", "fresh"},
			{"set-image-data", "image", "item"},
		} {
			stderr, status := s.stop(t, unix.SIGINT, func() {}, words...)
			if status != exitFailed || !strings.Contains(stderr, "interrupt") {
				t.Errorf("%q: exit status %d, stderr %q", words, status, stderr)
			}
			if after := s.ok(t, "layers", "-j") + s.ok(t, "images", "-j"); after != before {
				t.Errorf("%q: records are %s instead of %s", words, after, before)
			}
		}
		for _, pattern := range []string{s.driver + "/*/diff/file", "vfs/dir/*/file", s.driver + "-*/*/*"} {
			if left, err := filepath.Glob(filepath.Join(s.root, pattern)); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		}
	})
}

// stop runs a command that reads the beginning of an archive, calls ready, sends
// it a signal while it waits for the rest, and returns what it printed on the
// standard error, and its exit status.
func (s script) stop(t *testing.T, signal os.Signal, ready func(), words ...string) (string, int) {
	t.Helper()
	child := s.command(t, words...)
	var stderr bytes.Buffer
	child.Stderr = &stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	// When all of this has been written, the command has read most of it.
	const size = 1 << 20
	archive := tar.NewWriter(stdin)
	if err := archive.WriteHeader(&tar.Header{Name: "file", Size: 2 * size}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(archive, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	ready()
	if err := child.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // the exit status says it
	return stderr.String(), child.ProcessState.ExitCode()
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestCommandsRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		const count = 8 // the first of them makes the store
		ids := make([]string, count)
		var running sync.WaitGroup
		for i := range count {
			child := s.command(t, "import-layer", "-f", testFile(t, "base.tar.gz"))
			running.Go(func() {
				output, err := child.CombinedOutput()
				if err != nil {
					t.Errorf("%v: %s", err, output)
				}
				ids[i] = strings.TrimSpace(string(output))
			})
		}
		running.Wait()
		s.wantLines(t, ids, "layers")
	})
}

func TestBuiltProgram(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("needs go: %v", err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "containers-storage")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags", "-X main.version=v1.2.3", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the program is not static")
	}
	old := filepath.Join(dir, "oci-storage")
	if err := os.Symlink(program, old); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ program, args, want string }{
		{program, "version --json", `[["Version","v1.2.3"]]` + "\n"},
		{old, "version --json", `[["Version","v1.2.3"]]` + "\n"},
		{program, "bogus", "bogus: unrecognized command.\n"},
		{old, "layers --help", "Usage: oci-storage layers [options [...]]\n"},
	} {
		args := append([]string{"-g", dir + "/root", "-R", dir + "/run", "-s", "vfs"}, strings.Fields(test.args)...)
		output, _ := exec.CommandContext(t.Context(), test.program, args...).Output()
		if !strings.HasPrefix(string(output), test.want) {
			t.Errorf("%s %s printed %q, want %q", test.program, test.args, output, test.want)
		}
	}
}

func TestErrorsTellWhatEndedTheContext(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupt"))
	broken := errors.New("broken")
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"another error", broken, "broken"},
		{"the context's error", fmt.Errorf("layer: %w", ended.Err()), "interrupt: layer: context canceled"},
		{"the cause itself", fmt.Errorf("layer: %w", context.Cause(ended)), "layer: interrupt"},
	} {
		if err := withCause(ended, test.err); err.Error() != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, want %q", test.name, err, test.want)
		}
	}
	if err := withCause(ended, nil); err != nil {
		t.Errorf("success becomes the error %v", err)
	}
	if err := withCause(t.Context(), broken); !errors.Is(err, broken) || err.Error() != "broken" {
		t.Errorf("as long as the context lasts the error is %v", err)
	}
}
