package testutil

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
)

// Entries are functions by the names under which Child runs them, each in a
// process of its own. A function gets the arguments that Child was given and
// uses os.Stdin and os.Stdout. An error is printed and makes the process exit
// with status 1.
type Entries map[string]func(ctx context.Context, args []string) error

// childVariable holds the name of the entry that a process is to run.
const childVariable = "CSDB_TEST_CHILD"

// mainState is what Main sets up for the tests of the process.
type mainState struct {
	entries Entries
	disks   sharedDisks
}

// running is set once, by Main. It is a variable of the package because
// TestMain and the tests share nothing else.
var running atomic.Pointer[mainState]

// Main is all that a TestMain calls. In a process that Child started it runs
// the entry; otherwise it runs the tests, with fewer rounds of random tests under
// the race detector, and unmounts what SharedLoop mounted.
func Main(m *testing.M, entries Entries) {
	if name := os.Getenv(childVariable); name != "" {
		exit(runEntry(entries, name))
	}
	if err := fewerChecks(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		exit(1)
	}
	main := &mainState{entries: entries}
	running.Store(main)
	status := m.Run()
	if err := main.disks.close(); err != nil {
		fmt.Fprintf(os.Stderr, "shared file systems: %v\n", err)
		exit(1)
	}
	exit(status)
}

// runEntry runs an entry and returns the status to exit with.
func runEntry(entries Entries, name string) int {
	entry := entries[name]
	if entry == nil {
		fmt.Fprintf(os.Stderr, "no entry %q was given to testutil.Main\n", name)
		return 1
	}
	// What the entry starts is not a child in this sense.
	if err := os.Unsetenv(childVariable); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := entry(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// exit ends the process; TestMain is the main function of a test binary.
func exit(status int) {
	os.Exit(status) //nolint:forbidigo // Main is called by TestMain, and there only
}
