package fsck_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

func TestHealthyStoreHasNoFindings(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s := newSample(t, driver)
			report := s.check(t)
			wantFindings(t, report)
			if report.Verdict != fsck.Clean || len(report.Unchecked) > 0 {
				t.Errorf("verdict %s, unchecked %q", report.Verdict, report.Unchecked)
			}
			want := fsck.Checked{Layers: 6, Images: 2, Containers: 2, Files: 4 + 1 + 4 + 2, Directories: 5}
			if report.Checked != want {
				t.Errorf("checked %+v, want %+v", report.Checked, want)
			}
			if report.Driver != driver || report.UUID == "" || report.Pages.TxID == 0 {
				t.Errorf("the store is not described: %+v", report)
			}
		})
	}
}

// deeds are all kinds of things that can be done to a store, in this order.
func deeds(s *sample) []struct {
	name string
	do   func(t *testing.T) error
} {
	mounted := ""
	return []struct {
		name string
		do   func(t *testing.T) error
	}{
		{"make a store", func(*testing.T) error { return nil }},
		{"pull", func(t *testing.T) error {
			s.layer(t, "a", "")
			s.layer(t, "b", "a")
			s.image(t, "i", "b", "i:1")
			return nil
		}},
		{"pull at once", func(t *testing.T) error { return pullAtOnce(t, s.store) }},
		{"create an empty layer", func(t *testing.T) error {
			_, err := s.store.CreateLayer(t.Context(), graph.LayerSpec{ID: "empty", Parent: "b", Writable: true})
			return err
		}},
		{"import onto an empty layer", func(t *testing.T) error { s.layer(t, "c", "empty"); return nil }},
		{"create a container", func(t *testing.T) error { s.container(t, "web", "i"); return nil }},
		{"mount", func(t *testing.T) (err error) {
			mounted, err = s.store.Mount(t.Context(), "web", graph.MountOptions{})
			return err
		}},
		{"write", func(*testing.T) error {
			return errors.Join(os.WriteFile(filepath.Join(mounted, "x"), []byte("x"), 0o666), os.RemoveAll(filepath.Join(mounted, "etc")))
		}},
		{"mount again", func(t *testing.T) error {
			_, err := s.store.Mount(t.Context(), "web", graph.MountOptions{})
			return err
		}},
		{"make directories", func(t *testing.T) error {
			dir, errDir := s.store.Dir(t.Context(), model.ContainerID("web"))
			runDir, errRun := s.store.RunDir(t.Context(), model.ContainerID("web"))
			return errors.Join(errDir, errRun, os.WriteFile(filepath.Join(dir, "file"), nil, 0o666), os.WriteFile(filepath.Join(runDir, "file"), nil, 0o666))
		}},
		{"mount an image", func(t *testing.T) error {
			_, err := s.store.MountImage(t.Context(), "i", graph.MountOptions{})
			return err
		}},
		{"unmount an image", func(t *testing.T) error {
			_, err := s.store.UnmountImage(t.Context(), "i", false)
			return err
		}},
		{"unmount once", func(t *testing.T) error {
			_, err := s.store.Unmount(t.Context(), "web", false)
			return err
		}},
		{"unmount", func(t *testing.T) error {
			_, err := s.store.Unmount(t.Context(), "web", false)
			return err
		}},
		{"replace data", func(t *testing.T) error {
			return s.store.SetData(t.Context(), model.ImageID("i"), "manifest", strings.NewReader("another one"))
		}},
		{"delete data", func(t *testing.T) error {
			return s.store.Update(t.Context(), func(tx *graph.Tx) error { return tx.DeleteData(model.ImageID("i"), "sha256:config") })
		}},
		{"rename", func(t *testing.T) error {
			_, err := s.store.SetNames(t.Context(), model.ImageID("i"), "i:2", "i:3")
			return err
		}},
		{"apply a diff", func(t *testing.T) error {
			_, err := s.store.ApplyDiff(t.Context(), "web-rw", diff(t, "applied"))
			return err
		}},
		{"apply a diff to an empty layer", func(t *testing.T) error {
			_, err := s.store.CreateLayer(t.Context(), graph.LayerSpec{ID: "later"})
			if err == nil {
				_, err = s.store.ApplyDiff(t.Context(), "later", diff(t, "later"))
			}
			return err
		}},
		{"refuse a diff", func(t *testing.T) error {
			if _, err := s.store.ImportLayer(t.Context(), graph.LayerSpec{ID: "junk"}, strings.NewReader("junk that is no archive")); err == nil {
				return errors.New("junk was imported")
			}
			return nil
		}},
		{"give up what was staged", func(t *testing.T) error {
			staged, err := s.store.StageLayer(t.Context(), graph.LayerSpec{ID: "given-up"}, diff(t, "x"))
			if err != nil {
				return err
			}
			return staged.Discard(t.Context())
		}},
		{"keep the state of an engine", func(t *testing.T) error {
			return s.store.Update(t.Context(), func(tx *graph.Tx) error {
				return tx.Bucket("com.example.engine").Put([]byte("key"), []byte("value"))
			})
		}},
		{"lease objects", func(t *testing.T) error {
			_, err := s.store.AddLease(t.Context(), graph.LeaseSpec{ID: "long", Objects: []model.ID{model.ImageID("i"), model.ContainerID("web"), model.LayerID("c")}})
			return err
		}},
		{"let a lease expire", func(t *testing.T) error {
			s.layer(t, "brief", "")
			_, err := s.store.AddLease(t.Context(), graph.LeaseSpec{ID: "short", Objects: []model.ID{model.LayerID("brief")}, For: 1})
			return err
		}},
		{"delete what is leased no more", func(t *testing.T) error { return s.store.DeleteLayer(t.Context(), "brief") }},
		{"end a lease", func(t *testing.T) error { return s.store.RemoveLease(t.Context(), "long") }},
		{"delete a mounted container", func(t *testing.T) error {
			if _, err := s.store.Mount(t.Context(), "web", graph.MountOptions{}); err != nil {
				return err
			}
			return s.store.DeleteContainer(t.Context(), "web")
		}},
		{"create it anew", func(t *testing.T) error {
			s.container(t, "web", "i")
			s.mount(t, "web", func(string) {})
			return nil
		}},
		{"delete containers and layers", func(t *testing.T) error {
			return errors.Join(s.store.DeleteContainer(t.Context(), "web"), s.store.DeleteLayer(t.Context(), "c"), s.store.DeleteLayer(t.Context(), "empty"))
		}},
		{"delete an image", func(t *testing.T) error {
			_, err := s.store.DeleteImage(t.Context(), "i")
			return err
		}},
		{"import a deleted layer again", func(t *testing.T) error { s.layer(t, "a", ""); return nil }},
		{"wipe", func(t *testing.T) error { return s.store.Wipe(t.Context()) }},
		{"shut down", func(t *testing.T) error {
			_, err := s.store.Shutdown(t.Context(), false)
			return err
		}},
	}
}

