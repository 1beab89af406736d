package testutil

import "flag"

// Rounds returns how many of n inputs of one kind a test tries: all of them, or
// a quarter under the race detector.
func Rounds(n int) int {
	if Race {
		return max(1, n/4)
	}
	return n
}

// fewerChecks makes the random tests of package rapid, if there are any, do fewer
// rounds under the race detector, unless the flag -rapid.checks asks for a number.
func fewerChecks() error {
	checks := flag.Lookup("rapid.checks")
	if !Race || checks == nil || checks.Value.String() != checks.DefValue {
		return nil
	}
	return checks.Value.Set("25")
}
