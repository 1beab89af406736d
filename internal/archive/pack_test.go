package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestPackWritesWhatBelongsToALayer(t *testing.T) {
	testutil.NeedRoot(t)
	layer := t.TempDir()
	shell(t, layer, `
		mkdir -p d/e d-; echo x >d/f; ln d/f b; ln -s /nowhere l; mknod char c 1 3; mkfifo p; chown 5:2100000 d/f; chmod 6751 d/f
		setfattr -n user.a=b -v 1 d/f; setfattr -n user.overlay.x -v 1 d/f; setfattr -n trusted.x -v 1 d/f; setfattr -n user.d -v 2 d
		setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 d/f
		find . -exec touch -h -d @1000000000.123456789 {} +; touch -d @-5 d-`)
	if err := unix.Mknod(layer+"/socket", unix.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	when := time.Unix(1000000000, 123456789)
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	want := []tar.Header{
		{
			Typeflag: tar.TypeReg, Name: "b", Size: 2, Mode: 0o6751, Uid: 5, Gid: 2100000, ModTime: when,
			PAXRecords: map[string]string{"SCHILY.xattr.user.a%3Db": "1", "SCHILY.xattr.security.capability": capability},
		},
		{Typeflag: tar.TypeChar, Name: "char", Mode: 0o644, Devmajor: 1, Devminor: 3, ModTime: when},
		{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755, ModTime: when, PAXRecords: map[string]string{"SCHILY.xattr.user.d": "2"}},
		{Typeflag: tar.TypeDir, Name: "d/e/", Mode: 0o755, ModTime: when},
		{Typeflag: tar.TypeLink, Name: "d/f", Linkname: "b", Mode: 0o6751, Uid: 5, Gid: 2100000, ModTime: when},
		{Typeflag: tar.TypeDir, Name: "d-/", Mode: 0o755, ModTime: time.Unix(-5, 0)},
		{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/nowhere", Mode: 0o777, ModTime: when},
		{Typeflag: tar.TypeFifo, Name: "p", Mode: 0o644, ModTime: when},
	}
	var got []tar.Header
	for _, hdr := range headersOf(t, pack(t, layer, archive.PackOptions{})) {
		for name := range hdr.PAXRecords {
			if !strings.HasPrefix(name, "SCHILY.") { // what archive/tar makes of the fields
				delete(hdr.PAXRecords, name)
			}
		}
		if len(hdr.PAXRecords) == 0 {
			hdr.PAXRecords = nil
		}
		hdr.Xattrs, hdr.Format = nil, 0 //nolint:staticcheck // A second form of the records.
		got = append(got, *hdr)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPackMapsOwners(t *testing.T) {
	testutil.NeedRoot(t)
	layer := t.TempDir()
	shell(t, layer, `touch a; chown 100005:7 a`)
	opts := archive.PackOptions{
		UIDMap: []model.IDMap{{ContainerID: 0, HostID: 100000, Size: 10}},
		GIDMap: []model.IDMap{{ContainerID: 1000, HostID: 7, Size: 1}},
	}
	if hdr := headersOf(t, pack(t, layer, opts))[0]; hdr.Uid != 5 || hdr.Gid != 1000 || hdr.Uname != "" {
		t.Errorf("owner is %d:%d %q", hdr.Uid, hdr.Gid, hdr.Uname)
	}
	shell(t, layer, `touch b; chown 100010:7 b`)
	err := archive.Pack(t.Context(), io.Discard, layer, opts)
	if !errors.Is(err, model.ErrInvalidMappings) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("got %v, want %v", err, model.ErrInvalidMappings)
	}
}

func TestPackMarksWhatAnOverlayHides(t *testing.T) {
	testutil.NeedRoot(t)
	upper, near, far := t.TempDir(), t.TempDir(), t.TempDir()
	shell(t, far, `mkdir -p in-both in-far gone/sub blocked/sub below-opaque/sub; touch file below-file`)
	shell(t, near, `mkdir -p in-both blocked below-opaque not-opaque; mknod gone c 0 0; mknod blocked/sub c 0 0; touch below-file
		setfattr -n trusted.overlay.opaque -v y below-opaque`)
	shell(t, upper, `mkdir -p in-both in-far gone/sub blocked/sub below-opaque/sub file new not-opaque; mknod .hidden c 0 0; mknod in-far/x c 0 0
		for d in in-both in-far gone gone/sub blocked/sub below-opaque/sub file new; do setfattr -n trusted.overlay.opaque -v y $d; done
		setfattr -n trusted.overlay.opaque -v x not-opaque`)
	want := []string{
		".wh..hidden", "below-opaque/", "below-opaque/sub/", "blocked/", "blocked/sub/", "file/", "gone/", "gone/sub/",
		"in-both/", "in-both/.wh..wh..opq", "in-far/", "in-far/.wh..wh..opq", "in-far/.wh.x", "new/", "not-opaque/",
	}
	stream := pack(t, upper, archive.PackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: []string{near, far}})
	if diff := cmp.Diff(want, entriesOf(t, stream)); diff != "" {
		t.Error(diff)
	}
	for _, hdr := range headersOf(t, stream) {
		if strings.Contains(hdr.Name, ".wh.") && (hdr.Typeflag != tar.TypeReg || hdr.Mode != 0 || hdr.Size != 0 || hdr.Uid != 0) {
			t.Errorf("whiteout %+v", hdr)
		}
	}
	plain := pack(t, upper, archive.PackOptions{})
	if got := entriesOf(t, plain); slices.Contains(got, ".wh..hidden") || !slices.Contains(got, ".hidden") {
		t.Errorf("a tree that is no overlay's: %q", got)
	}
}

func TestPackRefusesWhatItCannotTell(t *testing.T) {
	testutil.NeedRoot(t)
	overlay := archive.PackOptions{Whiteouts: archive.WhiteoutsOverlay}
	tests := []struct {
		name, script string
		opts         archive.PackOptions
		about        string
		err          error
	}{
		{"name of a whiteout", `touch .wh.x`, archive.PackOptions{}, ".wh.x", model.ErrInvalid},
		{"name of an opaque whiteout", `mkdir d; touch d/.wh..wh..opq`, archive.PackOptions{}, "d/.wh..wh..opq", model.ErrInvalid},
		{"name of AUFS", `mkdir .wh..wh.aufs`, archive.PackOptions{}, ".wh..wh.aufs", model.ErrInvalid},
		{"whiteout of a whiteout", `mknod .wh.x c 0 0`, overlay, ".wh.x", model.ErrInvalid},
		{"metacopy", `touch f; setfattr -n trusted.overlay.metacopy f`, overlay, "f", model.ErrUnsupported},
		{"redirect", `mkdir d; setfattr -n trusted.overlay.redirect -v /x d`, overlay, "d", model.ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			layer := t.TempDir()
			shell(t, layer, tt.script)
			err := archive.Pack(t.Context(), io.Discard, layer, tt.opts)
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.about) {
				t.Errorf("got %v, want %v about %s", err, tt.err, tt.about)
			}
		})
	}
}

