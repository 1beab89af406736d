package db_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// machineActions are what the machine can do within a transaction. Each does
// the same to the database and to the state, or nothing if the state does not
// allow it.
var machineActions = map[string]func(*rapid.T, *db.Tx, *state) error{
	"create layer":     createLayerAction,
	"create image":     createImageAction,
	"create container": createContainerAction,
	"delete":           deleteAction,
	"rename":           renameAction,
	"change layer":     changeLayerAction,
	"change image":     changeImageAction,
	"put data":         putDataAction,
	"delete data":      deleteDataAction,
	"trash":            trashAction,
}

// freeID draws an ID that no object of the kind has.
func (s *state) freeID(t *rapid.T, kind model.Kind) (string, bool) {
	free := slices.DeleteFunc(slices.Clone(poolIDs), func(id string) bool { return slices.Contains(s.order[kind], id) })
	if len(free) == 0 {
		return "", false
	}
	return rapid.SampledFrom(free).Draw(t, "free ID"), true
}

// takenID draws an ID that an object of the kind has.
func (s *state) takenID(t *rapid.T, kind model.Kind) (string, bool) {
	if len(s.order[kind]) == 0 {
		return "", false
	}
	return rapid.SampledFrom(s.order[kind]).Draw(t, "ID"), true
}

// freeNames draws names that nobody has.
func (s *state) freeNames(t *rapid.T, kind model.Kind) []string {
	owners := s.owners(kind)
	drawn := rapid.SliceOfNDistinct(rapid.SampledFrom(poolNames), 0, 2, rapid.ID).Draw(t, "names")
	return slices.DeleteFunc(drawn, func(name string) bool { return owners[name] != "" })
}

// anyLayer draws the ID of a layer, which may exist or not, or none.
func anyLayer(t *rapid.T, label string) model.LayerID {
	return model.LayerID(rapid.SampledFrom(append([]string{""}, poolIDs...)).Draw(t, label))
}

func (s *state) file() string {
	s.files++
	return fmt.Sprintf("file-%d", s.files)
}

// diff draws a diff, or none.
func (s *state) diff(t *rapid.T) *model.Diff {
	if !rapid.Bool().Draw(t, "has diff") {
		return nil
	}
	d := &model.Diff{Digest: rapid.SampledFrom(poolDigests).Draw(t, "digest"), Size: 100}
	if rapid.Bool().Draw(t, "has tar-split") {
		c := contentOf(s.file(), rapid.Int64Range(0, 50).Draw(t, "tar-split size"))
		d.TarSplit = &c
	}
	return d
}

func createLayerAction(t *rapid.T, tx *db.Tx, s *state) error {
	id, ok := s.freeID(t, model.KindLayer)
	parent := anyLayer(t, "parent")
	if !ok || parent != "" && s.ancestorOf(model.LayerID(id), parent) {
		return nil
	}
	l := model.Layer{
		ID: model.LayerID(id), Parent: parent, Names: s.freeNames(t, model.KindLayer), Diff: s.diff(t),
		Size: rapid.Int64Range(-1, 1000).Draw(t, "size"),
	}
	s.layers[l.ID], s.changed = &l, true
	s.order[model.KindLayer] = append(s.order[model.KindLayer], id)
	stored := l
	return tx.CreateLayer(&stored)
}

func createImageAction(t *rapid.T, tx *db.Tx, s *state) error {
	id, ok := s.freeID(t, model.KindImage)
	if !ok {
		return nil
	}
	i := model.Image{ID: model.ImageID(id), TopLayer: anyLayer(t, "top"), Names: s.freeNames(t, model.KindImage)}
	if rapid.Bool().Draw(t, "has digest") {
		i.Digest = rapid.SampledFrom(poolDigests).Draw(t, "digest")
	}
	s.images[i.ID], s.changed = &i, true
	s.order[model.KindImage] = append(s.order[model.KindImage], id)
	stored := i
	return tx.CreateImage(&stored)
}

