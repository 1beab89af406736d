package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/testutil"
)

func TestMain(m *testing.M) {
	// What the machine is configured for is none of the processes' business.
	if err := os.Setenv("CONTAINERS_STORAGE_CONF", os.DevNull); err != nil {
		panic(err)
	}
	testutil.Main(m, testutil.Entries{"csdb": asProcess, "hold": hold})
}

// asProcess is the program itself, with its signals.
func asProcess(_ context.Context, args []string) error {
	os.Args = append([]string{"csdb"}, args...)
	os.Exit(cli.Run(run)) //nolint:forbidigo,contextcheck // It stands for main.
	return nil
}

// hold is a transaction that writes to the store in args[0], and lets go when
// its input ends.
func hold(ctx context.Context, args []string) error {
	database, err := db.Open(ctx, args[0], db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	return database.Update(ctx, func(*db.Tx) error {
		fmt.Fprintln(os.Stdout, "held")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	})
}
