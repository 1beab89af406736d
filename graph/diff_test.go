package graph_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/model"
)

// kinds are all compressions.
var kinds = []model.Compression{model.Uncompressed, model.Bzip2, model.Gzip, model.Xz, model.Zstd}

// variety is an archive with most kinds of entry, and padding behind its end.
func variety(t testing.TB) []byte {
	t.Helper()
	archive := tarball(t,
		folder("d"), file("d/a", strings.Repeat("abc", 1000)), file("empty", ""), file("d/\xff not text", "x"),
		entry{name: "link", kind: tar.TypeSymlink, link: "/etc/passwd"},
		entry{name: "hard", kind: tar.TypeLink, link: "d/a"},
		entry{name: "fifo", kind: tar.TypeFifo},
		file(strings.Repeat("long/", 40)+"name", "y"), entry{name: "setuid", body: "z", mode: 0o4755},
	)
	return append(archive, make([]byte, 10240)...)
}

func TestDiffIsWhatCameInForEveryCompression(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		archive := variety(t)
		for _, in := range kinds {
			id := model.LayerID("from-" + in.String())
			blob := compressed(t, in, archive)
			l := must(s.ImportLayer(t.Context(), graph.LayerSpec{ID: id}, bytes.NewReader(blob)))(t)
			if l.Diff.Compression != in || l.Diff.Digest != sha256Of(archive) || l.Diff.CompressedDigest != sha256Of(blob) {
				t.Errorf("%s: diff is %+v", in, l.Diff)
			}
			want := in
			if compress.Writable(in) != nil {
				want = model.Uncompressed // the next best
			}
			checkStream(t, diff(t, s, id, graph.DiffOptions{}), want, archive)
			for _, out := range kinds {
				options := graph.DiffOptions{Compression: &out}
				if compress.Writable(out) == nil {
					checkStream(t, diff(t, s, id, options), out, archive)
					continue
				}
				_, err := s.Diff(t.Context(), id, options)
				wantError(t, err, model.ErrUnsupported)
			}
		}
	})
}

// checkStream checks that a stream is an archive in a compression.
func checkStream(t testing.TB, got []byte, kind model.Compression, archive []byte) {
	t.Helper()
	r, found, err := compress.NewReader(bytes.NewReader(got))
	noError(t, err)
	plain, err := readAllOf(r)
	noError(t, err)
	if found != kind {
		t.Errorf("the stream is compressed by %s instead of %s", found, kind)
	}
	if !bytes.Equal(plain, archive) {
		t.Errorf("the stream is another one (%s)", kind)
	}
}

// layerDir returns where the driver keeps a layer.
func (p *place) layerDir(id string) string {
	if p.driver == "vfs" {
		return filepath.Join(p.root, "vfs", "dir", id)
	}
	return filepath.Join(p.root, p.driver, id)
}

// contentDir returns where the driver keeps the files of a layer.
func (p *place) contentDir(id string) string {
	if p.driver == "vfs" {
		return p.layerDir(id)
	}
	return filepath.Join(p.layerDir(id), "diff")
}

// Whoever reads the diff of a layer that has been tampered with gets an error,
// and never a stream that looks whole.
func TestTamperedLayersGiveNoWholeDiff(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 300_000)
	for name, tamper := range map[string]func(dir string) error{
		"changed": func(dir string) error { return os.WriteFile(filepath.Join(dir, "small"), []byte("abX"), 0o600) },
		"shorter": func(dir string) error { return os.Truncate(filepath.Join(dir, "large"), 100_000) },
		"longer":  func(dir string) error { return os.Truncate(filepath.Join(dir, "small"), 100) },
		"late": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "large"), []byte(large[:len(large)-1]+"X"), 0o600)
		},
		"missing": func(dir string) error { return os.Remove(filepath.Join(dir, "last")) },
		"a link": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "last")), os.Symlink("/etc/hostname", filepath.Join(dir, "last")))
		},
		"linked directory": func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "e")), os.Symlink("/etc", filepath.Join(dir, "d")))
		},
		"a FIFO": func(dir string) error { return os.Rename(filepath.Join(dir, "fifo"), filepath.Join(dir, "last")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDriver(t, func(t *testing.T, p *place) {
				p.tampered = true
				s := p.open(t)
				entries := []entry{
					folder("d"), file("d/passwd", "mine"), file("small", "abc"), file("large", large),
					{name: "fifo", kind: tar.TypeFifo},
					file("last", "x"),
				}
				importLayer(t, s, "layer", "", entries...)
				noError(t, tamper(p.contentDir("layer")))
				for _, kind := range []model.Compression{model.Uncompressed, model.Gzip, model.Zstd} {
					stream := must(s.Diff(t.Context(), "layer", graph.DiffOptions{Compression: &kind}))(t)
					got, err := readAllOf(stream)
					wantError(t, err, model.ErrCorrupt)
					if r, _, err := compress.NewReader(bytes.NewReader(got)); err == nil {
						if plain, err := io.ReadAll(r); err == nil && len(plain) >= len(tarball(t, entries...)) {
							t.Errorf("%s: the stream looks whole", kind)
						}
					}
				}
			})
		})
	}
}

func TestLostTarSplitIsDamage(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.tampered = true
		s := p.open(t)
		l := importLayer(t, s, "layer", "", file("a", "1"))
		noError(t, os.Remove(filepath.Join(p.root, l.Diff.TarSplit.Path)))
		_, err := s.Diff(t.Context(), "layer", graph.DiffOptions{})
		wantError(t, err, model.ErrCorrupt)
		if n := must(s.DiffSize(t.Context(), "layer", ""))(t); n != 1 { // which needs none
			t.Errorf("diff has %d bytes", n)
		}
		noError(t, s.DeleteLayer(t.Context(), "layer"))
	})
}

