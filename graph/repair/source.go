package repair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// source is something from which content can be brought back. Nobody trusts it:
// what it gives is compared with the digest that is recorded.
type source interface {
	// open returns what may be the content that was lost: a file, or the diff
	// of a layer, compressed or not. The error matches model.ErrNotFound if it
	// is not there.
	open(ctx context.Context, lost *fsck.Lost) (io.ReadCloser, error)
}

// openSource finds out what there is at a path: the root of a store, an OCI image
// layout, or a file.
func openSource(path string) (source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Mode().IsRegular():
		return fileSource(path), nil
	case !info.IsDir():
		return nil, fmt.Errorf("%s: %w: neither a file nor a directory", path, model.ErrInvalid)
	}
	if _, err := os.Stat(filepath.Join(path, db.FileName)); err == nil {
		return storeSource(path), nil
	}
	// image-layout.md of the OCI image specification.
	if _, err := os.Stat(filepath.Join(path, "oci-layout")); err == nil {
		return layoutSource(path), nil
	}
	return nil, fmt.Errorf("%s: %w: neither a store nor an OCI image layout", path, model.ErrInvalid)
}

// fileSource is a file that may be what is looked for, whatever that is.
type fileSource string

func (f fileSource) open(context.Context, *fsck.Lost) (io.ReadCloser, error) {
	return os.Open(string(f))
}

// layoutSource is an OCI image layout.
type layoutSource string

func (l layoutSource) open(_ context.Context, lost *fsck.Lost) (io.ReadCloser, error) {
	digests := []digest.Digest{lost.Content.Digest}
	if lost.Diff != nil {
		digests = []digest.Digest{lost.Diff.CompressedDigest, lost.Diff.Digest}
	}
	for _, d := range digests {
		if d.Validate() != nil {
			continue
		}
		f, err := os.Open(filepath.Join(string(l), "blobs", d.Algorithm().String(), d.Encoded()))
		if !errors.Is(err, os.ErrNotExist) {
			return f, err
		}
	}
	return nil, model.ErrNotFound
}
