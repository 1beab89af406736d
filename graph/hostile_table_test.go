package graph_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/model"
)

// attack is a diff that means no good.
type attack struct {
	name   string
	parent []entry // what the layer below has
	diff   []byte
	err    error // what the error must match; nil if the diff is harmless
}

// hostileLimit is the MaxLayerSize of the store that is attacked.
const hostileLimit = 1 << 18

// attacks returns all attacks. The canary is an absolute path that nothing may
// reach, of a folder with a file "secret".
func attacks(t testing.TB, canary string) []attack {
	t.Helper()
	return slices.Concat(
		attacksOnNames(t, canary), attacksThroughLinks(t, canary), attacksWithHardLinks(t, canary), attacksTwice(t),
		attacksWithAttributes(t), attacksOnTheFormat(t, canary), attacksByCutting(t), attacksOnCompression(t),
	)
}

// wayUp leads from anywhere to an absolute path.
func wayUp(path string) string { return strings.Repeat("../", 30) + path[1:] }

// kindsOfEntry are headers of every type that could do harm at a place.
func kindsOfEntry(dir string) map[string]tar.Header {
	return map[string]tar.Header{
		"file":      {Name: dir + "/secret", Size: 100},
		"folder":    {Name: dir + "/secret/", Typeflag: tar.TypeDir},
		"itself":    {Name: dir + "/", Typeflag: tar.TypeDir, Uid: 5},
		"link":      {Name: dir + "/secret", Typeflag: tar.TypeSymlink, Linkname: "x"},
		"FIFO":      {Name: dir + "/secret", Typeflag: tar.TypeFifo},
		"character": {Name: dir + "/secret", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		"block":     {Name: dir + "/secret", Typeflag: tar.TypeBlock, Devmajor: 8},
		"whiteout":  {Name: dir + "/.wh.secret"},
		"0/0":       {Name: dir + "/secret", Typeflag: tar.TypeChar},
		"opaque":    {Name: dir + "/.wh..wh..opq"},
		"AUFS":      {Name: dir + "/.wh..wh.plnk/../secret"},
	}
}

func attacksOnNames(t testing.TB, canary string) []attack {
	t.Helper()
	bad := map[string]string{
		"two dots": "..", "slash, two dots": "/..", "folder, two dots": "a/../..", "empty": "", "NUL": "a\u0101b",
		"long": strings.Repeat("n", 256), "longer than a path": strings.Repeat("long/", 900) + "f",
		"whiteout of nothing": ".wh.", "whiteout of dot": ".wh..", "whiteout of dots": "a/.wh...",
		"below a whiteout": ".wh.d/f", "root as file": ".",
	}
	good := map[string]string{
		"absolute": canary + "/secret", "slashes": "//" + canary + "//secret", "inside": "a/b/../c",
		"500 deep": strings.Repeat("d/", 499) + "f", "not text": "\xff\\\n\x01 *", "three dots": ".../f",
	}
	var all []attack
	for name, path := range bad {
		all = append(all, attack{name: "name: " + name, diff: hostileTar(t, tar.Header{Name: path}), err: model.ErrInvalid})
	}
	for name, path := range good {
		all = append(all, attack{name: "name: " + name, diff: hostileTar(t, tar.Header{Name: path, Size: 3})})
	}
	for _, way := range []string{wayUp(canary), "a/" + wayUp(canary), "/" + wayUp(canary)} {
		for kind, header := range kindsOfEntry(way) {
			all = append(all, attack{name: "way up: " + kind + " at " + way[:3], diff: hostileTar(t, header), err: model.ErrInvalid})
		}
	}
	return append(all,
		attack{name: "below a file", diff: hostileTar(t, tar.Header{Name: "f"}, tar.Header{Name: "f/x"}), err: model.ErrInvalid},
		attack{name: "bad entry behind good ones", diff: hostileTar(t, tar.Header{Name: "a"}, tar.Header{Name: ".."}), err: model.ErrInvalid})
}

// attacksThroughLinks lead through a symbolic link, of the diff or of the
// layer below. Links are followed as if the layer were everything there is.
func attacksThroughLinks(t testing.TB, canary string) []attack {
	t.Helper()
	var all []attack
	for what, target := range map[string]string{
		"absolute": canary, "relative": wayUp(canary), "proc": "/proc/self/root" + canary,
	} {
		link := tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: target}
		for kind, header := range kindsOfEntry("l") {
			all = append(all,
				attack{name: "link, " + what + ": " + kind, diff: hostileTar(t, link, header), err: onlyIf(kind == "itself", model.ErrInvalid)},
				attack{
					name: "link below, " + what + ": " + kind, diff: hostileTar(t, header),
					parent: []entry{{name: "l", kind: tar.TypeSymlink, link: target}},
				})
		}
		all = append(all, attack{
			name: "folder becomes a link, " + what, err: model.ErrInvalid,
			diff: hostileTar(t, tar.Header{Name: "l/", Typeflag: tar.TypeDir}, link, tar.Header{Name: "l/secret"}),
		})
	}
	circle := []tar.Header{
		{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}, {Name: "b", Typeflag: tar.TypeSymlink, Linkname: "a"}, {Name: "a/x"},
	}
	return append(all, attack{name: "links in a circle", diff: hostileTar(t, circle...), err: model.ErrInvalid})
}

