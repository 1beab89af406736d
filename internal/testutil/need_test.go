package testutil_test

import (
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/csdb/csdb/internal/testutil"
)

func TestWhatIsMissingSkipsATestOrFailsItInCI(t *testing.T) {
	for _, test := range []struct {
		ci    string
		fails bool
	}{
		{"", false},
		{"false", false},
		{"0", false},
		{"true", true},
		{"1", true},
		{"woodpecker", true},
	} {
		t.Run("CI="+test.ci, func(t *testing.T) {
			t.Setenv("CI", test.ci)
			r := record(t.Context(), func(t testing.TB) { testutil.Missing(t, "a %s", "unicorn") })
			said, silent := r.skips, r.failures
			if test.fails {
				said, silent = r.failures, r.skips
			}
			if len(said) != 1 || !strings.Contains(said[0], "a unicorn") || len(silent) != 0 {
				t.Errorf("skips %q, failures %q", r.skips, r.failures)
			}
		})
	}
}

func TestNeedToolFindsWhatTheAdministratorHas(t *testing.T) {
	t.Setenv("CI", "")
	t.Setenv("PATH", "/usr/bin:/bin")
	testutil.NeedTool(t, "mount") // for the folder of what follows
	t.Setenv("PATH", "/nowhere")
	r := record(t.Context(), func(t testing.TB) { testutil.NeedTool(t, "losetup") })
	if len(r.skips)+len(r.failures) != 0 {
		t.Errorf("skips %q, failures %q", r.skips, r.failures)
	}
	r = record(t.Context(), func(t testing.TB) { testutil.NeedTool(t, "losetup", "mkfs.unicorn") })
	if len(r.skips) != 1 || !strings.Contains(r.skips[0], "mkfs.unicorn") {
		t.Errorf("skips %q", r.skips)
	}
}

func TestRootOfAUserNamespaceIsNotRoot(t *testing.T) {
	testutil.NeedRoot(t)
	t.Setenv("CI", "")
	if out, want := childOutput(t, testutil.Child(t, "need-root")), "[] []"; out != want {
		t.Errorf("for root of the machine: got %s, want %s", out, want)
	}
	child := testutil.Child(t, "need-root")
	asRootOfNamespace(child)
	if out, want := childOutput(t, child), "[needs root] []"; out != want {
		t.Errorf("for root of a user namespace: got %s, want %s", out, want)
	}
}

// asRootOfNamespace makes a command run in a user namespace with one user.
func asRootOfNamespace(child *exec.Cmd) {
	one := []syscall.SysProcIDMap{{Size: 1}}
	child.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
	child.SysProcAttr.UidMappings = one
	child.SysProcAttr.GidMappings = slices.Clone(one)
}

func childOutput(t *testing.T, child *exec.Cmd) string {
	t.Helper()
	out, err := child.Output()
	if err != nil {
		t.Fatalf("%s: %v", child, err)
	}
	return string(out)
}
