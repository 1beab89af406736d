package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/internal/archive"
)

// Content gives access to what the layer itself has and, for files that are not
// among that, to its ancestors as far as they are there.
func (i *inspector) Content(ctx context.Context, layer drivers.InspectedLayer) (_ drivers.Content, err error) {
	var dirs []*at.Dir
	defer func() {
		for _, dir := range dirs {
			err = errors.Join(err, dir.Close())
		}
	}()
	if dirs, err = i.openContents(dirs, layer.Dir); err != nil {
		return nil, err
	}
	for _, below := range layer.Below {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if dirs, err = i.openContents(dirs, below); err != nil && !isMissing(err) {
			return nil, err
		}
	}
	paths := make([]string, len(dirs))
	for n, dir := range dirs {
		paths[n] = dir.ProcPath()
	}
	return archive.OpenTree(paths...)
}

// openContents opens the directories that make up the content of one layer, and
// adds them to others: diff, and diff1, diff2 and so on, which it had before its
// owners were changed.
func (i *inspector) openContents(dirs []*at.Dir, name string) ([]*at.Dir, error) {
	layer, err := i.layers.Sub(name)
	if err != nil {
		return dirs, err
	}
	defer layer.Close()
	content, err := layer.Sub(contentDir)
	for n := 1; err == nil && n <= maxLowers; n++ {
		dirs = append(dirs, content)
		content, err = layer.Sub(fmt.Sprintf("%s%d", contentDir, n))
		if errors.Is(err, fs.ErrNotExist) {
			return dirs, nil
		}
	}
	return dirs, err
}

// isMissing tells whether an error says that something is not there, or
// something else is in its place.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
