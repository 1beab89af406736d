package graph

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

// DataSpec says what a data item is for. All of it is optional.
type DataSpec struct {
	// For and Key name the item that the data is meant for. The content file
	// then gets the name under which people look for it; the object need not
	// exist yet.
	For model.ID
	Key string
	// Digest is what the data must have; anything else is refused.
	Digest digest.Digest
	// ManifestDigest is the digest by which an image with this manifest can
	// be found, if it is not that of all the bytes.
	ManifestDigest digest.Digest
}

// StagedData is a data item that is not part of the store yet. Its content is
// durable.
type StagedData struct {
	claim          *claim
	content        model.Content
	manifestDigest digest.Digest
}

// Digest returns the SHA-256 digest of the data.
func (d *StagedData) Digest() digest.Digest { return d.content.Digest }

// Size returns the size of the data in bytes.
func (d *StagedData) Size() int64 { return d.content.Size }

// Discard removes the data, unless a transaction has made it part of the store.
// It goes on when the context has ended.
func (d *StagedData) Discard(ctx context.Context) error { return d.claim.discard(ctx) }

// StageData reads data for an item to its end and stores it durably. No lock
// is held meanwhile. A transaction makes it part of the store with SetData;
// until then it belongs to the caller, who has to Discard it if nothing comes
// of it.
func (s *Store) StageData(ctx context.Context, spec DataSpec, r io.Reader) (*StagedData, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	for _, d := range []digest.Digest{spec.Digest, spec.ManifestDigest} {
		if d == "" {
			continue
		}
		if err := d.Validate(); err != nil {
			return nil, fmt.Errorf("digest %q: %w: %w", d, model.ErrInvalid, err)
		}
	}
	s, err := s.homeForData(ctx, spec.For)
	if err != nil {
		return nil, err
	}
	first, err := s.dataPath(spec)
	if err != nil {
		return nil, err
	}
	claims, err := s.claim(ctx, wantFile(first))
	if err != nil {
		return nil, err
	}
	c, err := s.writeContent(ctx, claims[0].entry.Path, r)
	if err == nil {
		err = expect("data", spec.Digest, c.Digest)
	}
	if err != nil {
		return nil, errors.Join(err, claims[0].discard(ctx))
	}
	return &StagedData{claim: claims[0], content: c, manifestDigest: spec.ManifestDigest}, nil
}

// dataPath returns the path that data should have.
func (s *Store) dataPath(spec DataSpec) (string, error) {
	if spec.For == nil {
		// Nobody knows yet what it is for; any kind's area will do.
		return content.DataPath(s.info.Driver, model.KindImage, stagedDataDir, string(model.NewLayerID())), nil
	}
	if err := model.ValidateID(spec.For.Kind(), spec.For.String()); err != nil {
		return "", err
	}
	if err := model.ValidateDataKey(spec.Key); err != nil {
		return "", model.OnObject(spec.For.Kind(), spec.For.String(), err)
	}
	return content.DataPath(s.info.Driver, spec.For.Kind(), spec.For.String(), spec.Key), nil
}

// stagedDataDir is the directory of data that was staged before it was known
// for what. No ID begins with a dot.
const stagedDataDir = ".data"

// writeContent writes a content file durably.
func (s *Store) writeContent(ctx context.Context, name string, r io.Reader) (model.Content, error) {
	w, err := s.files.Create(name)
	if err != nil {
		return model.Content{}, err
	}
	if err := w.Fill(ctx, r); err != nil {
		return model.Content{}, errors.Join(err, w.Abort())
	}
	if s.options.NoSync {
		return w.CommitUnsynced()
	}
	return w.Commit()
}