// pullAtOnce makes layers and an image in one transaction.
func pullAtOnce(t *testing.T, store *graph.Store) error {
	t.Helper()
	ctx := t.Context()
	base, err := store.StageLayer(ctx, graph.LayerSpec{ID: "base-1"}, diff(t, "one"))
	must(t, err)
	top, err := store.StageLayer(ctx, graph.LayerSpec{ID: "top-1", StagedParent: base}, diff(t, "two"))
	must(t, err)
	data, err := store.StageData(ctx, graph.DataSpec{}, strings.NewReader("data that is for nothing yet"))
	must(t, err)
	return store.Update(ctx, func(tx *graph.Tx) error {
		_, errBase := tx.AddLayer(base)
		_, errTop := tx.AddLayer(top)
		image, err := tx.CreateImage(graph.ImageSpec{ID: "image-1", TopLayer: "top-1"})
		if err := errors.Join(errBase, errTop, err); err != nil {
			return err
		}
		return tx.SetData(image.ID, "manifest", data)
	})
}

func TestNothingThatIsDoneToAStoreMakesAFinding(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s := &sample{driver: driver}
			s.root, s.runRoot = roots(t, driver)
			s.open(t)
			defer s.closeStore(t)
			for _, deed := range deeds(s) {
				must(t, deed.do(t))
				report := s.check(t)
				if len(report.Findings) > 0 || report.Verdict != fsck.Clean {
					t.Logf("after: %s", deed.name)
					wantFindings(t, report)
				}
			}
		})
	}
}

// slowReader waits before it gives the rest of a stream.
type slowReader struct {
	first, rest io.Reader
	reached     chan<- struct{}
	goOn        <-chan struct{}
}

func (r *slowReader) Read(p []byte) (int, error) {
	if n, err := r.first.Read(p); n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	if r.reached != nil {
		close(r.reached)
		r.reached = nil
		<-r.goOn
	}
	return r.rest.Read(p)
}

// whileReading runs do with a diff that it gets half of, and then meanwhile
// before it gets the rest.
func whileReading(t *testing.T, do func(diff io.Reader) error, meanwhile func()) {
	t.Helper()
	reached, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	whole := diff(t, "slowly")
	slow := &slowReader{first: io.LimitReader(whole, 1024), rest: whole, reached: reached, goOn: goOn}
	go func() { done <- do(slow) }()
	select {
	case <-reached:
	case err := <-done:
		t.Fatalf("it has ended: %v", err)
	}
	meanwhile()
	close(goOn)
	must(t, <-done)
}

func TestWorkInProgressIsNoFinding(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s := newSample(t, driver)
			s.open(t)
			defer s.closeStore(t)
			nothing := func() { wantFindings(t, s.check(t)) }
			var staged *graph.StagedLayer
			whileReading(t, func(diff io.Reader) (err error) {
				staged, err = s.store.StageLayer(t.Context(), graph.LayerSpec{ID: "new", Parent: "base"}, diff)
				return err
			}, nothing)
			nothing() // it is staged
			must(t, staged.Discard(t.Context()))
			nothing()
			whileReading(t, func(diff io.Reader) error {
				_, err := s.store.ApplyDiff(t.Context(), "side", diff)
				return err
			}, nothing)
			nothing()
		})
	}
}
