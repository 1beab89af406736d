package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// hands perform operations on a store in their own process.
type hands struct {
	store  *graph.Store
	layers map[string]*graph.StagedLayer // by ID
	data   []*graph.StagedData
}

// perform does what an operation says.
func (h *hands) perform(ctx context.Context, o op) (r result) {
	act := h.action(o.Do)
	if act == nil {
		return result{Err: "agent", Text: "nobody can " + o.Do}
	}
	r, err := act(ctx, o)
	if err != nil {
		r.Err, r.Text = classOf(err), err.Error()
	}
	return r
}

// action returns what does an operation.
func (h *hands) action(do string) func(context.Context, op) (result, error) {
	return map[string]func(context.Context, op) (result, error){
		"stage-layer":   h.stageLayer,
		"discard-layer": h.discardLayer,
		"commit-layer":  h.commitLayer,
		"stage-data":    h.stageData,
		"create":        h.create,
		"import":        h.importLayer,
		"apply":         h.apply,
		"delete":        h.delete,
		"rename":        h.rename,
		"set-metadata":  h.setMetadata,
		"set-data":      h.setData,
		"delete-data":   h.deleteData,
		"mount":         h.mount,
		"unmount":       h.unmount,
		"mounted":       h.mounted,
		"write":         h.write,
		"tree":          h.tree,
		"diff":          h.diff,
		"dir":           h.dir,
		"recover":       h.recover,
		"churn":         h.churn,
		"pull":          h.pull,
		"pull at once":  h.pullAtOnce,
		"publish":       h.publish,
		"lease":         h.lease,
		"unlease":       h.unlease,
		"churn leases":  h.churnLeases,
		"put":           h.put,
		"wipe":          h.wipe,
		"close":         h.close,
		"hits":          h.hits,
	}[do]
}

// classOf returns the class of an error. Damage comes first: its reason may be
// that something is missing.
func classOf(err error) string {
	for _, class := range []error{
		model.ErrCorrupt, model.ErrNotFound, model.ErrExists, model.ErrInUse, model.ErrInvalid, model.ErrReadOnly,
		model.ErrBusy, model.ErrUnsupported, model.ErrNoSpace,
	} {
		if errors.Is(err, class) {
			return class.Error()
		}
	}
	return "other"
}

func (o op) object() model.ID { return model.NewID(o.Kind, o.ID) }

func (o op) layerSpec() graph.LayerSpec {
	return graph.LayerSpec{ID: model.LayerID(o.ID), Parent: model.LayerID(o.Parent), Names: o.Names, Metadata: o.Key}
}

func (h *hands) stageLayer(ctx context.Context, o op) (r result, err error) {
	staged, err := h.store.StageLayer(ctx, o.layerSpec(), bytes.NewReader(o.Data))
	if err == nil {
		if h.layers == nil {
			h.layers = make(map[string]*graph.StagedLayer)
		}
		h.layers[o.ID] = staged
	}
	return r, err
}

func (h *hands) discardLayer(ctx context.Context, o op) (result, error) {
	staged := h.layers[o.ID]
	delete(h.layers, o.ID)
	return result{}, staged.Discard(ctx)
}

// commitLayer commits a staged layer, and discards it if that does not work.
func (h *hands) commitLayer(ctx context.Context, o op) (result, error) {
	staged := h.layers[o.ID]
	delete(h.layers, o.ID)
	err := h.store.Update(ctx, func(tx *graph.Tx) error { _, err := tx.AddLayer(staged); return err })
	return result{}, errors.Join(err, staged.Discard(ctx))
}

func (h *hands) stageData(ctx context.Context, o op) (result, error) {
	staged, err := h.store.StageData(ctx, graph.DataSpec{}, bytes.NewReader(o.Data))
	h.data = append(h.data, staged)
	return result{}, err
}

func (h *hands) create(ctx context.Context, o op) (r result, err error) {
	switch o.Kind {
	case model.KindLayer:
		_, err = h.store.CreateLayer(ctx, o.layerSpec())
	case model.KindImage:
		_, err = h.store.CreateImage(ctx, graph.ImageSpec{
			ID: model.ImageID(o.ID), TopLayer: model.LayerID(o.Parent), Names: o.Names, Metadata: o.Key,
		})
	case model.KindContainer:
		_, err = h.store.CreateContainer(ctx, graph.ContainerSpec{
			ID: model.ContainerID(o.ID), Image: model.ImageID(o.Parent), Layer: containerLayer(o.ID), Names: o.Names, Metadata: o.Key, Volatile: o.Lost,
		})
	}
	return r, err
}

// containerLayer is the ID of the layer of a container.
func containerLayer(id string) model.LayerID { return model.LayerID("of-" + id) }

func (h *hands) importLayer(ctx context.Context, o op) (result, error) {
	_, err := h.store.ImportLayer(ctx, o.layerSpec(), bytes.NewReader(o.Data))
	return result{}, err
}

func (h *hands) apply(ctx context.Context, o op) (r result, err error) {
	r.N, err = h.store.ApplyDiff(ctx, model.LayerID(o.ID), bytes.NewReader(o.Data))
	return r, err
}

