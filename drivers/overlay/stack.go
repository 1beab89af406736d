package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/csdb/csdb/drivers"
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
	// short is the shortest way there: from the driver's own home, or an
	// absolute one to what is elsewhere.
	short string
	// id is the layer's name, and home where that is.
	id   string
	home *drivers.LayerDirs
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
// options, and those that it takes to show what is in them.
func (d *Driver) openStack(ctx context.Context, layer *drivers.Located, options mountOptions) (s *stack, err error) {
	s = &stack{home: d.layers.Dir, options: options}
	defer func() {
		if err != nil {
			s, err = nil, errors.Join(err, s.close())
		}
	}()
	if err := errors.Join(d.checkMark(d.layers), checkDepth(layer.Dir)); err != nil {
		return s, err
	}
	if err := d.openOwn(s, layer); err != nil {
		return s, err
	}
	err = d.eachLower(ctx, layer, func(lower content) error {
		s.lowers = append(s.lowers, lower)
		return nil
	})
	if err != nil {
		return s, err
	}
	if len(s.lowers) == 0 || len(s.lowers) == 1 && s.upper == nil {
		if err := d.addEmpty(s, layer); err != nil {
			return s, err
		}
	}
	if len(s.lowers) > maxLowers {
		return s, tooDeep(len(s.lowers))
	}
	return s, d.heed(s)
}

// openOwn opens the layer's own directories.
func (d *Driver) openOwn(s *stack, layer *drivers.Located) error {
	own, err := d.openPart(layer, contentDir)
	if err != nil {
		return err
	}
	if s.options.readOnly() {
		s.lowers = append(s.lowers, own)
		return nil
	}
	s.upper = &own
	work, err := d.openPart(layer, workDir)
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
func (d *Driver) addEmpty(s *stack, layer *drivers.Located) error {
	if layer.Foreign {
		empty, err := d.openEmpty()
		if err == nil {
			s.lowers = append(s.lowers, empty)
		}
		return err
	}
	owner, err := layer.Stat(".")
	if err != nil {
		return err
	}
	if err := layer.Mkdir(emptyDir, 0o700, int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	empty, err := d.openPart(layer, emptyDir)
	if err == nil {
		s.lowers = append(s.lowers, empty)
	}
	return err
}

// eachLower calls use with what lies below a layer, nearest first: its own
// older contents, and the contents of its ancestors. They are open, and use
// sees to it that they are closed.
func (d *Driver) eachLower(ctx context.Context, layer *drivers.Located, use func(content) error) (err error) {
	names, err := readLower(layer.Dir)
	if err != nil {
		return err
	}
	if err := d.eachOlder(layer.Home, layer.ID, use); err != nil || len(names) == 0 {
		return err
	}
	lookup := d.newLookup(layer.Search)
	defer func() { err = errors.Join(err, lookup.close()) }()
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		current, err := lookup.open(ctx, name)
		if err != nil {
			return err
		}
		if err := use(current); err != nil {
			return err
		}
		if err := d.eachOlder(current.home, current.id, use); err != nil {
			return err
		}
	}
	return nil
}

// eachOlder calls use with the contents that a layer had before its owners
// were changed: diff1, diff2 and so on, the latest first.
func (d *Driver) eachOlder(home *drivers.LayerDirs, id string, use func(content) error) error {
	for i := 1; i <= maxLowers; i++ {
		name := fmt.Sprintf("%s%d", contentDir, i)
		older, err := d.openAt(home, id, name)
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

// openPart opens a directory that every layer has.
func (d *Driver) openPart(layer *drivers.Located, name string) (content, error) {
	part, err := d.openAt(layer.Home, layer.ID, name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", model.ErrCorrupt, err)
	}
	return part, err
}

// openAt opens the directory name of a layer by the way through the layer's own
// directory.
func (d *Driver) openAt(home *drivers.LayerDirs, id, name string) (content, error) {
	short := filepath.Join(id, name)
	if home != d.layers {
		short = home.Path(short)
	}
	return openContent(home, id, name, short)
}

// openContent opens the directory name of a layer. short is the shortest way
// to it. The result has the name of the layer also if there is an error.
func openContent(home *drivers.LayerDirs, id, name, short string) (content, error) {
	dir, err := home.Sub(filepath.Join(id, name))
	return content{Dir: dir, short: short, id: id, home: home}, err
}
