package graph_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// plantFile makes a file and the directories above it.
func plantFile(t testing.TB, path string) {
	t.Helper()
	noError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	writeFile(t, path, "stray")
}

// strays are things in the directories of a store that nobody knows, with the
// path under which Recover reports them.
func strays(p *place) map[string]string {
	home := p.driver
	if p.driver == "vfs" {
		home = "vfs/dir"
	}
	d := p.driver
	return map[string]string{
		home + "/stray/diff/f":                d + "/stray",
		home + "/.part-half/f":                d + "/half",
		home + "/base~abcdefghijklmnop/f":     d + "/base~abcdefghijklmnop",
		d + "-images/image/unknown":           d + "-images/image/unknown",
		d + "-images/image/.tmp-config":       d + "-images/image/config",
		d + "-images/image/folder/f":          d + "-images/image/folder",
		d + "-images/gone/manifest":           d + "-images/gone/manifest",
		d + "-images/gone/userdata/f":         d + "-images/gone/userdata",
		d + "-images/.data/0123":              d + "-images/.data/0123",
		d + "-images/file":                    d + "-images/file",
		d + "-layers/gone.tar-split.gz":       d + "-layers/gone.tar-split.gz",
		d + "-layers/.tmp-new.tar-split.gz":   d + "-layers/new.tar-split.gz",
		d + "-layers/base.tar-split.gz~x":     d + "-layers/base.tar-split.gz~x",
		d + "-layers/base/key":                d + "-layers/base/key",
		d + "-containers/gone/userdata/a/b/c": d + "-containers/gone/userdata",
	}
}

func TestRecoverRemovesWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		readyContainer(t, s)
		id := model.ImageID("image")
		noError(t, s.SetData(t.Context(), id, "manifest", strings.NewReader("x")))
		writeFile(t, filepath.Join(must(s.Dir(t.Context(), id))(t), "f"), "x")
		onMount(t, s, "c", func(path string) { writeFile(t, filepath.Join(path, "f"), "x") })
		before := recordsOf(t, s)
		var want []string
		for file, path := range strays(p) {
			plantFile(t, filepath.Join(p.root, file))
			want = append(want, path)
		}
		noError(t, os.MkdirAll(filepath.Join(p.root, p.driver+"-images", "empty"), 0o700))
		plantFile(t, filepath.Join(p.run, p.driver+"-containers", "gone", "userdata", "f"))
		want = append(want, p.driver+"-images/empty/userdata")
		slices.Sort(want)

		r := must(s.Recover(t.Context()))(t)
		slices.Sort(r.Strays)
		// The one in the run root has the path of the one in the graph root.
		if diff := cmp.Diff(want, slices.Compact(r.Strays)); diff != "" {
			t.Errorf("strays (-want +got):\n%s", diff)
		}
		if len(r.Trash)+len(r.Staged)+len(r.Busy) > 0 {
			t.Errorf("recovered %+v", r)
		}
		if diff := cmp.Diff(before, recordsOf(t, s)); diff != "" {
			t.Errorf("the records have changed:\n%s", diff)
		}
		p.examine(t)
	})
}

func TestRecoverLeavesWhatIsStagedAlone(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		layer, item := stageLayer(t, s, graph.LayerSpec{ID: "new"}, file("a", "1")), stageData(t, s, "x")
		for _, by := range []*graph.Store{s, other} {
			r := must(by.Recover(t.Context()))(t)
			if len(r.Trash)+len(r.Staged)+len(r.Strays) > 0 || len(r.Busy) != 3 {
				t.Errorf("recovered %+v", r)
			}
		}
		createImage(t, s, "image", "")
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
			_, err := tx.AddLayer(layer)
			return errors.Join(err, tx.SetData(model.ImageID("image"), "key", item))
		}))
	})
}

// What a process stages is safe as long as it lives, and garbage from then on.
func TestRecoverRemovesWhatADeadProcessStaged(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		a := startAgent(t, p)
		a.do(t, op{Do: "stage-layer", ID: "new", Data: tarball(t, file("a", "1"))})
		a.do(t, op{Do: "stage-data", Data: []byte("x")})
		if r := must(s.Recover(t.Context()))(t); len(r.Staged)+len(r.Strays) > 0 || len(r.Busy) != 3 {
			t.Errorf("of the living process: %+v", r)
		}
		a.kill(t)
		if r := must(s.Recover(t.Context()))(t); len(r.Staged) != 3 || len(r.Strays)+len(r.Busy) > 0 {
			t.Errorf("of the dead process: %+v", r)
		}
	})
}

// The note about what is staged may be lost: the run root is not for ever.
func TestRecoverNeedsNoNotes(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		a := startAgent(t, p)
		a.do(t, op{Do: "stage-layer", ID: "new", Data: tarball(t, file("a", "1"))})
		noError(t, os.RemoveAll(p.run))
		if r := must(s.Recover(t.Context()))(t); len(r.Staged)+len(r.Strays) > 0 || len(r.Busy) != 2 {
			t.Errorf("of the living process: %+v", r)
		}
		a.kill(t)
		if r := must(s.Recover(t.Context()))(t); len(r.Strays) != 2 || len(r.Staged)+len(r.Busy) > 0 {
			t.Errorf("of the dead process: %+v", r)
		}
	})
}

