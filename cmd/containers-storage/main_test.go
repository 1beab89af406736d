package main

import (
	"cmp"
	"context"
	"os"
	"testing"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/testutil"
)

// configurationVariable is how a test names a configuration for a process.
const configurationVariable = "TEST_STORAGE_CONF"

// TestMain lets the test binary be the command, for tests that need processes.
func TestMain(m *testing.M) {
	// What the machine is configured for is none of the processes' business.
	if err := os.Setenv("CONTAINERS_STORAGE_CONF", cmp.Or(os.Getenv(configurationVariable), os.DevNull)); err != nil {
		panic(err)
	}
	testutil.Main(m, testutil.Entries{"command": func(context.Context, []string) error {
		os.Exit(cli.Run(run)) //nolint:forbidigo,contextcheck // It is main, in a process of its own.
		return nil
	}})
}
