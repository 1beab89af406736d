package graph_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

var errWrong = errors.New("wrong")

// sizes computes what the store keeps count of from the records alone.
type sizes struct {
	layers map[model.LayerID]*model.Layer
	// users are the images and containers to which a layer belongs, and those
	// of its children that have users themselves.
	users map[model.LayerID]map[model.ID]bool
	data  map[model.ID]int64
}

func sizesOf(tx *graph.ReadTx) (sizes, error) {
	s := sizes{map[model.LayerID]*model.Layer{}, map[model.LayerID]map[model.ID]bool{}, map[model.ID]int64{}}
	layers, err := tx.Layers()
	for _, l := range layers {
		s.layers[l.ID], s.users[l.ID] = l, map[model.ID]bool{}
	}
	images, errImages := tx.Images()
	for _, i := range images {
		for _, top := range i.TopLayers() {
			s.use(i.ID, top)
		}
	}
	containers, errContainers := tx.Containers()
	for _, c := range containers {
		s.use(c.ID, c.Layer)
	}
	ids, errIDs := allIDs(tx)
	for _, id := range ids {
		items, err := tx.Data(id)
		if err != nil {
			return s, err
		}
		for _, item := range items {
			s.data[id] += item.Content.Size
		}
	}
	return s, errors.Join(err, errImages, errContainers, errIDs)
}

// use notes that something uses a layer, and so its ancestors are used.
func (s sizes) use(by model.ID, id model.LayerID) {
	for l := s.layers[id]; l != nil; l = s.layers[l.Parent] {
		s.users[l.ID][by] = true
		by = l.ID
	}
}

// of returns the size of an object that needs the given layers, and what is
// below them, besides its own one.
func (s sizes) of(id model.ID, own *model.Layer, tops ...model.LayerID) graph.Size {
	size := graph.Size{Own: s.data[id]}
	inside := map[model.ID]bool{id: true}
	if own != nil {
		inside[own.ID] = true
		size.Own += own.Size
		if own.Size < 0 {
			size.Own = model.SizeUnknown
		}
	}
	needed := map[model.LayerID]bool{}
	for _, top := range tops {
		for l := s.layers[top]; l != nil; l = s.layers[l.Parent] {
			needed[l.ID] = true
		}
	}
	for changed := true; changed; { // a layer is inside if all its users are
		changed = false
		for id := range needed {
			if !inside[id] && s.onlyUsedBy(id, inside) {
				inside[id], changed = true, true
			}
		}
	}
	for id := range needed {
		if inside[id] {
			size.Unique += max(s.layers[id].Size, 0)
		} else {
			size.Shared += max(s.layers[id].Size, 0)
		}
	}
	return size
}

func (s sizes) onlyUsedBy(id model.LayerID, inside map[model.ID]bool) bool {
	for user := range s.users[id] {
		if !inside[user] {
			return false
		}
	}
	return true
}

// checkSizes compares every size that the store tells with one that is
// computed from the records.
func checkSizes(tx *graph.ReadTx) error {
	s, err := sizesOf(tx)
	if err != nil {
		return err
	}
	var errs []error
	check := func(id model.ID, got graph.Size, err error, want graph.Size) {
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			errs = append(errs, fmt.Errorf("size of %s %s: %w (-want +got):\n%s", id.Kind(), id, errors.Join(errWrong, err), diff))
		}
	}
	for id, l := range s.layers {
		got, err := tx.LayerSize(id)
		check(id, got, err, s.of(id, l, l.Parent))
	}
	images, err := tx.Images()
	for _, i := range images {
		got, err := tx.ImageSize(i.ID)
		check(i.ID, got, err, s.of(i.ID, nil, i.TopLayers()...))
	}
	containers, errContainers := tx.Containers()
	for _, c := range containers {
		own, parent := s.layers[c.Layer], model.LayerID("")
		if own != nil {
			parent = own.Parent
		}
		got, err := tx.ContainerSize(c.ID)
		check(c.ID, got, err, s.of(c.ID, own, parent))
	}
	return errors.Join(append(errs, err, errContainers, s.checkUsage(tx))...)
}

// checkUsage compares the sums over the store.
func (s sizes) checkUsage(tx *graph.ReadTx) error {
	got, err := tx.Usage()
	if err != nil {
		return err
	}
	want := db.Usage{Images: got.Images, Containers: got.Containers, DataItems: got.DataItems, TarSplitBytes: got.TarSplitBytes}
	for id, l := range s.layers {
		want.Layers++
		want.LayerBytes += max(l.Size, 0)
		if len(s.users[id]) == 0 {
			want.UnusedLayerBytes += max(l.Size, 0)
		}
	}
	for _, n := range s.data {
		want.DataBytes += n
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		return fmt.Errorf("usage (-want +got):\n%s", diff)
	}
	return nil
}

func TestSizesAreThoseOfTheRecords(t *testing.T) {
	p := newPlace(t, "vfs")
	rapid.Check(t, func(rt *rapid.T) {
		s, err := graph.Open(t.Context(), p.options(t, func(o *graph.Options) { o.NoSync = true }))
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		defer func() {
			if err := s.Wipe(t.Context()); err != nil {
				rt.Fatal(err)
			}
		}()
		err = s.Update(t.Context(), func(tx *graph.Tx) error { return drawObjects(rt, tx) })
		if err != nil {
			rt.Fatal(err)
		}
		drawRecords(rt, t, p)
		if err := s.View(t.Context(), checkSizes); err != nil {
			rt.Fatal(err)
		}
	})
}

