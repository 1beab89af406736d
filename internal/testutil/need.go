package testutil

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Missing ends a test because the machine lacks something that the test
// needs, which the arguments describe as for fmt.Sprintf. The test is skipped,
// or fails where CI is set.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	what := fmt.Sprintf(format, args...)
	if inCI() {
		t.Fatalf("needs %s; this is a failure because CI is set", what)
	}
	t.Skipf("needs %s", what)
}

// inCI tells whether CI is set to something that does not mean no.
func inCI() bool {
	value := os.Getenv("CI")
	if on, err := strconv.ParseBool(value); err == nil {
		return on
	}
	return value != ""
}

// NeedRoot ends a test that does not run as the root user of the machine.
// Being root in a user namespace does not count: devices cannot be made there,
// nor most file systems mounted.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 || !ownsAllIDs() {
		Missing(t, "root")
	}
}

// ownsAllIDs tells whether this is the initial user namespace, or one that is
// as good, by user_namespaces(7): its map has one line, from 0 to 0, for all
// 2^32-1 IDs.
func ownsAllIDs() bool {
	line, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	return strings.Join(strings.Fields(string(line)), " ") == "0 0 4294967295"
}

// NeedTool ends a test if one of the programs is not installed. The package
// that a program is in stands in scripts/setup.
func NeedTool(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := findTool(program); err != nil {
			Missing(t, "the program %s (see scripts/setup)", program)
		}
	}
}

// findTool returns the path of a program. The folders of the administrator's
// programs are searched whether they are on PATH or not; on Debian, they are
// not on that of an ordinary user, nor after su.
func findTool(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(dir + "/" + program); err == nil {
			return path, nil
		}
	}
	return "", err
}

// runTool runs a program that findTool finds. Its output is in the error.
func runTool(ctx context.Context, command ...string) error {
	program, err := findTool(command[0])
	if err != nil {
		return fmt.Errorf("%q: %w", command, err)
	}
	if out, err := exec.CommandContext(ctx, program, command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w: %s", command, err, out)
	}
	return nil
}