func TestPackRefusesNamesThatNobodyCanUnpack(t *testing.T) {
	layer := t.TempDir()
	component := strings.Repeat("n", 250)
	fd, err := unix.Open(layer, unix.O_DIRECTORY, 0)
	for range 20 {
		if err == nil {
			err = unix.Mkdirat(fd, component, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		above := fd
		fd, err = unix.Openat(above, component, unix.O_DIRECTORY, 0)
		_ = unix.Close(above)
	}
	_ = unix.Close(fd)
	for what, err := range map[string]error{
		"pack": archive.Pack(t.Context(), io.Discard, layer, archive.PackOptions{}),
		"compare": func() error {
			_, err := archive.Changes(t.Context(), layer+"/"+component, layer, archive.CompareOptions{})
			return err
		}(),
	} {
		if !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), component) || len(err.Error()) > 1000 {
			t.Errorf("%s: got %v, want %v", what, err, model.ErrInvalid)
		}
	}
}

func TestPackKeepsTheHardLinksOfAUFS(t *testing.T) {
	testutil.NeedRoot(t)
	layer := t.TempDir()
	shell(t, layer, `mkdir .wh..wh.plnk; touch .wh..wh.plnk/1.2; ln .wh..wh.plnk/1.2 f`)
	want := []string{".wh..wh.plnk/", ".wh..wh.plnk/1.2", "f@.wh..wh.plnk/1.2"}
	if diff := cmp.Diff(want, entriesOf(t, pack(t, layer, archive.PackOptions{}))); diff != "" {
		t.Error(diff)
	}
}

