package drivers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// Measurer is implemented by drivers that can tell how much room removing a
// layer gives back.
type Measurer interface {
	// Measure returns the size of the files that the driver keeps for a layer
	// alone, in bytes: also of one that is there in part only. That of a layer
	// which does not exist, or not in the driver's own home, is 0.
	Measure(ctx context.Context, id string) (int64, error)
}

// Measure returns the size of the files in the directory of a layer, but for what
// is in the directories mounted within it, and in what an interrupted Create or
// Remove has left of the layer.
func (l *LayerDirs) Measure(ctx context.Context, id string, mounted ...string) (total int64, err error) {
	if err := CheckLayer(id); err != nil {
		return 0, err
	}
	for _, name := range []string{id, partPrefix + id} {
		size, err := l.measure(ctx, name, mounted)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, model.ErrCorrupt) {
			return 0, fmt.Errorf("measure layer %s: %w", id, err)
		}
		total += size // of what is there, and a directory
	}
	return total, nil
}

func (l *LayerDirs) measure(ctx context.Context, name string, mounted []string) (size int64, err error) {
	dir, err := l.Sub(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return archive.TreeSizeOf(ctx, dir.Dir, mounted...)
}
