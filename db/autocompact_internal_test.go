package db

import "testing"

func TestWhatIsWorthACompaction(t *testing.T) {
	const page, reserve = 4096, reserveSize / 4096
	for name, test := range map[string]struct {
		pages, free int64
		want        bool
	}{
		"three quarters are free beyond the reserve": {8192, 6144 + reserve, true},
		"a page less is free":                        {8192, 6144 + reserve - 1, false},
		"the file is a page too small":               {8191, 8000, false},
		"all the rest can be copied":                 {200_000, 200_000 - autoCopy/page, true},
		"there is a page too much to copy":           {200_000, 200_000 - autoCopy/page - 1, false},
		"nothing is known":                           {0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			done := &committed{pages: test.pages, free: test.free, pageSize: page}
			if got := (&autoCompact{}).worthwhile(done); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
