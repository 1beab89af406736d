package archive_test

import (
	"archive/tar"
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
)

// afterRoundTrip returns what a listing becomes by packing and unpacking:
// sockets are left out, times before 1970 become 1970, and the root is not
// part of the archive.
func afterRoundTrip(l testutil.Listing) testutil.Listing {
	want := make(testutil.Listing)
	for name, e := range l {
		if e.Type == "socket" || name == "." {
			continue
		}
		if e.ModTime.Unix() < 0 {
			e.ModTime = time.Unix(0, 0).UTC()
		}
		want[name] = e
	}
	return want
}

func TestUnpackUndoesPack(t *testing.T) {
	for _, filesystem := range testutil.Filesystems() {
		t.Run(filesystem, func(t *testing.T) {
			base := testutil.SharedLoop(t, filesystem)
			mkdir(t, base+"/from", base+"/to")
			testutil.OddTree(t, base+"/from")
			testRoundTrip(t, base+"/from", base+"/to")
		})
	}
	t.Run("temporary folder", func(t *testing.T) {
		from := t.TempDir()
		testutil.OddTree(t, from)
		testRoundTrip(t, from, t.TempDir())
	})
}

func testRoundTrip(t *testing.T, from, to string) {
	t.Helper()
	stream := pack(t, from, archive.PackOptions{})
	done, err := archive.Unpack(t.Context(), to, tar.NewReader(bytes.NewReader(stream)), modest(archive.UnpackOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	want := afterRoundTrip(testutil.Snapshot(t, from))
	got := testutil.Snapshot(t, to)
	delete(got, ".")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trees differ (-packed +unpacked): %s", diff)
	}
	size, err := archive.TreeSize(t.Context(), from)
	if err != nil || done.Size != size || done.Entries != len(want) {
		t.Errorf("unpacked %+v; want %d bytes in %d entries, %v", done, size, len(want), err)
	}
	// And again, from what was unpacked: the archive is the same to the byte,
	// once all times can be written.
	second := pack(t, to, archive.PackOptions{})
	third := t.TempDir()
	if _, err := archive.Unpack(t.Context(), third, tar.NewReader(bytes.NewReader(second)), modest(archive.UnpackOptions{})); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(second, pack(t, third, archive.PackOptions{})) {
		t.Error("the archive of the unpacked tree is another one")
	}
}
