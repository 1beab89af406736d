package graph_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

func TestManyLayersAreStagedAtTheSameTime(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		var wg sync.WaitGroup
		staged := make([]*graph.StagedLayer, 8)
		for i := range staged {
			archive := tarball(t, file("f", strings.Repeat(fmt.Sprint(i), 100_000)))
			wg.Go(func() {
				var err error
				staged[i], err = s.StageLayer(t.Context(), graph.LayerSpec{}, bytes.NewReader(archive))
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
			for _, layer := range staged {
				if _, err := tx.AddLayer(layer); err != nil {
					return err
				}
			}
			return nil
		}))
	})
}

func TestTwoStagedLayersOfOneID(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		for _, name := range []string{"first wins", "second wins"} {
			a, b := p.open(t), p.open(t)
			first := stageLayer(t, a, graph.LayerSpec{ID: "same"}, file("a", "1"))
			second := stageLayer(t, b, graph.LayerSpec{ID: "same"}, file("b", "2"))
			winner, loser := first, second
			if name == "second wins" {
				winner, loser = second, first
			}
			add := func(layer *graph.StagedLayer) (got *model.Layer, err error) {
				err = a.Update(t.Context(), func(tx *graph.Tx) error {
					got, err = tx.AddLayer(layer)
					return err
				})
				return got, err
			}
			_, err := add(winner)
			noError(t, err)
			got, err := add(loser)
			wantError(t, err, model.ErrDuplicateID)
			if got == nil || got.Diff.Digest != winner.Layer().Diff.Digest {
				t.Errorf("%s: got layer %+v with the error", name, got)
			}
			noError(t, loser.Discard(t.Context()))
			if got := sha256Of(plainDiff(t, b, "same")); got != winner.Layer().Diff.Digest {
				t.Errorf("%s: the layer has the content of the other", name)
			}
			noError(t, a.DeleteLayer(t.Context(), "same"))
		}
	})
}

func TestImportOfAnExistingLayerReturnsIt(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	want := importLayer(t, s, "base", "", file("a", "1"))
	got, err := s.ImportLayer(t.Context(), graph.LayerSpec{ID: "base"}, failingReader{})
	wantError(t, err, model.ErrDuplicateID)
	if got == nil || got.Seq != want.Seq {
		t.Errorf("got %+v with the error", got)
	}
}

// failingReader is a stream that must not be read.
type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errOnPurpose }

func TestWhatCannotBeCommittedIsNotRead(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	importLayer(t, s, "base", "", file("a", "1"))
	must(s.AddNames(t.Context(), model.LayerID("base"), "name"))(t)
	c := createContainer(t, s, "c", "")
	for name, test := range map[string]struct {
		spec graph.LayerSpec
		want error
	}{
		"taken ID":         {graph.LayerSpec{ID: "base"}, model.ErrDuplicateID},
		"taken name":       {graph.LayerSpec{Names: []string{"new", "name"}}, model.ErrDuplicateName},
		"empty name":       {graph.LayerSpec{Names: []string{""}}, model.ErrInvalid},
		"bad ID":           {graph.LayerSpec{ID: "../x"}, model.ErrInvalid},
		"reserved ID":      {graph.LayerSpec{ID: "l"}, model.ErrInvalid},
		"unknown parent":   {graph.LayerSpec{Parent: "unicorn"}, model.ErrLayerUnknown},
		"container parent": {graph.LayerSpec{Parent: c.Layer}, model.ErrParentIsContainer},
	} {
		_, err := s.StageLayer(t.Context(), test.spec, failingReader{})
		if !errors.Is(err, test.want) || errors.Is(err, errOnPurpose) {
			t.Errorf("%s: %v", name, err)
		}
		wantError(t, err)
	}
}

