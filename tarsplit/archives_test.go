package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/csdb/csdb/internal/testutil"
)

// allArchives returns archives by name: those made here and the fixtures of archive/tar and of tar-split. They are not to
// be changed.
func allArchives(t *testing.T) map[string][]byte {
	t.Helper()
	archives.Do(func() {
		archives.all = madeArchives(t)
		maps.Copy(archives.all, fixtures(t, "go/", filepath.Join(testutil.GoTree(t), "src/archive/tar/testdata")))
		maps.Copy(archives.all, fixtures(t, "tar-split/", packageDir(t, "github.com/vbatts/tar-split/archive/tar")+"/testdata"))
		maps.Copy(archives.all, fixtures(t, "asm/", packageDir(t, "github.com/vbatts/tar-split/tar/asm")+"/testdata"))
		if testutil.Race { // what is larger takes most of the time
			maps.DeleteFunc(archives.all, func(_ string, stream []byte) bool { return len(stream) > 4<<20 })
		}
	})
	return archives.all
}

// archives keeps what allArchives has found.
var archives struct {
	sync.Once

	all map[string][]byte
}

// packageDir returns the directory of a package.
func packageDir(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}

// fixtures reads the archives in a directory, decoded if their names say so.
func fixtures(t testing.TB, prefix, dir string) map[string][]byte {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures in %s: %v", dir, err)
	}
	found := map[string][]byte{}
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case file.Name() == "hdr-only.tar": // has duplicate names
		case testutil.Race && filepath.Ext(file.Name()) == ".bz2": // zeros by the megabyte, which take half a minute
		default:
			found[prefix+file.Name()] = decoded(t, file.Name(), raw)
		}
	}
	return found
}

func decoded(t testing.TB, name string, raw []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(raw)
	var err error
	switch filepath.Ext(name) {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".bz2":
		r = bzip2.NewReader(r)
	case ".base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return data
}

// entry is an entry of an archive to be made.
type entry struct {
	tar.Header

	Content string
}

// file is a regular file with everything but a name and content at a default.
func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content}
}

