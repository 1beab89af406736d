package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// attack is an archive that means no good.
type attack struct {
	name    string
	before  []entry // what the layer has before it
	entries []entry // the archive, whose headers may be such as no archive has
	stream  []byte  // or the archive as bytes
	err     error   // what the error must match; nil if the archive is harmless
	says    string  // what the error must say
	lands   []string
}

// outside is the target of links that lead to the canary, from the root of the
// layer. In the layer's own terms it is "/canary".
const outside = "../canary"

// deep is a name of n components.
func deep(n int) string { return strings.Repeat("d/", n-1) + "f" }

// parents returns all directories above a name, and the name.
func parents(name string) []string {
	var all []string
	for i, c := range name {
		if c == '/' {
			all = append(all, name[:i])
		}
	}
	return append(all, name)
}

func attacksOnNames() []attack {
	return []attack{
		{name: "way up", says: "leads out", entries: []entry{file("../canary/secret", "x")}, err: model.ErrInvalid},
		{name: "way up after a folder", entries: []entry{file("a/../../canary/secret", "x")}, err: model.ErrInvalid},
		{name: "way up alone", entries: []entry{dir("..")}, err: model.ErrInvalid},
		{name: "way up after a slash", entries: []entry{file("/../canary/secret", "x")}, err: model.ErrInvalid},
		{name: "way up as folder", entries: []entry{dir("../canary")}, err: model.ErrInvalid},
		{name: "way up as link", entries: []entry{symlink("../canary/l", "x")}, err: model.ErrInvalid},
		{name: "way up as FIFO", entries: []entry{fifo("../canary/p")}, err: model.ErrInvalid},
		{name: "way up as device", entries: []entry{device(tar.TypeChar, "../canary/c", 1, 3)}, err: model.ErrInvalid},
		{name: "way up that stays inside", entries: []entry{file("a/b/../c", "x")}, lands: []string{"a", "a/c"}},
		{name: "absolute", entries: []entry{file("/etc/passwd", "x")}, lands: []string{"etc", "etc/passwd"}},
		{name: "many slashes", entries: []entry{file("//a///./b", "x")}, lands: []string{"a", "a/b"}},
		{name: "empty", says: "empty name", entries: []entry{{Header: tar.Header{Typeflag: tar.TypeReg}}}, err: model.ErrInvalid},
		{name: "NUL", says: "contains a NUL", entries: []entry{file("a\x00b", "x")}, err: model.ErrInvalid},
		{name: "NUL in a folder", entries: []entry{file("a\x00/b", "x")}, err: model.ErrInvalid},
		{name: "long component", says: "longer than 255 bytes", entries: []entry{file(strings.Repeat("n", 256), "x")}, err: model.ErrInvalid},
		{name: "long folder", entries: []entry{file(strings.Repeat("n", 256)+"/f", "x")}, err: model.ErrInvalid},
		{name: "longest component", entries: []entry{file(strings.Repeat("n", 255), "x")}, lands: []string{strings.Repeat("n", 255)}},
		{name: "long whiteout", entries: []entry{whiteout(".wh." + strings.Repeat("n", 256))}, err: model.ErrInvalid},
		{name: "longest whiteout", before: []entry{file(strings.Repeat("n", 255), "")}, entries: []entry{whiteout(".wh." + strings.Repeat("n", 255))}},
		{name: "longer than a path", says: "longer than 4095 bytes", entries: []entry{file(strings.Repeat(strings.Repeat("n", 255)+"/", 16)+"f", "x")}, err: model.ErrInvalid},
		{name: "10000 deep", says: "longer than 4095 bytes", entries: []entry{file(deep(10_000), "x")}, err: model.ErrInvalid},
		{name: "10000 deep folder", entries: []entry{dir(deep(10_000))}, err: model.ErrInvalid},
		{name: "500 deep", entries: []entry{file(deep(500), "x")}, lands: parents(deep(500))},
		{name: "not text", entries: []entry{file("\xff\\\n\x01 *", "x")}, lands: []string{"\xff\\\n\x01 *"}},
		{name: "file with the name of a folder", entries: []entry{file("f/", "x")}, lands: []string{"f"}},
		{name: "root as file", says: "root of the tree", entries: []entry{file("./", "x")}, err: model.ErrInvalid},
		{name: "root as link", entries: []entry{symlink("/", outside)}, err: model.ErrInvalid},
		{name: "root as hard link", entries: []entry{hardLink(".", "f")}, err: model.ErrInvalid},
		{name: "root as device", entries: []entry{device(tar.TypeChar, "./.", 0, 0)}, err: model.ErrInvalid},
		{name: "below a file", says: "in the way", entries: []entry{file("f", "x"), file("f/x", "x")}, err: model.ErrInvalid},
		{name: "below a FIFO", entries: []entry{fifo("p"), file("p/x", "x")}, err: model.ErrInvalid},
		{name: "below a link to a file", entries: []entry{file("f", "x"), symlink("l", "f"), file("l/x", "x")}, err: model.ErrInvalid},
		{name: "twice", entries: []entry{file("f", "one"), file("f", "two"), dir("f"), file("f", "last")}, lands: []string{"f"}},
		{name: "folder that its owner cannot enter", entries: []entry{dir("d").mode(0), file("d/f", "x")}, lands: []string{"d", "d/f"}},
	}
}