func TestStagedLayersStackUp(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		under := stageLayer(t, s, graph.LayerSpec{ID: "0"}, file("f0", "0"))
		all := []*graph.StagedLayer{under}
		for i := 1; i < 5; i++ {
			spec := graph.LayerSpec{ID: model.LayerID(fmt.Sprint(i)), StagedParent: under}
			under = stageLayer(t, s, spec, file(fmt.Sprintf("f%d", i), fmt.Sprint(i)), file(".wh.f0", ""))
			all = append(all, under)
		}
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
			for _, layer := range all {
				if _, err := tx.AddLayer(layer); err != nil {
					return err
				}
			}
			return nil
		}))
		onMount(t, s, "4", func(path string) {
			if got := filesIn(t, path, ""); fmt.Sprint(got) != "[f1 f2 f3 f4]" {
				t.Errorf("the layers show %q", got)
			}
		})
	})
}

// A layer is only good on top of the very parent that it was staged on: it may
// share files with it, or be a copy of it.
func TestLayerWhoseParentHasGoneIsRefused(t *testing.T) {
	t.Parallel()
	parents := map[string]func(testing.TB, *graph.Store) graph.LayerSpec{
		"committed parent": func(t testing.TB, s *graph.Store) graph.LayerSpec {
			importLayer(t, s, "parent", "", file("a", "old"))
			return graph.LayerSpec{ID: "child", Parent: "parent"}
		},
		"staged parent": func(t testing.TB, s *graph.Store) graph.LayerSpec {
			return graph.LayerSpec{ID: "child", StagedParent: stageLayer(t, s, graph.LayerSpec{ID: "parent"}, file("a", "old"))}
		},
	}
	replace := map[string]struct {
		change func(testing.TB, *graph.Store)
		want   error
	}{
		"gone":          {func(testing.TB, *graph.Store) {}, model.ErrLayerUnknown},
		"imported anew": {func(t testing.TB, s *graph.Store) { importLayer(t, s, "parent", "", file("a", "new")) }, model.ErrStagedOnOtherParent},
		"empty":         {func(t testing.TB, s *graph.Store) { createLayer(t, s, "parent", "") }, model.ErrStagedOnOtherParent},
		"a container's": {func(t testing.TB, s *graph.Store) { createContainerOn(t, s, "c", "parent") }, model.ErrParentIsContainer},
		"made from void": {func(t testing.TB, s *graph.Store) {
			createLayer(t, s, "parent", "")
			onMount(t, s, "parent", func(string) {})
		}, model.ErrStagedOnOtherParent},
	}
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		for parentName, makeParent := range parents {
			for name, test := range replace {
				spec := makeParent(t, s)
				child := stageLayer(t, s, spec, file("b", "1"))
				if spec.StagedParent != nil {
					noError(t, spec.StagedParent.Discard(t.Context()))
				} else {
					noError(t, s.DeleteLayer(t.Context(), "parent"))
				}
				test.change(t, s)
				err := s.Update(t.Context(), func(tx *graph.Tx) error { _, err := tx.AddLayer(child); return err })
				if !errors.Is(err, test.want) {
					t.Errorf("%s, now %s: %v", parentName, name, err)
				}
				noError(t, child.Discard(t.Context()))
				noError(t, s.Wipe(t.Context()))
			}
		}
	})
}

// createLayer makes an empty layer.
func createLayer(t testing.TB, s *graph.Store, id, parent model.LayerID) *model.Layer {
	t.Helper()
	return must(s.CreateLayer(t.Context(), graph.LayerSpec{ID: id, Parent: parent}))(t)
}

// createContainerOn makes a container with the given layer.
func createContainerOn(t testing.TB, s *graph.Store, id model.ContainerID, layer model.LayerID) {
	t.Helper()
	must(s.CreateContainer(t.Context(), graph.ContainerSpec{ID: id, Layer: layer}))(t)
}

