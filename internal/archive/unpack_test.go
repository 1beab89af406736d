package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestUnpackSetsWhatEntriesSay(t *testing.T) {
	testutil.NeedRoot(t)
	defer syscall.Umask(syscall.Umask(0o077))
	layer := t.TempDir()
	late := past.Add(time.Hour)
	done := unpack(t, layer, archive.UnpackOptions{},
		dir(".").mode(0o711).owner(3, 4).xattr("user.root", "yes"),
		file("/absolute", "abc").mode(0o6755).owner(1000, 1001),
		file("nested/deep/file", "12345"). // whose attribute is called "user.a=b%"
							xattr("user.a%3Db%25", "v"),
		dir("folder").mode(0o3777).owner(5, 6),
		file("folder/inside", "").with(func(h *tar.Header) { h.ModTime, h.AccessTime = late, past }),
		symlink("link", "../anywhere").owner(7, 8),
		hardLink("again", "./absolute"),
		fifo("fifo").mode(0o622).owner(9, 9),
		device(tar.TypeChar, "null", 1, 3).mode(0o666),
		device(tar.TypeBlock, "block", 4095, 1<<20-1),
		header(tar.TypeXGlobalHeader, "", 0).with(func(h *tar.Header) {
			*h = tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "../ignored", PAXRecords: map[string]string{"comment": "x"}}
		}),
	)
	if want := (archive.Unpacked{Size: 8, Entries: 11}); done != want {
		t.Errorf("got %+v, want %+v", done, want)
	}
	var stat unix.Stat_t
	if err := unix.Stat(layer+"/folder/inside", &stat); err != nil || stat.Atim != stat.Mtim {
		t.Errorf("access time %v is before modification time %v, %v", stat.Atim, stat.Mtim, err)
	}
	got := testutil.Snapshot(t, layer)
	for _, name := range []string{"nested", "nested/deep"} { // made for what is in them, now
		e := got[name]
		e.ModTime = past
		got[name] = e
	}
	const (
		sum0 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		sum3 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
		sum5 = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"
	)
	want := testutil.Listing{
		".":                {Type: "dir", Mode: 0o711, UID: 3, GID: 4, ModTime: past, Xattrs: map[string]string{"user.root": "yes"}},
		"absolute":         {Type: "file", Mode: 0o6755, UID: 1000, GID: 1001, Size: 3, ModTime: past, SHA256: sum3, Link: "absolute"},
		"again":            {Type: "file", Mode: 0o6755, UID: 1000, GID: 1001, Size: 3, ModTime: past, SHA256: sum3, Link: "absolute"},
		"nested":           {Type: "dir", Mode: 0o755, ModTime: past},
		"nested/deep":      {Type: "dir", Mode: 0o755, ModTime: past},
		"nested/deep/file": {Type: "file", Mode: 0o644, Size: 5, ModTime: past, SHA256: sum5, Xattrs: map[string]string{"user.a=b%": "v"}},
		"folder":           {Type: "dir", Mode: 0o3777, UID: 5, GID: 6, ModTime: past},
		"folder/inside":    {Type: "file", Mode: 0o644, ModTime: late, SHA256: sum0},
		"link":             {Type: "symlink", Mode: 0o777, UID: 7, GID: 8, ModTime: past, Target: "../anywhere"},
		"fifo":             {Type: "fifo", Mode: 0o622, UID: 9, GID: 9, ModTime: past},
		"null":             {Type: "char", Mode: 0o666, ModTime: past, Rdev: "1:3"},
		"block":            {Type: "block", Mode: 0o600, ModTime: past, Rdev: "4095:1048575"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnpackClampsTimes(t *testing.T) {
	epoch := time.Unix(0, 0)
	for name, tt := range map[string]struct{ given, want time.Time }{
		"before 1970":       {time.Unix(-1, 5), epoch},
		"year 1":            {time.Time{}, epoch},
		"end of the range":  {time.Unix(9223372035, 999999999), time.Unix(9223372035, 999999999)},
		"beyond the range":  {time.Unix(9223372036, 0), epoch},
		"far in the future": {time.Unix(1<<55, 0), epoch},
	} {
		t.Run(name, func(t *testing.T) {
			layer := testutil.SharedLoop(t, "btrfs") // which has room for any time
			for _, e := range []entry{file("f", ""), dir("d"), symlink("l", "x"), fifo("p")} {
				e.ModTime = tt.given
				src := &list{entries: []entry{e}}
				if _, err := archive.Unpack(t.Context(), layer, src, modest(archive.UnpackOptions{})); err != nil {
					t.Fatal(err)
				}
			}
			for name, got := range testutil.Snapshot(t, layer) {
				if name != "." && !got.ModTime.Equal(tt.want) {
					t.Errorf("%s has time %v, want %v", name, got.ModTime, tt.want)
				}
			}
		})
	}
}

func TestUnpackSetsTimesOfDirectoriesLast(t *testing.T) {
	layer := t.TempDir()
	unpack(t, layer, archive.UnpackOptions{},
		dir("."), dir("a"), dir("a/b"), file("a/b/c", "x"), file("a/z", ""), dir("gone"), dir("again"),
		file("gone", "now a file"), file("again", ""), dir("again"), file("again/x", ""), symlink("l", "a"), file("l/late", ""))
	for name, got := range testutil.Snapshot(t, layer) {
		if !got.ModTime.Equal(past) {
			t.Errorf("%s has time %v, want %v", name, got.ModTime, past)
		}
	}
}

func TestUnpackSetsNoTimesThroughLinks(t *testing.T) {
	layer := t.TempDir()
	late := dir("a").with(func(h *tar.Header) { h.ModTime = past.Add(time.Hour) })
	unpack(t, layer, archive.UnpackOptions{}, dir("b"), late, symlink("a", "b"))
	if got := testutil.Snapshot(t, layer)["b"]; !got.ModTime.Equal(past) {
		t.Errorf("directory has the time of another one that a link to it has replaced: %v", got.ModTime)
	}
}

func TestUnpackReplacesWhatIsThere(t *testing.T) {
	makers := map[string]func(name string) entry{
		"file":      func(name string) entry { return file(name, "content") },
		"dir":       dir,
		"symlink":   func(name string) entry { return symlink(name, "sub") },
		"hard link": func(name string) entry { return hardLink(name, "other") },
		"fifo":      fifo,
	}
	wantType := map[string]string{"file": "file", "dir": "dir", "symlink": "symlink", "hard link": "file", "fifo": "fifo"}
	for old, makeOld := range makers {
		for now, makeNow := range makers {
			t.Run(old+" by "+now, func(t *testing.T) {
				layer, beside := layerAndCanary(t)
				setUp := []entry{file("other", "other"), dir("sub"), file("sub/kept", ""), makeOld("x").owner(1, 2).mode(0o700)}
				if old == "dir" {
					setUp = append(setUp, file("x/inside", ""))
				}
				unpack(t, layer, archive.UnpackOptions{}, setUp...)
				unpack(t, layer, archive.UnpackOptions{}, file("other", "other"), makeNow("x"))
				got := testutil.Snapshot(t, layer)
				if got["x"].Type != wantType[now] || got["x"].UID != uint32(os.Geteuid()) {
					t.Errorf("x is %v", got["x"])
				}
				if _, kept := got["x/inside"]; kept != (old == "dir" && now == "dir") {
					t.Errorf("x/inside exists: %v", kept)
				}
				if _, kept := got["sub/kept"]; !kept {
					t.Error("what a replaced link pointed to is gone")
				}
				beside.check(t)
			})
		}
	}
}

func TestUnpackReplacesAttributesOfDirectories(t *testing.T) {
	testutil.NeedRoot(t)
	layer := t.TempDir()
	unpack(t, layer, archive.UnpackOptions{}, dir("d").owner(1, 2).mode(0o700).xattr("user.old", "x"), file("d/kept", ""))
	for attr, value := range map[string]string{"trusted.old": "x", "trusted.overlay.opaque": "y"} {
		if err := unix.Setxattr(layer+"/d", attr, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	unpack(t, layer, archive.UnpackOptions{}, dir("d").mode(0o751).xattr("user.new", "y"))
	want := testutil.Entry{
		Type: "dir", Mode: 0o751, ModTime: past,
		Xattrs: map[string]string{"user.new": "y", "trusted.overlay.opaque": "y"},
	}
	got := testutil.Snapshot(t, layer)
	if diff := cmp.Diff(want, got["d"]); diff != "" {
		t.Error(diff)
	}
	if _, kept := got["d/kept"]; !kept {
		t.Error("content of the directory is gone")
	}
}

func TestUnpackLeavesOutPrivateAttributes(t *testing.T) {
	testutil.NeedRoot(t)
	layer := t.TempDir()
	for i, attr := range []string{
		"security.selinux", "trusted.overlay.opaque", "trusted.overlay.metacopy", "user.overlay.opaque", "user.overlay.redirect",
	} {
		name := string(rune('a' + i))
		unpack(t, layer, archive.UnpackOptions{}, dir(name).xattr(attr, "y"), file(name+"f", "").xattr(attr, "y"))
	}
	if _, err := unix.Lgetxattr(layer+"/a", "security.selinux", make([]byte, 10)); !errors.Is(err, unix.ENODATA) {
		t.Errorf("the archive sets a label: %v", err)
	}
	unpack(t, layer, archive.UnpackOptions{}, file("passes", "").xattr("trusted.passes", "z"))
	for name, got := range testutil.Snapshot(t, layer) {
		if want := map[string]string{"trusted.passes": "z"}; name == "passes" && !cmp.Equal(got.Xattrs, want) {
			t.Errorf("%s has %v, want %v", name, got.Xattrs, want)
		} else if name != "passes" && got.Xattrs != nil {
			t.Errorf("%s has %v", name, got.Xattrs)
		}
	}
}

func TestUnpackGoesOnWithoutAttributesThatTheFileSystemLacks(t *testing.T) {
	testutil.NeedRoot(t)
	layer := t.TempDir()
	unpack(t, layer, archive.UnpackOptions{},
		file("f", "").xattr("unknown.class", "x"),
		symlink("l", "x").xattr("trusted.t", "on a link"),
		symlink("m", "x").xattr("user.u", "not on a link"),
		fifo("p").xattr("user.u", "nor on a FIFO"),
		device(tar.TypeChar, "c", 1, 3).xattr("trusted.t", "on a device"))
	got := testutil.Snapshot(t, layer)
	if got["l"].Xattrs["trusted.t"] != "on a link" || got["c"].Xattrs["trusted.t"] != "on a device" {
		t.Errorf("attributes of what cannot be opened are %v and %v", got["l"].Xattrs, got["c"].Xattrs)
	}
}

func TestUnpackKeepsCapabilitiesAndSetIDBits(t *testing.T) {
	testutil.NeedRoot(t)
	layer := t.TempDir()
	const bindService = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	unpack(t, layer, archive.UnpackOptions{}, file("f", "x").mode(0o6755).owner(1000, 1000).xattr("security.capability", bindService))
	got := testutil.Snapshot(t, layer)["f"]
	if got.Mode != 0o6755 || got.UID != 1000 || got.Xattrs["security.capability"] != bindService {
		t.Error(got)
	}
}

func TestUnpackMapsOwners(t *testing.T) {
	testutil.NeedRoot(t)
	maps := []model.IDMap{{ContainerID: 0, HostID: 100000, Size: 10}, {ContainerID: 10, HostID: 5, Size: 1}}
	opts := archive.UnpackOptions{UIDMap: maps, GIDMap: maps[:1]}
	layer := t.TempDir()
	unpack(t, layer, opts, file("parent/f", "").owner(10, 9), symlink("l", "x").owner(1, 2))
	for name, want := range map[string][2]uint32{"parent": {100000, 100000}, "parent/f": {5, 100009}, "l": {100001, 100002}} {
		if got := testutil.Snapshot(t, layer)[name]; got.UID != want[0] || got.GID != want[1] {
			t.Errorf("%s belongs to %d:%d, want %v", name, got.UID, got.GID, want)
		}
	}
	for _, e := range []entry{file("f", "").owner(11, 0), file("f", "").owner(0, 10), dir("d").owner(11, 0)} {
		_, err := archive.Unpack(t.Context(), layer, &list{entries: []entry{e}}, opts)
		if !errors.Is(err, model.ErrInvalidMappings) || !strings.Contains(err.Error(), strings.TrimSuffix(e.Name, "/")) {
			t.Errorf("owner %d:%d: got %v, want %v", e.Uid, e.Gid, err, model.ErrInvalidMappings)
		}
	}
}

func TestUnpackMakesHoles(t *testing.T) {
	layer := t.TempDir()
	const mib = 1 << 20
	content := make([]byte, 8*mib+100)
	copy(content[3*mib+7:], "middle")
	unpack(t, layer, archive.UnpackOptions{},
		file("zeros", string(make([]byte, 4*mib))),
		file("holes", string(content)),
		file("ends in zeros", "x"+string(make([]byte, 4*mib))),
		file("short zeros", string(make([]byte, 4096))))
	for name, want := range map[string]struct{ size, blocks int64 }{
		"zeros": {4 * mib, 0}, "holes": {8*mib + 100, 300}, "ends in zeros": {4*mib + 1, 300}, "short zeros": {4096, 8},
	} {
		var stat unix.Stat_t
		if err := unix.Stat(layer+"/"+name, &stat); err != nil {
			t.Fatal(err)
		}
		if stat.Size != want.size || stat.Blocks > want.blocks {
			t.Errorf("%s has %d bytes in %d blocks; want %d in at most %d", name, stat.Size, stat.Blocks, want.size, want.blocks)
		}
	}
	if got, err := os.ReadFile(layer + "/holes"); err != nil || !bytes.Equal(got, content) {
		t.Errorf("content is another one, %v", err)
	}
}

func TestUnpackRefusesUnknownTypes(t *testing.T) {
	for _, typeflag := range []byte{'7', 'M', 'V', 'D', 'A', 0xff} {
		layer := t.TempDir()
		_, err := archive.Unpack(t.Context(), layer, &list{entries: []entry{header(typeflag, "a/x", 0o644)}}, modest(archive.UnpackOptions{}))
		if left := names(t, layer); left != nil {
			t.Errorf("%q: made %q", typeflag, left)
		}
		if !errors.Is(err, model.ErrUnsupported) || !strings.Contains(err.Error(), "unhandled tar header type") {
			t.Errorf("%q: got %v", typeflag, err)
		}
	}
}

func TestUnpackPassesReadErrorsOn(t *testing.T) {
	whole := makeTar(t, file("a", strings.Repeat("a", 5000)))
	broken := errors.New("line cut")
	for _, at := range []int64{0, 100, 512, 1000, 3000, int64(len(whole)) - 1} {
		r := io.MultiReader(io.LimitReader(bytes.NewReader(whole), at), failing{broken})
		_, err := archive.Unpack(t.Context(), t.TempDir(), tar.NewReader(r), modest(archive.UnpackOptions{}))
		if !errors.Is(err, broken) || errors.Is(err, model.ErrInvalid) {
			t.Errorf("after %d bytes: got %v", at, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestUnpackHonoursTheContext(t *testing.T) {
	stream := makeTar(t, file("a", ""), file("b", strings.Repeat("b", 5<<20)), file("c", ""))
	ctx, cancel := context.WithCancel(t.Context())
	reader := &canceling{r: bytes.NewReader(stream), after: 3 << 20, cancel: cancel}
	layer := t.TempDir()
	_, err := archive.Unpack(ctx, layer, tar.NewReader(reader), modest(archive.UnpackOptions{}))
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("got %v", err)
	}
	if reader.r.Len() < 1<<20 {
		t.Error("read to the end of the large file")
	}
}

// canceling cancels a context when some bytes have been read.
type canceling struct {
	r      *bytes.Reader
	after  int
	cancel func()
}

func (c *canceling) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.after -= n; c.after <= 0 {
		c.cancel()
	}
	return n, err
}

func TestUnpackOfAnEmptyStreamDoesNothing(t *testing.T) {
	for _, stream := range [][]byte{nil, make([]byte, 512), make([]byte, 1024), make([]byte, 10240)} {
		done, err := archive.Unpack(t.Context(), t.TempDir(), tar.NewReader(bytes.NewReader(stream)), modest(archive.UnpackOptions{}))
		if err != nil || done != (archive.Unpacked{}) {
			t.Errorf("%d bytes: got %+v, %v", len(stream), done, err)
		}
	}
}

func TestUnpackNeedsADirectory(t *testing.T) {
	if _, err := archive.Unpack(t.Context(), t.TempDir()+"/none", &list{}, archive.UnpackOptions{}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want %v", err, unix.ENOENT)
	}
}

func TestUnpackTellsAFullDisk(t *testing.T) {
	layer := testutil.Tmpfs(t)
	e := file("huge", "")
	e.Size = 1 << 30
	src := &list{entries: []entry{e}}
	_, err := archive.Unpack(t.Context(), layer, &endless{list: src}, modest(archive.UnpackOptions{}))
	if !errors.Is(err, model.ErrNoSpace) || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v, want %v", err, model.ErrNoSpace)
	}
}

// endless is a list whose entries have any amount of content.
type endless struct{ *list }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