// attacksOnParents lead through a symbolic link, which is there before or part
// of the archive, with entries of every type. The link's target lies outside;
// seen from the layer's root it is inside.
func attacksOnParents() []attack {
	targets := map[string]struct{ target, inside string }{
		"relative link":        {outside, "canary"},
		"link to far above":    {"../../../../../../../../canary/folder", "canary/folder"},
		"absolute link":        {"/canary", "canary"},
		"link into proc":       {"/proc/self/root/canary", "proc/self/root/canary"},
		"link that goes about": {"no/../such/../../canary", "canary"},
	}
	kinds := map[string]struct {
		make  func(name string) entry
		lands string
	}{
		"file":     {func(name string) entry { return file(name+"/secret", "stolen") }, "secret"},
		"folder":   {func(name string) entry { return dir(name+"/folder").owner(5, 5).mode(0o777) }, "folder"},
		"link":     {func(name string) entry { return symlink(name+"/secret", "x") }, "secret"},
		"FIFO":     {func(name string) entry { return fifo(name + "/secret") }, "secret"},
		"device":   {func(name string) entry { return device(tar.TypeBlock, name+"/secret", 8, 0) }, "secret"},
		"whiteout": {func(name string) entry { return whiteout(name + "/.wh.secret") }, ""},
		"opaque":   {func(name string) entry { return whiteout(name + "/.wh..wh..opq") }, ""},
	}
	var attacks []attack
	for through, t := range targets {
		for what, kind := range kinds {
			a := attack{name: what + " through " + through, entries: []entry{kind.make("l")}, lands: append(parents(t.inside), "l")}
			if kind.lands != "" {
				a.lands = append(a.lands, t.inside+"/"+kind.lands)
			}
			there := a
			there.name += " that was there"
			there.before = []entry{symlink("l", t.target)}
			a.entries = append([]entry{symlink("l", t.target)}, a.entries...)
			attacks = append(attacks, a, there)
		}
		attacks = append(attacks, attack{
			name: "hard link through " + through, err: model.ErrInvalid,
			entries: []entry{symlink("l", t.target), hardLink("h", "l/secret")},
		})
	}
	return attacks
}