// A note about what has been committed is dropped, the content stays.
func TestRecoverDropsOldNotes(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	l := importLayer(t, s, "base", "", file("a", "1"))
	editRun(t, p, s, func(tx *db.RunTx) error {
		return errors.Join(
			tx.AddStaged(db.Staged{Path: "vfs/base", Kind: db.TrashLayer, Dir: "base"}),
			tx.AddStaged(db.Staged{Path: l.Diff.TarSplit.Path, Kind: db.TrashFile}),
			tx.AddStaged(db.Staged{Path: "vfs-images/never/made", Kind: db.TrashFile}))
	})
	r := must(s.Recover(t.Context()))(t)
	if !slices.Equal(r.Staged, []string{"vfs-images/never/made"}) || len(r.Strays)+len(r.Busy) > 0 {
		t.Errorf("recovered %+v", r)
	}
	p.examine(t)
}

// Whoever unmounts a layer may die before he can say so, and others may unmount
// it too. What is mounted stays.
func TestRecoverForgetsMountsThatAreGone(t *testing.T) {
	p := newPlace(t, "overlay")
	s := p.open(t)
	var paths []string
	for _, id := range []model.LayerID{"gone", "here"} {
		createLayer(t, s, id, "")
		paths = append(paths, must(s.Mount(t.Context(), string(id), graph.MountOptions{}))(t))
	}
	noError(t, unix.Unmount(paths[0], 0))
	must(s.Recover(t.Context()))(t)
	var left []model.LayerID
	editRun(t, p, s, func(tx *db.RunTx) error {
		mounts, err := tx.Mounts()
		for _, m := range mounts {
			left = append(left, m.Layer)
		}
		return err
	})
	if !slices.Equal(left, []model.LayerID{"here"}) {
		t.Errorf("mounts of %q are known", left)
	}
	must(s.Unmount(t.Context(), "here", false))(t)
}

// Entries in the trash are what a process left that died after a commit.
func TestTrashIsSharedByManyReapers(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		const layers = 20
		s := p.open(t)
		for i := range layers {
			importLayer(t, s, model.LayerID(fmt.Sprint("layer", i)), "", file("a", "1"), file("b", "2"))
		}
		moveToTrash(t, p)
		var wg sync.WaitGroup
		reaped := make([][]string, 4)
		for i := range reaped {
			other := p.open(t)
			wg.Go(func() {
				r, err := other.Recover(t.Context())
				if err != nil {
					t.Error(err)
				}
				reaped[i] = r.Trash
			})
		}
		wg.Wait()
		all := slices.Concat(reaped...)
		slices.Sort(all)
		if n := len(all); n != 2*layers || len(slices.Compact(all)) != n {
			t.Errorf("%d entries were reaped: %q", n, reaped)
		}
		p.examine(t)
	})
}

// moveToTrash deletes all layers and leaves their contents in the trash, like
// a process that dies after the commit.
func moveToTrash(t testing.TB, p *place) {
	t.Helper()
	database, err := db.Open(t.Context(), p.root, db.Options{})
	noError(t, err)
	defer database.Close()
	noError(t, database.Update(t.Context(), func(tx *db.Tx) error {
		layers, err := tx.Layers()
		for _, l := range layers {
			_, files, errDelete := tx.DeleteLayer(l.ID)
			err = errors.Join(err, errDelete, tx.AddTrash(db.Trash{
				Path: p.driver + "/" + l.DriverDir(), Kind: db.TrashLayer, Dir: l.DriverDir(), ObjectKind: model.KindLayer, ID: string(l.ID),
			}))
			for _, f := range files {
				err = errors.Join(err, tx.AddTrash(db.Trash{Path: f.Path, Kind: db.TrashFile, ObjectKind: model.KindLayer, ID: string(l.ID)}))
			}
		}
		return err
	}))
}

// As long as the content of a deleted object is there, new content of the same
// name is made elsewhere.
func TestContentIsNotMadeWhereSomeIsAboutToGo(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "old"))
		moveToTrash(t, p)
		l := importLayer(t, s, "base", "", file("a", "new"))
		if l.Dir == "" || strings.HasSuffix(l.Diff.TarSplit.Path, ".gz") {
			t.Errorf("layer is %+v with tar-split %+v", l, l.Diff.TarSplit)
		}
		createLayer(t, s, "top", "base")
		path := must(s.Mount(t.Context(), "base", graph.MountOptions{ReadOnly: true}))(t)
		must(s.Recover(t.Context()))(t)
		if n := mounted(t, s, "base"); n != 1 {
			t.Errorf("the new layer is mounted %d times after the old one has gone", n)
		}
		if got := readFile(t, filepath.Join(path, "a")); got != "new" {
			t.Errorf("file has %q", got)
		}
		must(s.Unmount(t.Context(), "base", false))(t)
	})
}

func TestRecoverEndsWithTheContext(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	plantFile(t, filepath.Join(p.root, "vfs-images", "gone", "f"))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOnPurpose)
	_, err := s.Recover(ctx)
	wantError(t, err, errOnPurpose)
	must(s.Recover(t.Context()))(t)
}

// What cannot be removed does not keep Recover from removing the rest.
func TestRecoverGoesOnAfterErrors(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	for _, name := range []string{"a", "z"} {
		plantFile(t, filepath.Join(p.root, "vfs-images", name, "f"))
	}
	// An object's directory that is a link leads nowhere.
	noError(t, os.Symlink("/etc", filepath.Join(p.root, "vfs-images", "m")))
	r, err := s.Recover(t.Context())
	noError(t, err)
	if want := []string{"vfs-images/a/f", "vfs-images/m", "vfs-images/z/f"}; !slices.Equal(r.Strays, want) {
		t.Errorf("recovered %+v", r)
	}
}
