package graph_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// eachSharing runs a test for each driver on each file system that lets files
// share their content.
func eachSharing(t *testing.T, test func(t *testing.T, p *place)) {
	t.Helper()
	for _, fs := range []string{"xfs", "btrfs"} {
		for _, driver := range []string{"vfs", "overlay"} {
			t.Run(fs+" "+driver, func(t *testing.T) {
				t.Parallel()
				test(t, placeIn(t, driver, testutil.SharedLoop(t, fs)))
			})
		}
	}
}

// dedupSize is the size of the files that these tests have, in bytes.
const dedupSize = 100_000

// big is the content of a file of that size.
func big(what string) string { return strings.Repeat(what, dedupSize/len(what)+1)[:dedupSize] }

// dedupResult returns what is expected of so many equal files among all.
func dedupResult(layers, files, shared int64) graph.Deduplicated {
	return graph.Deduplicated{Layers: int(layers), Busy: []model.LayerID{}, Files: files, Shared: shared, Bytes: shared * dedupSize}
}

// fillWithEqualFiles makes two images that have a file in common, and other
// layers that have it too.
func fillWithEqualFiles(t *testing.T, s *graph.Store) {
	t.Helper()
	importLayer(t, s, "one", "", file("a", big("common ")), file("b", big("common ")))
	createImage(t, s, "first", "one")
	importLayer(t, s, "two", "", file("d/c", big("common ")), file("e", big("another ")))
	createImage(t, s, "second", "two")
	importLayer(t, s, "of no image", "", file("f", big("common ")))
	container := createContainer(t, s, "c", "second")
	onMount(t, s, "c", func(path string) { writeFile(t, filepath.Join(path, "g"), big("common ")) })
	if container.Layer == "" {
		t.Fatal("no layer")
	}
	_, err := s.CreateLayer(t.Context(), graph.LayerSpec{ID: "not made", Parent: "two"})
	noError(t, err)
	createImage(t, s, "third", "not made")
}

// dirOf returns where the files of a layer are.
func (p *place) dirOf(layer string) string {
	if p.driver == "vfs" {
		return filepath.Join(p.root, "vfs/dir", layer)
	}
	return filepath.Join(p.root, "overlay", layer, "diff")
}

// extents returns where on the disk a file is, as filefrag tells it.
func extents(t *testing.T, path string) string {
	t.Helper()
	testutil.NeedTool(t, "filefrag")
	out, err := exec.CommandContext(t.Context(), "filefrag", "-s", "-v", path).Output()
	noError(t, err)
	_, extents, ok := strings.Cut(string(out), "\n   0:")
	if !ok {
		t.Fatalf("no extents: %s", out)
	}
	extents, _, _ = strings.Cut(extents, "\n"+path)
	return extents
}

func TestDedupLetsFilesOfImagesShare(t *testing.T) {
	t.Parallel()
	eachSharing(t, func(t *testing.T, p *place) {
		s := p.open(t)
		fillWithEqualFiles(t, s)
		before := testutil.Snapshot(t, filepath.Join(p.root, p.driver))
		records := recordsOf(t, s)
		first, second := p.dirOf("one")+"/a", p.dirOf("two")+"/d/c"
		want := dedupResult(2, 4, 2)
		if got := must(s.Dedup(t.Context(), graph.DedupOptions{DryRun: true}))(t); !cmp.Equal(got, want) {
			t.Errorf("a dry run: got %+v, want %+v", got, want)
		}
		if at := extents(t, first); at == extents(t, second) {
			t.Errorf("after a dry run both files are at %s", at)
		}
		for _, method := range []graph.DedupMethod{"", graph.DedupSize, graph.DedupCRC, graph.DedupSHA256} {
			if got := must(s.Dedup(t.Context(), graph.DedupOptions{Method: method}))(t); !cmp.Equal(got, want) {
				t.Errorf("by %q: got %+v, want %+v", method, got, want)
			}
		}
		if at, other := extents(t, first), extents(t, second); at != other {
			t.Errorf("the files are at %s and %s", at, other)
		}
		if diff := cmp.Diff(before, testutil.Snapshot(t, filepath.Join(p.root, p.driver))); diff != "" {
			t.Errorf("files have changed:\n%s", diff)
		}
		if diff := cmp.Diff(records, recordsOf(t, s)); diff != "" {
			t.Errorf("records have changed:\n%s", diff)
		}
		report, err := fsck.Check(t.Context(), fsck.Options{Root: p.root, RunRoot: p.run, Depth: fsck.Contents})
		noError(t, err)
		if report.Verdict != fsck.Clean {
			t.Errorf("fsck: %+v", report.Findings)
		}
	})
}