func TestStagedParentMayBeCommittedInAnotherTransaction(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	parent := stageLayer(t, s, graph.LayerSpec{ID: "parent"}, file("a", "1"))
	child := stageLayer(t, s, graph.LayerSpec{ID: "child", StagedParent: parent}, file("b", "2"))
	add := func(layer *graph.StagedLayer, result error) error {
		return s.Update(t.Context(), func(tx *graph.Tx) error {
			_, err := tx.AddLayer(layer)
			return errors.Join(err, result)
		})
	}
	wantError(t, add(parent, errOnPurpose), errOnPurpose)
	wantError(t, add(child, nil), model.ErrLayerUnknown)
	noError(t, add(parent, nil))
	noError(t, add(child, nil))
}

func TestBadDiffsAreRefusedAndLeaveNothing(t *testing.T) {
	t.Parallel()
	good := tarball(t, file("a", strings.Repeat("x", 5000)))
	other := sha256Of([]byte("other"))
	escape := tarball(t, entry{name: "../../../escape", body: "x"})
	for name, test := range map[string]struct {
		spec graph.LayerSpec
		diff []byte
		want error
	}{
		"wrong digest":            {graph.LayerSpec{Digest: other}, good, model.ErrInvalid},
		"wrong compressed digest": {graph.LayerSpec{CompressedDigest: other}, good, model.ErrInvalid},
		"digest that is none":     {graph.LayerSpec{Digest: "x"}, good, model.ErrInvalid},
		"no archive":              {graph.LayerSpec{}, bytes.Repeat([]byte("junk"), 1000), model.ErrInvalid},
		"cut archive":             {graph.LayerSpec{}, good[:3000], model.ErrInvalid},
		"cut gzip":                {graph.LayerSpec{}, compressed(t, model.Gzip, good)[:60], model.ErrInvalid},
		"damaged zstd":            {graph.LayerSpec{}, flip(compressed(t, model.Zstd, good)), model.ErrInvalid},
		"leads out":               {graph.LayerSpec{}, escape, model.ErrInvalid},
		"same path twice":         {graph.LayerSpec{}, tarball(t, file("a", "1"), file("a", "2")), model.ErrInvalid},
		"unknown kind of entry":   {graph.LayerSpec{}, tarball(t, entry{name: "a", kind: 'Z'}), model.ErrUnsupported},
		"bad storage option":      {graph.LayerSpec{Writable: true, StorageOpt: map[string]string{"unicorn": "1"}}, good, model.ErrInvalid},
		"too large":               {graph.LayerSpec{}, tarball(t, file("a", strings.Repeat("x", 1<<20))), model.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDriver(t, func(t *testing.T, p *place) {
				s := p.open(t, func(o *graph.Options) { o.MaxLayerSize = 1 << 20 })
				_, err := s.StageLayer(t.Context(), test.spec, bytes.NewReader(test.diff))
				wantError(t, err, test.want)
				p.examine(t)
				importLayer(t, s, "good", "", file("a", "1"))
			})
		})
	}
}

// flip damages a byte in the middle.
func flip(data []byte) []byte {
	data[len(data)/2] ^= 0x55
	return data
}

func TestReaderErrorsComeThrough(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	archive := tarball(t, file("a", strings.Repeat("x", 1<<20)))
	_, err := s.StageLayer(t.Context(), graph.LayerSpec{}, io.MultiReader(bytes.NewReader(archive[:1<<19]), failingReader{}))
	wantError(t, err, errOnPurpose)
	_, err = s.StageData(t.Context(), graph.DataSpec{}, io.MultiReader(strings.NewReader("x"), failingReader{}))
	wantError(t, err, errOnPurpose)
}

// cancelAfter ends a context when a number of bytes have been read.
type cancelAfter struct {
	r      io.Reader
	left   int
	cancel context.CancelCauseFunc
}

func (c *cancelAfter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p[:min(len(p), max(c.left, 1))])
	if c.left -= n; c.left <= 0 {
		c.cancel(errOnPurpose)
	}
	return n, err
}

