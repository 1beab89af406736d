//go:build crashtest

package crashpoint

import (
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Enabled tells whether the program was built to crash.
const Enabled = true

// plan says where to crash.
type plan struct {
	point     string
	countdown atomic.Int64
	stop      bool // and go on when told to
}

// planned is read once.
var planned = parse(os.Getenv(Variable))

// parse reads what Variable says.
func parse(text string) *plan {
	point, rest, _ := strings.Cut(text, "=")
	number, how, _ := strings.Cut(rest, "=")
	p := &plan{point: point, stop: how == "stop"}
	n := int64(1)
	if number != "" {
		var err error
		if n, err = strconv.ParseInt(number, 10, 64); err != nil {
			panic(Variable + ": " + err.Error())
		}
	}
	p.countdown.Store(n)
	return p
}

// counter counts how often each point was hit.
type counter struct {
	mu   sync.Mutex
	hits map[string]int
}

// counted belongs to the process, as its death does.
var counted = counter{hits: make(map[string]int)}

// Hits tells how often each point was hit.
func Hits() map[string]int {
	counted.mu.Lock()
	defer counted.mu.Unlock()
	return maps.Clone(counted.hits)
}

// Hit kills or stops the process if it is told to crash at this point.
func Hit(point string) {
	counted.mu.Lock()
	counted.hits[point]++
	counted.mu.Unlock()
	if point != planned.point || planned.countdown.Add(-1) != 0 {
		return
	}
	if planned.stop {
		stop()
		return
	}
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}

// stop stops the process. The signal goes to the thread that sends it, so
// that it gets no further.
func stop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP)
}