func TestDedupOnAnotherFileSystemIsUnsupported(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		if p.driver == "vfs" {
			p = placeIn(t, "vfs", testutil.SharedLoop(t, "ext4"))
		}
		s := p.open(t)
		fillWithEqualFiles(t, s)
		got, err := s.Dedup(t.Context(), graph.DedupOptions{})
		wantError(t, err, model.ErrUnsupported)
		if want := dedupResult(2, 0, 0); !cmp.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if n := strings.Count(err.Error(), model.ErrUnsupported.Error()); n != 1 || strings.Contains(err.Error(), "\n") {
			t.Errorf("error is %q", err)
		}
	})
}

// Layers that somebody changes are left out, and nobody waits for him. Those that
// somebody reads are not.
func TestDedupLeavesOutLayersThatAreBeingChanged(t *testing.T) {
	t.Parallel()
	eachSharing(t, func(t *testing.T, p *place) {
		s := p.open(t)
		fillWithEqualFiles(t, s)
		keys := flock.NewKeys(filepath.Join(p.root, "csdb.locks"))
		reads := must(keys.TryLock("layer:one", flock.Shared))(t)
		changes := must(keys.TryLock("layer:two", flock.Exclusive))(t)
		got := must(s.Dedup(t.Context(), graph.DedupOptions{}))(t)
		reads.Unlock()
		changes.Unlock()
		want := dedupResult(1, 2, 1)
		want.Busy = []model.LayerID{"two"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A layer that is deleted meanwhile stays until its files are not needed any
// more, and is then removed.
func TestLayersThatAreDeletedDuringDedupAreRemovedAfterIt(t *testing.T) {
	t.Parallel()
	eachSharing(t, func(t *testing.T, p *place) {
		s := p.open(t)
		fillWithEqualFiles(t, s)
		dir := p.dirOf("one")
		deleted := false
		_, err := s.Dedup(t.Context(), graph.DedupOptions{Progress: func(string, int64) func(int64) {
			if !deleted {
				deleted = true
				must(s.DeleteImage(t.Context(), "first"))(t)
				if _, err := os.Stat(dir); err != nil {
					t.Errorf("removed while it was read: %v", err)
				}
			}
			return func(int64) {}
		}})
		noError(t, err)
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("still there: %v", err)
		}
	})
}

// What cannot be read is an error, and the others share.
func TestDedupGoesOnWithoutALayerThatIsGone(t *testing.T) {
	t.Parallel()
	eachSharing(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "gone", "", file("a", "1"))
		createImage(t, s, "broken", "gone")
		fillWithEqualFiles(t, s)
		dir := filepath.Join(p.root, "vfs/dir/gone")
		if p.driver == "overlay" {
			dir = filepath.Join(p.root, "overlay/gone")
		}
		elsewhere := filepath.Join(filepath.Dir(p.root), "elsewhere")
		noError(t, os.Rename(dir, elsewhere))
		got, err := s.Dedup(t.Context(), graph.DedupOptions{})
		noError(t, os.Rename(elsewhere, dir))
		wantError(t, err, model.ErrLayerUnknown)
		if want := dedupResult(2, 4, 2); !cmp.Equal(got, want) || !strings.Contains(err.Error(), "gone") {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}
