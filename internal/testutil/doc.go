// Package testutil gives tests what they cannot make in a line: file systems
// of every kind (LoopMount, SharedLoop, Tmpfs, ReadOnly), trees with every odd
// sort of file (OddTree, Tree) and a way to compare them (Snapshot, Describe),
// real contents (Debootstrap, GoTree), and child processes that run a function
// of the test binary (Child).
//
// What a machine lacks makes a test skip and say what was lacking. Where the
// environment variable CI is set, it fails instead: a check of the whole
// project that quietly left out the tests that need root would prove nothing.
//
// A package that uses Child, or whose tests are to share file systems, has
//
//	func TestMain(m *testing.M) {
//		testutil.Main(m, testutil.Entries{"writer": writer})
//	}
package testutil
