package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// entry writes the file that is called entry in dir and name in the tree.
func (p *packer) entry(ctx context.Context, dir *beneath.Dir, entry, name string, stat unix.Stat_t) error {
	if p.opts.Whiteouts.overlay() {
		if isWhiteout(&stat) {
			return p.whiteout(name)
		}
		if err := p.checkWhole(dir, entry); err != nil {
			return unlessVanished(err)
		}
	}
	if err := checkPackable(name); err != nil {
		return err
	}
	if err := p.opts.Overrides.apply(dir, entry, &stat); err != nil {
		return unlessVanished(err)
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFSOCK: // means nothing without the process that listens
		return nil
	case unix.S_IFREG:
		return unlessVanished(p.regular(ctx, dir, entry, name, stat))
	case unix.S_IFDIR:
		if err := p.simple(dir, entry, name+"/", &stat); err != nil {
			return unlessVanished(err)
		}
		return p.opaque(dir, entry, name)
	}
	return unlessVanished(p.simple(dir, entry, name, &stat))
}

// checkPackable reports whether a file of this name can be put into an
// archive: whether Unpack, and everybody else, would read the name as what it
// is.
func checkPackable(name string) error {
	if err := checkLength(name); err != nil {
		return err
	}
	switch what, _, err := meaningOf(splitName(name)); {
	case err != nil:
		return err
	case what != ordinary:
		return fmt.Errorf("%w: names beginning with %q are whiteouts in an archive", model.ErrInvalid, whiteoutPrefix)
	}
	return nil
}

// checkWhole reports whether an entry of an overlay's upper directory is whole
// by itself.
func (p *packer) checkWhole(dir *beneath.Dir, entry string) error {
	for _, attr := range []string{"metacopy", "redirect"} {
		_, err := dir.Xattr(entry, p.opts.Whiteouts.attribute(attr))
		switch {
		case err == nil:
			return fmt.Errorf("%w: part of the file is in a lower directory (overlay attribute %s)", model.ErrUnsupported, attr)
		case !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP):
			return err
		}
	}
	return nil
}

// regular writes a regular file, or a hard link to it if it has been written.
func (p *packer) regular(ctx context.Context, dir *beneath.Dir, entry, name string, stat unix.Stat_t) (err error) {
	if _, linked := p.links[inodeOf(&stat)]; linked {
		return p.simple(dir, entry, name, &stat)
	}
	file, err := dir.RegularEntry(entry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// The size must be that of the file which is read.
	if err := beneath.Retry(func() error { return unix.Fstat(int(file.Fd()), &stat) }); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	if err := p.opts.Overrides.apply(dir, entry, &stat); err != nil {
		return err
	}
	if err := p.simple(dir, entry, name, &stat); err != nil {
		return err
	}
	return p.content(ctx, file, stat.Size)
}

// content writes the first size bytes of a file.
func (p *packer) content(ctx context.Context, file *os.File, size int64) error {
	for left := size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := p.buf[:min(left, bufferSize)]
		n, err := io.ReadFull(file, chunk)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: file has shrunk from %d to %d bytes while it was read", model.ErrBusy, size, size-left+int64(n))
		}
		if err != nil {
			return err
		}
		if _, err := p.out.Write(chunk); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// simple writes the header of a file, which is all of it but for the content
// of a regular file.
func (p *packer) simple(dir *beneath.Dir, entry, name string, stat *unix.Stat_t) error {
	hdr, err := p.header(dir, entry, name, stat)
	if err != nil {
		return err
	}
	return p.out.WriteHeader(hdr)
}

func (p *packer) header(dir *beneath.Dir, entry, name string, stat *unix.Stat_t) (hdr *tar.Header, err error) {
	hdr = &tar.Header{
		Format:  tar.FormatPAX,
		Name:    name,
		Mode:    int64(stat.Mode & 0o7777),
		ModTime: time.Unix(stat.Mtim.Unix()),
	}
	if hdr.Uid, hdr.Gid, err = p.owners.inArchive(stat.Uid, stat.Gid); err != nil {
		return nil, err
	}
	if first, linked := p.links[inodeOf(stat)]; linked {
		hdr.Typeflag, hdr.Linkname = tar.TypeLink, first
		return hdr, nil
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		hdr.Typeflag, hdr.Size = tar.TypeReg, stat.Size
		hdr.PAXRecords, err = p.xattrs(dir, entry)
	case unix.S_IFDIR:
		hdr.Typeflag = tar.TypeDir
		hdr.PAXRecords, err = p.xattrs(dir, entry)
		return hdr, err // a directory has many links and one name
	case unix.S_IFLNK:
		hdr.Typeflag = tar.TypeSymlink
		hdr.Linkname, err = dir.Readlink(entry)
	case unix.S_IFIFO:
		hdr.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		hdr.Typeflag = tar.TypeChar
		if stat.Mode&unix.S_IFMT == unix.S_IFBLK {
			hdr.Typeflag = tar.TypeBlock
		}
		hdr.Devmajor, hdr.Devminor = int64(unix.Major(stat.Rdev)), int64(unix.Minor(stat.Rdev))
	default:
		return nil, fmt.Errorf("%w: file of unknown type %#o", model.ErrUnsupported, stat.Mode&unix.S_IFMT)
	}
	if stat.Nlink > 1 && err == nil {
		p.links[inodeOf(stat)] = name
	}
	return hdr, err
}

// xattrs returns the PAX records for the extended attributes of a file.
func (p *packer) xattrs(dir *beneath.Dir, entry string) (map[string]string, error) {
	attrs, err := dir.Xattrs(entry)
	if err != nil {
		return nil, err
	}
	var records map[string]string
	for _, attr := range attrs {
		if !isPacked(attr) || p.opts.Overrides.hides(attr) {
			continue
		}
		value, err := dir.Xattr(entry, attr)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if records == nil {
			records = make(map[string]string)
		}
		records[xattrRecord+escapeAttr.Replace(attr)] = string(value)
	}
	return records, nil
}

// whiteout writes the whiteout of the file called name.
func (p *packer) whiteout(name string) error {
	if err := checkPackable(name); err != nil {
		return err
	}
	dir, entry := splitName(name)
	return p.emptyFile(beneath.Place{Name: dir}.Join(whiteoutPrefix + entry))
}

// opaque writes the whiteout of all that is below a directory of an overlay,
// if the directory hides anything.
func (p *packer) opaque(dir *beneath.Dir, entry, name string) error {
	if !p.opts.Whiteouts.overlay() {
		return nil
	}
	opaque, err := p.opts.Whiteouts.isOpaque(dir, entry)
	if err != nil || !opaque {
		return unlessVanished(err)
	}
	if found, err := p.lowers.find(name); err != nil || !found.isDir() {
		return err
	}
	return p.emptyFile(name + "/" + opaqueName)
}

func (p *packer) emptyFile(name string) error {
	return p.out.WriteHeader(&tar.Header{Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: name, ModTime: time.Unix(0, 0)})
}

func inodeOf(stat *unix.Stat_t) inode { return inode{dev: stat.Dev, ino: stat.Ino} }

// unlessVanished drops the errors for a file, or a directory, that was there a
// moment ago and now is not.
func unlessVanished(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}
