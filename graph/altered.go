package graph

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// Alteration is a difference between a layer and the diff that it was made from.
type Alteration struct {
	Path string
	Dir  bool // it is a directory
	Kind model.ChangeKind
	// What says what has been modified, as name:old￫new.
	What string
}

// String returns the path after "+" if it was added and "-" if it was deleted,
// and before what has been modified, in the form that scripts know from the
// checks of containers/storage.
func (a Alteration) String() string {
	name := a.Path
	if a.Dir {
		name += "/"
	}
	switch a.Kind {
	case model.ChangeAdd:
		return "+" + name
	case model.ChangeDelete:
		return "-" + name
	case model.ChangeModify:
	}
	return fmt.Sprintf("%s(%s)", name, a.What)
}

// Altered lists what has been added to a layer, deleted from it or modified in it
// since its diff was applied, sorted by path: entries, their types, sizes, permissions
// and owners, and the times of files and symbolic links, in seconds. The times of
// directories follow from what is done in them. Whether contents are the same Diff tells. In doubt nothing is
// listed: what an archive puts behind a symbolic link stands there by another
// name. Of a layer that was not made from a diff, that belongs to a container, or
// to which a diff is being applied, there is nothing to be said.
//
// Who changes the layer meanwhile through a mount can be seen in the middle of
// that.
func (s *Store) Altered(ctx context.Context, id model.LayerID) (altered []Alteration, err error) {
	p, err := s.openPair(ctx, id, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	owned, err := view(ctx, s, func(tx *ReadTx) (bool, error) {
		owners, err := tx.db.ContainersOfLayer(id)
		return len(owners) > 0, err
	})
	if err != nil || owned || p.empty() {
		return nil, err
	}
	if err := p.openTarSplit(ctx); err != nil || p.tarSplit == nil {
		return nil, model.OnObject(model.KindLayer, id, err)
	}
	altered, err = p.altered(ctx)
	return altered, model.OnObject(model.KindLayer, id, err)
}

// altered compares what the layer has with its tar-split.
func (p *pair) altered(ctx context.Context) ([]Alteration, error) {
	recorded, err := readListing(ctx, p.writeHeaders)
	if err != nil {
		return nil, err
	}
	actual, err := readListing(ctx, func(ctx context.Context, w io.Writer) error {
		return drivers.Diff(ctx, p.store.driver, p.layer.DriverDir(), p.fromDir(), w)
	})
	if err != nil {
		return nil, err
	}
	// What is the same in the parent is not in the diff of a driver that
	// compares.
	whole := p.from == nil
	if native, ok := p.store.driver.(drivers.DiffDriver); ok && !whole {
		if whole, err = native.NativeDiff(ctx, p.layer.DriverDir(), p.fromDir()); err != nil {
			return nil, err
		}
	}
	return compareListings(recorded, actual, whole, p.store.keepsOwners()), nil
}

// keepsOwners tells whether the files of layers have the owners that archives give
// them: not if somebody other than root has unpacked them, or whoever did was told
// to go on where he could not set them.
func (s *Store) keepsOwners() bool {
	var stat unix.Stat_t
	if err := unix.Stat(s.options.Root, &stat); err != nil || stat.Uid != 0 || os.Geteuid() != 0 {
		return false
	}
	if inside, err := drivers.InUserNamespace(); err != nil || inside {
		return false
	}
	return !slices.ContainsFunc(s.options.DriverOptions, func(option string) bool {
		return strings.Contains(strings.ToLower(option), "ignore_chown_errors")
	})
}

// writeHeaders writes the stream that the layer was made from with zeros for the
// contents of files.
func (p *pair) writeHeaders(ctx context.Context, w io.Writer) (err error) {
	split, err := tarsplit.Decompress(bufio.NewReaderSize(p.tarSplit, tarSplitBuffer))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, split.Close()) }()
	for entry, err := range tarsplit.Read(split) {
		if err := errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
		if _, err := w.Write(entry.Segment); err != nil {
			return err
		}
		if _, err := io.CopyN(w, zeros{}, entry.Size); err != nil {
			return err
		}
	}
	return nil
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// listing is what the headers of a diff say. Paths are absolute and clean.
type listing struct {
	entries map[string]listed
	hidden  map[string]bool // what whiteouts hide
	opaque  map[string]bool // directories of which everything below is hidden
	// bases has the last elements of the paths of entries and of what is hidden,
	// and above all directories on the way there.
	bases, above map[string]bool
}

// listed is what is compared of an entry.
type listed struct {
	kind byte // type flag, tar.TypeReg for all forms of regular files
	link bool // a further name of a file, of which the header says nothing more
	mode int64
	size int64
	// uid and gid are the owners, and mtime is when the content was changed last, in
	// seconds since 1970.
	uid, gid int
	mtime    int64
}

// Whiteouts are described in the OCI image specification, "Layer Filesystem
// Changeset".
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutAUFS   = ".wh..wh."
)

// readListing reads the headers of a tar stream.
func readListing(ctx context.Context, write func(ctx context.Context, w io.Writer) error) (_ *listing, err error) {
	stream := pipeline.Start(ctx, write)
	defer func() { err = errors.Join(err, stream.Close()) }()
	l := &listing{
		entries: make(map[string]listed), hidden: make(map[string]bool), opaque: make(map[string]bool),
		bases: make(map[string]bool), above: make(map[string]bool),
	}
	for archive := tar.NewReader(stream); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err != nil {
			return nil, err
		}
		l.add(header)
	}
}

func (l *listing) add(header *tar.Header) {
	name := path.Clean("/" + header.Name)
	dir, base := path.Split(name)
	isDevice := header.Typeflag == tar.TypeChar || header.Typeflag == tar.TypeBlock
	switch {
	case base == whiteoutOpaque:
		l.opaque[path.Clean(dir)] = true
		return
	case strings.HasPrefix(base, whiteoutAUFS):
		return
	case strings.HasPrefix(base, whiteoutPrefix):
		name = path.Join(dir, strings.TrimPrefix(base, whiteoutPrefix))
		l.hidden[name] = true
	case isDevice && header.Devmajor == 0 && header.Devminor == 0:
		l.hidden[name] = true
	default:
		entry := listed{
			kind: header.Typeflag, mode: header.Mode & 0o7777, size: header.Size,
			uid: header.Uid, gid: header.Gid, mtime: header.ModTime.Unix(),
		}
		if entry.link = header.Typeflag == tar.TypeLink; entry.link || header.Typeflag != tar.TypeDir && header.FileInfo().Mode().IsRegular() {
			entry.kind = tar.TypeReg
		}
		l.entries[name] = entry
	}
	l.bases[path.Base(name)] = true
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		l.above[dir] = true
	}
}
