// Command containers-storage works on a store in the way of the command of
// the same name that comes with the library containers/storage: the same
// commands, flags, output and exit statuses. It also answers to the older name
// oci-storage. How flags are read is said at cli.Syntax.
package main

import (
	"fmt"
	"os"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/userns"
)

//go:generate go test -count=1 -run (ManualPages|Completions)Are . -update

// version is set by the linker. Where it is empty the build information of the
// program has the version.
var version string

func main() {
	if err := userns.Continue(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
	os.Exit(cli.Run(run))
}