func onlyIf(condition bool, err error) error {
	if condition {
		return err
	}
	return nil
}

func attacksWithHardLinks(t testing.TB, canary string) []attack {
	t.Helper()
	link := func(to string) tar.Header { return tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: to} }
	symlink := tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: canary}
	folder := tar.Header{Name: "d/", Typeflag: tar.TypeDir}
	var all []attack
	for name, headers := range map[string][]tar.Header{
		"out": {link(wayUp(canary) + "/secret")}, "out of a folder": {link("a/../../" + wayUp(canary) + "/secret")},
		"absolute": {link(canary + "/secret")}, "through a link": {symlink, link("l/secret")}, "missing": {link("none")},
		"itself": {link("h")}, "folder": {folder, link("d")}, "root": {link(".")}, "below itself": {link("h/x")},
	} {
		all = append(all, attack{name: "hard link: " + name, diff: hostileTar(t, headers...), err: model.ErrInvalid})
	}
	return append(all, attack{name: "hard link: to a link", diff: hostileTar(t, symlink, link("l"))})
}

// attacksTwice have two entries for a path. No layer of a store may: what was
// recorded of the first could not be found again.
func attacksTwice(t testing.TB) []attack {
	t.Helper()
	var all []attack
	for name, names := range map[string][]string{
		"same": {"a", "a"}, "dot": {"a", "./a"}, "slash": {"a", "/a"}, "slashes": {"d/a", "d//a"}, "dots": {"a", "d/../a"},
		"folder": {"a", "a/"}, "whiteout": {".wh.a", ".wh.a"}, "far apart": {"a", "b", "c", "d", "e", "a"},
	} {
		var headers []tar.Header
		for _, name := range names {
			headers = append(headers, tar.Header{Name: name, Size: 1})
		}
		all = append(all, attack{name: "twice: " + name, diff: hostileTar(t, headers...), err: model.ErrInvalid})
	}
	device := tar.Header{Name: "c", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}
	return append(all, attack{name: "twice: content for a device", diff: hostileTar(t, device, tar.Header{Name: "c", Size: 9}), err: model.ErrInvalid})
}

func attacksWithAttributes(t testing.TB) []attack {
	t.Helper()
	xattr := func(name, value string) []byte {
		return hostileTar(t, tar.Header{Name: "f", PAXRecords: map[string]string{"SCHILY.xattr." + name: value}})
	}
	return []attack{
		{name: "attribute: long name", diff: xattr("user."+strings.Repeat("n", 251), "x"), err: model.ErrInvalid},
		{name: "attribute: too large", diff: xattr("user.large", strings.Repeat("x", 1<<16+1)), err: model.ErrInvalid},
		{name: "attribute: capability", diff: xattr("security.capability", "x"), err: model.ErrInvalid},
		{name: "attribute: of the overlay", diff: xattr("trusted.overlay.redirect", "/")},
		{name: "owner: none", diff: hostileTar(t, tar.Header{Name: "f", Uid: math.MaxUint32}), err: model.ErrInvalid},
		{name: "owner: negative", diff: hostileTar(t, tar.Header{Name: "f", Gid: -1}), err: model.ErrInvalid},
		{name: "device: major", diff: hostileTar(t, tar.Header{Name: "c", Typeflag: tar.TypeChar, Devmajor: 4096}), err: model.ErrInvalid},
		{name: "device: minor", diff: hostileTar(t, tar.Header{Name: "b", Typeflag: tar.TypeBlock, Devminor: 1 << 20}), err: model.ErrInvalid},
	}
}

