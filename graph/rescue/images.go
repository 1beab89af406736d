package rescue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

// version is a content file without record: a version of a data item.
type version struct {
	id, key  string
	path     string
	modified time.Time
}

// versions returns the newest version of each data item of a kind that has no
// record, by object and key.
func (f *finder) versions(ctx context.Context, kind model.Kind) ([]version, error) {
	type item struct{ id, key string }
	newest := make(map[item]version)
	err := f.area(ctx, kind, func(found content.Found) error {
		key, ok := content.KeyOf(found.Path)
		if strings.Count(found.Path, "/") != 2 {
			return nil // a tar-split, or somebody else's
		}
		if !ok {
			f.unusable("%s: nothing tells the key of the data item", found.Path)
			return nil
		}
		stat, err := f.files.Stat(found.Path)
		if err != nil {
			return err
		}
		v := version{
			id: path.Base(path.Dir(found.Path)), key: key, path: found.Path,
			modified: time.Unix(stat.Mtim.Sec, stat.Mtim.Nsec).UTC(),
		}
		at := item{v.id, v.key}
		if other, known := newest[at]; !known || other.modified.Before(v.modified) {
			newest[at] = v
		}
		return nil
	})
	all := make([]version, 0, len(newest))
	for _, v := range newest {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b version) int { return strings.Compare(a.path, b.path) })
	return all, err
}

// addItems adds the data items of objects that have a record, and notes the
// content files of those that have none.
func (f *finder) addItems(ctx context.Context) error {
	for _, kind := range model.Kinds {
		versions, err := f.versions(ctx, kind)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if !f.found.Missing(kind, v.id, v.key) {
				continue
			}
			c, err := f.measure(ctx, v.path)
			if err != nil {
				return err
			}
			item := &model.Data{Key: v.key, Content: c}
			if kind == model.KindImage && model.IsManifestKey(v.key) {
				item.ManifestDigest = c.Digest
			}
			if !f.found.AddData(kind, v.id, item) {
				f.unusable("%s: the %s has no record, and none can be made", v.path, kind)
			}
		}
	}
	return nil
}

// config is what the configuration of an image says of it (OCI image
// specification, config.md).
type config struct {
	Created time.Time `json:"created"`
	RootFS  struct {
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
}

// manifest is what a manifest says of the configuration (manifest.md).
type manifest struct {
	Config struct {
		Digest digest.Digest `json:"digest"`
	} `json:"config"`
}

// maxDocument is more than a manifest or a configuration ever has, in bytes.
const maxDocument = 8 << 20

// addImages adds the images that have a manifest and a configuration and no
// record.
func (f *finder) addImages(ctx context.Context) error {
	versions, err := f.versions(ctx, model.KindImage)
	if err != nil {
		return err
	}
	images := make(map[string]map[string]version)
	for _, v := range versions {
		if images[v.id] == nil {
			images[v.id] = make(map[string]version)
		}
		images[v.id][v.key] = v
	}
	layers := newChains(f.found.Layers(), f.copies)
	for id, items := range sorted(images) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if model.ValidateID(model.KindImage, id) != nil || !f.found.Missing(model.KindImage, id, "") {
			continue
		}
		image, err := f.imageOf(id, items, layers)
		if err != nil {
			f.unusable("%s: %v", path.Join(content.Area(f.report.Driver, model.KindImage), id), err)
			continue
		}
		f.found.Add(image)
	}
	return nil
}

// imageOf makes the record of an image.
func (f *finder) imageOf(id string, items map[string]version, layers *chains) (*model.Image, error) {
	key, err := f.configKey(items)
	if err != nil {
		return nil, err
	}
	var c config
	if err := f.decode(items[key].path, &c); err != nil {
		return nil, err
	}
	image := &model.Image{ID: model.ImageID(id), Created: c.Created}
	if image.Created.IsZero() {
		image.Created = items[key].modified
	}
	image.Names = f.found.NamesOf(model.KindImage, id)
	image.NamesHistory = model.RecordNames(nil, image.Names)
	if len(c.RootFS.DiffIDs) == 0 {
		return image, nil
	}
	if image.TopLayer = layers.top(c.RootFS.DiffIDs); image.TopLayer == "" {
		return nil, fmt.Errorf("no layers have the %d diffs that its configuration lists", len(c.RootFS.DiffIDs))
	}
	return image, nil
}

// configKey returns the key of the configuration, as the manifest has it. In its
// absence it is what there is besides manifests, if that is one item.
func (f *finder) configKey(items map[string]version) (string, error) {
	var others []string
	for key, v := range sorted(items) {
		if !model.IsManifestKey(key) {
			others = append(others, key)
			continue
		}
		var m manifest
		if err := f.decode(v.path, &m); err != nil {
			continue // perhaps another one is better
		}
		if _, there := items[m.Config.Digest.String()]; there {
			return m.Config.Digest.String(), nil
		}
	}
	if len(others) != 1 {
		return "", errors.New("nothing tells which of its data items is the configuration")
	}
	return others[0], nil
}

// decode reads a content file that is JSON.
func (f *finder) decode(name string, into any) (err error) {
	stat, err := f.files.Stat(name)
	if err != nil {
		return err
	}
	if stat.Size > maxDocument {
		return fmt.Errorf("%s has %d bytes", path.Base(name), stat.Size)
	}
	file, err := f.files.Open(model.Content{Path: name, Size: stat.Size})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, err := io.ReadAll(file)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path.Base(name), err)
	}
	return nil
}
