package dedup_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/dedup"
	"github.com/csdb/csdb/internal/testutil"
)

func TestWhatIsNoFileOfTheTreeIsLeftAlone(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		tree, content := dir+"/tree", noise(1, 10_000)
		write(t, dir+"/outside", content)
		write(t, dir+"/outside.d/file", content)
		write(t, tree+"/file", content)
		must(t, os.Symlink("../outside", tree+"/link"))
		must(t, os.Symlink("../outside.d", tree+"/dirlink"))
		for _, name := range []string{"long", "longer"} { // these have blocks on disk
			must(t, os.Symlink(strings.Repeat("../outside.d/", 70)+"file", tree+"/"+name))
			must(t, os.MkdirAll(tree+"/"+name+".d/"+strings.Repeat("x", 200), 0o755))
		}
		must(t, unix.Mkfifo(tree+"/fifo", 0o600)) // to open it would wait without end
		must(t, unix.Mknod(tree+"/null", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
		if got := run(t, dedup.Options{}, tree); got != (dedup.Result{}) {
			t.Errorf("got %+v", got)
		}
		wantShared(t, false, dir+"/outside", tree+"/file")
	})
}

// Holes are neither read nor compared: two files of a petabyte take no time.
func TestHolesAreNotRead(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		const petabyte = 1 << 50
		for _, name := range []string{"one", "two"} {
			write(t, dir+"/"+name, noise(1, 300_000))
			file, err := os.OpenFile(dir+"/"+name, os.O_WRONLY, 0)
			must(t, err)
			_, err = file.WriteAt(noise(2, 100_000), petabyte/2)
			must(t, err)
			must(t, file.Truncate(petabyte))
			must(t, file.Close())
		}
		for _, name := range []string{"hole one", "hole two"} {
			write(t, dir+"/"+name, nil)
			must(t, os.Truncate(dir+"/"+name, petabyte))
		}
		for _, method := range allMethods {
			got := run(t, dedup.Options{Method: method}, dir)
			if got.Files != 2 || got.Shared != 1 || got.Bytes < 400_000 || got.Bytes > 600_000 {
				t.Errorf("by %q: %+v", method, got)
			}
		}
		wantShared(t, true, dir+"/one", dir+"/two")
	})
}

// Where a file has a hole another one may have zeros.
func TestHolesAreEqualToZeros(t *testing.T) {
	for _, method := range allMethods {
		t.Run("by "+string(method), func(t *testing.T) {
			eachSharing(t, func(t *testing.T, dir string) {
				const size = 8 << 20
				content := noise(1, size)
				clear(content[size/4 : size/2])
				write(t, dir+"/1 sparse", content)
				write(t, dir+"/2 dense", content)
				punch(t, dir+"/1 sparse", size/4, size/4)
				want := dedup.Result{Files: 2, Shared: 1, Bytes: size * 3 / 4}
				for range 3 {
					if got := run(t, dedup.Options{Method: method}, dir); got != want {
						t.Errorf("got %+v, want %+v", got, want)
					}
				}
				got, err := os.ReadFile(dir + "/2 dense")
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("content has changed, %v", err)
				}
				wantShared(t, true, dir+"/1 sparse", dir+"/2 dense")
			})
		})
	}
}

// punch makes a hole in a file.
func punch(t testing.TB, path string, at, size int64) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	must(t, unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, size))
	must(t, file.Close())
}

// Somebody writes to the files and puts links in the way for as long as they are
// compared. What he writes stays, and nothing outside is touched.
func TestTreeThatIsChangedMeanwhile(t *testing.T) {
	eachSharing(t, func(t *testing.T, dir string) {
		tree, size := dir+"/tree", 64<<10
		outside := noise(9, size)
		write(t, dir+"/outside/0", outside)
		write(t, dir+"/outside/1", outside)
		for _, name := range []string{"a/0", "a/1", "b/0", "b/1", "still/0", "still/1"} {
			write(t, filepath.Join(tree, name), outside)
		}
		place := extents(t, dir+"/outside/0")
		stop := make(chan struct{})
		var others sync.WaitGroup
		var last []byte
		others.Go(func() {
			for i := byte(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				last = noise(i, size)
				_ = os.WriteFile(tree+"/still/1", last, 0o644)
				_ = os.Rename(tree+"/a", tree+"/a.real")
				_ = os.Symlink("../outside", tree+"/a")
				_ = os.Rename(tree+"/b/0", tree+"/b/real")
				_ = os.Symlink("../../outside/0", tree+"/b/0")
				_ = os.Remove(tree + "/a")
				_ = os.Rename(tree+"/a.real", tree+"/a")
				_ = os.Remove(tree + "/b/0")
				_ = os.Rename(tree+"/b/real", tree+"/b/0")
			}
		})
		for range testutil.Rounds(200) {
			// What becomes of the work is another question.
			_, _ = dedup.Run(t.Context(), trees(t, tree), dedup.Options{})
		}
		close(stop)
		others.Wait()
		for path, want := range map[string][]byte{"still/1": last, "still/0": outside, "a/0": outside, "b/0": outside} {
			if got, err := os.ReadFile(filepath.Join(tree, path)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s has changed, %v", path, err)
			}
		}
		if now := extents(t, dir+"/outside/0"); now != place {
			t.Errorf("a file outside was at %s and is at %s", place, now)
		}
		wantShared(t, false, dir+"/outside/0", dir+"/outside/1")
		wantShared(t, false, dir+"/outside/0", tree+"/a/0")
	})
}
