package graph

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// StagedLayer is a layer that is not part of the store yet. Its content is
// durable.
type StagedLayer struct {
	claims []*claim
	layer  model.Layer // Seq is set when a transaction takes it

	parentDir string       // the driver's name for the parent, or ""
	parentSeq uint64       // tells the parent from others of its ID
	under     *StagedLayer // the parent, if it was not committed yet
	// heals tells that there is a layer with this ID, which is damaged; renews,
	// that its record cannot even be read; and expected is the digest that its
	// diff had, or "" if that is not known.
	heals, renews bool
	expected      digest.Digest
	role          role // of the place for the record
}

// ID returns the ID that the layer is going to have.
func (l *StagedLayer) ID() model.LayerID { return l.layer.ID }

// Layer returns the record that the layer is going to have, as far as it is
// known.
func (l *StagedLayer) Layer() *model.Layer {
	record := l.layer
	return &record
}

// isOn tells whether parent is the very layer that this one was staged on.
func (l *StagedLayer) isOn(parent *model.Layer) bool {
	if l.under == nil {
		return parent.Seq == l.parentSeq
	}
	return parent.Seq == l.under.layer.Seq && l.under.claims[0].inStore()
}

// Discard removes the layer, unless a transaction has made it part of the
// store. It goes on when the context has ended.
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
// model.ErrDuplicateID, and if a name is taken model.ErrDuplicateName; then
// nothing is read. But if that layer is in quarantine, see model.Layer.Damaged,
// or its record cannot be read, and the diff is the one that it was made from, its
// content is replaced, at once; AddLayer ends the quarantine, or makes the record
// anew.
//
// A diff that is not an archive, or
// one that reaches out of the layer, gives an error that matches
// model.ErrInvalid. After an error nothing is left behind.
func (s *Store) StageLayer(ctx context.Context, spec LayerSpec, diff io.Reader) (*StagedLayer, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	staged := &StagedLayer{layer: *spec.record(), role: spec.role()}
	s = s.owner.homeFor(staged.role)
	l := &staged.layer
	if err := model.ValidateID(model.KindLayer, string(l.ID)); err != nil {
		return nil, err
	}
	if err := s.stageOn(ctx, staged, spec.StagedParent); err != nil {
		return nil, model.OnObject(model.KindLayer, l.ID, err)
	}
	dir := s.wantLayer(l.ID)
	dir.unread = staged.renews
	claims, err := s.claim(ctx, dir, s.wantTarSplit(l.ID))
	if err != nil {
		return nil, model.OnObject(model.KindLayer, l.ID, err)
	}
	staged.claims = claims
	crashpoint.Hit(crashpoint.StageClaimed)
	if spec.Digest == "" {
		spec.Digest = staged.expected
	}
	known := staged.layer
	if err = s.stage(ctx, staged, spec, diff); err == nil && staged.heals {
		err = s.replaceDamaged(ctx, staged, &known)
	}
	if err != nil {
		err = model.OnObject(model.KindLayer, l.ID, err)
		return nil, errors.Join(err, staged.Discard(ctx))
	}
	return staged, nil
}

// stageOn finds out what a layer is staged on, and refuses at once what could
// not be committed.
func (s *Store) stageOn(ctx context.Context, staged *StagedLayer, under *StagedLayer) error {
	l := &staged.layer
	if under != nil {
		l.Parent = under.layer.ID
	}
	err := s.View(ctx, func(tx *ReadTx) error {
		existing, err := tx.db.Layer(l.ID)
		switch {
		case err == nil:
			err = staged.healing(existing)
		case errors.Is(err, model.ErrCorrupt):
			err = staged.renewing(ctx, tx, err)
		}
		if ignoreNotFound(err) != nil {
			return err
		}
		if err := tx.namesFree(l); err != nil || under != nil {
			return err
		}
		if _, err := tx.parentFor(l); err != nil {
			return err
		}
		return tx.db.at(staged.role).db.CheckAncestors(l)
	})
	if err != nil {
		return err
	}
	if under != nil {
		staged.under, staged.parentDir = under, under.layer.DriverDir()
		return nil
	}
	if l.Parent == "" {
		return nil
	}
	made, err := s.makeLayer(ctx, l.Parent)
	if err == nil {
		staged.parentDir, staged.parentSeq = dirOf(made), made.Seq
	}
	return err
}

// namesFree returns an error if a name of a new layer cannot be given to it.
func (tx *ReadTx) namesFree(l *model.Layer) error {
	for _, name := range l.Names {
		if err := model.ValidateName(name); err != nil {
			return err
		}
		owner, err := tx.db.NameOwner(model.KindLayer, name)
		if err == nil && owner != string(l.ID) {
			err = model.OnObject(model.KindLayer, owner, fmt.Errorf("name %q: %w", name, model.ErrDuplicateName))
		}
		if ignoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// stage makes the content of a layer and makes it durable.
func (s *Store) stage(ctx context.Context, staged *StagedLayer, spec LayerSpec, diff io.Reader) error {
	l := &staged.layer
	disks, err := s.openSyncer()
	if err != nil {
		return err
	}
	defer disks.close()
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
	if err := disks.sync(); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.StageSynced)
	l.Diff, l.Size = applied.diff, applied.size
	l.Made, l.Dir = true, staged.claims[0].layerDir(l.ID)
	return nil
}

// expect compares a digest with the one that was asked for, if any.
func expect(what string, wanted, got digest.Digest) error {
	if wanted == "" || wanted == got {
		return nil
	}
	return fmt.Errorf("%w: %s has digest %s instead of %s", model.ErrInvalid, what, got, wanted)
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
	unpacked, err := drivers.Apply(ctx, s.driver, dir, recorder, archive.UnpackOptions{MaxSize: s.options.MaxLayerSize})
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