func attacksWithLinks() []attack {
	chain := []entry{symlink("41", outside)}
	for i := range 41 {
		chain = append(chain, symlink(fmt.Sprint(i), fmt.Sprint(i+1)))
	}
	return []attack{
		{name: "folder swapped for a link", lands: []string{"a", "canary", "canary/secret"}, entries: []entry{
			dir("a"), file("a/x", "x"), symlink("a", outside), file("a/secret", "stolen"),
		}},
		{name: "folder swapped for a link above", lands: []string{"a", "canary", "canary/folder", "canary/folder/file"}, entries: []entry{
			dir("a"), dir("a/folder"), file("a/folder/x", "x"), symlink("a", outside), file("a/folder/file", "stolen"),
		}},
		{name: "link swapped for a folder", lands: []string{"a", "a/secret", "canary", "canary/x"}, entries: []entry{
			symlink("a", outside), file("a/x", "x"), dir("a"), file("a/secret", "mine"),
		}},
		{name: "link swapped for another link", lands: []string{"a", "b", "b/x", "canary", "canary/x"}, entries: []entry{
			symlink("a", "b"), file("a/x", "x"), symlink("a", outside), file("a/x", "stolen"),
		}},
		{name: "folder entry for a link", lands: []string{"l"}, entries: []entry{
			symlink("l", outside), dir("l").owner(6, 6).mode(0o777),
		}},
		{name: "file entry for a link", lands: []string{"l"}, entries: []entry{symlink("l", outside+"/secret"), file("l", "stolen")}},
		{name: "FIFO entry for a link", lands: []string{"l"}, entries: []entry{symlink("l", outside+"/secret"), fifo("l")}},
		{name: "times of a folder swapped for a link", lands: []string{"a", "b"}, entries: []entry{
			dir("a"), dir("a/folder"), dir("b"), symlink("a", outside),
		}},
		{name: "whiteout of a link", before: []entry{symlink("l", outside)}, entries: []entry{whiteout(".wh.l")}},
		{name: "whiteout of a tree with links", before: []entry{symlink("t/l", "../"+outside), symlink("t/u/l", "/canary")}, entries: []entry{whiteout(".wh.t")}},
		{
			name: "opaque over links", lands: []string{"t"}, before: []entry{symlink("t/l", "../"+outside), symlink("t/u/l", "/canary")},
			entries: []entry{whiteout("t/.wh..wh..opq")},
		},
		{name: "name that a link makes longer than a path", err: model.ErrInvalid, entries: []entry{
			dir(strings.Repeat("d/", 2040)), symlink("l", strings.Repeat("d/", 2040)), file("l/"+strings.Repeat("f", 100), "x"),
		}},
		{name: "folder that a link makes longer than a path", err: model.ErrInvalid, entries: []entry{
			dir(strings.Repeat("d/", 2040)), symlink("l", strings.Repeat("d/", 2040)), file("l/"+strings.Repeat("f", 100)+"/x", "x"),
		}},
		{name: "link to itself", entries: []entry{symlink("l", "l"), file("l/x", "x")}, err: model.ErrInvalid},
		{name: "links in a circle", says: "too many levels", entries: []entry{symlink("a", "b"), symlink("b", "a"), file("a/x", "x")}, err: model.ErrInvalid},
		{name: "links that grow", entries: []entry{symlink("a", "a/a"), dir("a/x")}, err: model.ErrInvalid},
		{name: "too many links", entries: append(chain, file("0/secret", "x")), err: model.ErrInvalid},
		{name: "link to nothing", says: "link to nothing", entries: []entry{symlink("l", "").with(func(h *tar.Header) { h.Linkname = "" })}, err: model.ErrInvalid},
		{name: "link with a NUL", entries: []entry{symlink("l", "a\x00b")}, err: model.ErrInvalid},
		{name: "link longer than a path", entries: []entry{symlink("l", strings.Repeat("x/", 3000))}, err: model.ErrInvalid},

		{name: "hard link out", entries: []entry{hardLink("h", "../canary/secret")}, err: model.ErrInvalid},
		{name: "hard link out after a folder", entries: []entry{hardLink("h", "a/../../canary/secret")}, err: model.ErrInvalid},
		{name: "hard link to an absolute name", entries: []entry{hardLink("h", "/canary/secret")}, err: model.ErrInvalid},
		{name: "hard link to a link that leads out", lands: []string{"h", "l"}, entries: []entry{
			symlink("l", outside+"/secret"), hardLink("h", "l"), file("h", "stolen"),
		}},
		{name: "hard link to nothing", entries: []entry{hardLink("h", "").with(func(h *tar.Header) { h.Linkname = "" })}, err: model.ErrInvalid},
		{name: "hard link to what is missing", says: "no such file", entries: []entry{hardLink("h", "none")}, err: model.ErrInvalid},
		{name: "hard link to itself", says: "the link itself", entries: []entry{file("h", "x"), hardLink("h", "h")}, err: model.ErrInvalid},
		{name: "hard link to itself by another name", entries: []entry{file("h", "x"), symlink("l", "."), hardLink("h", "l/h")}, err: model.ErrInvalid},
		{name: "hard link to a folder", says: "a directory", entries: []entry{dir("d"), hardLink("h", "d")}, err: model.ErrInvalid},
		{name: "hard link to the root", entries: []entry{hardLink("h", "/")}, err: model.ErrInvalid},
		{name: "hard link into what it replaces", entries: []entry{file("d/f", "x"), hardLink("d", "d/f")}, err: model.ErrInvalid},
		{name: "hard link to a whiteout", before: []entry{file("f", "")}, entries: []entry{whiteout(".wh.f"), hardLink("h", "f")}, err: model.ErrInvalid},
		{name: "hard link to the name of a whiteout", entries: []entry{whiteout(".wh.f"), hardLink("h", ".wh.f")}, err: model.ErrInvalid},
		{name: "hard link with a NUL", entries: []entry{hardLink("h", "a\x00b")}, err: model.ErrInvalid},
		{name: "hard link below a file", entries: []entry{file("f", ""), hardLink("h", "f/x")}, err: model.ErrInvalid},
	}
}

