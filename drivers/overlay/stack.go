package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// maxLowers is how many lower directories the kernel takes (OVL_MAX_STACK in
// fs/overlayfs).
const maxLowers = 500

// stack is what an overlay mount is made of. All its directories are open, so
// that what was looked at is what gets mounted.
type stack struct {
	home   *at.Dir
	lowers []content // nearest first
	upper  *content  // nil for a mount that is read-only
	work   *content  // nil if upper is
	// options are those of the mount; data holds no paths.
	options mountOptions
}

// content is a directory with what a layer, or a part of one, contains.
type content struct {
	*at.Dir
	// path is where it is below the home, and short the shortest way there.
	path, short string
}

func (s *stack) close() error {
	err := closeAll(s.lowers)
	for _, c := range []*content{s.upper, s.work} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}

func closeAll(contents []content) error {
	var err error
	for _, c := range contents {
		err = errors.Join(err, c.Close())
	}
	return err
}

// openStack opens the directories of a layer for a mount with the given
// options.
func (d *Driver) openStack(ctx context.Context, id string, layer *at.Dir, options mountOptions) (s *stack, err error) {
	s = &stack{home: d.layers.Dir, options: options}
	defer func() {
		if err != nil {
			s, err = nil, errors.Join(err, s.close())
		}
	}()
	if err := checkDepth(layer); err != nil {
		return s, err
	}
	if err := d.openOwn(s, id); err != nil {
		return s, err
	}
	err = d.eachLower(ctx, id, layer, func(lower content) error {
		s.lowers = append(s.lowers, lower)
		return nil
	})
	if err != nil {
		return s, err
	}
	if len(s.lowers) == 0 || len(s.lowers) == 1 && s.upper == nil {
		if err := d.addEmpty(s, id, layer); err != nil {
			return s, err
		}
	}
	if len(s.lowers) > maxLowers {
		err = tooDeep(len(s.lowers))
	}
	return s, err
}

// openOwn opens the layer's own directories.
func (d *Driver) openOwn(s *stack, id string) error {
	own, err := d.openPart(id, contentDir)
	if err != nil {
		return err
	}
	if s.options.readOnly() {
		s.lowers = append(s.lowers, own)
		return nil
	}
	s.upper = &own
	work, err := d.openPart(id, workDir)
	if err == nil {
		s.work = &work
	}
	return err
}

// checkDepth looks how many ancestors a layer has before they are opened.
func checkDepth(layer *at.Dir) error {
	names, err := readLower(layer)
	if err == nil && len(names) > maxLowers {
		err = tooDeep(len(names))
	}
	return err
}

func tooDeep(lowers int) error {
	return fmt.Errorf("%w: max depth exceeded: %d lower directories, the kernel takes %d", model.ErrUnsupported, lowers, maxLowers)
}

// addEmpty gives a layer that has nothing below it an empty lower directory,
// because there must be one.
func (d *Driver) addEmpty(s *stack, id string, layer *at.Dir) error {
	owner, err := layer.Stat(".")
	if err != nil {
		return err
	}
	if err := layer.Mkdir(emptyDir, 0o700, int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	empty, err := d.openPart(id, emptyDir)
	if err == nil {
		s.lowers = append(s.lowers, empty)
	}
	return err
}

// eachLower calls use with what lies below a layer, nearest first: its own
// older contents, and the contents of its ancestors. They are open, and use
// sees to it that they are closed.
func (d *Driver) eachLower(ctx context.Context, id string, layer *at.Dir, use func(content) error) error {
	names, err := readLower(layer)
	if err != nil {
		return err
	}
	if err := d.eachOlder(id, use); err != nil || len(names) == 0 {
		return err
	}
	return d.withLinks(func(links *at.Dir) error {
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			ancestor, err := d.readOrMend(ctx, links, name)
			if err != nil {
				return err
			}
			current, err := d.openContent(ancestor, contentDir, name.path())
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: layer %q below it is missing: %w", model.ErrCorrupt, ancestor, err)
			}
			if err != nil {
				return err
			}
			if err := use(current); err != nil {
				return err
			}
			if err := d.eachOlder(ancestor, use); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachOlder calls use with the contents that a layer had before its owners
// were changed: diff1, diff2 and so on, the latest first.
func (d *Driver) eachOlder(id string, use func(content) error) error {
	for i := 1; i <= maxLowers; i++ {
		name := fmt.Sprintf("%s%d", contentDir, i)
		older, err := d.openContent(id, name, filepath.Join(id, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := use(older); err != nil {
			return err
		}
	}
	return nil
}

// readOrMend returns the layer that has the short name. If there is none, all
// short names are restored first.
func (d *Driver) readOrMend(ctx context.Context, links *at.Dir, name link) (id string, err error) {
	if id, err = readTarget(links, name); !errors.Is(err, errNoLink) {
		return id, err
	}
	if err := d.mendLinks(ctx, links); err != nil {
		return "", err
	}
	return readTarget(links, name)
}

// openPart opens a directory that every layer has.
func (d *Driver) openPart(id, name string) (content, error) {
	part, err := d.openContent(id, name, filepath.Join(id, name))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", model.ErrCorrupt, err)
	}
	return part, err
}

// openContent opens the directory name of a layer. short is the shortest way
// to it from the home.
func (d *Driver) openContent(id, name, short string) (content, error) {
	path := filepath.Join(id, name)
	dir, err := d.layers.Sub(path)
	return content{Dir: dir, path: path, short: short}, err
}
