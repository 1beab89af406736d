package flock_test

import (
	"slices"
	"testing"

	"github.com/csdb/csdb/internal/flock"
)

func TestHoldersAreTakenFromTheListOfTheKernel(t *testing.T) {
	// No process has such an ID.
	const first, second, inode = 1 << 30, 1<<30 + 1, 567
	for _, test := range []struct {
		name, text string
		want       []int
	}{
		{"nobody", "", nil},
		{"two share it", "1: FLOCK  ADVISORY  READ 1073741824 fe:00:567 0 EOF\n2: FLOCK  ADVISORY  READ 1073741825 fe:00:567 0 EOF\n", []int{first, second}},
		{"one comes twice", "1: FLOCK  ADVISORY  WRITE 1073741824 fe:00:567 0 EOF\n2: FLOCK  ADVISORY  WRITE 1073741824 fe:00:567 0 EOF\n", []int{first}},
		{"one waits", "1: FLOCK  ADVISORY  WRITE 1073741824 fe:00:567 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 1073741825 fe:00:567 0 EOF\n", []int{first}},
		{"another file", "1: FLOCK  ADVISORY  WRITE 1073741824 fe:00:568 0 EOF\n", nil},
		{"another kind of lock", "1: POSIX  ADVISORY  WRITE 1073741824 fe:00:567 0 EOF\n", nil},
		{"another device too", "1: FLOCK  ADVISORY  WRITE 1073741824 00:2a:567 0 EOF\n2: FLOCK  ADVISORY  WRITE 1073741825 fe:00:567 0 EOF\n", []int{second}},
		{"another device only", "1: FLOCK  ADVISORY  WRITE 1073741824 00:2a:567 0 EOF\n", []int{first}},
		{"a process of another namespace", "1: FLOCK  ADVISORY  WRITE 0 fe:00:567 0 EOF\n", nil},
		{"nonsense", "\n:::\n1: FLOCK\n1: FLOCK a b c d e f\n", nil},
	} {
		var got []int
		for _, holder := range flock.HoldersIn(test.text, "fe:00", inode) {
			got = append(got, holder.PID)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}