func attacksWithWhiteouts() []attack {
	return []attack{
		{name: "whiteout of nothing", says: "whiteout of nothing", entries: []entry{whiteout(".wh.")}, err: model.ErrInvalid},
		{name: "whiteout of dot", entries: []entry{whiteout(".wh..")}, err: model.ErrInvalid},
		{name: "whiteout of way up", entries: []entry{whiteout(".wh...")}, err: model.ErrInvalid},
		{name: "whiteout of way up in a folder", entries: []entry{whiteout("a/.wh...")}, err: model.ErrInvalid},
		{name: "whiteout of three dots", before: []entry{file("...", "")}, entries: []entry{whiteout(".wh....")}},
		{name: "whiteout of the root's name", entries: []entry{whiteout("../.wh.layer")}, err: model.ErrInvalid},
		{name: "whiteout of the canary", entries: []entry{whiteout("../.wh.canary")}, err: model.ErrInvalid},
		{name: "opaque outside", entries: []entry{whiteout("../canary/.wh..wh..opq")}, err: model.ErrInvalid},
		{name: "below a whiteout", says: "below a whiteout", entries: []entry{file(".wh.d/f", "x")}, err: model.ErrInvalid},
		{name: "below a whiteout of nothing", entries: []entry{file(".wh./f", "x")}, err: model.ErrInvalid},
		{name: "below an opaque whiteout", entries: []entry{file(".wh..wh..opq/f", "x")}},
		{name: "out through a file of AUFS", entries: []entry{file(".wh..wh.aufs/../../canary/secret", "x")}, err: model.ErrInvalid},
		{name: "out through the hard links of AUFS", entries: []entry{file(".wh..wh.plnk/../../canary/secret", "x")}, err: model.ErrInvalid},
		{name: "hard link to a file of AUFS", entries: []entry{file(".wh..wh.aufs", ""), hardLink("h", ".wh..wh.aufs")}, err: model.ErrInvalid},
	}
}

func attacksWithAttributes() []attack {
	xattr := func(name, value string) []entry { return []entry{file("f", "").xattr(name, value)} }
	return []attack{
		{name: "attribute without name", entries: xattr("", "x"), err: model.ErrInvalid},
		{name: "attribute with a long name", entries: xattr("user."+strings.Repeat("n", 251), "x"), err: model.ErrInvalid},
		{name: "attribute with a NUL", entries: xattr("user.a\x00b", "x"), err: model.ErrInvalid},
		{name: "attribute of no class", entries: xattr("attribute", "x"), lands: []string{"f"}},
		{name: "attribute that is too large", entries: xattr("user.large", strings.Repeat("x", 1<<16+1)), err: model.ErrInvalid},
		{name: "capability that makes no sense", entries: xattr("security.capability", "x"), err: model.ErrInvalid},
		{name: "access control list that makes no sense", entries: xattr("system.posix_acl_access", "x"), err: model.ErrInvalid},
		{name: "negative owner", says: "not a valid ID", entries: []entry{file("f", "").owner(-1, 0)}, err: model.ErrInvalid},
		{name: "negative group", entries: []entry{file("f", "").owner(0, -5)}, err: model.ErrInvalid},
		{name: "owner that means none", entries: []entry{file("f", "").owner(math.MaxUint32, 0)}, err: model.ErrInvalid},
		{name: "owner beyond 32 bits", entries: []entry{dir("d").owner(1<<40, 0)}, err: model.ErrInvalid},
		{name: "all bits of the mode", entries: []entry{file("f", "").mode(-1)}, lands: []string{"f"}},
		{name: "time beyond all calendars", lands: []string{"f"}, entries: []entry{file("f", "").with(func(h *tar.Header) {
			h.ModTime, h.AccessTime = time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0)
		})}},
		{name: "negative device", says: "device number", entries: []entry{device(tar.TypeChar, "c", -1, 3)}, err: model.ErrInvalid},
		{name: "device beyond the kernel's", entries: []entry{device(tar.TypeBlock, "b", 1, 1<<20)}, err: model.ErrInvalid},
		{name: "device beyond 32 bits", entries: []entry{device(tar.TypeBlock, "b", 1<<40, 0)}, err: model.ErrInvalid},
		{name: "device 0/0 twice", entries: []entry{device(tar.TypeChar, "c", 0, 0), device(tar.TypeChar, "c", 0, 0)}},
		{name: "content for a device", lands: []string{"c"}, entries: []entry{device(tar.TypeChar, "c", 1, 3), file("c", "x")}},
		{name: "content for a FIFO", lands: []string{"p"}, before: []entry{fifo("p")}, entries: []entry{file("p", "x")}},
	}
}