func createContainerAction(t *rapid.T, tx *db.Tx, s *state) error {
	id, ok := s.freeID(t, model.KindContainer)
	layer := anyLayer(t, "layer")
	for _, other := range s.containers {
		ok = ok && (layer == "" || other.Layer != layer)
	}
	if !ok {
		return nil
	}
	c := model.Container{
		ID: model.ContainerID(id), Layer: layer, Names: s.freeNames(t, model.KindContainer),
		Image: model.ImageID(rapid.SampledFrom(append([]string{""}, poolIDs...)).Draw(t, "image")),
	}
	s.containers[c.ID], s.changed = &c, true
	s.order[model.KindContainer] = append(s.order[model.KindContainer], id)
	stored := c
	return tx.CreateContainer(&stored)
}

// deleteAction deletes an object whoever refers to it.
func deleteAction(t *rapid.T, tx *db.Tx, s *state) error {
	kind := rapid.SampledFrom(model.Kinds).Draw(t, "kind")
	id, ok := s.takenID(t, kind)
	if !ok {
		return nil
	}
	var want []string
	for _, item := range s.data[objectKey{kind, id}] {
		want = append(want, item.Content.Path)
	}
	var files []model.Content
	var err error
	switch kind {
	case model.KindLayer:
		if diff := s.layers[model.LayerID(id)].Diff; diff != nil && diff.TarSplit != nil {
			want = append(want, diff.TarSplit.Path)
		}
		_, files, err = tx.DeleteLayer(model.LayerID(id))
		delete(s.layers, model.LayerID(id))
	case model.KindImage:
		_, files, err = tx.DeleteImage(model.ImageID(id))
		delete(s.images, model.ImageID(id))
	case model.KindContainer:
		_, files, err = tx.DeleteContainer(model.ContainerID(id))
		delete(s.containers, model.ContainerID(id))
	}
	var got []string
	for _, file := range files {
		got = append(got, file.Path)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err == nil && diff != "" {
		err = errors.New("files: " + diff)
	}
	delete(s.data, objectKey{kind, id})
	s.order[kind] = slices.DeleteFunc(s.order[kind], func(other string) bool { return other == id })
	s.changed = true
	return err
}

func renameAction(t *rapid.T, tx *db.Tx, s *state) error {
	kind := rapid.SampledFrom(model.Kinds).Draw(t, "kind")
	id, ok := s.takenID(t, kind)
	if !ok {
		return nil
	}
	drawn := rapid.SliceOfN(rapid.SampledFrom(poolNames), 0, 3).Draw(t, "names")
	old := *s.names(kind, id)
	var names []string
	var err error
	switch rapid.IntRange(0, 2).Draw(t, "operation") {
	case 0:
		names = model.UniqueNames(drawn...)
		_, err = tx.SetNames(kind, id, drawn)
	case 1:
		names = model.UniqueNames(append(slices.Clone(drawn), old...)...)
		_, err = tx.AddNames(kind, id, drawn)
	default:
		names = slices.DeleteFunc(slices.Clone(old), func(name string) bool { return slices.Contains(drawn, name) })
		_, err = tx.RemoveNames(kind, id, drawn)
	}
	for _, other := range s.order[kind] {
		if theirs := s.names(kind, other); other != id {
			*theirs = slices.DeleteFunc(slices.Clone(*theirs), func(name string) bool { return slices.Contains(names, name) })
		}
	}
	*s.names(kind, id) = names
	if kind == model.KindImage {
		i := s.images[model.ImageID(id)]
		i.NamesHistory = model.RecordNames(i.NamesHistory, names)
	}
	s.changed = true
	return err
}

// changeLayerAction changes size, diff and parent of a layer.
func changeLayerAction(t *rapid.T, tx *db.Tx, s *state) error {
	id, ok := s.takenID(t, model.KindLayer)
	if !ok {
		return nil
	}
	l := *s.layers[model.LayerID(id)]
	l.Size = rapid.Int64Range(-1, 1000).Draw(t, "size")
	l.Diff = s.diff(t)
	if parent := anyLayer(t, "parent"); parent == "" || !s.ancestorOf(l.ID, parent) {
		l.Parent = parent
	}
	s.layers[l.ID], s.changed = &l, true
	return second(tx.UpdateLayer(db.OpApply, l.ID, func(record *model.Layer) error {
		record.Size, record.Diff, record.Parent = l.Size, l.Diff, l.Parent
		return nil
	}))
}

// changeImageAction changes the layers and the digest of an image.
func changeImageAction(t *rapid.T, tx *db.Tx, s *state) error {
	id, ok := s.takenID(t, model.KindImage)
	if !ok {
		return nil
	}
	i := *s.images[model.ImageID(id)]
	i.MappedTopLayers = rapid.SliceOfNDistinct(rapid.Map(rapid.SampledFrom(poolIDs), func(id string) model.LayerID {
		return model.LayerID(id)
	}), 0, 2, rapid.ID).Draw(t, "mapped layers")
	i.Digest = rapid.SampledFrom(append([]digest.Digest{""}, poolDigests...)).Draw(t, "digest")
	s.images[i.ID], s.changed = &i, true
	return second(tx.UpdateImage(db.OpModify, i.ID, func(record *model.Image) error {
		record.MappedTopLayers, record.Digest = i.MappedTopLayers, i.Digest
		return nil
	}))
}

func putDataAction(t *rapid.T, tx *db.Tx, s *state) error {
	kind := rapid.SampledFrom(model.Kinds).Draw(t, "kind")
	id, ok := s.takenID(t, kind)
	if !ok {
		return nil
	}
	item := model.Data{
		Key:     rapid.SampledFrom(poolKeys).Draw(t, "key"),
		Content: contentOf(s.file(), rapid.Int64Range(0, 100).Draw(t, "size")),
	}
	if kind == model.KindImage && model.IsManifestKey(item.Key) {
		item.ManifestDigest = rapid.SampledFrom(poolDigests).Draw(t, "digest")
	}
	key := objectKey{kind, id}
	at := slices.IndexFunc(s.data[key], func(other model.Data) bool { return other.Key == item.Key })
	old, err := tx.PutData(kind, id, item)
	if err == nil && (old != nil) != (at >= 0) {
		err = fmt.Errorf("%v is said to have been replaced", old)
	}
	if at >= 0 {
		s.data[key][at] = item
	} else {
		s.data[key] = append(s.data[key], item)
	}
	s.refreshManifests(key)
	s.changed = true
	return err
}

func deleteDataAction(t *rapid.T, tx *db.Tx, s *state) error {
	kind := rapid.SampledFrom(model.Kinds).Draw(t, "kind")
	id, ok := s.takenID(t, kind)
	key := objectKey{kind, id}
	if !ok || len(s.data[key]) == 0 {
		return nil
	}
	at := rapid.IntRange(0, len(s.data[key])-1).Draw(t, "item")
	_, err := tx.DeleteData(kind, id, s.data[key][at].Key)
	s.data[key] = slices.Delete(s.data[key], at, at+1)
	s.refreshManifests(key)
	s.changed = true
	return err
}

// refreshManifests repeats the digests of an image's manifests in its record.
func (s *state) refreshManifests(key objectKey) {
	if key.kind != model.KindImage {
		return
	}
	i := *s.images[model.ImageID(key.id)]
	i.ManifestDigests = nil
	for _, item := range s.data[key] {
		if item.ManifestDigest != "" {
			i.ManifestDigests = append(i.ManifestDigests, item.ManifestDigest)
		}
	}
	s.images[i.ID] = &i
}

// trashAction notes something to be removed, or says that all is gone.
func trashAction(t *rapid.T, tx *db.Tx, s *state) error {
	if rapid.Bool().Draw(t, "reap") {
		paths := slices.Sorted(maps.Keys(s.trash))
		s.changed = s.changed || len(paths) > 0
		clear(s.trash)
		return tx.RemoveTrash(append(paths, "unknown")...)
	}
	path := s.file()
	s.trash[path], s.changed = true, true
	return tx.AddTrash(db.Trash{Path: path, Kind: db.TrashFile})
}