// large is the size of files that are being written out while a test changes
// something: larger than all buffers.
const large = 5 << 20

// onFirstWrite calls a function when the first bytes arrive.
type onFirstWrite struct {
	bytes.Buffer
	do func()
}

func (w *onFirstWrite) Write(p []byte) (int, error) {
	if w.do != nil {
		w.do()
		w.do = nil
	}
	return w.Buffer.Write(p)
}

func TestPackOfATreeThatChanges(t *testing.T) {
	tests := []struct {
		name   string
		change func(layer string) error
		want   []string
		err    error
	}{
		{"file that grows", func(layer string) error { return os.Truncate(layer+"/a", 2*large) }, []string{"a", "b", "d/", "d/f", "z"}, nil},
		{"file that shrinks", func(layer string) error { return os.Truncate(layer+"/a", large/2) }, nil, model.ErrBusy},
		{"file that is deleted", func(layer string) error { return os.Remove(layer + "/b") }, []string{"a", "d/", "d/f", "z"}, nil},
		{"file that is deleted while it is read", func(layer string) error { return os.Remove(layer + "/a") }, []string{"a", "b", "d/", "d/f", "z"}, nil},
		{"tree that is deleted", func(layer string) error { return os.RemoveAll(layer + "/d") }, []string{"a", "b", "z"}, nil},
		{"folder that becomes a link out", func(layer string) error {
			return errors.Join(os.RemoveAll(layer+"/d"), os.Symlink("../canary", layer+"/d"))
		}, []string{"a", "b", "d", "z"}, nil},
		{"file that becomes a FIFO", func(layer string) error {
			return errors.Join(os.Remove(layer+"/b"), unix.Mkfifo(layer+"/b", 0o600))
		}, []string{"a", "b", "d/", "d/f", "z"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			layer, beside := layerAndCanary(t)
			mkdir(t, layer+"/d")
			for _, name := range []string{"a", "b", "d/f", "z"} {
				write(t, layer+"/"+name, name)
			}
			if err := os.Truncate(layer+"/a", large); err != nil {
				t.Fatal(err)
			}
			out := onFirstWrite{do: func() {
				if err := tt.change(layer); err != nil {
					t.Fatal(err)
				}
			}}
			err := archive.Pack(t.Context(), &out, layer, archive.PackOptions{})
			beside.check(t)
			if !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), `"a"`) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tt.want, entriesOf(t, out.Bytes())); diff != "" {
				t.Error(diff)
			}
			if hdr := headersOf(t, out.Bytes())[0]; hdr.Size != large {
				t.Errorf("size of the file is %d, want %d", hdr.Size, large)
			}
		})
	}
}

