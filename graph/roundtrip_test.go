package graph_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// Trees that are in use go in as GNU tar and the programs for compression
// write them, and come out as they were: the layer has the files of the tree,
// its diff is the archive to the byte, and its record has the digests that
// sha256sum(1) tells.

// tarFormat is how GNU tar writes an archive.
type tarFormat struct {
	name    string
	options []string
	seconds bool // times have no fractions
	xattrs  bool // extended attributes are there
}

// tarFormats returns all of them by name. That of POSIX before 2001 has the
// shortest names, and no times before 1970.
func tarFormats() map[string]tarFormat {
	formats := make(map[string]tarFormat)
	for _, f := range []tarFormat{
		{name: "ustar", options: []string{"--format=ustar"}, seconds: true},
		{name: "gnu", options: []string{"--format=gnu"}, seconds: true},
		{name: "gnu-sparse", options: []string{"--format=gnu", "--sparse"}, seconds: true},
		{name: "pax", options: []string{"--format=pax", "--xattrs", "--xattrs-include=*"}, xattrs: true},
		{name: "pax-sparse", options: []string{"--format=pax", "--sparse", "--xattrs", "--xattrs-include=*"}, xattrs: true},
	} {
		formats[f.name] = f
	}
	return formats
}

// survivors returns what of a tree is in an archive of this format once it is
// unpacked: no sockets, and no times before 1970. A FIFO with several names
// becomes several, since GNU tar writes it once for each.
func (f tarFormat) survivors(tree testutil.Listing) testutil.Listing {
	want := make(testutil.Listing)
	for name, e := range tree {
		if e.Type == "socket" {
			continue
		}
		if e.ModTime.Unix() < 0 {
			e.ModTime = time.Unix(0, 0).UTC()
		}
		if e.Type == "fifo" {
			e.Link = ""
		}
		if f.seconds {
			e.ModTime = e.ModTime.Truncate(time.Second)
		}
		if !f.xattrs {
			e.Xattrs = nil
		}
		want[name] = e
	}
	return want
}

// blob is an archive in a file.
type blob struct {
	path   string
	size   int64
	digest digest.Digest // as sha256sum tells
}

// run runs a program and returns what it writes.
func run(t testing.TB, command ...string) string {
	t.Helper()
	testutil.NeedTool(t, command[0])
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	var messages bytes.Buffer
	cmd.Stderr = &messages
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v: %s", command, err, &messages)
	}
	return string(out)
}

func blobOf(t testing.TB, path string) blob {
	t.Helper()
	hex, _, _ := strings.Cut(run(t, "sha256sum", path), " ")
	return blob{path, must(os.Stat(path))(t).Size(), digest.NewDigestFromEncoded(digest.SHA256, hex)}
}

// compressors are programs that leave their result beside the file.
var compressors = map[model.Compression]struct {
	suffix  string
	command []string
}{
	model.Gzip:  {".gz", []string{"gzip", "-1", "--keep"}},
	model.Bzip2: {".bz2", []string{"bzip2", "-1", "--keep"}},
	model.Xz:    {".xz", []string{"xz", "-1", "--threads=0", "--keep"}},
	model.Zstd:  {".zst", []string{"zstd", "-1", "--quiet", "--keep"}},
}

// trip is an archive that goes in and out.
type trip struct {
	name          string
	kind          model.Compression
	plain, packed blob
	want          testutil.Listing // what the layer then has
	once          bool             // with one driver only, because it takes long
}

// pack packs a tree and compresses the archive in several ways.
func pack(t testing.TB, tree string, f tarFormat, kinds ...model.Compression) []trip {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "archive.tar")
	run(t, append([]string{"tar", "--create", "--file", archive, "--directory", tree, "--sort=name", "."}, f.options...)...)
	return trips(t, archive, f.name, f.survivors(testutil.Snapshot(t, tree)), kinds...)
}

// trips compresses an archive in several ways.
func trips(t testing.TB, archive, name string, want testutil.Listing, kinds ...model.Compression) []trip {
	t.Helper()
	plain := blobOf(t, archive)
	var all []trip
	for _, kind := range kinds {
		packed := plain
		if c, ok := compressors[kind]; ok {
			run(t, append(c.command, archive)...)
			packed = blobOf(t, archive+c.suffix)
		}
		all = append(all, trip{name: name + " " + kind.String(), kind: kind, plain: plain, packed: packed, want: want})
	}
	return all
}

// make imports the archive and reads it again.
func (r trip) make(t *testing.T, s *graph.Store) {
	t.Helper()
	in := must(os.Open(r.packed.path))(t)
	defer in.Close()
	l := must(s.ImportLayer(t.Context(), graph.LayerSpec{}, in))(t)
	want := model.Diff{
		Digest: r.plain.digest, Size: r.plain.size, Compression: r.kind,
		CompressedDigest: r.packed.digest, CompressedSize: r.packed.size,
		UIDs: l.Diff.UIDs, GIDs: l.Diff.GIDs, TarSplit: l.Diff.TarSplit,
	}
	if diff := cmp.Diff(&want, l.Diff); diff != "" {
		t.Errorf("record (-want +got): %s", diff)
	}
	plain := model.Uncompressed
	stream := must(s.Diff(t.Context(), l.ID, graph.DiffOptions{Compression: &plain}))(t)
	sameContent(t, stream, r.plain.path)
	noError(t, stream.Close())
	onMount(t, s, string(l.ID), func(path string) {
		if diff := cmp.Diff(r.want, testutil.Snapshot(t, path)); diff != "" {
			t.Errorf("files (-tree +layer): %s", diff)
		}
	})
	noError(t, s.DeleteLayer(t.Context(), l.ID))
}

// sameContent compares a stream with a file.
func sameContent(t testing.TB, stream io.Reader, path string) {
	t.Helper()
	f := must(os.Open(path))(t)
	defer f.Close()
	got, want := make([]byte, 1<<20), make([]byte, 1<<20)
	for offset := 0; ; {
		n, err := io.ReadFull(stream, got)
		m, _ := io.ReadFull(f, want)
		if !bytes.Equal(got[:n], want[:m]) {
			t.Errorf("the streams differ within the %d bytes from %d", max(n, m), offset)
			return
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("after %d bytes: %v", offset+n, err)
			}
			return
		}
		offset += n
	}
}

// makeAll makes the trips with each driver.
func makeAll(t *testing.T, all []trip) {
	t.Helper()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		for _, r := range all {
			if r.once && p.driver == "vfs" {
				continue
			}
			t.Run(r.name, func(t *testing.T) { r.make(t, s) })
		}
	})
}

func TestRoundTripOfTheOddTree(t *testing.T) {
	t.Parallel()
	testutil.NeedRoot(t)
	tree := t.TempDir()
	testutil.OddTree(t, tree)
	formats := tarFormats()
	several := kinds
	if testutil.Race { // it would take a minute to decompress the others
		several = []model.Compression{model.Uncompressed, model.Gzip, model.Zstd}
	}
	all := pack(t, tree, formats["pax"], several...)
	for _, name := range []string{"gnu", "gnu-sparse", "pax-sparse"} { // its names are too long for ustar
		all = append(all, pack(t, tree, formats[name], model.Uncompressed, model.Zstd)...)
	}
	makeAll(t, all)
}
