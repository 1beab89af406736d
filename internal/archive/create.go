package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// maker makes the file that an entry describes.
type maker func(ctx context.Context, place beneath.Place, name string, hdr *tar.Header) error

// makerOf returns what makes files of a type.
func (u *unpacker) makerOf(typeflag byte) (maker, error) {
	switch typeflag {
	case tar.TypeDir:
		return u.directory, nil
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file, nil
	case tar.TypeLink:
		return u.link, nil
	case tar.TypeSymlink:
		return u.symlink, nil
	case tar.TypeFifo, tar.TypeChar, tar.TypeBlock:
		return u.special, nil
	}
	return nil, fmt.Errorf("%w: unhandled tar header type %q", model.ErrUnsupported, typeflag)
}

// anew makes a file with the given function, in place of what has its name.
func (u *unpacker) anew(ctx context.Context, dir *beneath.Dir, name string, create func() error) error {
	err := create()
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if err := u.remove(ctx, dir, name); err != nil {
		return err
	}
	return create()
}

// remove removes a file or a tree.
func (u *unpacker) remove(ctx context.Context, dir *beneath.Dir, name string) error {
	u.places.Forget() // it may be a directory or a link that names lead through
	return dir.RemoveTree(ctx, name)
}

// rootEntry applies the entry of the root directory itself.
func (u *unpacker) rootEntry(hdr *tar.Header) error {
	if hdr.Typeflag != tar.TypeDir {
		return fmt.Errorf("%w: root of the tree cannot be replaced", model.ErrInvalid)
	}
	return u.existingDir(beneath.Place{Dir: u.root}, hdr)
}

func (u *unpacker) directory(ctx context.Context, place beneath.Place, name string, hdr *tar.Header) error {
	dir, existed, err := u.openOrMake(ctx, place.Dir, name)
	if err != nil {
		return err
	}
	// The next entries are likely to be in it.
	full := place.Join(name)
	made := u.places.Keep(full, beneath.Place{Dir: dir, Name: full})
	if existed {
		return u.existingDir(made, hdr)
	}
	return u.dirAttributes(made, hdr)
}

// existingDir applies an entry to a directory that is there. In an overlay
// the directory would be a new one, without the attributes of the lower one.
func (u *unpacker) existingDir(dir beneath.Place, hdr *tar.Header) error {
	if err := dropXattrs(dir.Dir, "."); err != nil {
		return err
	}
	return u.dirAttributes(dir, hdr)
}

func (u *unpacker) dirAttributes(dir beneath.Place, hdr *tar.Header) error {
	atime, mtime := fileTimes(hdr)
	u.times.add(dirTime{name: dir.Name, atime: atime, mtime: mtime})
	return u.setAttributes(node{dir: dir.Dir, name: "."}, hdr)
}

// openOrMake opens the directory called name, or makes it in place of what is
// not a directory.
func (u *unpacker) openOrMake(ctx context.Context, parent *beneath.Dir, name string) (dir *beneath.Dir, existed bool, err error) {
	err = parent.Mkdir(name)
	if err == nil {
		dir, err = parent.Enter(name)
		return dir, false, err
	}
	if !errors.Is(err, unix.EEXIST) {
		return nil, false, err
	}
	if dir, err = parent.Enter(name); !errors.Is(err, unix.ENOTDIR) {
		return dir, true, err
	}
	if err := u.remove(ctx, parent, name); err != nil {
		return nil, false, err
	}
	if u.opts.Whiteouts.overlay() {
		dir, err = u.makeOpaque(parent, name, func(*beneath.Dir) error { return nil })
		return dir, false, err
	}
	if err := parent.Mkdir(name); err != nil {
		return nil, false, err
	}
	dir, err = parent.Enter(name)
	return dir, false, err
}

