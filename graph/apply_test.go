package graph_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// apply applies a diff to a layer.
func apply(t testing.TB, s *graph.Store, id model.LayerID, entries ...entry) int64 {
	t.Helper()
	return must(s.ApplyDiff(t.Context(), id, bytes.NewReader(tarball(t, entries...))))(t)
}

func TestDiffIsAppliedToAFreshLayer(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		createLayer(t, s, "base", "")
		createLayer(t, s, "fresh", "base")
		if n := apply(t, s, "fresh", file("a", "12345")); n != 5 {
			t.Errorf("%d bytes were applied", n)
		}
		l := must(s.Layer(t.Context(), "fresh"))(t)
		archive := tarball(t, file("a", "12345"))
		if !l.Made || l.Incomplete || l.Size != 5 || l.Diff == nil || l.Diff.Digest != sha256Of(archive) {
			t.Errorf("layer is %+v", l)
		}
		if got := plainDiff(t, s, "fresh"); !bytes.Equal(got, archive) {
			t.Error("the diff is another one")
		}
	})
}

func TestJunkLeavesAFreshLayerAsItWas(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		createLayer(t, s, "fresh", "")
		before := recordsOf(t, s)
		for _, junk := range [][]byte{
			bytes.Repeat([]byte("junk"), 1000),
			tarball(t, file("a", strings.Repeat("x", 5000)))[:3000],
			tarball(t, file("a", "1"), file("../x", "1")),
		} {
			_, err := s.ApplyDiff(t.Context(), "fresh", bytes.NewReader(junk))
			wantError(t, err, model.ErrInvalid)
			p.examine(t)
		}
		if after := recordsOf(t, s); after.Layers[0].Made || after.Layers[0].Diff != nil || len(after.Layers) != len(before.Layers) {
			t.Errorf("layer is %+v", after.Layers[0])
		}
		apply(t, s, "fresh", file("a", "1"))
	})
}

func TestDiffsAreAppliedOnContent(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"), file("b", "1"))
		createLayer(t, s, "top", "base")
		apply(t, s, "top", file("c", "22"))
		apply(t, s, "top", file("d", "333"), file(".wh.a", ""), file("c", "4444"))
		l := must(s.Layer(t.Context(), "top"))(t)
		last := tarball(t, file("d", "333"), file(".wh.a", ""), file("c", "4444"))
		if l.Incomplete || l.Size != 7 || l.Diff.Digest != sha256Of(last) {
			t.Errorf("layer is %+v", l)
		}
		if got := plainDiff(t, s, "top"); !bytes.Equal(got, last) {
			t.Error("the diff is not the last one")
		}
		onMount(t, s, "top", func(path string) {
			if got := fmt.Sprint(filesIn(t, path, "")); got != "[b c d]" {
				t.Errorf("the layer has %s", got)
			}
			if got := readFile(t, filepath.Join(path, "c")); got != "4444" {
				t.Errorf("file c has %q", got)
			}
		})
	})
}

func TestDiffIsAppliedToAMountedLayer(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		createImage(t, s, "image", "base")
		c := createContainer(t, s, "c", "image")
		onMount(t, s, "c", func(path string) {
			writeFile(t, filepath.Join(path, "mine"), "1")
			apply(t, s, c.Layer, file("b", "2"), file(".wh.a", ""))
			if got := fmt.Sprint(filesIn(t, path, "")); got != "[b mine]" {
				t.Errorf("the mounted layer has %s", got)
			}
		})
	})
}

func TestFailureInPlaceLeavesAMark(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.altered = true
		s := p.open(t)
		importLayer(t, s, "top", "", file("a", "1"))
		incomplete := func() bool { return must(s.Layer(t.Context(), "top"))(t).Incomplete }

		// Nothing has been unpacked: nothing is incomplete.
		for _, junk := range []string{strings.Repeat("junk", 1000), "\x1f\x8bnot gzip"} {
			_, err := s.ApplyDiff(t.Context(), "top", strings.NewReader(junk))
			wantError(t, err, model.ErrInvalid)
			if incomplete() {
				t.Error("junk has left a mark")
			}
		}
		if got := plainDiff(t, s, "top"); !bytes.Equal(got, tarball(t, file("a", "1"))) {
			t.Error("the diff has changed")
		}

		cut := tarball(t, file("b", "1"), file("c", strings.Repeat("x", 5000)))[:3000]
		_, err := s.ApplyDiff(t.Context(), "top", bytes.NewReader(cut))
		wantError(t, err, model.ErrInvalid)
		if !incomplete() {
			t.Error("no mark is left")
		}
		// The diff is now what is there, not what was there once.
		if got := plainDiff(t, s, "top"); bytes.Equal(got, tarball(t, file("a", "1"))) {
			t.Error("the old diff is told of the incomplete layer")
		}
		_, err = s.ApplyDiff(t.Context(), "top", strings.NewReader("junk"))
		wantError(t, err, model.ErrInvalid)
		if !incomplete() {
			t.Error("a second failure has removed the mark")
		}
		apply(t, s, "top", file("d", "1"))
		if incomplete() {
			t.Error("the mark stays after a success")
		}
	})
}

func TestApplyToUnknownLayer(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	_, err := s.ApplyDiff(t.Context(), "unicorn", failingReader{})
	wantError(t, err, model.ErrLayerUnknown)
	if errors.Is(err, errOnPurpose) {
		t.Error("the diff was read")
	}
}

// deletingReader deletes a layer, and makes another one with its ID, while it
// is being read.
type deletingReader struct {
	r    *bytes.Reader
	once func()
}

func (d *deletingReader) Read(p []byte) (int, error) {
	if d.once != nil {
		d.once()
		d.once = nil
	}
	return d.r.Read(p)
}

// What is being applied to a layer must not end up in another one that has
// been given its ID meanwhile.
func TestDiffOfALayerThatIsReplacedMeanwhileIsLost(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		for _, made := range []bool{false, true} {
			s, other := p.open(t), p.open(t)
			importLayer(t, s, "base", "", file("a", "1"))
			createLayer(t, s, "top", "")
			if made {
				apply(t, s, "top", file("old", "1"))
			}
			diff := &deletingReader{bytes.NewReader(tarball(t, file("b", "1"))), func() {
				noError(t, other.DeleteLayer(t.Context(), "top"))
				createLayer(t, other, "top", "base")
			}}
			_, err := s.ApplyDiff(t.Context(), "top", diff)
			wantError(t, err, model.ErrLayerUnknown)
			onMount(t, s, "top", func(path string) {
				if got := fmt.Sprint(filesIn(t, path, "")); got != "[a]" {
					t.Errorf("made: %v: the new layer has %s", made, got)
				}
			})
			noError(t, s.Wipe(t.Context()))
		}
	})
}
