package repair

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
)

// Heal brings content back.
type Heal struct {
	// From is the path of the source.
	From string `json:"from"`
	// Path is what is brought back, relative to the graph root: a content file,
	// or the directory of a layer, of which Files then are the files.
	Path  string   `json:"path"`
	Files []string `json:"files,omitempty"`
	// Whole tells that all files of the layer are brought back.
	Whole bool `json:"whole,omitempty"`

	lost *fsck.Lost
	// release ends the quarantine of what is healed, nil if it is in none.
	release *Quarantine
}

// String says what is done.
func (h *Heal) String() string {
	if h.Whole {
		return fmt.Sprintf("bring back all of %s from %s", h.Path, h.From)
	}
	switch len(h.Files) {
	case 0:
		return fmt.Sprintf("bring back %s from %s", h.Path, h.From)
	case 1:
		return fmt.Sprintf("bring back %q in %s from %s", h.Files[0], h.Path, h.From)
	}
	return fmt.Sprintf("bring back %d files in %s from %s", len(h.Files), h.Path, h.From)
}

// findHeals returns what can heal which of the findings. Layers that are gone
// altogether come in the order in which they need each other.
func findHeals(ctx context.Context, from []string, findings []fsck.Finding) (map[*fsck.Finding]*Heal, error) {
	heals := make(map[*fsck.Finding]*Heal)
	var whole []*fsck.Finding
	gone := make(map[string]bool) // layers that will not be there
	for i := range findings {
		f := &findings[i]
		switch {
		case f.Lost == nil:
		case f.Lost.Whole != nil:
			whole = append(whole, f)
			gone[f.Lost.Whole.Layer.Dir] = true
		default:
			heal, err := findHeal(ctx, from, f)
			if err != nil {
				return nil, err
			}
			heals[f] = heal
		}
	}
	slices.SortStableFunc(whole, func(a, b *fsck.Finding) int {
		return cmp.Compare(len(a.Lost.Whole.Layer.Below), len(b.Lost.Whole.Layer.Below))
	})
	for _, f := range whole {
		if gone[f.Lost.Whole.Needs] {
			continue
		}
		heal, err := findHeal(ctx, from, f)
		if err != nil {
			return nil, err
		}
		if heal != nil {
			heals[f] = heal
			delete(gone, f.Lost.Whole.Layer.Dir)
		}
	}
	return heals, nil
}

// findHeal returns what can bring back lost content, or nil. What a source has
// is read to its end and compared with the digest.
func findHeal(ctx context.Context, from []string, f *fsck.Finding) (*Heal, error) {
	lost := f.Lost
	for _, where := range from {
		src, err := openSource(where)
		if err != nil {
			return nil, err
		}
		err = verify(ctx, src, lost)
		if err == nil {
			h := &Heal{From: where, Path: lost.Content.Path, Whole: lost.Whole != nil, lost: lost}
			if lost.Diff != nil {
				h.Path, h.Files = lost.Dir, lost.Files
			}
			if f.Quarantined {
				h.release = quarantineOf(f.Object, "")
			}
			return h, nil
		}
		if !isUnfit(err) {
			return nil, fmt.Errorf("source %s: %w", where, err)
		}
	}
	return nil, nil //nolint:nilnil // The comment says what nil means.
}

// errUnfit is the reason why a source is passed over.
var errUnfit = errors.New("it has something else")

// isUnfit tells whether a source has not got what is looked for, or has it
// damaged.
func isUnfit(err error) bool {
	return errors.Is(err, errUnfit) || errors.Is(err, model.ErrNotFound) || errors.Is(err, model.ErrCorrupt) || errors.Is(err, model.ErrInvalid)
}

