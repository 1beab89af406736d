package graph_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestOpenMakesAStoreAndFindsItAgain(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		first, err := graph.Open(t.Context(), p.options(t))
		noError(t, err)
		importLayer(t, first, "base", "", file("a", "1"))
		info := first.Info()
		if info.Driver != p.driver || info.UUID == "" || first.DriverName() != p.driver || !first.Durable() {
			t.Errorf("store is %+v", info)
		}
		noError(t, first.Close())

		again := p.open(t, func(o *graph.Options) { o.Driver = "" })
		if diff := cmp.Diff(info, again.Info()); diff != "" {
			t.Errorf("another store was found (-made +found):\n%s", diff)
		}
		if got := string(plainDiff(t, again, "base")); got != string(tarball(t, file("a", "1"))) {
			t.Errorf("the layer has changed")
		}
		if again.Root() != p.root || again.RunRoot() != p.run {
			t.Errorf("roots are %s and %s", again.Root(), again.RunRoot())
		}
	})
}

func TestTwoHandlesShareAStore(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		a, b := p.open(t), p.open(t)
		importLayer(t, a, "base", "", file("f", "a"))
		importLayer(t, b, "top", "base", file("g", "b"))
		for name, s := range map[string]*graph.Store{"a": a, "b": b} {
			for _, id := range []model.LayerID{"base", "top"} {
				if _, err := s.Layer(t.Context(), string(id)); err != nil {
					t.Errorf("handle %s: %v", name, err)
				}
			}
		}
		noError(t, a.DeleteLayer(t.Context(), "top"))
		_, err := b.Layer(t.Context(), "top")
		wantError(t, err, model.ErrLayerUnknown)
	})
}

func TestManyFirstOpensAgreeOnOneStore(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		var wg sync.WaitGroup
		uuids := make([]string, 8)
		for i := range uuids {
			wg.Go(func() {
				s, err := graph.Open(t.Context(), p.options(t))
				if err != nil {
					t.Error(err)
					return
				}
				uuids[i] = s.Info().UUID
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, uuid := range uuids {
			if uuid == "" || uuid != uuids[0] {
				t.Fatalf("the stores are %q", uuids)
			}
		}
	})
}

func TestOpenRefusesTheWrongDriver(t *testing.T) {
	t.Parallel()
	testutil.NeedRoot(t)
	eachDriver(t, func(t *testing.T, p *place) {
		p.open(t)
		other := map[string]string{"vfs": "overlay", "overlay": "vfs"}[p.driver]
		_, err := graph.Open(t.Context(), p.options(t, func(o *graph.Options) { o.Driver = other }))
		wantError(t, err, model.ErrInvalid)
		_, err = graph.Open(t.Context(), p.options(t, func(o *graph.Options) { o.Driver = "unicorn" }))
		wantError(t, err, model.ErrDriverNotSupported)
		if p.driver == "overlay" {
			p.open(t, func(o *graph.Options) { o.Driver = "overlay2" }) // its old name
		}
	})
}

func TestOpenWithUnknownDriverMakesNoStore(t *testing.T) {
	p := newPlace(t, "vfs")
	_, err := graph.Open(t.Context(), p.options(t, func(o *graph.Options) { o.Driver = "unicorn" }))
	wantError(t, err, model.ErrDriverNotSupported)
	if left := filesIn(t, p.root, ""); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	p.open(t) // and the root can still be used
}

func TestMissingOptionsAreReportedTogether(t *testing.T) {
	_, err := graph.Open(t.Context(), graph.Options{MaxLayerSize: -1})
	wantError(t, err, model.ErrIncompleteOptions, model.ErrInvalid)
	for _, text := range []string{"graph root", "run root", "-1"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not mention %q", err, text)
		}
	}
}

func TestOpenRefusesARootOfContainersStorage(t *testing.T) {
	p := newPlace(t, "vfs")
	dir := filepath.Join(p.root, "overlay-layers")
	noError(t, os.MkdirAll(dir, 0o700))
	writeFile(t, filepath.Join(dir, "layers.json"), "[]")
	before := testutil.Snapshot(t, p.root)
	_, err := graph.Open(t.Context(), p.options(t))
	wantError(t, err, model.ErrExists)
	if diff := cmp.Diff(before, testutil.Snapshot(t, p.root)); diff != "" {
		t.Errorf("the root has changed:\n%s", diff)
	}
}