func TestStagingEndsWithTheContextAndLeavesNothing(t *testing.T) {
	t.Parallel()
	var entries []entry
	for i := range 50 {
		entries = append(entries, folder(fmt.Sprintf("d%d", i)), file(fmt.Sprintf("d%d/f", i), strings.Repeat("x", i*997)))
	}
	archive := tarball(t, entries...)
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		for _, after := range []int{0, 1, 512, 5000, len(archive) / 3, len(archive) / 2, len(archive) - 1} {
			ctx, cancel := context.WithCancelCause(t.Context())
			_, err := s.StageLayer(ctx, graph.LayerSpec{}, &cancelAfter{bytes.NewReader(archive), after, cancel})
			if !errors.Is(err, errOnPurpose) && !errors.Is(err, context.Canceled) {
				t.Errorf("layer, after %d bytes: %v", after, err)
			}
			cancel(nil)

			ctx, cancel = context.WithCancelCause(t.Context())
			_, err = s.StageData(ctx, graph.DataSpec{}, &cancelAfter{bytes.NewReader(archive), after, cancel})
			if !errors.Is(err, errOnPurpose) {
				t.Errorf("data, after %d bytes: %v", after, err)
			}
			cancel(nil)
		}
		p.examine(t)
	})
}

// The context may end at any instant, also while nothing is being read.
func TestStagingMayBeCancelledAtAnyTime(t *testing.T) {
	t.Parallel()
	archive := tarball(t, folder("d"), file("d/a", strings.Repeat("x", 300_000)), file("b", "1"))
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		for i := range 25 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*200*time.Microsecond)
			staged, err := s.StageLayer(ctx, graph.LayerSpec{}, bytes.NewReader(archive))
			if err == nil {
				err = staged.Discard(ctx)
			}
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		p.examine(t)
	})
}

func TestDiscardDoesItsWorkWhenTheContextHasEnded(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		layer, item := stageLayer(t, s, graph.LayerSpec{}, file("a", "1")), stageData(t, s, "x")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		noError(t, layer.Discard(ctx))
		noError(t, item.Discard(ctx))
		p.examine(t)
	})
}

func TestStagedLayerSaysWhatItIs(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		archive := tarball(t, folder("d"), file("d/a", "12345"), entry{name: "d/b", kind: tar.TypeLink, link: "d/a"})
		zipped := compressed(t, model.Gzip, archive)
		spec := graph.LayerSpec{
			Digest: sha256Of(archive), CompressedDigest: sha256Of(zipped),
			Names: []string{"name"}, Metadata: "text", Flags: map[string]any{"flag": "value"}, MountLabel: "",
		}
		staged, err := s.StageLayer(t.Context(), spec, bytes.NewReader(zipped))
		noError(t, err)
		var l *model.Layer
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { l, err = tx.AddLayer(staged); return err }))
		d := l.Diff
		if l.ID != staged.ID() || len(l.ID) != model.IDSize || !l.Made || l.Size != 5 || l.Metadata != "text" || l.Flags["flag"] != "value" {
			t.Errorf("layer is %+v", l)
		}
		if d.Digest != spec.Digest || d.Size != int64(len(archive)) || d.CompressedDigest != spec.CompressedDigest ||
			d.CompressedSize != int64(len(zipped)) || d.Compression != model.Gzip || fmt.Sprint(d.UIDs, d.GIDs) != "[0] [0]" {
			t.Errorf("diff is %+v", d)
		}
		got := must(s.Layer(t.Context(), "name"))(t)
		if got.ID != l.ID || got.Created.IsZero() {
			t.Errorf("stored is %+v", got)
		}
	})
}

func TestTheEmptyStreamIsALayer(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		l := must(s.ImportLayer(t.Context(), graph.LayerSpec{ID: "void"}, &bytes.Buffer{}))(t)
		if l.Diff.Size != 0 || l.Diff.Digest != sha256Of(nil) {
			t.Errorf("diff is %+v", l.Diff)
		}
		if got := plainDiff(t, s, "void"); len(got) > 0 {
			t.Errorf("diff has %d bytes", len(got))
		}
	})
}
