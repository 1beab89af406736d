package main

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// inspection is all that is known about an object. Sizes are in bytes.
type inspection struct {
	Kind     model.Kind     `json:"kind"`
	ID       string         `json:"id"`
	Names    []string       `json:"names"`
	Created  time.Time      `json:"created"`
	Metadata string         `json:"metadata,omitempty"`
	Flags    map[string]any `json:"flags,omitempty"`
	Data     []dataItem     `json:"data"`
	// Size is missing if it cannot be told because something is damaged.
	Size *graph.Size `json:"size,omitempty"`

	Layer     *layerDetails     `json:"layer,omitempty"`
	Image     *imageDetails     `json:"image,omitempty"`
	Container *containerDetails `json:"container,omitempty"`
	UIDMap    []model.IDMap     `json:"uid-map,omitempty"`
	GIDMap    []model.IDMap     `json:"gid-map,omitempty"`

	// UsedBy are the objects that would have to be deleted first.
	UsedBy usedBy `json:"used-by"`
	// Mount is missing if nothing is mounted, as far as the run root tells.
	Mount *mountState `json:"mount,omitempty"`
	// Leases are those that keep it from being deleted, as far as the run root
	// tells.
	Leases []graph.Lease `json:"leases,omitempty"`
}

// dataItem is a data item, or the tar-split of a layer.
type dataItem struct {
	Key            string        `json:"key,omitempty"`
	File           string        `json:"file"` // relative to the graph root
	Digest         digest.Digest `json:"digest"`
	Size           int64         `json:"size"`
	ManifestDigest digest.Digest `json:"manifest-digest,omitempty"`
	Damage         string        `json:"damage,omitempty"` // why it is in quarantine
}

func newDataItem(key string, c *model.Content) dataItem {
	return dataItem{Key: key, File: c.Path, Digest: c.Digest, Size: c.Size, Damage: c.Damage}
}

// layerDetails is what only layers have.
type layerDetails struct {
	// Parents are all ancestors, the nearest first.
	Parents    []model.LayerID   `json:"parents"`
	Made       bool              `json:"made"` // the driver has a directory for it
	Directory  string            `json:"directory,omitempty"`
	Incomplete bool              `json:"incomplete,omitempty"`
	Damage     string            `json:"damage,omitempty"` // why it is in quarantine
	Writable   bool              `json:"writable,omitempty"`
	Content    int64             `json:"content"` // its own, or model.SizeUnknown
	Diff       *diffDetails      `json:"diff,omitempty"`
	TOCDigest  digest.Digest     `json:"toc-digest,omitempty"`
	MountLabel string            `json:"mount-label,omitempty"`
	StorageOpt map[string]string `json:"storage-opt,omitempty"`
}

// diffDetails describes the tar stream that a layer was made from.
type diffDetails struct {
	Digest           digest.Digest `json:"digest"`
	Size             int64         `json:"size"`
	CompressedDigest digest.Digest `json:"compressed-digest"`
	CompressedSize   int64         `json:"compressed-size"`
	Compression      string        `json:"compression"`
	UIDs             []uint32      `json:"uids,omitempty"`
	GIDs             []uint32      `json:"gids,omitempty"`
	TarSplit         *dataItem     `json:"tar-split,omitempty"`
}

// imageDetails is what only images have.
type imageDetails struct {
	TopLayer        model.LayerID   `json:"top-layer,omitempty"`
	MappedTopLayers []model.LayerID `json:"mapped-top-layers,omitempty"`
	// Layers are the top layer and all its ancestors, the top first.
	Layers       []model.LayerID `json:"layers"`
	Digest       digest.Digest   `json:"digest,omitempty"`
	Digests      []digest.Digest `json:"digests,omitempty"`
	NamesHistory []string        `json:"names-history,omitempty"`
}

// containerDetails is what only containers have.
type containerDetails struct {
	Image model.ImageID `json:"image,omitempty"`
	// Layer is its own; Layers are that and all its ancestors.
	Layer  model.LayerID   `json:"layer"`
	Layers []model.LayerID `json:"layers"`
}

// usedBy lists what uses an object.
type usedBy struct {
	Layers     []model.LayerID     `json:"layers,omitempty"`
	Images     []model.ImageID     `json:"images,omitempty"`
	Containers []model.ContainerID `json:"containers,omitempty"`
}

// mountState tells how a layer is mounted.
type mountState struct {
	Path  string    `json:"path"`
	Count uint64    `json:"count"`
	Since time.Time `json:"since"`
	// Mounted is false if the kernel should show the mount and does not, at
	// least not here.
	Mounted bool `json:"mounted"`
}

// inspectCommon adds what objects of every kind have.
func (v *inspection) inspectCommon(tx *graph.ReadTx, id model.ID, damaged *damages) error {
	items, err := tx.Data(id)
	if err := damaged.note(err); err != nil {
		return err
	}
	v.Data = make([]dataItem, 0, len(items))
	for _, item := range items {
		shown := newDataItem(item.Key, &item.Content)
		shown.ManifestDigest = item.ManifestDigest
		v.Data = append(v.Data, shown)
	}
	size, known, err := sizeOf(tx, id, damaged)
	if known {
		v.Size = &size
	}
	return err
}