func TestOpenOfSomethingElseIsAnError(t *testing.T) {
	p := newPlace(t, "vfs")
	_, err := graph.Open(t.Context(), p.options(t, func(o *graph.Options) { o.ReadOnly = true }))
	wantError(t, err, fs.ErrNotExist)
	noError(t, os.WriteFile(p.root, nil, 0o600))
	if _, err := graph.Open(t.Context(), p.options(t)); err == nil {
		t.Error("a file was opened as a store")
	}
	noError(t, os.Remove(p.root))
}

func TestRootMayHaveAnyName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b", "[x]*?{y}", `back\slash`, "comma,colon:", "é\u202e\n", "-rf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDriver(t, func(t *testing.T, p *place) {
				p.root = filepath.Join(p.root, name)
				s := p.open(t)
				importLayer(t, s, "base", "", file("a", "1"))
				createImage(t, s, "image", "base")
				createContainer(t, s, "c", "image")
				onMount(t, s, "c", func(path string) {
					if got := readFile(t, filepath.Join(path, "a")); got != "1" {
						t.Errorf("file has %q", got)
					}
				})
				noError(t, s.DeleteContainer(t.Context(), "c"))
			})
		})
	}
}

func TestStoreCanBeMoved(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s, err := graph.Open(t.Context(), p.options(t))
		noError(t, err)
		importLayer(t, s, "base", "", file("a", "1"))
		createImage(t, s, "image", "base")
		noError(t, s.SetData(t.Context(), model.ImageID("image"), "key", strings.NewReader("value")))
		createContainer(t, s, "c", "image")
		onMount(t, s, "c", func(path string) { writeFile(t, filepath.Join(path, "b"), "2") })
		noError(t, s.Close())

		moved := p.root + "-moved"
		noError(t, os.Rename(p.root, moved))
		p.root = moved
		s = p.open(t)
		if got := data(t, s, model.ImageID("image"), "key"); got != "value" {
			t.Errorf("data is %q", got)
		}
		onMount(t, s, "c", func(path string) {
			if got := readFile(t, filepath.Join(path, "a")) + readFile(t, filepath.Join(path, "b")); got != "12" {
				t.Errorf("files have %q", got)
			}
		})
	})
}

func TestForeignFilesInTheRootAreLeftAlone(t *testing.T) {
	p := newPlace(t, "vfs")
	foreign := []string{"libpod/bolt_state.db", "defaultNetworkBackend", "volumes/v/_data/f", "overlay-images.txt"}
	for _, name := range foreign {
		noError(t, os.MkdirAll(filepath.Dir(filepath.Join(p.root, name)), 0o700))
		writeFile(t, filepath.Join(p.root, name), name)
	}
	s := p.open(t)
	importLayer(t, s, "base", "", file("a", "1"))
	must(s.Recover(t.Context()))(t)
	noError(t, s.Wipe(t.Context()))
	for _, name := range foreign {
		if got := readFile(t, filepath.Join(p.root, name)); got != name {
			t.Errorf("%s has %q", name, got)
		}
		noError(t, os.Remove(filepath.Join(p.root, name)))
	}
}

func TestCloseDiscardsWhatIsStaged(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s, err := graph.Open(t.Context(), p.options(t))
		noError(t, err)
		layer := stageLayer(t, s, graph.LayerSpec{ID: "new"}, file("a", "1"))
		staged := stageData(t, s, "data")
		noError(t, s.Close())
		noError(t, s.Close())
		noError(t, layer.Discard(t.Context()))
		noError(t, staged.Discard(t.Context()))
		p.examine(t)
		for name, call := range map[string]func() error{
			"View":   func() error { return s.View(t.Context(), func(*graph.ReadTx) error { return nil }) },
			"Update": func() error { return s.Update(t.Context(), func(*graph.Tx) error { return nil }) },
			"StageData": func() error {
				_, err := s.StageData(t.Context(), graph.DataSpec{}, strings.NewReader(""))
				return err
			},
		} {
			if err := call(); !errors.Is(err, model.ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
	})
}

func TestClosedStoresHoldNoDescriptors(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} { // alone, for there is one count only
		p := findPlace(t, driver)
		count := func() int { return len(must(os.ReadDir("/proc/self/fd"))(t)) }
		work := func() {
			s, err := graph.Open(t.Context(), p.options(t))
			noError(t, err)
			if _, err := s.Layer(t.Context(), "base"); err != nil {
				importLayer(t, s, "base", "", file("a", "1"))
			}
			plainDiff(t, s, "base")
			noError(t, s.Close())
		}
		work()
		before := count()
		for range 10 {
			work()
		}
		if after := count(); after > before {
			t.Errorf("%s: %d descriptors have become %d", driver, before, after)
		}
	}
}
