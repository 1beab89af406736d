// The command csdb looks into a store and says what is wrong with it. It reads
// only: it needs no driver, and works on a store that others use, on a copy, and
// on one that cannot be written to.
package main

import (
	"os"

	"github.com/csdb/csdb/internal/cli"
)

//go:generate go run . docs ../../docs

func main() { os.Exit(cli.Run(run)) }