func attacksOnTheFormat() []attack {
	end := make([]byte, 1024)
	whole := append(withoutEnd(file("first", "1"), file("second", "2")), end...)
	flipped := slices.Clone(whole)
	flipped[1024+5] ^= 1 // in the second name
	return []attack{
		{name: "negative size", stream: rawHeader('0', "f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), err: model.ErrInvalid},
		{name: "negative size in a record", stream: rawFile(rawPAX("size", "-5"), "f", ""), err: model.ErrInvalid},
		{name: "negative size of a header", entries: []entry{file("f", "").with(func(h *tar.Header) { h.Size = -1 })}, err: model.ErrInvalid},
		{name: "size without content", says: "unexpected EOF", stream: rawHeader('0', "f", "77777777777\x00"), err: model.ErrInvalid},
		{name: "size of 8 exbibytes", stream: rawHeader('0', "f", "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"), err: model.ErrInvalid},
		{name: "size that is no number", stream: rawHeader('0', "f", "many"), err: model.ErrInvalid},
		{name: "checksum", says: "invalid tar header", stream: flipped, err: model.ErrInvalid},
		{name: "text", says: "invalid tar header", stream: []byte(strings.Repeat("This is not an archive. ", 100)), err: model.ErrInvalid},
		{name: "entries after the end", stream: slices.Concat(whole, withoutEnd(file("late", "")), end), lands: []string{"first", "second"}},
		{name: "huge record", stream: rawFile(rawPAX("comment", strings.Repeat("x", 2<<20)), "f", ""), err: model.ErrInvalid},
		{name: "record that leads out", stream: rawFile(rawPAX("path", "../canary/secret"), "f", "x"), err: model.ErrInvalid},
		{name: "record with a NUL", stream: rawFile(rawPAX("path", "a\x00b"), "f", "x"), err: model.ErrInvalid},
		{name: "record of a wrong length", stream: append(rawHeader('x', "x", octal(9)), padded("99 path=a")...), err: model.ErrInvalid},
		{name: "extended header of nothing", stream: rawPAX("path", "a")},
		{name: "sparse, right", stream: rawSparse("f", "100", "0,1,50,1", "xy"), lands: []string{"f"}},
		{name: "sparse, old, right", stream: rawOldSparse("f", 1000, 5, 2000, "12345"), lands: []string{"f"}},
		{name: "sparse, leads out", stream: rawSparse("../canary/secret", "100", "0,1,50,1", "xy"), err: model.ErrInvalid},
		{name: "sparse pieces overlap", stream: rawSparse("f", "100", "0,10,5,10", strings.Repeat("x", 20)), err: model.ErrInvalid},
		{name: "sparse pieces out of order", stream: rawSparse("f", "100", "50,1,0,1", "xy"), err: model.ErrInvalid},
		{name: "sparse piece before the file", stream: rawSparse("f", "100", "-5,1", "x"), err: model.ErrInvalid},
		{name: "sparse piece of negative length", stream: rawSparse("f", "100", "5,-1", ""), err: model.ErrInvalid},
		{name: "sparse piece beyond the file", stream: rawSparse("f", "100", "99,2", "xy"), err: model.ErrInvalid},
		{name: "sparse piece beyond all numbers", stream: rawSparse("f", "100", "9223372036854775807,1", "x"), err: model.ErrInvalid},
		{name: "sparse pieces without content", stream: rawSparse("f", "100000", "0,90000", "x"), err: model.ErrInvalid},
		{name: "sparse file of negative size", stream: rawSparse("f", "-1", "0,1", "x"), err: model.ErrInvalid},
		{name: "sparse file of 4 exbibytes", says: "size of 4611686018427387904 bytes", stream: rawSparse("f", "4611686018427387904", "0,1", "x"), err: model.ErrInvalid},
		{name: "sparse, old, beyond the file", stream: rawOldSparse("f", 1000, 5, 10, "12345"), err: model.ErrInvalid},
		{name: "unknown type", says: "unhandled tar header type", entries: []entry{header('Z', "f", 0)}, err: model.ErrUnsupported},
	}
}

func allAttacks() []attack {
	return slices.Concat(attacksOnNames(), attacksOnParents(), attacksWithLinks(), attacksWithWhiteouts(),
		attacksWithAttributes(), attacksOnTheFormat())
}

func TestHostileArchives(t *testing.T) {
	for _, a := range allAttacks() {
		t.Run(a.name, func(t *testing.T) {
			for form, whiteouts := range forms {
				t.Run(form, func(t *testing.T) { a.run(t, archive.UnpackOptions{Whiteouts: whiteouts}) })
			}
		})
	}
}

func (a attack) run(t *testing.T, opts archive.UnpackOptions) {
	t.Helper()
	testutil.NeedRoot(t)
	layer, beside := layerAndCanaryIn(t, testutil.SharedLoop(t, "ext4"))
	if a.before != nil {
		unpack(t, layer, opts, a.before...)
	}
	var src archive.Source = &list{entries: a.entries}
	if a.stream != nil {
		src = tar.NewReader(bytes.NewReader(a.stream))
	}
	_, err := archive.Unpack(t.Context(), layer, src, opts)
	beside.check(t)
	if !errors.Is(err, a.err) {
		t.Fatalf("got error %v, want %v", err, a.err)
	}
	if err != nil {
		if !strings.Contains(err.Error(), a.says) {
			t.Errorf("got error %q, want it to say %q", err, a.says)
		}
		return
	}
	want := slices.Clone(a.lands)
	slices.Sort(want)
	if diff := cmp.Diff(want, names(t, layer), cmp.Transformer("sort", sorted)); diff != "" {
		t.Errorf("files (-want +got): %s", diff)
	}
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// TestTruncatedArchives cuts an archive at the end of every block and in the
// middle of it.
func TestTruncatedArchives(t *testing.T) {
	layer, beside := layerAndCanaryIn(t, testutil.Tmpfs(t))
	odd := t.TempDir()
	testutil.Tree(t, odd, 1)
	stream := makeTar(t, symlink("l", outside), file("long", strings.Repeat("x", 5000)))
	stream = append(stream[:len(stream)-1024], pack(t, odd, archive.PackOptions{})...)
	boundaries := entryBoundaries(t, stream)
	step := 512
	for at := step; at < len(stream); at += step {
		for _, cut := range []int{at, at - 1, at - 300} {
			_, err := archive.Unpack(t.Context(), layer, tar.NewReader(bytes.NewReader(stream[:cut])), archive.UnpackOptions{})
			switch whole := boundaries[cut]; {
			case whole && err != nil:
				t.Fatalf("cut between two entries, at %d: %v", cut, err)
			case !whole && (!errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), "unexpected EOF")):
				t.Fatalf("cut at %d: got %v", cut, err)
			}
		}
		if at > 100*512 {
			step = 23 * 512 // or it takes long, to show the same
		}
	}
	beside.check(t)
}

// entryBoundaries returns the offsets at which a reader that meets the end of
// the stream takes it for the end of the archive: where the next header, also
// one after an extended header, would begin, and in the padding before it.
func entryBoundaries(t *testing.T, stream []byte) map[int]bool {
	t.Helper()
	boundaries := map[int]bool{0: true}
	for at := 0; at < len(stream); {
		size := 0
		if _, err := fmt.Sscanf(string(stream[at+124:at+135]), "%o", &size); err != nil && stream[at] != 0 {
			t.Fatal(err)
		}
		for at += 512 + size; at%512 != 0; at++ {
			boundaries[at] = true
		}
		boundaries[at] = true
	}
	return boundaries
}

// TestUnpackUnderInsecurePathWarnings runs with the setting under which
// archive/tar returns an error along with the header.
func TestUnpackUnderInsecurePathWarnings(t *testing.T) {
	t.Setenv("GODEBUG", os.Getenv("GODEBUG")+",tarinsecurepath=0")
	layer, beside := layerAndCanary(t)
	unpack(t, layer, archive.UnpackOptions{}, file("/absolute", ""))
	_, err := archive.Unpack(t.Context(), layer, tar.NewReader(bytes.NewReader(makeTar(t, file("../canary/x", "")))), archive.UnpackOptions{})
	if !errors.Is(err, model.ErrInvalid) {
		t.Errorf("got %v, want %v", err, model.ErrInvalid)
	}
	beside.check(t)
}
