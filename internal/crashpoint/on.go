//go:build crashtest

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Enabled tells whether the program was built to crash.
const Enabled = true

// target is read once: "POINT" or "POINT=N" for the N-th time it is hit.
var target, countdown = parse(os.Getenv(Variable))

func parse(text string) (point string, countdown *atomic.Int64) {
	point, number, found := strings.Cut(text, "=")
	n := int64(1)
	if found {
		var err error
		if n, err = strconv.ParseInt(number, 10, 64); err != nil {
			panic(Variable + ": " + err.Error())
		}
	}
	countdown = new(atomic.Int64)
	countdown.Store(n)
	return point, countdown
}

// Hit kills the process if it is told to crash at this point.
func Hit(point string) {
	if point != target || countdown.Add(-1) != 0 {
		return
	}
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}