func TestDiffCanBeGivenUp(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.altered = true
		s := p.open(t)
		importLayer(t, s, "layer", "", file("a", strings.Repeat("x", 5<<20)))
		stream := must(s.Diff(t.Context(), "layer", graph.DiffOptions{}))(t)
		_, err := io.CopyN(io.Discard, stream, 1000)
		noError(t, err)
		noError(t, stream.Close())
		noError(t, stream.Close())
		unread := must(s.Diff(t.Context(), "layer", graph.DiffOptions{}))(t)
		noError(t, unread.Close())
		apply(t, s, "layer", file("b", "1")) // so it is not locked any more
	})
}

// The diff of a layer that was made by hand is what the driver finds.
func TestDiffOfALayerMadeByHand(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		c := readyContainer(t, s)
		onMount(t, s, "c", func(path string) {
			writeFile(t, filepath.Join(path, "b"), "22")
			noError(t, os.Remove(filepath.Join(path, "a")))
			noError(t, os.Mkdir(filepath.Join(path, "d"), 0o700))
			names := tarNames(t, plainDiff(t, s, c.Layer)) // also while it is mounted
			if want := []string{".wh.a", "b", "d"}; !equalSets(names, want) {
				t.Errorf("mounted, the diff has %q", names)
			}
		})
		archive := plainDiff(t, s, c.Layer)
		if names := tarNames(t, archive); !equalSets(names, []string{".wh.a", "b", "d"}) {
			t.Errorf("the diff has %q", names)
		}
		want := []model.Change{{Path: "/a", Kind: model.ChangeDelete}, {Path: "/b", Kind: model.ChangeAdd}, {Path: "/d", Kind: model.ChangeAdd}}
		if diff := cmp.Diff(want, must(s.Changes(t.Context(), c.Layer, ""))(t)); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if n := must(s.DiffSize(t.Context(), c.Layer, "base"))(t); n != 2 {
			t.Errorf("diff has %d bytes", n)
		}
		// What it says makes the same of another layer.
		l := must(s.ImportLayer(t.Context(), graph.LayerSpec{ID: "committed", Parent: "base"}, bytes.NewReader(archive)))(t)
		onMount(t, s, string(l.ID), func(path string) {
			if got := fmt.Sprint(filesIn(t, path, "")); got != "[b]" {
				t.Errorf("the committed layer has %s", got)
			}
		})
	})
}

func equalSets(a, b []string) bool {
	a, b = slices.DeleteFunc(slices.Clone(a), func(s string) bool { return s == "." }), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func TestDiffAgainstAnyLayer(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"), file("b", "1"))
		importLayer(t, s, "top", "base", file("b", "22"), file(".wh.a", ""))
		importLayer(t, s, "other", "", file("b", "22"), file("c", "333"))
		for _, test := range []struct {
			id, from model.LayerID
			want     []string
			size     int64
		}{
			{"top", "other", []string{".wh.c"}, 0},
			{"other", "top", []string{"c"}, 3},
			{"base", "top", []string{"a", "b"}, 2},
			{"top", "base", []string{"b", ".wh.a"}, 2},
			{"top", "top", nil, 0},
		} {
			plain := model.Uncompressed
			got := tarNames(t, diff(t, s, test.id, graph.DiffOptions{From: test.from, Compression: &plain}))
			if !equalSets(got, test.want) {
				t.Errorf("%s from %s: %q", test.id, test.from, got)
			}
			if n := must(s.DiffSize(t.Context(), test.id, test.from))(t); n != test.size {
				t.Errorf("%s from %s: %d bytes", test.id, test.from, n)
			}
			if n := len(must(s.Changes(t.Context(), test.id, test.from))(t)); n != len(test.want) {
				t.Errorf("%s from %s: %d changes", test.id, test.from, n)
			}
		}
		for _, from := range []model.LayerID{"", "unicorn"} {
			_, err := s.Diff(t.Context(), "unicorn", graph.DiffOptions{From: from})
			wantError(t, err, model.ErrLayerUnknown)
		}
		_, err := s.Diff(t.Context(), "top", graph.DiffOptions{From: "unicorn"})
		wantError(t, err, model.ErrLayerUnknown)
	})
}

// Whoever compares two layers and whoever makes, mounts or deletes one of them
// do not wait for each other in a circle.
func TestComparingInBothDirectionsAtTheSameTime(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		createLayer(t, s, "middle", "base")
		createLayer(t, s, "top", "middle")
		calls := []func() error{
			func() error { _, err := s.Changes(t.Context(), "top", "base"); return err },
			func() error { _, err := s.Changes(t.Context(), "base", "top"); return err },
			func() error { _, err := s.Changes(t.Context(), "middle", "top"); return err },
			func() error {
				_, err := s.ApplyDiff(t.Context(), "middle", bytes.NewReader(tarball(t, file("m", "1"))))
				return err
			},
			func() error {
				_, err := s.Mount(t.Context(), "top", graph.MountOptions{})
				if err == nil {
					_, err = s.Unmount(t.Context(), "top", false)
				}
				return err
			},
		}
		done := make(chan error)
		for _, call := range calls {
			go func() {
				var err error
				for range 10 {
					err = errors.Join(err, call())
				}
				done <- err
			}()
		}
		for range calls {
			if err := <-done; err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
	})
}
