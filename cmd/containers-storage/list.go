package main

import (
	"bufio"
	"context"
	"errors"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// list is the action of the commands that list objects of one kind.
type list[T any] struct {
	json, quick bool
	// read returns the records in one picture of the store. If some are
	// damaged it returns the others, and an error that matches
	// model.ErrCorrupt.
	read func(tx *graph.ReadTx, args []string) ([]T, error)
	// writeID is for --quick, write for all the text.
	writeID, write func(ctx context.Context, s *session, record T)
}

func (o *list[T]) run(ctx context.Context, s *session, args []string) error {
	var records []T
	damage, err := s.viewReadable(ctx, func(tx *graph.ReadTx) (err error) {
		records, err = o.read(tx, args)
		return err
	})
	if err != nil {
		return err
	}
	write := o.write
	if o.quick {
		write = o.writeID
	}
	err = s.buffered(func(s *session) error { return printRecords(ctx, s, records, o.json, write) })
	return errors.Join(err, damage)
}

// viewReadable runs fn with one picture of the store, and tells damaged records
// from other errors: what can be read is to be printed before the damage is
// reported.
func (s *session) viewReadable(ctx context.Context, fn func(*graph.ReadTx) error) (damage, err error) {
	err = s.store.View(ctx, func(tx *graph.ReadTx) error {
		err := fn(tx)
		if errors.Is(err, model.ErrCorrupt) {
			damage = err
			return nil
		}
		return err
	})
	return damage, err
}

// buffered lets fn print much.
func (s *session) buffered(fn func(*session) error) error {
	buffer := bufio.NewWriter(s.Stdout)
	wrapped := *s
	wrapped.Stdout = buffer
	return errors.Join(fn(&wrapped), buffer.Flush())
}
