package testutil

import (
	"os/exec"
	"strings"
	"testing"
)

// GoTree returns the folder of the Go installation: a real tree of some
// hundred mebibytes that is on every machine which runs these tests. It is not
// to be written to.
func GoTree(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		Missing(t, "the go command: %v", err)
	}
	return strings.TrimSpace(string(out))
}
