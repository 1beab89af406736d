package dedup_test

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/csdb/csdb/internal/dedup"
	"github.com/csdb/csdb/internal/testutil"
)

// Files that the kernel refuses to let share may share with others.
func TestFilesWithoutChecksumsShareAmongThemselves(t *testing.T) {
	dir := testutil.SharedLoop(t, "btrfs")
	testutil.NeedTool(t, "chattr")
	for _, name := range []string{"1", "2 nocow", "3 nocow", "4"} {
		write(t, dir+"/"+name, nil)
		if len(name) > 1 { // which only an empty file can become
			must(t, exec.CommandContext(t.Context(), "chattr", "+C", dir+"/"+name).Run())
		}
		write(t, dir+"/"+name, noise(1, 50_000))
	}
	for _, method := range allMethods {
		want := dedup.Result{Files: 4, Shared: 2, Bytes: 100_000, Skipped: 1}
		if got := run(t, dedup.Options{Method: method}, dir); got != want {
			t.Errorf("by %q: got %+v, want %+v", method, got, want)
		}
	}
	wantShared(t, true, dir+"/1", dir+"/4")
	wantShared(t, true, dir+"/2 nocow", dir+"/3 nocow")
	wantShared(t, false, dir+"/1", dir+"/2 nocow")
}

func TestFilesOnTwoFileSystemsDoNotShare(t *testing.T) {
	one, two := testutil.SharedLoop(t, "xfs"), testutil.SharedLoop(t, "btrfs")
	for _, dir := range []string{one, two} {
		write(t, dir+"/a", noise(1, 50_000))
		write(t, dir+"/b", noise(1, 50_000))
	}
	want := dedup.Result{Files: 4, Shared: 2, Bytes: 100_000, Skipped: 1}
	if got := run(t, dedup.Options{}, one, two); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A file that is compared again by a key is not counted again.
func TestRefusedFilesCountOnce(t *testing.T) {
	one, two := testutil.SharedLoop(t, "xfs"), testutil.SharedLoop(t, "btrfs")
	write(t, one+"/a", noise(1, 5000))
	write(t, two+"/a", noise(1, 5000))
	for i := range byte(10) {
		write(t, fmt.Sprintf("%s/other %d", two, i), noise(2+i, 5000))
	}
	for method, want := range map[dedup.Method]dedup.Result{
		dedup.CRC: {Files: 12, Skipped: 1},
		// Six others are compared to the first file before there are too many.
		dedup.Size: {Files: 12, Skipped: 7},
	} {
		if got := run(t, dedup.Options{Method: method}, one, two); got != want {
			t.Errorf("by %q: got %+v, want %+v", method, got, want)
		}
	}
}