func TestPackDoesNotGoThroughMounts(t *testing.T) {
	testutil.NeedRoot(t)
	layer, beside := layerAndCanary(t)
	mkdir(t, layer+"/mounted")
	if err := unix.Mount(beside.dir, layer+"/mounted", "", unix.MS_BIND, ""); err != nil {
		testutil.Missing(t, "bind mounts: %v", err)
	}
	defer func() {
		if err := unix.Unmount(layer+"/mounted", unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	var out bytes.Buffer
	if err := archive.Pack(t.Context(), &out, layer, archive.PackOptions{}); !errors.Is(err, model.ErrBusy) {
		t.Errorf("got %v, want %v", err, model.ErrBusy)
	}
	if bytes.Contains(out.Bytes(), []byte("secret")) {
		t.Error("packed what is mounted")
	}
}

func TestPackPassesWriteErrorsOn(t *testing.T) {
	layer := t.TempDir()
	write(t, layer+"/f", strings.Repeat("x", large))
	broken := errors.New("line cut")
	if err := archive.Pack(t.Context(), failingWriter{broken}, layer, archive.PackOptions{}); !errors.Is(err, broken) {
		t.Errorf("large file: got %v", err)
	}
	if err := archive.Pack(t.Context(), failingWriter{broken}, t.TempDir(), archive.PackOptions{}); !errors.Is(err, broken) {
		t.Errorf("end marker: got %v", err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestPackHonoursTheContext(t *testing.T) {
	layer := t.TempDir()
	write(t, layer+"/a", "")
	if err := os.Truncate(layer+"/a", 1<<30); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out := onFirstWrite{do: cancel}
	if err := archive.Pack(ctx, &out, layer, archive.PackOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if out.Len() > large {
		t.Errorf("wrote %d bytes", out.Len())
	}
	if err := archive.PackChanges(ctx, io.Discard, layer, []model.Change{{Path: "/a"}}, archive.PackOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("changes: got %v, want %v", err, context.Canceled)
	}
}

func TestPackNeedsDirectories(t *testing.T) {
	layer := t.TempDir()
	none := filepath.Join(layer, "none")
	if err := archive.Pack(t.Context(), io.Discard, none, archive.PackOptions{}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want %v", err, unix.ENOENT)
	}
	opts := archive.PackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: []string{layer, none}}
	if err := archive.Pack(t.Context(), io.Discard, layer, opts); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want %v", err, unix.ENOENT)
	}
}

func TestPackChanges(t *testing.T) {
	testutil.NeedRoot(t)
	layer, beside := layerAndCanary(t)
	shell(t, layer, `mkdir -p d/e d-; chmod 700 d; echo x >d/e/f; ln d/e/f d/e/g; echo y >d/e/unchanged; touch d-/f; ln -s ../canary l; ln -s d m`)
	add := func(path string) model.Change { return model.Change{Path: path, Kind: model.ChangeAdd} }
	remove := func(path string) model.Change { return model.Change{Path: path, Kind: model.ChangeDelete} }
	modify := func(path string) model.Change { return model.Change{Path: path, Kind: model.ChangeModify} }
	tests := []struct {
		name    string
		changes []model.Change
		want    []string
		err     error
	}{
		{"nothing", nil, nil, nil},
		{"root", []model.Change{modify("/")}, nil, nil},
		{
			"in the order of a walk, with the directories on the way",
			[]model.Change{add("/d/e/g"), add("/d-"), remove("/d/e/gone"), modify("/d-/f"), add("/d/e/f"), remove("/a")},
			[]string{".wh.a", "d/", "d/e/", "d/e/f", "d/e/g@d/e/f", "d/e/.wh.gone", "d-/", "d-/f"},
			nil,
		},
		{"deleted, then added", []model.Change{add("/d-"), remove("/d-")}, []string{".wh.d-", "d-/"}, nil},
		{"same twice", []model.Change{modify("/d"), modify("/d")}, []string{"d/"}, nil},
		{"vanished", []model.Change{add("/none"), add("/none/below"), add("/d/none")}, []string{"d/"}, nil},
		{"through a link", []model.Change{add("/l/secret"), add("/l/folder/file")}, nil, nil},
		{"through a link that stays inside", []model.Change{add("/m/e/f")}, nil, nil},
		{"out", []model.Change{add("/../canary/secret")}, nil, model.ErrInvalid},
		{"without a path", []model.Change{add("")}, nil, model.ErrInvalid},
		{"whiteout of a whiteout", []model.Change{remove("/.wh.x")}, nil, model.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := archive.PackChanges(t.Context(), &out, layer, tt.changes, archive.PackOptions{})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tt.want, entriesOf(t, out.Bytes())); diff != "" {
				t.Error(diff)
			}
		})
	}
	beside.check(t)
}

func TestPackNeedsFewDescriptors(t *testing.T) {
	layer := t.TempDir()
	deepest := layer + strings.Repeat("/d", 200)
	mkdir(t, deepest)
	write(t, deepest+"/f", "")
	most := 0
	out := writerFunc(func(p []byte) (int, error) {
		open, err := os.ReadDir("/proc/self/fd")
		most = max(most, len(open))
		return len(p), err
	})
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	if err := archive.Pack(t.Context(), out, layer, archive.PackOptions{}); err != nil {
		t.Fatal(err)
	}
	if most > len(open)+10 {
		t.Errorf("%d files are open, %d before", most, len(open))
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