func attacksOnTheFormat(t testing.TB, canary string) []attack {
	t.Helper()
	sparse := func(size, pieces string, stored int64) []byte { return sparseTar(t, "f", size, pieces, stored) }
	var all []attack
	for name, diff := range map[string][]byte{
		"negative size":              patchedTar(t, 124, strings.Repeat("\xff", 12)),
		"size without content":       patchedTar(t, 124, "77777777777\x00"),
		"size of 8 exbibytes":        patchedTar(t, 124, "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"),
		"size that is no number":     patchedTar(t, 124, "many\x00"),
		"owner that is no number":    patchedTar(t, 108, "nobody\x00"),
		"mode that is no number":     patchedTar(t, 100, "rwxrwxrw"),
		"checksum":                   bytes.Replace(tarball(t, file("name", "x")), []byte("name"), []byte("nome"), 1),
		"text":                       bytes.Repeat([]byte("This is not an archive. "), 100),
		"record that leads out":      sparseTar(t, wayUp(canary)+"/secret", "100", "0,1", 1),
		"sparse: overlap":            sparse("100", "0,10,5,10", 20),
		"sparse: order":              sparse("100", "50,1,0,1", 2),
		"sparse: before":             sparse("100", "-5,1", 1),
		"sparse: beyond":             sparse("100", "99,2", 2),
		"sparse: negative":           sparse("-1", "0,1", 1),
		"sparse: beyond all numbers": sparse("100", "9223372036854775807,1", 1),
		"sparse: without content":    sparse("100000", "0,90000", 1),
		"sparse: 4 EiB":              sparse("4611686018427387904", "0,1", 1),
		"sparse: 4 GiB":              sparse("4294967296", "0,1", 1),
		"sparse: many":               bytes.Join([][]byte{sparse("150000", "0,1", 1)[:2048], sparseTar(t, "g", "600000", "0,1", 1)}, nil),
	} {
		all = append(all, attack{name: "format: " + name, diff: diff, err: model.ErrInvalid})
	}
	return append(all,
		attack{name: "format: unknown type", diff: patchedTar(t, 156, "Z"), err: model.ErrUnsupported},
		attack{name: "format: sparse", diff: sparse("100", "0,1,50,1", 2)},
		attack{name: "format: entries behind the end", diff: append(tarball(t, file("a", "")), tarball(t, file("../b", ""))...)})
}

// attacksByCutting cut a diff at the end of every block and before it.
func attacksByCutting(t testing.TB) []attack {
	t.Helper()
	whole := tarball(t, folder("d"), file("d/long", strings.Repeat("x", 3000)), file(strings.Repeat("n", 200), "x"))
	whole = whole[:len(whole)-1024] // the end of the archive may be missing
	harmless := endsOfEntries(t, whole)
	var all []attack
	for at := 512; at <= len(whole); at += 512 {
		for _, cut := range []int{at, at - 1, at - 300} {
			all = append(all, attack{name: fmt.Sprintf("cut at %d", cut), diff: whole[:cut], err: onlyIf(!harmless[cut], model.ErrInvalid)})
		}
	}
	return all
}

// endsOfEntries returns where an archive may be cut and is another archive:
// between two entries, also behind an extended header, and in the padding there.
func endsOfEntries(t testing.TB, archive []byte) map[int]bool {
	t.Helper()
	ends := make(map[int]bool)
	for at := 0; at < len(archive); {
		size := 0
		_, err := fmt.Sscanf(string(archive[at+124:at+135]), "%o", &size)
		noError(t, err)
		for at += 512 + size; at%512 != 0; at++ {
			ends[at] = true
		}
		ends[at] = true
	}
	return ends
}

func attacksOnCompression(t testing.TB) []attack {
	t.Helper()
	plain := variety(t)
	bomb := hostileTar(t, tar.Header{Name: "f", Size: 16 * hostileLimit})
	empty := make([]entry, 0, 600)
	for i := range cap(empty) {
		empty = append(empty, file(fmt.Sprint(i), ""))
	}
	var all []attack
	for _, kind := range kinds {
		add := func(name string, diff []byte) {
			all = append(all, attack{name: kind.String() + ": " + name, diff: diff, err: model.ErrInvalid})
		}
		add("bomb", compressed(t, kind, bomb))
		add("bomb behind the end", compressed(t, kind, append(tarball(t), bomb...)))
		add("bomb of entries", compressed(t, kind, tarball(t, empty...)))
		if kind == model.Uncompressed {
			continue
		}
		blob := compressed(t, kind, plain)
		add("garbage", append(slices.Clone(blob[:18]), bytes.Repeat([]byte("garbage "), 500)...))
		add("beginning", blob[:6])
		add("half", blob[:len(blob)/2])
		add("last byte missing", blob[:len(blob)-1])
		add("damaged", flip(slices.Clone(blob)))
		add("data behind", append(slices.Clone(blob), "more"...))
		add("twice", compressed(t, kind, blob))
		if compress.Writable(kind) == nil {
			add("within gzip", compressed(t, model.Gzip, blob))
		}
	}
	return all
}
