package graph

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// StagedLayer is a layer that is not part of the store yet. Its content is
// durable.
type StagedLayer struct {
	claims    []*claim
	layer     model.Layer
	parentDir string // the driver's name for the parent, or ""
}

// ID returns the ID that the layer is going to have.
func (l *StagedLayer) ID() model.LayerID { return l.layer.ID }

// Layer returns the record that the layer is going to have, as far as it is
// known.
func (l *StagedLayer) Layer() *model.Layer {
	record := l.layer
	return &record
}

// Discard removes the layer, unless a transaction has made it part of the
// store.
func (l *StagedLayer) Discard(ctx context.Context) error {
	var err error
	for _, c := range l.claims {
		err = errors.Join(err, c.discard(ctx))
	}
	return err
}

// StageLayer makes a layer from a diff: a tar stream, which may be compressed by
// gzip, bzip2, xz or zstd. It reads the diff to its end and makes everything
// durable. That may take long; no lock is held meanwhile, and any number of
// layers can be staged at the same time. A transaction makes the layer part of
// the store with AddLayer; until then it belongs to the caller, who has to
// Discard it if nothing comes of it.
//
// If there is a layer with the ID of the spec the error matches
// model.ErrDuplicateID, and nothing is read. A diff that is not an archive, or
// one that reaches out of the layer, gives an error that matches
// model.ErrInvalid. After an error nothing is left behind.
func (s *Store) StageLayer(ctx context.Context, spec LayerSpec, diff io.Reader) (*StagedLayer, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	staged := &StagedLayer{layer: *spec.record()}
	l := &staged.layer
	if err := model.ValidateID(model.KindLayer, string(l.ID)); err != nil {
		return nil, err
	}
	if err := s.stageOn(ctx, staged, spec.StagedParent); err != nil {
		return nil, model.OnObject(model.KindLayer, l.ID, err)
	}
	claims, err := s.claim(ctx, s.wantLayer(l.ID), s.wantTarSplit(l.ID))
	if err != nil {
		return nil, model.OnObject(model.KindLayer, l.ID, err)
	}
	staged.claims = claims
	crashpoint.Hit(crashpoint.StageClaimed)
	err = s.stage(ctx, staged, spec, diff)
	if err != nil {
		err = model.OnObject(model.KindLayer, l.ID, err)
		return nil, errors.Join(err, staged.Discard(context.WithoutCancel(ctx)))
	}
	return staged, nil
}

// wantTarSplit asks for the path of a layer's tar-split.
func (s *Store) wantTarSplit(id model.LayerID) want {
	first := content.TarSplitPath(s.info.Driver, id)
	return want{kind: db.TrashFile, first: first, other: func() string { return content.OtherVersion(first) }}
}

// stageOn finds out what a layer is staged on.
func (s *Store) stageOn(ctx context.Context, staged *StagedLayer, parent *StagedLayer) error {
	err := s.View(ctx, func(tx *ReadTx) error {
		if _, err := tx.db.Layer(staged.layer.ID); err == nil {
			return model.ErrDuplicateID
		} else if !errors.Is(err, model.ErrNotFound) {
			return err
		}
		if parent != nil || staged.layer.Parent == "" {
			return nil
		}
		_, err := tx.parent(staged.layer.Parent)
		return err
	})
	if err != nil {
		return err
	}
	if parent != nil {
		staged.layer.Parent, staged.parentDir = parent.layer.ID, parent.layer.DriverDir()
		return nil
	}
	if staged.layer.Parent == "" {
		return nil
	}
	made, err := s.makeLayer(ctx, staged.layer.Parent)
	if err == nil {
		staged.parentDir = made.DriverDir()
	}
	return err
}

// stage makes the content of a layer and makes it durable.
func (s *Store) stage(ctx context.Context, staged *StagedLayer, spec LayerSpec, diff io.Reader) error {
	l := &staged.layer
	dir := staged.claims[0].entry.Dir
	if err := s.createDir(ctx, l, dir, staged.parentDir); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.StageCreated)
	applied, err := s.unpack(ctx, dir, staged.claims[1].entry.Path, diff)
	if err != nil {
		return err
	}
	if err := errors.Join(
		expect("uncompressed diff", spec.Digest, applied.diff.Digest),
		expect("diff as received", spec.CompressedDigest, applied.diff.CompressedDigest),
	); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.StageWritten)
	if err := s.sync(); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.StageSynced)
	l.Diff, l.Size = applied.diff, applied.size
	l.Made = true
	if dir != string(l.ID) {
		l.Dir = dir
	}
	return nil
}

// expect compares a digest with the one that was asked for, if any.
func expect(what string, wanted, got digest.Digest) error {
	if wanted == "" || wanted == got {
		return nil
	}
	return fmt.Errorf("%w: %s has digest %s instead of %s", model.ErrInvalid, what, got, wanted)
}

// createDir makes the directory of a layer. Something there that has no record
// is garbage; the caller holds the claim.
func (s *Store) createDir(ctx context.Context, l *model.Layer, dir, parentDir string) error {
	options := drivers.CreateOptions{
		Writable: l.Writable, StorageOpt: l.StorageOpt, MountLabel: l.MountLabel, UIDMap: l.UIDMap, GIDMap: l.GIDMap,
	}
	err := s.driver.Create(ctx, dir, parentDir, options)
	if !errors.Is(err, model.ErrExists) {
		return err
	}
	if err := s.driver.Remove(ctx, dir); err != nil {
		return err
	}
	return s.driver.Create(ctx, dir, parentDir, options)
}

// applied is what came of unpacking a diff.
type applied struct {
	diff    *model.Diff
	size    int64 // as the driver measured it, in bytes
	entries int
}

// unpack unpacks a diff onto a layer and writes its tar-split. Neither is
// durable yet. After an error the result tells how many entries there were.
func (s *Store) unpack(ctx context.Context, dir, tarSplit string, r io.Reader) (done applied, err error) {
	in, err := pipeline.NewIngest(ctx, r, s.options.MaxLayerSize)
	if err != nil {
		return applied{}, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	w, err := s.files.Create(tarSplit)
	if err != nil {
		return applied{}, err
	}
	committed := false
	defer func() {
		if !committed {
			err = errors.Join(err, w.Abort())
		}
	}()
	zip, err := tarsplit.Compress(w)
	if err != nil {
		return applied{}, err
	}
	recorder := tarsplit.NewRecorder(in, zip)
	unpacked, err := drivers.Apply(ctx, s.driver, dir, recorder, archive.UnpackOptions{})
	done.entries, done.size = unpacked.Entries, unpacked.Size
	if err := errors.Join(err, zip.Close()); err != nil {
		return done, err
	}
	crashpoint.Hit(crashpoint.StageUnpacked)
	diff, err := in.Diff()
	if err != nil {
		return done, err
	}
	committed = true
	file, err := w.CommitUnsynced()
	if err != nil {
		return done, err
	}
	diff.UIDs, diff.GIDs, diff.TarSplit = recorder.UIDs(), recorder.GIDs(), &file
	done.diff = &diff
	return done, nil
}
