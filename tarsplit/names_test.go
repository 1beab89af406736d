package tarsplit

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestNamesTakeFortyBytesWhateverTheirLength(t *testing.T) {
	const (
		count = 250_000
		limit = 40 * count
	)
	long := strings.Repeat("directory/", 5)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	seen := names{}
	for i := range count {
		if !seen.add(long + strconv.Itoa(i)) {
			t.Fatalf("name %d has been seen", i)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := after.HeapAlloc - before.HeapAlloc
	if used > limit {
		t.Errorf("%d names take %d bytes", count, used)
	}
	if seen.add("./" + long + "7") {
		t.Error("a name was forgotten")
	}
}

func TestWhiteoutsAreKnownByTheirNames(t *testing.T) {
	for name, want := range map[string]struct{ is, within bool }{
		".wh.a":                 {true, true},
		"d/.wh.a":               {true, true},
		"d/.wh..wh..opq":        {true, true},
		".wh.d/":                {true, true},
		".wh..wh.plnk/1.2":      {false, true},
		"d/.wh..wh.orph/x/file": {false, true},
		"a":                     {false, false},
		"d.wh./a":               {false, false},
		"a.wh.b":                {false, false},
		".wh":                   {false, false},
		"":                      {false, false},
	} {
		if got := isWhiteout(name); got != want.is {
			t.Errorf("isWhiteout(%q) = %v", name, got)
		}
		if got := isWithinWhiteout(name); got != want.within {
			t.Errorf("isWithinWhiteout(%q) = %v", name, got)
		}
	}
}
