package dedup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/dedup"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

var allMethods = []dedup.Method{"", dedup.Size, dedup.CRC, dedup.SHA256}

func TestEqualFilesShareTheirExtents(t *testing.T) {
	for _, method := range allMethods {
		t.Run("by "+string(method), func(t *testing.T) {
			eachSharing(t, func(t *testing.T, dir string) {
				a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
				content := noise(1, 200_001) // ends within a block
				write(t, a+"/one", content)
				write(t, a+"/d/d/two", content)
				write(t, b+"/three", content)
				write(t, b+"/other", noise(2, len(content)))
				last := bytes.Clone(content)
				last[len(last)-1]++
				write(t, b+"/last", last) // differs at the end
				write(t, b+"/alone", noise(3, 12_345))
				write(t, b+"/empty", nil)
				before := testutil.Snapshot(t, dir)
				want := dedup.Result{Files: 5, Shared: 2, Bytes: 400_002}
				for range 2 {
					if got := run(t, dedup.Options{Method: method}, a, b); got != want {
						t.Errorf("got %+v, want %+v", got, want)
					}
				}
				wantShared(t, true, a+"/one", a+"/d/d/two")
				wantShared(t, true, a+"/one", b+"/three")
				wantShared(t, false, a+"/one", b+"/other")
				if diff := cmp.Diff(before, testutil.Snapshot(t, dir)); diff != "" {
					t.Errorf("files have changed:\n%s", diff)
				}
			})
		})
	}
}

func TestFileSystemThatCannotShareIsOneError(t *testing.T) {
	for _, fs := range []string{"ext4", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			dir := testutil.Tmpfs(t)
			if fs == "ext4" {
				dir = testutil.SharedLoop(t, fs)
			}
			for _, dryRun := range []bool{false, true} {
				if got := run(t, dedup.Options{DryRun: dryRun}, dir); got != (dedup.Result{}) {
					t.Errorf("of no files: %+v", got)
				}
			}
			write(t, dir+"/one", noise(1, 5000))
			for _, dryRun := range []bool{false, true} {
				got, err := dedup.Run(t.Context(), trees(t, dir), dedup.Options{DryRun: dryRun})
				if !errors.Is(err, model.ErrUnsupported) || got != (dedup.Result{}) {
					t.Errorf("got %+v, %v", got, err)
				}
			}
		})
	}
}

func TestUnknownMethodIsRefused(t *testing.T) {
	_, err := dedup.Run(t.Context(), nil, dedup.Options{Method: "md5"})
	if !errors.Is(err, model.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestNamesOfOneFileCountOnce(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		write(t, dir+"/one", noise(1, 8192))
		must(t, os.Link(dir+"/one", dir+"/two"))
		if got := run(t, dedup.Options{}, dir); got != (dedup.Result{}) {
			t.Errorf("one file with two names: %+v", got)
		}
		write(t, dir+"/three", noise(1, 8192))
		must(t, os.Link(dir+"/three", dir+"/four"))
		if got, want := run(t, dedup.Options{}, dir), (dedup.Result{Files: 2, Shared: 1, Bytes: 8192}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestDryRunTellsTheSameAndSharesNothing(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		for i := range byte(4) {
			write(t, fmt.Sprintf("%s/%d", dir, i), noise(i%2, 70_000))
		}
		for _, method := range allMethods {
			want := dedup.Result{Files: 4, Shared: 2, Bytes: 140_000}
			if got := run(t, dedup.Options{Method: method, DryRun: true}, dir); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		wantShared(t, false, dir+"/0", dir+"/2")
		run(t, dedup.Options{}, dir)
		wantShared(t, true, dir+"/0", dir+"/2")
	})
}

// A file may be equal to one that comes after many others of the same size.
func TestManyContentsOfOneSizeAreToldApartByEachMethod(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		const contents, copies, size = 30, 3, 9000
		for i := range contents * copies {
			write(t, fmt.Sprintf("%s/%02d", dir, i), noise(byte(i%contents), size))
		}
		want := dedup.Result{Files: contents * copies, Shared: contents * (copies - 1), Bytes: contents * (copies - 1) * size}
		for _, method := range allMethods {
			if got := run(t, dedup.Options{Method: method}, dir); got != want {
				t.Errorf("by %q: got %+v, want %+v", method, got, want)
			}
		}
		wantShared(t, true, dir+"/29", dir+"/59")
		wantShared(t, true, dir+"/29", dir+"/89")
		wantShared(t, false, dir+"/28", dir+"/29")
	})
}

// A file is compared to few others before they are told apart by a key, and only
// those are open.
func TestManyContentsOfOneSizeTakeFewDescriptors(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		for i := range 80 {
			write(t, fmt.Sprintf("%s/%02d", dir, i), noise(byte(i), 5000))
		}
		if out, err := testutil.Child(t, "few-descriptors", dir).Output(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// withFewDescriptors is a process that may not open many files.
func withFewDescriptors(ctx context.Context, args []string) error {
	const limit = 40
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	dir, err := beneath.Open(args[0])
	if err != nil {
		return err
	}
	_, err = dedup.Run(ctx, []dedup.Tree{{Name: "tree", Dir: dir}}, dedup.Options{Method: dedup.Size})
	return errors.Join(err, dir.Close())
}

func TestRoundsComeToTheSame(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		for i := range 60 {
			write(t, fmt.Sprintf("%s/%02d", dir, i), noise(byte(i%20), 5000+i%20))
		}
		var places []string
		for i := range 20 {
			places = append(places, extents(t, fmt.Sprintf("%s/%02d", dir, i)))
		}
		walks := 0
		count := func(string, int64) func(int64) {
			walks++
			return func(int64) {}
		}
		want := run(t, dedup.Options{Progress: count}, dir)
		got, err := dedup.RunIn(t.Context(), trees(t, dir), dedup.Options{}, 7)
		if err != nil || got != want || got.Shared != 40 {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		if walks != 2 {
			t.Errorf("told of %d steps", walks)
		}
		for i := range 60 { // the first of a content stays where it is
			if at, want := extents(t, fmt.Sprintf("%s/%02d", dir, i)), places[i%20]; at != want {
				t.Errorf("%02d is at %s instead of %s", i, at, want)
			}
		}
	})
}

func TestProgressComesToItsTotal(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		for i := range 10 {
			write(t, fmt.Sprintf("%s/%02d", dir, i), noise(byte(i%3), 5000+i/4))
		}
		must(t, os.Link(dir+"/00", dir+"/link"))
		done := make(map[string]int64)
		totals := make(map[string]int64)
		run(t, dedup.Options{Progress: func(what string, total int64) func(int64) {
			totals[what] = total
			return func(n int64) { done[what] += n }
		}}, dir)
		const all = 4*5000 + 4*5001 + 2*5002 + 5000
		if totals["comparing files"] != all || done["comparing files"] != all || done["counting files"] != all {
			t.Errorf("done %v of %v", done, totals)
		}
	})
}

func TestEndOfTheContextEndsTheWork(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		for i := range 4 {
			write(t, fmt.Sprintf("%s/%d", dir, i), noise(1, 5000))
		}
		for _, last := range []string{"counting files", "comparing files"} {
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			got, err := dedup.Run(ctx, trees(t, dir), dedup.Options{Progress: func(what string, _ int64) func(int64) {
				if what == last {
					cancel(enough)
				}
				return func(int64) {}
			}})
			if !errors.Is(err, enough) || got.Shared != 0 {
				t.Errorf("%s: got %+v, %v", last, got, err)
			}
		}
		wantShared(t, false, dir+"/0", dir+"/1")
	})
}