// verify reads what a source has, and returns an error unless that is what was
// lost.
func verify(ctx context.Context, src source, lost *fsck.Lost) (err error) {
	stream, err := src.open(ctx, lost)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	if lost.Diff == nil {
		return verifyFile(ctx, io.Discard, stream, lost.Content)
	}
	in, err := pipeline.NewIngest(ctx, stream, lost.Diff.Size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	diff, err := in.Diff()
	if err == nil && diff.Digest != lost.Diff.Digest {
		err = errUnfit
	}
	return err
}

// verifyFile copies a content file, and returns an error unless it is the right
// one.
func verifyFile(ctx context.Context, to io.Writer, from io.Reader, wanted model.Content) error {
	return content.Verify(ctx, io.TeeReader(io.LimitReader(from, wanted.Size+1), to), wanted)
}

// heal brings content back. What is in its place is moved to lost+found.
func (r *repairer) heal(ctx context.Context, tx *db.Tx, h *Heal) error {
	src, err := openSource(h.From)
	if err != nil {
		return err
	}
	switch {
	case h.lost.Diff == nil:
		err = r.healFile(ctx, src, h)
	case h.Whole:
		err = r.healWhole(ctx, src, h)
	default:
		err = r.healLayer(ctx, src, h)
	}
	if err == nil && h.release != nil {
		err = r.mark(tx, h.release)
	}
	return err
}

// healFile brings back a content file.
func (r *repairer) healFile(ctx context.Context, src source, h *Heal) (err error) {
	stream, err := src.open(ctx, h.lost)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	if err := r.makeParent(h.Path); err != nil {
		return err
	}
	if err := r.clear(h.Path); err != nil {
		return err
	}
	temp := fsutil.TempName()
	if err := r.notes.write(note{Op: noteMade, Path: h.Path, Temp: temp}); err != nil {
		return err
	}
	return r.tree.in(h.Path, func(dir *beneath.Dir, base string) error {
		return replace(dir, base, temp, func() (err error) {
			f, err := dir.Create(temp)
			if err != nil {
				return err
			}
			err = verifyFile(ctx, f, stream, h.lost.Content)
			s := r.owned(dir, state{})
			if err := errors.Join(err, f.Sync(), f.Close(), dir.Chown(temp, int(s.UID), int(s.GID))); err != nil {
				return errors.Join(err, dir.Remove(temp))
			}
			return nil
		})
	})
}

// clear moves what is at a path to lost+found, if there is anything.
func (r *repairer) clear(name string) error {
	there, err := r.isThere(name)
	if err != nil || !there {
		return err
	}
	return r.takeAway(name)
}

// healLayer brings back files of a layer: those that differ, and their other
// names.
func (r *repairer) healLayer(ctx context.Context, src source, h *Heal) (err error) {
	layer, err := r.tree.root.PlainDir(h.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	wanted := make(map[string]bool, len(h.Files))
	for _, name := range h.Files {
		wanted[clean(name)] = true
	}
	if err := eachEntry(ctx, src, h.lost, func(hdr *tar.Header) error {
		if isOtherName(hdr, wanted) {
			wanted[clean(hdr.Name)] = true
		}
		return nil
	}); err != nil {
		return err
	}
	for name := range wanted {
		if err := r.clearInLayer(layer, h.Path, name); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return r.unpack(ctx, src, h, wanted)
}

// isOtherName tells whether an entry is a hard link to something that is wanted.
func isOtherName(hdr *tar.Header, wanted map[string]bool) bool {
	return hdr.Typeflag == tar.TypeLink && wanted[clean(hdr.Linkname)]
}

// clean returns the name of an entry relative to the root of the layer.
func clean(name string) string { return path.Clean(strings.TrimLeft(name, "/")) }

// eachEntry calls fn for each entry of a diff.
func eachEntry(ctx context.Context, src source, lost *fsck.Lost, fn func(*tar.Header) error) (err error) {
	return withEntries(ctx, src, lost, func(entries *tar.Reader) error {
		for {
			hdr, err := entries.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = fn(hdr)
			}
			if err != nil {
				return err
			}
		}
	})
}

// withEntries calls fn with the entries of a diff, and looks whether the diff is
// the right one.
func withEntries(ctx context.Context, src source, lost *fsck.Lost, fn func(*tar.Reader) error) (err error) {
	stream, err := src.open(ctx, lost)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	in, err := pipeline.NewIngest(ctx, stream, lost.Diff.Size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := fn(tar.NewReader(in)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	diff, err := in.Diff()
	if err == nil && diff.Digest != lost.Diff.Digest {
		err = fmt.Errorf("%w: it was right a moment ago: %w", ErrMovedOn, errUnfit)
	}
	return err
}

// clearInLayer moves a file of a layer to lost+found. Links on the way are
// followed within the layer, as they were when the file was unpacked.
func (r *repairer) clearInLayer(layer *beneath.Dir, layerPath, name string) (err error) {
	dir, err := layer.Dir(path.Dir(name))
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	place, err := within(layer, dir)
	if err != nil {
		return err
	}
	full := path.Join(layerPath, place, path.Base(name))
	if err := r.clear(full); err != nil {
		return err
	}
	return r.notes.write(note{Op: noteMade, Path: full})
}

// within returns where a directory is in another one.
func within(root, dir *beneath.Dir) (string, error) {
	var paths [2]string
	for i, d := range []*beneath.Dir{root, dir} {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", d.Fd()))
		if err != nil {
			return "", err
		}
		paths[i] = target
	}
	rel, err := filepath.Rel(paths[0], paths[1])
	if err == nil && !filepath.IsLocal(rel) {
		err = fmt.Errorf("%w: %s is not in %s", model.ErrInvalid, paths[1], paths[0])
	}
	return rel, err
}

// unpack unpacks the entries that are wanted.
func (r *repairer) unpack(ctx context.Context, src source, h *Heal, wanted map[string]bool) error {
	return withEntries(ctx, src, h.lost, func(entries *tar.Reader) error {
		some := &someEntries{Reader: entries, wanted: wanted}
		_, err := archive.Unpack(ctx, filepath.Join(r.plan.Root, h.Path), some, archive.UnpackOptions{Whiteouts: archive.WhiteoutsOverlay})
		return err
	})
}

// someEntries are the regular files and hard links among the entries of an
// archive that are wanted.
type someEntries struct {
	*tar.Reader
	wanted map[string]bool
}

// Next implements archive.Source.
func (s *someEntries) Next() (*tar.Header, error) {
	for {
		hdr, err := s.Reader.Next()
		if err != nil {
			return nil, err
		}
		if s.wanted[clean(hdr.Name)] && slices.Contains([]byte{tar.TypeReg, tar.TypeGNUSparse, tar.TypeLink}, hdr.Typeflag) {
			return hdr, nil
		}
	}
}
