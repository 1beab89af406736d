package main

import (
	"strings"
	"testing"
	"time"
)

func TestNamesFitIntoATable(t *testing.T) {
	long := strings.Repeat("x", maxNames)
	for _, test := range []struct {
		names []string
		want  string
	}{
		{nil, "-"},
		{[]string{"a"}, "a"},
		{[]string{"a", "b"}, "a, b"},
		{[]string{long}, long},
		{[]string{"a", long}, "a and 1 more"},
		{[]string{"a", "b", long, "c"}, "a, b and 2 more"},
		{[]string{"tab\tand\nline\x1b[31m"}, "tab\uFFFDand\uFFFDline\uFFFD[31m"},
	} {
		if got := names(test.names); got != test.want {
			t.Errorf("%q: got %q, want %q", test.names, got, test.want)
		}
	}
}

func TestShortIDs(t *testing.T) {
	generated := strings.Repeat("0123456789abcdef", 4)
	for id, want := range map[string]string{
		generated:                    "0123456789ab",
		strings.ToUpper(generated):   strings.ToUpper(generated),
		generated[:63]:               generated[:63],
		"a-word-that-somebody-chose": "a-word-that-somebody-chose",
		strings.Repeat("g", 64):      strings.Repeat("g", 64),
	} {
		if got := shortID(id); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}

func TestSizesAndTimes(t *testing.T) {
	for size, want := range map[int64]string{-1: "?", 0: "0B", 999: "999B", 1000: "1kB", 1234567: "1.23MB"} {
		if got := humanSize(size); got != want {
			t.Errorf("%d: got %s, want %s", size, got, want)
		}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for span, want := range map[time.Duration]string{time.Second: "1 second ago", 25 * time.Hour: "25 hours ago", -time.Hour: "in the future"} {
		if got := since(now, now.Add(-span)); got != want {
			t.Errorf("%v: got %q, want %q", span, got, want)
		}
	}
}