func (u *unpacker) file(ctx context.Context, place beneath.Place, name string, hdr *tar.Header) (err error) {
	var file *os.File
	err = u.anew(ctx, place.Dir, name, func() (err error) {
		file, err = place.Create(name)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := u.copyContent(ctx, file, hdr); err != nil {
		return err
	}
	n := node{dir: place.Dir, name: name, file: file}
	if err := u.setAttributes(n, hdr); err != nil {
		return err
	}
	return n.setTimes(hdr)
}

func (u *unpacker) symlink(ctx context.Context, place beneath.Place, name string, hdr *tar.Header) error {
	if hdr.Linkname == "" {
		return fmt.Errorf("%w: symbolic link to nothing", model.ErrInvalid)
	}
	err := u.anew(ctx, place.Dir, name, func() error { return place.Symlink(hdr.Linkname, name) })
	if err != nil {
		return invalid(err)
	}
	n := node{dir: place.Dir, name: name}
	if err := u.setAttributes(n, hdr); err != nil {
		return err
	}
	return n.setTimes(hdr)
}

// link makes a hard link. Its target is a name like any other: beneath the
// root, and itself not followed. The attributes are those of the target.
func (u *unpacker) link(ctx context.Context, place beneath.Place, name string, hdr *tar.Header) error {
	target, err := cleanName(hdr.Linkname)
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", shortName(hdr.Linkname), err)
	}
	targetDir, targetName := splitName(target)
	from, err := u.places.Find(targetDir)
	if err == nil {
		err = u.checkLinkTarget(from, targetName, place.Join(name))
	}
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", shortName(hdr.Linkname), invalid(err))
	}
	err = u.anew(ctx, place.Dir, name, func() error { return place.Link(from.Dir, targetName, name) })
	if errors.Is(err, unix.ENOENT) { // it was below what the link replaces
		err = fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	return err
}

// checkLinkTarget reports whether a hard link called name can be made to an
// entry.
func (u *unpacker) checkLinkTarget(from beneath.Place, target, name string) error {
	if target == "" {
		return fmt.Errorf("%w: a directory", model.ErrInvalid)
	}
	if from.Join(target) == name {
		return fmt.Errorf("%w: the link itself", model.ErrInvalid)
	}
	stat, err := from.Stat(target)
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w: no such file: %w", model.ErrInvalid, err)
	case err != nil:
		return err
	case stat.Mode&unix.S_IFMT == unix.S_IFDIR:
		return fmt.Errorf("%w: a directory", model.ErrInvalid)
	case u.opts.Whiteouts.overlay() && isWhiteout(&stat):
		return fmt.Errorf("%w: no such file any more", model.ErrInvalid)
	}
	return nil
}

func (u *unpacker) special(ctx context.Context, place beneath.Place, name string, hdr *tar.Header) error {
	mode, dev := uint32(unix.S_IFIFO), uint64(0)
	if hdr.Typeflag != tar.TypeFifo {
		if inUserNamespace() && u.opts.ForceMask == nil {
			return nil
		}
		mode = unix.S_IFCHR
		if hdr.Typeflag == tar.TypeBlock {
			mode = unix.S_IFBLK
		}
		// The kernel has 12 and 20 bits for the numbers.
		if uint64(hdr.Devmajor) >= 1<<12 || uint64(hdr.Devminor) >= 1<<20 {
			return fmt.Errorf("%w: device number %d:%d", model.ErrInvalid, hdr.Devmajor, hdr.Devminor)
		}
		dev = unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor))
	}
	if u.opts.ForceMask != nil {
		mode, dev = unix.S_IFREG, 0
	}
	err := u.anew(ctx, place.Dir, name, func() error { return place.Mknod(name, mode|0o600, dev) })
	if err != nil {
		return err
	}
	n := node{dir: place.Dir, name: name}
	if err := u.setAttributes(n, hdr); err != nil {
		return err
	}
	return n.setTimes(hdr)
}

// isDevice tells whether an entry is the character device with these numbers.
func isDevice(hdr *tar.Header, major, minor int64) bool {
	return hdr.Typeflag == tar.TypeChar && hdr.Devmajor == major && hdr.Devminor == minor
}
