package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// Unpack turns the entries of src into files below dir, an existing directory
// at a trusted path. What is in dir already stays, except where an entry
// replaces or hides it. Nothing is synced. After an error the tree is somewhere
// in between.
//
// Names. Symbolic links on the way to an entry are followed as if dir were the
// root of the file system; missing directories on the way, also behind a
// dangling link, are made with mode 0755 and owner 0:0, or in an overlay with
// the attributes of the lower directory that shows through. Symbolic links of
// lower trees are not seen, nor their files as targets of hard links. An
// existing file of the name is replaced, and so is a directory unless the
// entry is one too, which then changes its owner, mode, attributes and times
// only. The entry "./" is dir itself. A name that leads out of dir (".." after
// cleaning) is refused; a leading slash means nothing.
//
// Whiteouts apply to what was there before the archive, wherever in the
// archive they stand: of a directory that is both hidden and made, what the
// archive itself puts there remains and everything else goes. Whiteouts make
// missing parents like other entries do. A character device 0/0 is how an
// overlay writes a whiteout, and is taken for one. The files of AUFS itself
// are left out (".wh..wh.*"), except for its hard links (".wh..wh.plnk").
//
// Owners are mapped as opts say; then come the mode, the extended attributes
// and the times, to the nanosecond. Attributes that the file system does not
// support are left out, and always security.selinux and those of overlays
// ("trusted.overlay.", "user.overlay."). In a user namespace devices and the
// attributes that it forbids are left out. Long runs of zeros become holes.
//
// Errors name the entry. Those that the archive is to blame for match
// model.ErrInvalid, an entry of unknown type model.ErrUnsupported, a full disk
// model.ErrNoSpace.
func Unpack(ctx context.Context, dir string, src Source, opts UnpackOptions) (_ Unpacked, err error) {
	root, err := beneath.Open(dir)
	if err != nil {
		return Unpacked{}, fmt.Errorf("unpack: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	lowers, err := openLowers(opts.Lowers, opts.Whiteouts)
	if err != nil {
		return Unpacked{}, fmt.Errorf("unpack: %w", err)
	}
	defer func() { err = errors.Join(err, lowers.close()) }()
	u := unpacker{
		src:    src,
		root:   root,
		lowers: lowers,
		opts:   opts,
		owners: owners{uids: opts.UIDMap, gids: opts.GIDMap},
		seen:   newSeen(),
		buf:    make([]byte, bufferSize),
	}
	u.places = beneath.NewPlaces(root, u.makeParent)
	defer func() { err = errors.Join(err, u.places.Close()) }()
	err = u.run(ctx)
	return u.done, err
}

// unpacker is an archive being unpacked.
type unpacker struct {
	src    Source
	root   *beneath.Dir
	places *beneath.Places
	lowers *lowers
	opts   UnpackOptions
	owners owners
	seen   seen
	times  dirTimes
	buf    []byte
	done   Unpacked
}

func (u *unpacker) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		hdr, err := u.src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		// archive/tar can be told to warn of names that lead out
		// (GODEBUG=tarinsecurepath=0). The answer to them is ours to give.
		if err != nil && (hdr == nil || !errors.Is(err, tar.ErrInsecurePath)) {
			return fmt.Errorf("unpack: entry %d: %w", u.done.Entries+1, badStream(err))
		}
		u.done.Entries++
		if err := u.entry(ctx, hdr); err != nil {
			return fmt.Errorf("unpack %q: %w", shortName(hdr.Name), noSpace(err))
		}
	}
	return u.setTimesOfDirs(ctx)
}

// entry unpacks one entry.
func (u *unpacker) entry(ctx context.Context, hdr *tar.Header) error {
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return nil // its name is not that of a file
	}
	name, err := cleanName(hdr.Name)
	if err != nil {
		return err
	}
	if name == "" {
		return u.rootEntry(hdr)
	}
	dir, entry := splitName(name)
	what, hidden, err := meaningOf(dir, entry)
	switch {
	case err != nil || what == belongsTo:
		return err
	case what != ordinary:
		return u.whiteout(ctx, dir, hidden, what)
	case isDevice(hdr, 0, 0):
		return u.whiteout(ctx, dir, entry, hidesOne)
	}
	create, err := u.makerOf(hdr.Typeflag)
	if err != nil {
		return err
	}
	place, err := u.find(dir, entry)
	if err != nil {
		return err
	}
	u.seen.add(place.Join(entry))
	return create(ctx, place, entry, hdr)
}

// find finds, or makes, the directory of an entry.
func (u *unpacker) find(dir, entry string) (beneath.Place, error) {
	place, err := u.places.Find(dir)
	if err != nil {
		return place, invalid(err)
	}
	// Behind links the name may be longer than the one in the archive.
	return place, checkLength(place.Join(entry))
}

// whiteout carries out a whiteout in a directory.
func (u *unpacker) whiteout(ctx context.Context, dir, hidden string, what meaning) error {
	place, err := u.find(dir, hidden)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return nil // below a file there is nothing to hide
	case err != nil:
		return err
	case what == hidesAll:
		return u.hideBelow(ctx, place.Dir, place.Name)
	}
	return u.hide(ctx, place, hidden)
}

func (u *unpacker) setTimesOfDirs(ctx context.Context) error {
	for dir := range u.times.all {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if err := dir.set(u.root); err != nil {
			return fmt.Errorf("unpack %q: %w", shortName(dir.name), err)
		}
	}
	return nil
}
