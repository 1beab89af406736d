package graph

import (
	"context"
	"errors"
	"os"

	"github.com/csdb/csdb/model"
)

// pair is a layer with the one that it is compared with. Both are locked
// against changes, and have directories if they are needed for that.
type pair struct {
	store    *Store
	layer    *model.Layer
	from     *model.Layer // nil: nothing
	isParent bool         // from is the parent of layer
	tarSplit *os.File     // see openTarSplit
	unlock   func()
}

// openPair finds and locks two layers; from "" means the parent of the other
// one. It must be closed.
func (s *Store) openPair(ctx context.Context, id, from model.LayerID) (*pair, error) {
	if err := s.owner.writable(); err != nil {
		return nil, err
	}
	for {
		if err := s.makePair(ctx, id, from); err != nil {
			return nil, err
		}
		p, err := s.lockPair(ctx, id, from)
		if err != nil {
			return nil, err
		}
		if p.ready() {
			return p, nil
		}
		// Somebody made one of the layers, or a new one with its ID, before
		// they were locked.
		if err := p.close(); err != nil {
			return nil, err
		}
	}
}

// makePair makes the directories that a comparison needs. A layer without one
// is compared with its parent without any.
func (s *Store) makePair(ctx context.Context, id, from model.LayerID) error {
	l, err := s.layerRecord(ctx, id)
	if err != nil {
		return err
	}
	isParent := from == "" || from == l.Parent
	if isParent && !l.Made {
		return nil
	}
	if from == "" {
		from = l.Parent
	}
	if _, err := s.makeLayer(ctx, id); err != nil || from == "" {
		return err
	}
	_, err = s.makeLayer(ctx, from)
	return err
}

// lockPair locks the two layers and then reads their records: nobody changes
// them any more.
func (s *Store) lockPair(ctx context.Context, id, from model.LayerID) (p *pair, err error) {
	l, home, err := s.layerAt(ctx, id)
	if err != nil {
		return nil, err
	}
	if from == "" {
		from = l.Parent
	}
	wants := home.toRead(id)
	if from != "" && from != id {
		other, err := s.homeOf(ctx, from)
		if err != nil {
			return nil, err
		}
		wants = append(wants, other.toRead(from)...)
	}
	lock, err := lockLayers(ctx, wants...)
	if err != nil {
		return nil, err
	}
	p = &pair{store: home, unlock: func() { lock.unlock(ctx) }}
	if err := s.View(ctx, func(tx *ReadTx) error { return p.read(tx, id, from) }); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// read reads the records.
func (p *pair) read(tx *ReadTx, id, from model.LayerID) (err error) {
	if p.layer, err = tx.db.Layer(id); err != nil {
		return err
	}
	if err := p.layer.Damaged(); err != nil {
		return err
	}
	p.isParent = from == p.layer.Parent
	if from == "" {
		return nil
	}
	// What a container has written can be saved although its image is damaged.
	if p.from, err = tx.db.Layer(from); err == nil && !p.isParent {
		err = p.from.Damaged()
	}
	return err
}

// openTarSplit opens the file from which the diff can be reproduced, if there
// is one. Nobody applies another diff meanwhile, but the layer may be deleted;
// so that is done inside a transaction.
func (p *pair) openTarSplit(ctx context.Context) error {
	return p.store.View(ctx, func(tx *ReadTx) error {
		l, err := tx.db.Layer(p.layer.ID)
		if err == nil && l.Seq != p.layer.Seq {
			err = model.Unknown(model.KindLayer, l.ID)
		}
		if err != nil {
			return err
		}
		if !p.isParent || l.Diff == nil || l.Diff.TarSplit == nil || l.Incomplete {
			return nil
		}
		if err = l.Diff.TarSplit.Damaged(); err == nil {
			p.tarSplit, err = p.store.files.Open(*l.Diff.TarSplit)
		}
		return err
	})
}

// ready tells whether the layers have the directories that are needed.
func (p *pair) ready() bool {
	return p.empty() || p.layer.Made && (p.from == nil || p.from.Made || p.from.ReadOnly)
}

// empty tells whether there can be no difference: a layer without directory
// has no content of its own.
func (p *pair) empty() bool { return p.isParent && !p.layer.Made }

func (p *pair) fromDir() string {
	if p.from == nil {
		return ""
	}
	return dirOf(p.from)
}

// close lets others have the layers.
func (p *pair) close() error {
	p.unlock()
	p.unlock = func() {}
	if p.tarSplit == nil {
		return nil
	}
	file := p.tarSplit
	p.tarSplit = nil
	return file.Close()
}
