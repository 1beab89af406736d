package archive_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestMain(m *testing.M) {
	testutil.Main(m, testutil.Entries{"unpack": unpackStdin})
}

// entry is an entry of an archive to be made.
type entry struct {
	tar.Header
	content string
}

// past is the modification time of entries.
var past = time.Date(2020, time.February, 29, 12, 0, 0, 123456789, time.UTC)

func header(typeflag byte, name string, mode int64) entry {
	return entry{Header: tar.Header{Typeflag: typeflag, Name: name, Mode: mode, ModTime: past, Format: tar.FormatPAX}}
}

func file(name, content string) entry {
	e := header(tar.TypeReg, name, 0o644)
	e.Size, e.content = int64(len(content)), content
	return e
}

func dir(name string) entry      { return header(tar.TypeDir, name+"/", 0o755) }
func fifo(name string) entry     { return header(tar.TypeFifo, name, 0o600) }
func whiteout(name string) entry { return file(name, "") }

func symlink(name, target string) entry {
	e := header(tar.TypeSymlink, name, 0o777)
	e.Linkname = target
	return e
}

func hardLink(name, target string) entry {
	e := header(tar.TypeLink, name, 0o644)
	e.Linkname = target
	return e
}

func device(typeflag byte, name string, major, minor int64) entry {
	e := header(typeflag, name, 0o600)
	e.Devmajor, e.Devminor = major, minor
	return e
}

// with returns the entry changed.
func (e entry) with(change func(*tar.Header)) entry {
	change(&e.Header)
	return e
}

func (e entry) mode(mode int64) entry { return e.with(func(h *tar.Header) { h.Mode = mode }) }

func (e entry) owner(uid, gid int) entry {
	return e.with(func(h *tar.Header) { h.Uid, h.Gid = uid, gid })
}

func (e entry) xattr(name, value string) entry {
	return e.with(func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr." + name: value} })
}

// makeTar makes an archive.
func makeTar(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatalf("%q: %v", e.Name, err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatalf("%q: %v", e.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// withoutEnd makes an archive of those of the entries that one can contain,
// without the marker at its end.
func withoutEnd(entries ...entry) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		if w.WriteHeader(&e.Header) == nil {
			_, _ = io.WriteString(w, e.content)
		}
	}
	_ = w.Flush()
	return buf.Bytes()
}

// list is an archive whose headers no archive could contain.
type list struct {
	entries []entry
	content io.Reader
}

func (l *list) Next() (*tar.Header, error) {
	if len(l.entries) == 0 {
		return nil, io.EOF
	}
	e := l.entries[0]
	l.entries = l.entries[1:]
	l.content = bytes.NewReader([]byte(e.content))
	return &e.Header, nil
}

func (l *list) Read(p []byte) (int, error) { return l.content.Read(p) }

// modest returns options with which anybody can unpack: without root, owners
// cannot be set.
func modest(opts archive.UnpackOptions) archive.UnpackOptions {
	opts.IgnoreChownErrors = os.Geteuid() != 0
	return opts
}

// unpack unpacks entries below dir.
func unpack(t testing.TB, dir string, opts archive.UnpackOptions, entries ...entry) archive.Unpacked {
	t.Helper()
	done, err := archive.Unpack(t.Context(), dir, tar.NewReader(bytes.NewReader(makeTar(t, entries...))), modest(opts))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// pack packs dir and returns the archive.
func pack(t testing.TB, dir string, opts archive.PackOptions) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := archive.Pack(t.Context(), &buf, dir, opts); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// entriesOf returns the names in an archive, with "@target" for hard links.
func entriesOf(t testing.TB, stream []byte) []string {
	t.Helper()
	var names []string
	for _, hdr := range headersOf(t, stream) {
		name := hdr.Name
		if hdr.Typeflag == tar.TypeLink {
			name += "@" + hdr.Linkname
		}
		names = append(names, name)
	}
	return names
}

func headersOf(t testing.TB, stream []byte) []*tar.Header {
	t.Helper()
	var headers []*tar.Header
	for r := tar.NewReader(bytes.NewReader(stream)); ; {
		hdr, err := r.Next()
		if err == io.EOF {
			return headers
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, hdr)
	}
}

func mkdir(t testing.TB, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// mkdirNew makes a directory of a new name in parent.
func mkdirNew(t testing.TB, parent string) string {
	t.Helper()
	path := filepath.Join(parent, fmt.Sprint("dir", serial.Add(1)))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// serial numbers what needs a name or a time of its own.
var serial atomic.Int64

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// names lists all names below a directory, sorted.
func names(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir && err == nil {
			all = append(all, path[len(dir)+1:])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// canary is a tree beside a layer that nothing may touch.
type canary struct {
	dir    string
	before testutil.Listing
	ctimes map[string]unix.Timespec
}

// layerAndCanary makes an empty directory to unpack into, called "layer", and
// beside it a canary with a file "secret" and a folder "folder". From within
// the layer the canary is "../canary".
func layerAndCanary(t testing.TB) (layer string, beside canary) {
	t.Helper()
	return layerAndCanaryIn(t, t.TempDir())
}

func layerAndCanaryIn(t testing.TB, parent string) (layer string, beside canary) {
	t.Helper()
	layer, beside.dir = parent+"/layer", parent+"/canary"
	mkdir(t, layer, beside.dir+"/folder")
	write(t, beside.dir+"/secret", "canary secret")
	write(t, beside.dir+"/folder/file", "file")
	beside.before = testutil.Snapshot(t, beside.dir)
	beside.ctimes = ctimes(t, beside.dir)
	return layer, beside
}

// check fails the test if anything about the canary has changed. The time of
// the last change of an inode shows even what left no other trace.
func (c canary) check(t testing.TB) {
	t.Helper()
	if diff := cmp.Diff(c.before, testutil.Snapshot(t, c.dir)); diff != "" {
		t.Errorf("canary changed: %s", diff)
	}
	if diff := cmp.Diff(c.ctimes, ctimes(t, c.dir)); diff != "" {
		t.Errorf("canary was touched: %s", diff)
	}
}

func ctimes(t testing.TB, dir string) map[string]unix.Timespec {
	t.Helper()
	times := make(map[string]unix.Timespec)
	for _, name := range append(names(t, dir), ".") {
		var stat unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &stat); err != nil {
			t.Fatal(err)
		}
		times[name] = stat.Ctim
	}
	return times
}

// forms are the forms of whiteouts.
var forms = map[string]archive.Whiteouts{
	"applied":      archive.WhiteoutsApplied,
	"overlay":      archive.WhiteoutsOverlay,
	"overlay user": archive.WhiteoutsOverlayUser,
}

// packChanges packs changes and returns the archive.
func packChanges(t testing.TB, dir string, changes []model.Change) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := archive.PackChanges(t.Context(), &buf, dir, changes, archive.PackOptions{}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// unpackStream unpacks an archive below dir.
func unpackStream(t testing.TB, dir string, stream []byte) {
	t.Helper()
	if _, err := archive.Unpack(t.Context(), dir, tar.NewReader(bytes.NewReader(stream)), modest(archive.UnpackOptions{})); err != nil {
		t.Fatal(err)
	}
}
