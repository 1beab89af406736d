//go:build !crashtest

package crashpoint

// Enabled tells whether the program was built to crash.
const Enabled = false

// Hit does nothing.
func Hit(string) {}

// Hits returns nothing.
func Hits() map[string]int { return nil }
