package main

import (
	"cmp"
	"context"
	"os"
	"slices"
	"testing"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/internal/userns"
)

// configurationVariable is how a test names a configuration for a process.
const configurationVariable = "TEST_STORAGE_CONF"

// asCommand makes a process that a command starts of itself be the command.
const asCommand = "TEST_AS_COMMAND=yes"

// TestMain lets the test binary be the command, for tests that need processes.
func TestMain(m *testing.M) {
	if err := userns.Continue(); err != nil {
		panic(err)
	}
	// What the machine is configured for is none of the processes' business.
	if err := os.Setenv("CONTAINERS_STORAGE_CONF", cmp.Or(os.Getenv(configurationVariable), os.DevNull)); err != nil {
		panic(err)
	}
	if slices.Contains(os.Environ(), asCommand) {
		os.Exit(cli.Run(run)) //nolint:forbidigo // It is main.
	}
	testutil.Main(m, testutil.Entries{"command": func(context.Context, []string) error {
		os.Exit(cli.Run(run)) //nolint:forbidigo,contextcheck // It is main, in a process of its own.
		return nil
	}, "user": becomeUser})
}
