package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
)

// addLayers adds the layers that have a directory and no record.
func (f *finder) addLayers(ctx context.Context) error {
	searcher, ok := f.home.(drivers.LayerFinder)
	if !ok {
		f.unusable("directories of layers: those of driver %s do not tell what they are", f.report.Driver)
		return nil
	}
	for _, l := range f.found.Layers() {
		f.dirs[l.DriverDir()] = l.ID
	}
	var layers []drivers.FoundLayer
	seen := make(map[model.LayerID]string)
	err := searcher.FindLayers(ctx, func(l drivers.FoundLayer) error {
		id, err := model.ParseLayerDir(l.Dir)
		place := f.layerPath(f.home.Path(l.Dir))
		switch {
		case err != nil || f.dirs[l.Dir] != "" || f.needed[f.layerPath(l.Dir)] || !f.found.Missing(model.KindLayer, string(id), ""):
			return nil //nolint:nilerr // It is no layer's, or not missing.
		case seen[id] != "":
			f.unusable("%s: %s seems to be of the same layer", place, seen[id])
			return nil
		case l.Problem != "":
			f.unusable("%s: %s", place, l.Problem)
			return nil
		}
		seen[id] = place
		f.dirs[l.Dir] = id
		layers = append(layers, l)
		return nil
	})
	if err != nil {
		return err
	}
	splits, err := f.tarSplits(ctx)
	if err != nil {
		return err
	}
	return f.recordLayers(ctx, layers, splits)
}

// recordLayers makes records of layers that were found.
func (f *finder) recordLayers(ctx context.Context, layers []drivers.FoundLayer, splits map[model.LayerID]string) error {
	lineage := make(map[string]string, len(layers))
	for _, l := range layers {
		lineage[l.Dir] = l.Parent
	}
	for _, l := range layers {
		layer := &model.Layer{ID: f.dirs[l.Dir], Made: true, Size: model.SizeUnknown}
		layer.Names = f.found.NamesOf(model.KindLayer, string(layer.ID))
		if l.Dir != string(layer.ID) {
			layer.Dir = l.Dir
		}
		if l.Parent != "" {
			if layer.Parent = f.dirs[l.Parent]; layer.Parent == "" {
				f.unusable("%s: its parent %s is not there", f.layerPath(f.home.Path(l.Dir)), l.Parent)
				continue
			}
		}
		split := splits[layer.ID]
		// What was imported has a tar-split; what has none was written by hand.
		layer.Writable = split == ""
		if split != "" {
			below := drivers.InspectedLayer{Dir: l.Dir, Below: ancestors(lineage, l.Dir)}
			diff, err := f.diffOf(ctx, split, below)
			if err != nil {
				return err
			}
			layer.Diff = diff
		}
		if f.found.Add(layer) && layer.Diff != nil {
			f.needed[split] = true
		}
	}
	return nil
}

// ancestors returns the directories below one, the nearest first.
func ancestors(lineage map[string]string, dir string) (below []string) {
	for parent := lineage[dir]; parent != "" && len(below) <= len(lineage); parent = lineage[parent] {
		below = append(below, parent)
	}
	return below
}

// tarSplits returns the tar-splits that have no record. Of several for one layer
// none is certain.
func (f *finder) tarSplits(ctx context.Context) (map[model.LayerID]string, error) {
	splits := make(map[model.LayerID]string)
	err := f.area(ctx, model.KindLayer, func(found content.Found) error {
		name, _, isSplit := strings.Cut(path.Base(found.Path), content.TarSplitSuffix)
		if !isSplit || strings.Count(found.Path, "/") != 1 {
			return nil
		}
		id, err := model.ParseLayerID(name)
		if err != nil {
			return nil //nolint:nilerr // Somebody else's file.
		}
		if other := splits[id]; other != "" {
			f.unusable("%s: %s is of the same layer", found.Path, other)
			return nil
		}
		splits[id] = found.Path
		return nil
	})
	return splits, err
}

// diffOf puts the diff of a layer together from its files and its tar-split, which
// tells its digest. It returns nil if that cannot be done.
func (f *finder) diffOf(ctx context.Context, split string, layer drivers.InspectedLayer) (*model.Diff, error) {
	file, err := f.measure(ctx, split)
	if err != nil {
		return nil, err
	}
	sum := pipeline.NewSum()
	err = fsck.Replay(ctx, sum, f.files, file, f.home, layer)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		f.unusable("%s: the diff of the layer cannot be put together: %v", split, err)
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	return &model.Diff{Digest: sum.Digest(), Size: sum.Size(), TarSplit: &file}, nil
}

// measure describes a content file by what is in it.
func (f *finder) measure(ctx context.Context, name string) (c model.Content, err error) {
	stat, err := f.files.Stat(name)
	if err != nil {
		return c, err
	}
	c = model.Content{Path: name, Size: stat.Size}
	file, err := f.files.Open(c)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := pipeline.NewSum()
	if _, err := io.Copy(sum, pipeline.WithContext(ctx, file)); err != nil {
		return c, fmt.Errorf("content file %s: %w", name, err)
	}
	c.Digest = sum.Digest()
	return c, nil
}

func isFile(mode uint32) bool { return mode&unix.S_IFMT == unix.S_IFREG }
