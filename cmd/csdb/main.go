// Command csdb looks into a store, says what is wrong with it, and puts that
// right. What only looks needs no driver, and works on a store that others use,
// on a copy, and on one that cannot be written to; what changes anything says so
// first, and keeps what it replaces.
package main

import (
	"os"

	"github.com/csdb/csdb/internal/cli"
)

//go:generate go run . docs ../../docs

func main() { os.Exit(cli.Run(run)) }
