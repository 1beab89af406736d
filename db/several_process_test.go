package db_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// openSeveral opens the databases in several directories.
func openSeveral(ctx context.Context, roots []string) (all []*db.DB, err error) {
	for _, root := range roots {
		database, err := db.Open(ctx, root, db.Options{NoAutoCompact: true})
		if err != nil {
			return nil, err
		}
		all = append(all, database)
	}
	return all, nil
}

// updateSeveral makes a layer, the last of its arguments, in the databases in the
// directories before, in one transaction.
func updateSeveral(ctx context.Context, args []string) error {
	all, err := openSeveral(ctx, args[:len(args)-1])
	if err != nil {
		return err
	}
	return makeInAll(ctx, all, model.LayerID(args[len(args)-1]))
}

func makeInAll(ctx context.Context, all []*db.DB, layer model.LayerID) error {
	return db.UpdateAll(ctx, all, nil, func(write []*db.Tx, _ []*db.ReadTx) error {
		var errs []error
		for _, tx := range write {
			errs = append(errs, createLayer(layer)(tx))
		}
		return errors.Join(errs...)
	})
}

// untilInputEnds repeats something until the standard input ends.
func untilInputEnds(do func(round int) error) error {
	fmt.Fprintln(os.Stdout, "ready")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	for round := 0; ; round++ {
		if err := do(round); err != nil {
			return err
		}
		select {
		case <-ended:
			return nil
		default:
		}
	}
}

// workOnSeveral makes layers in the databases in the directories args, which it
// names in another order than others.
func workOnSeveral(ctx context.Context, args []string) error {
	slices.Reverse(args)
	all, err := openSeveral(ctx, args)
	if err != nil {
		return err
	}
	return untilInputEnds(func(round int) error {
		return makeInAll(ctx, all, model.LayerID(fmt.Sprintf("work-%d-%d", os.Getpid(), round)))
	})
}

// watchSeveral compares the layers in the databases in the directories args.
func watchSeveral(ctx context.Context, args []string) error {
	all, err := openSeveral(ctx, args)
	if err != nil {
		return err
	}
	return untilInputEnds(func(int) error {
		return db.ViewAll(ctx, all, func(read []*db.ReadTx) error {
			var seen []string
			for _, tx := range read {
				ids := ""
				if err := tx.EachLayer(func(l *model.Layer) error { ids += " " + string(l.ID); return nil }); err != nil {
					return err
				}
				seen = append(seen, ids)
			}
			if len(slices.Compact(seen)) != 1 {
				return fmt.Errorf("seen: %q", seen)
			}
			return nil
		})
	})
}

// Processes that name the same databases in another order work beside each other,
// and nobody sees the half of what they do.
func TestProcessesWorkOnSeveralDatabases(t *testing.T) {
	all := stores(t, 3)
	var roots []string
	for _, database := range all {
		roots = append(roots, rootOf(database))
	}
	worker, watcher := startHolder(t, "several-work", roots...), startHolder(t, "several-watch", roots...)
	const rounds = 20
	for round := range rounds {
		if err := makeInAll(t.Context(), all, model.LayerID(id("%d", round))); err != nil {
			t.Fatal(err)
		}
	}
	worker.letGo(t)
	watcher.letGo(t)
	layers := layersIn(t, all...)
	if len(layers[0]) <= rounds || !slices.Equal(layers[0], layers[1]) || !slices.Equal(layers[0], layers[2]) {
		t.Errorf("%d layers, %d and %d", len(layers[0]), len(layers[1]), len(layers[2]))
	}
}