func (h *hands) delete(ctx context.Context, o op) (r result, err error) {
	if o.Force {
		return r, h.store.Delete(ctx, o.object())
	}
	switch o.Kind {
	case model.KindLayer:
		err = h.store.DeleteLayer(ctx, model.LayerID(o.ID))
	case model.KindImage:
		var layers []model.LayerID
		layers, err = h.store.DeleteImage(ctx, model.ImageID(o.ID))
		for _, l := range layers {
			r.List = append(r.List, string(l))
		}
	case model.KindContainer:
		err = h.store.DeleteContainer(ctx, model.ContainerID(o.ID))
	}
	return r, err
}

// rename sets names, or adds or removes them as Key says.
func (h *hands) rename(ctx context.Context, o op) (r result, err error) {
	switch o.Key {
	case "set":
		r.List, err = h.store.SetNames(ctx, o.object(), o.Names...)
	case "add":
		r.List, err = h.store.AddNames(ctx, o.object(), o.Names...)
	case "remove":
		r.List, err = h.store.RemoveNames(ctx, o.object(), o.Names...)
	}
	return r, err
}

func (h *hands) setMetadata(ctx context.Context, o op) (result, error) {
	return result{}, h.store.SetMetadata(ctx, o.object(), o.Key)
}

func (h *hands) setData(ctx context.Context, o op) (result, error) {
	return result{}, h.store.SetData(ctx, o.object(), o.Key, bytes.NewReader(o.Data))
}

func (h *hands) deleteData(ctx context.Context, o op) (result, error) {
	return result{}, h.store.Update(ctx, func(tx *graph.Tx) error { return tx.DeleteData(o.object(), o.Key) })
}

func (h *hands) mount(ctx context.Context, o op) (result, error) {
	_, err := h.store.Mount(ctx, o.ID, graph.MountOptions{})
	return result{}, err
}

func (h *hands) unmount(ctx context.Context, o op) (r result, err error) {
	still, err := h.store.Unmount(ctx, o.ID, o.Force)
	if still {
		r.N = 1
	}
	return r, err
}

func (h *hands) mounted(ctx context.Context, o op) (result, error) {
	n, err := h.store.Mounted(ctx, o.ID)
	return result{N: int64(n)}, err
}

// onMount calls do with the path at which a layer is mounted for that long.
func (h *hands) onMount(ctx context.Context, id string, do func(path string) error) error {
	path, err := h.store.Mount(ctx, id, graph.MountOptions{})
	if err != nil {
		return err
	}
	err = do(path)
	_, errUnmount := h.store.Unmount(ctx, id, false)
	return errors.Join(err, errUnmount)
}

// write writes the file Key of a layer, or removes it if there are no Data.
func (h *hands) write(ctx context.Context, o op) (result, error) {
	return result{}, h.onMount(ctx, o.ID, func(path string) error {
		path = filepath.Join(path, o.Key)
		if o.Data == nil {
			if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
		return os.WriteFile(path, o.Data, 0o600)
	})
}

// tree lists the files of a layer with their contents.
func (h *hands) tree(ctx context.Context, o op) (r result, err error) {
	return r, h.onMount(ctx, o.ID, func(path string) error {
		entries, err := os.ReadDir(path)
		for _, e := range entries {
			text, errRead := os.ReadFile(filepath.Join(path, e.Name()))
			r.List = append(r.List, e.Name()+"="+string(text))
			err = errors.Join(err, errRead)
		}
		return err
	})
}

func (h *hands) diff(ctx context.Context, o op) (r result, err error) {
	plain := model.Uncompressed
	stream, err := h.store.Diff(ctx, model.LayerID(o.ID), graph.DiffOptions{Compression: &plain})
	if err != nil {
		return r, err
	}
	r.Data, err = readAllOf(stream)
	return r, err
}

// dir writes the file Key in the directory of an object, or in the one in the
// run root if Force is set, and lists what is there.
func (h *hands) dir(ctx context.Context, o op) (r result, err error) {
	get := h.store.Dir
	if o.Force {
		get = h.store.RunDir
	}
	path, err := get(ctx, o.object())
	if err != nil {
		return r, err
	}
	err = os.WriteFile(filepath.Join(path, o.Key), nil, 0o600)
	entries, errRead := os.ReadDir(path)
	for _, e := range entries {
		r.List = append(r.List, e.Name())
	}
	return r, errors.Join(err, errRead)
}

func (h *hands) recover(ctx context.Context, _ op) (r result, err error) {
	found, err := h.store.Recover(ctx)
	if found != nil {
		r.List = slices.Concat(found.Trash, found.Staged, found.Strays)
		r.N = int64(len(found.Busy))
	}
	return r, err
}

// churn makes and deletes N containers of the image Parent, and reads.
func (h *hands) churn(ctx context.Context, o op) (r result, err error) {
	for i := range o.N {
		id := model.ContainerID(fmt.Sprintf("%s-%d", o.ID, i))
		c, err := h.store.CreateContainer(ctx, graph.ContainerSpec{ID: id, Image: model.ImageID(o.Parent)})
		if err != nil {
			return r, err
		}
		err = h.onMount(ctx, string(c.ID), func(path string) error {
			return os.WriteFile(filepath.Join(path, "f"), []byte("x"), 0o600)
		})
		_, errImage := h.store.Image(ctx, o.Parent)
		_, errLayer := h.store.Layer(ctx, string(c.Layer))
		errData := h.store.SetData(ctx, id, "key", strings.NewReader("x"))
		_, errSize := h.store.ContainerUsage(ctx, id)
		if err := errors.Join(err, errImage, errLayer, errData, errSize, h.store.DeleteContainer(ctx, id)); err != nil {
			return r, err
		}
		r.N++
	}
	return r, nil
}
