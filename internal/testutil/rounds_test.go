package testutil_test

import (
	"testing"

	"github.com/csdb/csdb/internal/testutil"
)

func TestRoundsAreFewerUnderTheRaceDetectorOnly(t *testing.T) {
	for n, fewer := range map[int]int{1: 1, 3: 1, 100: 25} {
		want := n
		if testutil.Race {
			want = fewer
		}
		if got := testutil.Rounds(n); got != want {
			t.Errorf("%d rounds of %d, want %d", got, n, want)
		}
	}
}