// makeArchive writes an archive in one format, without what ends an archive.
func makeArchive(tb testing.TB, format tar.Format, entries ...entry) []byte {
	tb.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, e := range entries {
		hdr := e.Header
		hdr.Format = format
		if hdr.Typeflag == tar.TypeReg {
			hdr.Size = int64(len(e.Content))
		}
		if err := w.WriteHeader(&hdr); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(w, e.Content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	return archive.Bytes()
}

// zeros are blocks of zeros; two end an archive.
func zeros(blocks int) []byte { return make([]byte, blocks*512) }

// noise is content that is not the same everywhere.
func noise(size int) string {
	data := make([]byte, size)
	state := uint32(size) + 1
	for i := range data {
		state = state*1664525 + 1013904223
		data[i] = byte(state >> 24)
	}
	return string(data)
}

// everyType holds an entry of each type that the format knows.
func everyType(format tar.Format) []entry {
	entries := []entry{
		{tar.Header{Typeflag: tar.TypeDir, Name: "dir/", Mode: 0o755}, ""},
		file("dir/empty", ""),
		file("dir/small", "some text"),
		file("dir/block", noise(512)),
		file("dir/large", noise(300_001)),
		{tar.Header{Typeflag: tar.TypeLink, Name: "dir/hard", Linkname: "dir/small"}, ""},
		{tar.Header{Typeflag: tar.TypeSymlink, Name: "dir/soft", Linkname: "../small"}, ""},
		{tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}, ""},
		{tar.Header{Typeflag: tar.TypeBlock, Name: "disk", Devmajor: 8, Devminor: 1}, ""},
		{tar.Header{Typeflag: tar.TypeFifo, Name: "pipe"}, ""},
		file("dir/.wh.gone", ""),
		file("dir/.wh..wh..opq", ""),
		file("odd/.wh.payload", "a whiteout with content"),
		file(".wh..wh.aufs", noise(2000)),
		file(".wh..wh.orph/inside", noise(700)),
		file(strings.Repeat("d/", 60)+"deep", "x"),
	}
	if format != tar.FormatUSTAR {
		entries = append(entries,
			file(strings.Repeat("n", 200)+"/"+strings.Repeat("long", 50), "long name"),
			file("\xff\xfe not UTF-8", "bytes"),
			file("\u00fc\u2603 < & > \" \\ \n", "letters"),
			entry{tar.Header{Typeflag: tar.TypeSymlink, Name: "far", Linkname: strings.Repeat("t", 3000)}, ""},
			entry{tar.Header{Typeflag: tar.TypeReg, Name: "owned", Uid: 1 << 24, Gid: 1<<32 - 1, ModTime: time.Unix(-1, 0)}, ""},
		)
	}
	return entries
}

func madeArchives(t *testing.T) map[string][]byte {
	t.Helper()
	ustar := makeArchive(t, tar.FormatUSTAR, everyType(tar.FormatUSTAR)...)
	one := makeArchive(t, tar.FormatUSTAR, file("one", "1"))
	global := entry{tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "global", PAXRecords: map[string]string{"comment": "all"}}, ""}
	attributes := file("attributes", "x")
	attributes.PAXRecords = map[string]string{"SCHILY.xattr.user.a": "\x00\x01", "SCHILY.xattr.user.b": strings.Repeat("v", 60_000)}
	return map[string][]byte{
		"empty stream":                     {},
		"nothing but the end":              zeros(2),
		"one block of zeros":               zeros(1),
		"ustar":                            slices.Concat(ustar, zeros(2)),
		"pax":                              slices.Concat(makeArchive(t, tar.FormatPAX, everyType(tar.FormatPAX)...), zeros(2)),
		"gnu":                              slices.Concat(makeArchive(t, tar.FormatGNU, everyType(tar.FormatGNU)...), zeros(2)),
		"without end":                      ustar,
		"half an end":                      slices.Concat(ustar, zeros(1)),
		"padded to a record":               slices.Concat(one, zeros(18)),
		"padded with an odd number":        slices.Concat(one, zeros(3), []byte{0, 0, 0}),
		"garbage behind the end":           slices.Concat(one, zeros(2), []byte(noise(1<<21+77))),
		"cut off in the padding of a file": one[:len(one)-100],
		"concatenated":                     slices.Concat(one, zeros(2), ustar, zeros(2)),
		"joined":                           slices.Concat(one, ustar, zeros(2)),
		"global headers":                   slices.Concat(makeArchive(t, tar.FormatPAX, global, file("a", "a"), global, file("b", "b")), zeros(2)),
		"extended attributes":              slices.Concat(makeArchive(t, tar.FormatPAX, attributes), zeros(2)),
		"padding that is noise":            slices.Concat(one[:513], []byte(noise(511)), zeros(2)),
		"whiteout of 3 MiB":                slices.Concat(makeArchive(t, tar.FormatPAX, file(".wh.big", noise(3<<20+5)), file("x", "y")), zeros(2)),
		"file of 3 MiB":                    slices.Concat(makeArchive(t, tar.FormatPAX, file("big", noise(3<<20+5)), file("x", "y")), zeros(2)),
		"incremental, with a directory's listing": withType(one, 'D'),
		"type that nobody knows":                  withType(one, 'Q'),
		"contiguous file":                         withType(one, '7'),
		"regular file of the first kind":          withType(one, 0),
		"directory of the first kind":             withName(withType(one, 0), "one/"),
		"hard link that claims a size":            withType(makeArchive(t, tar.FormatUSTAR, file("link", "")), '1', 5),
		"symbolic link that claims a size":        withType(makeArchive(t, tar.FormatUSTAR, file("link", "")), '2', 5),
		"directory that claims a size":            withType(makeArchive(t, tar.FormatUSTAR, file("dir", "")), '5', 5),
		"name with a PAX record that replaces it": slices.Concat(makeArchive(t, tar.FormatPAX, file(strings.Repeat("p", 300), "content")), zeros(2)),
		"sparse records that make no sense":       slices.Concat(paxEntry(t, map[string]string{"GNU.sparse.major": "7", "GNU.sparse.minor": "3"}, "dense after all"), zeros(2)),
	}
}

// withType changes the type of the first entry, and the size it claims if one
// is given, which the content does not follow.
func withType(archive []byte, typeflag byte, size ...int) []byte {
	changed := bytes.Clone(archive)
	changed[156] = typeflag
	if len(size) > 0 {
		copy(changed[124:], fmt.Sprintf("%011o", size[0]))
	}
	return withChecksum(changed)
}

// withName changes the name of the first entry.
func withName(archive []byte, name string) []byte {
	changed := bytes.Clone(archive)
	clear(changed[:100])
	copy(changed, name)
	return withChecksum(changed)
}

// withChecksum makes the checksum of the first header right.
func withChecksum(archive []byte) []byte {
	copy(archive[148:156], "        ")
	sum := 0
	for _, b := range archive[:512] {
		sum += int(b)
	}
	copy(archive[148:], fmt.Sprintf("%06o\x00 ", sum))
	return archive
}

// paxEntry returns a file with PAX records that archive/tar refuses to write.
func paxEntry(t *testing.T, records map[string]string, content string) []byte {
	t.Helper()
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(records)) {
		record := fmt.Sprintf(" %s=%s\n", key, records[key])
		size := len(record) + len(fmt.Sprint(len(record)))
		if len(fmt.Sprint(size)) > len(fmt.Sprint(len(record))) {
			size++
		}
		fmt.Fprintf(&text, "%d%s", size, record)
	}
	extension := withType(makeArchive(t, tar.FormatUSTAR, file("PaxHeaders/records", text.String())), 'x')
	return slices.Concat(extension, makeArchive(t, tar.FormatUSTAR, file("records", content)))
}
