//go:build !race

package testutil

// Race tells whether the race detector is on; see race.go.
const Race = false