// drawObjects makes some objects, and deletes some of them by force.
func drawObjects(rt *rapid.T, tx *graph.Tx) error {
	var layers []model.LayerID
	for i := range rapid.IntRange(1, 9).Draw(rt, "layers") {
		parent := rapid.SampledFrom(append([]model.LayerID{""}, layers...)).Draw(rt, "parent")
		l, err := tx.CreateLayer(graph.LayerSpec{ID: model.LayerID(fmt.Sprint("layer", i)), Parent: parent})
		if err != nil {
			return err
		}
		layers = append(layers, l.ID)
	}
	var images []model.ImageID
	for i := range rapid.IntRange(0, 4).Draw(rt, "images") {
		top := rapid.SampledFrom(append(layers, "")).Draw(rt, "top")
		image, err := tx.CreateImage(graph.ImageSpec{ID: model.ImageID(fmt.Sprint("image", i)), TopLayer: top})
		if err != nil {
			return err
		}
		images = append(images, image.ID)
	}
	for i := range rapid.IntRange(0, 4).Draw(rt, "containers") {
		image := rapid.SampledFrom(append(images, "")).Draw(rt, "image")
		_, err := tx.CreateContainer(graph.ContainerSpec{ID: model.ContainerID(fmt.Sprint("container", i)), Image: image})
		if err != nil {
			return err
		}
	}
	for range rapid.IntRange(0, 2).Draw(rt, "deleted") {
		id := rapid.SampledFrom(layers).Draw(rt, "layer")
		if err := tx.Delete(id); err != nil && !errors.Is(err, model.ErrNotFound) {
			return err
		}
	}
	return nil
}

// drawRecords gives layers sizes and images mapped variants, as no method of
// the store does.
func drawRecords(rt *rapid.T, t *testing.T, p *place) {
	database, err := db.Open(t.Context(), p.root, db.Options{NoSync: true})
	if err != nil {
		rt.Fatal(err)
	}
	defer database.Close()
	err = database.Update(t.Context(), func(tx *db.Tx) error {
		layers, err := tx.Layers()
		var ids []model.LayerID
		for _, l := range layers {
			ids = append(ids, l.ID)
			size := rapid.Int64Range(-1, 1000).Draw(rt, "size")
			_, errUpdate := tx.UpdateLayer(db.OpModify, l.ID, func(l *model.Layer) error { l.Size = size; return nil })
			err = errors.Join(err, errUpdate)
		}
		images, errImages := tx.Images()
		for _, i := range images {
			if len(ids) == 0 || !rapid.Bool().Draw(rt, "mapped") {
				continue
			}
			mapped := rapid.SliceOfN(rapid.SampledFrom(ids), 1, 3).Draw(rt, "variants")
			_, errUpdate := tx.UpdateImage(db.OpModify, i.ID, func(i *model.Image) error { i.MappedTopLayers = mapped; return nil })
			err = errors.Join(err, errUpdate)
		}
		return errors.Join(err, errImages)
	})
	if err != nil {
		rt.Fatal(err)
	}
}

func TestUsageMeasuresWhatIsNotRecorded(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		ctx := t.Context()
		archive := tarball(t, file("a", strings.Repeat("x", 1000)))
		must(s.ImportLayer(ctx, graph.LayerSpec{ID: "base"}, bytes.NewReader(archive)))(t)
		createLayer(t, s, "hand", "base")
		onMount(t, s, "hand", func(path string) { writeFile(t, filepath.Join(path, "b"), "12345") })
		createImage(t, s, "image", "hand")
		noError(t, s.SetData(ctx, model.ImageID("image"), "key", strings.NewReader("123")))
		if n := must(s.ImageUsage(ctx, "image"))(t); n != int64(len(archive))+5+3 {
			t.Errorf("image takes %d bytes", n)
		}
		createContainer(t, s, "c", "image")
		noError(t, s.SetData(ctx, model.ContainerID("c"), "key", strings.NewReader("1234567")))
		onMount(t, s, "c", func(path string) { writeFile(t, filepath.Join(path, "c"), "12") })
		if n := must(s.ContainerUsage(ctx, "c"))(t); n != 7+2 {
			t.Errorf("container takes %d bytes", n)
		}
		writeFile(t, filepath.Join(must(s.Dir(ctx, model.ContainerID("c")))(t), "f"), "1234")
		writeFile(t, filepath.Join(must(s.RunDir(ctx, model.ContainerID("c")))(t), "f"), "12345678")
		if n := must(s.ContainerUsage(ctx, "c"))(t); n != 7+2+4+8 {
			t.Errorf("container with directories takes %d bytes", n)
		}
		noError(t, s.Delete(ctx, model.LayerID("hand")))
		if n := must(s.ImageUsage(ctx, "image"))(t); n != 3 {
			t.Errorf("image without layers takes %d bytes", n)
		}
		_, err := s.ImageUsage(ctx, "unicorn")
		wantError(t, err, model.ErrImageUnknown)
		_, err = s.ContainerUsage(ctx, "unicorn")
		wantError(t, err, model.ErrContainerUnknown)
	})
}
