package testutil

import (
	"testing"
	"time"
)

const (
	// patience is how long Eventually waits. Only code that is wrong takes so
	// long, however busy the machine is.
	patience = time.Minute
	// glance is the time between two looks.
	glance = time.Millisecond
)

// Eventually waits until cond, which it asks again and again, returns true. It
// ends the test if nothing has come of that in a minute; what names what was
// waited for.
//
// A test that sleeps instead, for as long as something ought to take, fails on a
// machine that is busy.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for begin := time.Now(); !cond(); time.Sleep(glance) {
		if time.Since(begin) > patience && !cond() { // the process may have been stopped
			t.Fatalf("%v have passed without this: %s", patience, what)
		}
	}
}
