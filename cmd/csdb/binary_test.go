package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/testutil"
)

func TestBinary(t *testing.T) {
	testutil.NeedTool(t, "go", "bash")
	binary := filepath.Join(t.TempDir(), "csdb")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags", "-X main.version=v1.2.3", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := newSample(t)
	call := func(args ...string) (result, error) {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "CSDB_ROOT="+s.root, "CSDB_RUNROOT="+s.runRoot)
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		return result{stdout: stdout.String(), stderr: stderr.String(), status: cmd.ProcessState.ExitCode()}, err
	}
	for _, test := range []struct {
		args   string
		stdout string // a part of it
		stderr string // a part of it
		status int
	}{
		{"--version", "csdb version v1.2.3\n", "", 0},
		{"ls images", "docker.io/library/app:1", "", 0},
		{"fsck", "clean: ", "", 0},
		{"inspect nobody", "[]", `csdb: "nobody": `, 1},
		{"--root " + t.TempDir() + " fsck", "", "csdb: no store can be read", 4},
		{"--generate-bash-completion", "inspect", "", 0},
		{"ls --f --generate-bash-completion", "--full-ids", "", 0},
	} {
		r, err := call(strings.Fields(test.args)...)
		if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
			t.Fatal(err)
		}
		if !strings.Contains(r.stdout, test.stdout) || !strings.Contains(r.stderr, test.stderr) || r.status != test.status || (test.stderr == "") != (r.stderr == "") {
			t.Errorf("csdb %s: %+v", test.args, r)
		}
	}
	t.Run("completion", func(t *testing.T) { testBash(t, binary, s) })
	damage(t, s)
	if r, _ := call("fsck"); r.status != exitDamaged {
		t.Errorf("damaged store: status %d", r.status)
	}
}

// testBash lets bash complete command lines.
func testBash(t *testing.T, binary string, s *sample) {
	t.Helper()
	for line, want := range map[string]string{
		"csdb in":                        "info inspect",
		"csdb ls --fu":                   "--full-ids",
		"csdb inspect to":                "tool:2",
		"csdb ls im":                     "images",
		"csdb ls images d":               "docker.io/library/app:1",
		"csdb refs ba5":                  "ba5e01ffffff",
		"csdb tree a":                    "app:latest a44001ffffff",
		"csdb tree app : l":              "latest",
		"csdb refs app :":                "latest",
		"csdb refs web ":                 "",
		"csdb --root /nowhere inspect t": "",
		"csdb fsck --depth con":          "contents",
		"csdb fsck --only we":            "web",
		"csdb gc --keep app : l":         "latest",
		"csdb gc --ke":                   "--keep-last --keep",
		"csdb --driver vfs ":             "info ls inspect refs tree du log top fsck report repair backup restore rescue compact gc lease hold db config completion",
	} {
		script := `set -u; source <(csdb completion bash)
			read -ra COMP_WORDS <<<"$1"; [[ $1 == *" " ]] && COMP_WORDS+=("")
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _csdb; echo "${COMPREPLY[@]}"`
		got := ""
		testutil.Eventually(t, fmt.Sprintf("%q is completed", line), func() bool { // see completed
			cmd := exec.CommandContext(t.Context(), "bash", "-c", script, "bash", line)
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "CSDB_ROOT="+s.root)
			out, err := cmd.CombinedOutput()
			must(t, err)
			got = strings.TrimSpace(string(out))
			return got != "" || want == ""
		})
		if got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{"bash": "complete -o", "zsh": "#compdef csdb", "fish": "'(__csdb_objects)'"} {
		if r := csdb(t, "completion", shell); r.status != 0 || !strings.Contains(r.stdout, want) {
			t.Errorf("%s: %+v", shell, r)
		}
	}
}

func TestManualPagesAreUpToDate(t *testing.T) {
	dir := t.TempDir()
	if r := csdb(t, "docs", dir); r.status != 0 {
		t.Fatalf("got %+v", r)
	}
	for _, name := range []string{"csdb.md", "man/csdb.8"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		want, err := os.ReadFile(filepath.Join("../../docs", name))
		must(t, err)
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: run \"make docs\": %s", name, diff)
		}
	}
}