func (v *inspection) inspectLayer(tx *graph.ReadTx, id model.LayerID, damaged *damages) error {
	l, err := tx.LayerByID(id)
	if err != nil {
		return err
	}
	v.Names, v.Created, v.Metadata, v.Flags, v.UIDMap, v.GIDMap = list(l.Names), l.Created, l.Metadata, l.Flags, l.UIDMap, l.GIDMap
	v.Layer = &layerDetails{
		Made: l.Made, Incomplete: l.Incomplete, Damage: l.Damage, Writable: l.Writable, Content: l.Size,
		TOCDigest: l.TOCDigest, MountLabel: l.MountLabel, StorageOpt: l.StorageOpt,
	}
	if l.Made {
		v.Layer.Directory = l.DriverDir()
	}
	if d := l.Diff; d != nil {
		v.Layer.Diff = &diffDetails{
			Digest: d.Digest, Size: d.Size, CompressedDigest: d.CompressedDigest, CompressedSize: d.CompressedSize,
			Compression: d.Compression.String(), UIDs: d.UIDs, GIDs: d.GIDs,
		}
		if d.TarSplit != nil {
			split := newDataItem("", d.TarSplit)
			v.Layer.Diff.TarSplit = &split
		}
	}
	if v.Layer.Parents, err = lineage(tx, l.Parent, damaged); err != nil {
		return err
	}
	return v.inspectUsers(tx, id, damaged)
}

// inspectUsers adds what uses a layer.
func (v *inspection) inspectUsers(tx *graph.ReadTx, id model.LayerID, damaged *damages) (err error) {
	v.UsedBy.Layers, err = tx.Children(id)
	if err := damaged.note(err); err != nil {
		return err
	}
	v.UsedBy.Images, err = tx.ImagesOfLayer(id)
	if err := damaged.note(err); err != nil {
		return err
	}
	v.UsedBy.Containers, err = tx.ContainersOfLayer(id)
	return damaged.note(err)
}

func (v *inspection) inspectImage(tx *graph.ReadTx, id model.ImageID, damaged *damages) error {
	i, err := tx.ImageByID(id)
	if err != nil {
		return err
	}
	v.Names, v.Created, v.Metadata, v.Flags = list(i.Names), i.Created, i.Metadata, i.Flags
	v.Image = &imageDetails{
		TopLayer: i.TopLayer, MappedTopLayers: i.MappedTopLayers, Digest: i.MainDigest(), Digests: i.Digests(), NamesHistory: i.NamesHistory,
	}
	if v.Image.Layers, err = lineage(tx, i.TopLayer, damaged); err != nil {
		return err
	}
	v.UsedBy.Containers, err = tx.ContainersOfImage(id)
	return damaged.note(err)
}

func (v *inspection) inspectContainer(tx *graph.ReadTx, id model.ContainerID, damaged *damages) error {
	c, err := tx.ContainerByID(id)
	if err != nil {
		return err
	}
	v.Names, v.Created, v.Metadata, v.Flags, v.UIDMap, v.GIDMap = list(c.Names), c.Created, c.Metadata, c.Flags, c.UIDMap, c.GIDMap
	v.Container = &containerDetails{Image: c.Image, Layer: c.Layer}
	v.Container.Layers, err = lineage(tx, c.Layer, damaged)
	return err
}

// lineage returns a layer and its ancestors, as far as there are records.
func lineage(tx *graph.ReadTx, id model.LayerID, damaged *damages) ([]model.LayerID, error) {
	layers := []model.LayerID{}
	seen := make(map[model.LayerID]bool)
	for id != "" && !seen[id] {
		seen[id] = true
		l, err := tx.LayerByID(id)
		if errors.Is(err, model.ErrNotFound) {
			break // deleted by force
		}
		layers = append(layers, id)
		if err != nil {
			return layers, damaged.note(err)
		}
		id = l.Parent
	}
	return layers, nil
}

// mounts returns what the run database says about mounts of a store, by layer.
// There need not be one.
func (s *session) mounts(ctx context.Context, uuid string) (map[model.LayerID]db.Mount, error) {
	mounts := make(map[model.LayerID]db.Mount)
	wait, cancel := s.waiting(ctx)
	defer cancel()
	err := db.ExamineRun(wait, s.settings.runRoot, uuid, func(tx *db.RunTx) error {
		all, err := tx.Mounts()
		for _, m := range all {
			mounts[m.Layer] = m
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, model.ErrCorrupt) {
		return mounts, nil
	}
	return mounts, err
}

// noteMount adds how the layer of an object is mounted.
func (v *inspection) noteMount(mounts map[model.LayerID]db.Mount) {
	var layer model.LayerID
	switch {
	case v.Layer != nil:
		layer = model.LayerID(v.ID)
	case v.Image != nil:
		layer = v.Image.TopLayer
	case v.Container != nil:
		layer = v.Container.Layer
	}
	v.Mount = mountStateOf(mounts, layer)
}

// mountStateOf tells how a layer is mounted; nil means that it is not, as far
// as is noted.
func mountStateOf(mounts map[model.LayerID]db.Mount, layer model.LayerID) *mountState {
	m, noted := mounts[layer]
	if !noted || m.Count == 0 {
		return nil
	}
	state := &mountState{Path: m.Path, Count: m.Count, Since: m.Since, Mounted: !m.Kernel}
	if mounted, err := mountinfo.Mounted(m.Path); err == nil && mounted {
		state.Mounted = true
	}
	return state
}
