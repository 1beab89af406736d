package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/csdb/csdb/internal/beneath"
)

// Pack writes the tree below dir, a trusted path, to w as a tar stream in PAX
// format, from which Unpack makes the same tree again. The stream has an entry
// for everything but dir itself and sockets, in the order of a walk that goes
// through each directory sorted by name. Entries have numeric owners, mapped
// as opts say, times to the nanosecond, and of the extended attributes those
// that belong to a layer: security.capability, security.ima and user.*. The
// second and later names of a file are hard links to the first.
//
// The whiteouts of an overlay's upper directory become ".wh." files. Files
// that only the mounted overlay shows whole (metacopy, redirect) are refused
// with model.ErrUnsupported, and names that would mean something else in an
// archive (".wh.") with model.ErrInvalid.
//
// The tree may change meanwhile: what vanishes before it is read is left out,
// and of a file that grows the part that was there is written. All other
// errors end the stream and name the file.
func Pack(ctx context.Context, w io.Writer, dir string, opts PackOptions) error {
	return packTree(w, dir, opts, func(p *packer) error {
		return p.root.Walk(ctx, func(entry *beneath.Entry) error {
			name := entry.Path()
			return aboutFile(name, p.entry(ctx, entry.Dir, entry.Name, name, entry.Stat))
		})
	})
}

// packer is an archive being written.
type packer struct {
	root   *beneath.Dir
	out    *tar.Writer
	opts   PackOptions
	owners owners
	lowers *lowers
	links  map[inode]string // the names of files that have more than one
	buf    []byte
}

// inode identifies a file.
type inode struct{ dev, ino uint64 }

// packTree opens what packing a tree needs, calls write, and ends the archive
// if there was no error.
func packTree(w io.Writer, dir string, opts PackOptions, write func(*packer) error) (err error) {
	root, err := beneath.Open(dir)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	lowers, err := openLowers(opts.Lowers, opts.Whiteouts)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	defer func() { err = errors.Join(err, lowers.close()) }()

	buffered := bufio.NewWriterSize(w, bufferSize)
	p := &packer{
		root:   root,
		out:    tar.NewWriter(buffered),
		opts:   opts,
		owners: owners{uids: opts.UIDMap, gids: opts.GIDMap},
		lowers: lowers,
		links:  make(map[inode]string),
		buf:    make([]byte, bufferSize),
	}
	if err := write(p); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	if err := p.out.Close(); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	return nil
}
