package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/internal/testutil"
)

// TestScriptsOfOCIStorageGoOn runs scripts as they were written when the program
// was called oci-storage, in 2017. They take what is before the first tab for the
// ID, and unmount by the path of the mount.
func TestScriptsOfOCIStorageGoOn(t *testing.T) {
	t.Parallel()
	testutil.NeedTool(t, "bash")
	scripts, err := filepath.Glob("testdata/scripts/*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range scripts {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			forEachStore(t, func(t *testing.T, s script) {
				base, err := os.ReadFile("testdata/files/base.tar")
				if err != nil {
					t.Fatal(err)
				}
				s.file(t, "base.tar", string(base))
				// The trace goes where redirections of a command do not reach.
				shell := exec.CommandContext(t.Context(), "bash", "-eu", "-c", "exec 9>&2; BASH_XTRACEFD=9; set -x; "+string(text))
				shell.Dir = s.dir
				shell.Env = append(shell.Environ(), asCommand, "PATH="+s.oldName(t)+":"+os.Getenv("PATH"),
					"ROOT="+s.root, "RUN="+s.runRoot, "DRIVER="+s.driver, "WORK="+s.dir)
				if output, err := shell.CombinedOutput(); err != nil {
					t.Errorf("%v:\n%s", err, output)
				}
			})
		})
	}
}

// oldName returns a directory with the program by its old name.
func (s script) oldName(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program, err := os.Executable()
	if err == nil {
		err = os.Symlink(program, filepath.Join(dir, "oci-storage"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
