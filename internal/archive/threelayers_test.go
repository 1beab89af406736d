package archive_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
)

// layerSpec says how a layer is made on top of others, and what must be found.
type layerSpec struct {
	script  string   // run in the mounted layer
	changes []string // sorted
	entries []string // of the archive, sorted
}

func threeLayers() []layerSpec {
	return []layerSpec{
		{
			script: `echo 1 >f1; echo 2 >f2; echo 3 >f3; mkdir -p d1 d2/sub d3/sub d4 d5 d6 d7; echo x | tee d2/f d2/sub/f d3/sub/f d4/f d5/f d7/f`,
			changes: []string{
				"Add /d1", "Add /d2", "Add /d2/f", "Add /d2/sub", "Add /d2/sub/f", "Add /d3", "Add /d3/sub", "Add /d3/sub/f", "Add /d4",
				"Add /d4/f", "Add /d5", "Add /d5/f", "Add /d6", "Add /d7", "Add /d7/f", "Add /f1", "Add /f2", "Add /f3",
			},
			entries: []string{
				"d1/", "d2/", "d2/f", "d2/sub/", "d2/sub/f", "d3/", "d3/sub/", "d3/sub/f", "d4/", "d4/f", "d5/", "d5/f", "d6/", "d7/", "d7/f",
				"f1", "f2", "f3",
			},
		},
		{
			script: `rm -r f1 f2 d1 d2 d3 d4 d5 d6; echo new >n; mkdir n1 n2 n3; echo x | tee n2/f n3/f`,
			changes: []string{
				"Add /n", "Add /n1", "Add /n2", "Add /n2/f", "Add /n3", "Add /n3/f",
				"Delete /d1", "Delete /d2", "Delete /d3", "Delete /d4", "Delete /d5", "Delete /d6", "Delete /f1", "Delete /f2",
			},
			entries: []string{
				".wh.d1", ".wh.d2", ".wh.d3", ".wh.d4", ".wh.d5", ".wh.d6", ".wh.f1", ".wh.f2", "n", "n1/", "n2/", "n2/f", "n3/", "n3/f",
			},
		},
		{
			script: `echo back >f1; mkdir d1 d2 d3; echo x >d2/f; mkdir d7/sub; echo y >d7/sub/f; echo more >g`,
			changes: []string{
				"Add /d1", "Add /d2", "Add /d2/f", "Add /d3", "Add /d7/sub", "Add /d7/sub/f", "Add /f1", "Add /g", "Modify /d7",
			},
			entries: []string{"d1/", "d2/", "d2/f", "d3/", "d7/", "d7/sub/", "d7/sub/f", "f1", "g"},
		},
	}
}

// TestThreeLayers makes three layers through overlay mounts and compares each
// with the one below in both ways, and the archives of the changes; then makes
// the layers again of their archives.
func TestThreeLayers(t *testing.T) {
	testutil.NeedRoot(t)
	top := testutil.SharedLoop(t, "ext4")
	made := []string{mkdirNew(t, top)} // an overlay needs a lower directory
	unpacked := made
	for i, layer := range threeLayers() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			upper, again := mkdirNew(t, top), mkdirNew(t, top)
			layer.mountAndCompare(t, upper, made)
			layer.unpackAndCompare(t, upper, made, again, unpacked)
			made = append([]string{upper}, made...)
			unpacked = append([]string{again}, unpacked...)
		})
	}
}

// mountAndCompare makes the layer in upper and compares it with what is below.
func (l layerSpec) mountAndCompare(t *testing.T, upper string, lowers []string) {
	t.Helper()
	below, _ := mountOverlay(t, lowers, mkdirNew(t, upper+"/.."))
	merged, _ := mountOverlay(t, lowers, upper)
	shell(t, merged, l.script)

	compared := changesOf(t, below, merged)
	wantSorted(t, compared)
	if diff := cmp.Diff(l.changes, sorted(lines(compared))); diff != "" {
		t.Errorf("compared: %s", diff)
	}
	if diff := cmp.Diff(compared, overlayChangesOf(t, upper, lowers)); diff != "" {
		t.Errorf("-compared +native: %s", diff)
	}
	if diff := cmp.Diff(l.entries, sorted(entriesOf(t, packChanges(t, merged, compared)))); diff != "" {
		t.Errorf("archive of the changes: %s", diff)
	}
}

// unpackAndCompare packs the layer in upper, unpacks it into another directory,
// and compares that with what is below.
func (l layerSpec) unpackAndCompare(t *testing.T, upper string, lowers []string, again string, lowersAgain []string) {
	t.Helper()
	stream := pack(t, upper, archive.PackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: lowers})
	if diff := cmp.Diff(l.entries, sorted(entriesOf(t, stream))); diff != "" {
		t.Errorf("archive of the upper directory: %s", diff)
	}
	opts := archive.UnpackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: lowersAgain}
	if _, err := archive.Unpack(t.Context(), again, tar.NewReader(bytes.NewReader(stream)), opts); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l.changes, sorted(lines(overlayChangesOf(t, again, lowersAgain)))); diff != "" {
		t.Errorf("changes of the unpacked layer: %s", diff)
	}
	second := pack(t, again, archive.PackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: lowersAgain})
	if !bytes.Equal(stream, second) {
		t.Errorf("the unpacked layer has another archive: %q", entriesOf(t, second))
	}
}
