package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/internal/archive"
)

// Content gives access to what the layer itself has and, for files that are not
// among that, to its ancestors as far as they are there.
func (i *inspector) Content(ctx context.Context, layer drivers.InspectedLayer) (tree drivers.Content, err error) {
	own, err := openContents(nil, i.layers, layer.Dir)
	defer func() { err = errors.Join(err, closeDirs(own)) }()
	if err != nil {
		return nil, err
	}
	err = i.onBelow(ctx, layer, func(below []*at.Dir) error {
		tree, err = archive.OpenTree(procPaths(slices.Concat(own, below))...)
		return err
	})
	return tree, err
}

// Restore implements drivers.Restorer.
func (i *inspector) Restore(ctx context.Context, layer drivers.InspectedLayer, to string, diff archive.Source) error {
	return i.onBelow(ctx, layer, func(below []*at.Dir) error {
		owner, err := drivers.Root(nil, nil)
		mode := uint32(baseMode)
		if len(below) > 0 { // as Create does
			var stat unix.Stat_t
			stat, err = below[0].Stat(".")
			owner, mode = drivers.Owner{UID: int(stat.Uid), GID: int(stat.Gid)}, stat.Mode&0o7777
		}
		if err := errors.Join(err, os.Chown(to, owner.UID, owner.GID), unix.Chmod(to, mode)); err != nil {
			return err
		}
		whiteouts := archive.WhiteoutsOverlay
		if inside, err := drivers.InUserNamespace(); err != nil {
			return err
		} else if inside {
			whiteouts = archive.WhiteoutsOverlayUser
		}
		_, err = archive.Unpack(ctx, to, diff, archive.UnpackOptions{Whiteouts: whiteouts, Lowers: procPaths(below)})
		return err
	})
}

// onBelow calls fn with the contents of a layer's ancestors, as far as they are
// there.
func (i *inspector) onBelow(ctx context.Context, layer drivers.InspectedLayer, fn func([]*at.Dir) error) (err error) {
	var dirs []*at.Dir
	defer func() { err = errors.Join(err, closeDirs(dirs)) }()
	for _, below := range layer.Below {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		home, err := i.homeOf(below)
		if err != nil {
			return err
		}
		if dirs, err = openContents(dirs, home.layers, below); err != nil && !isMissing(err) {
			return err
		}
	}
	return fn(dirs)
}

func closeDirs(dirs []*at.Dir) (err error) {
	for _, dir := range dirs {
		err = errors.Join(err, dir.Close())
	}
	return err
}

func procPaths(dirs []*at.Dir) []string {
	paths := make([]string, len(dirs))
	for n, dir := range dirs {
		paths[n] = dir.ProcPath()
	}
	return paths
}

// openContents opens the directories that make up the content of one layer, and
// adds them to others: diff, and diff1, diff2 and so on, which it had before its
// owners were changed.
func openContents(dirs []*at.Dir, home *drivers.LayerDirs, name string) ([]*at.Dir, error) {
	layer, err := home.Sub(name)
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
