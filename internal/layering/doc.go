// Package layering holds tests about the source of this module as a whole:
// which package may import which (the table is in rules_test.go), and what is
// to be found in every file or in none. They read the files themselves; a test
// that asked the go command would be answered from the cache of test results
// when the files have changed.
package layering
