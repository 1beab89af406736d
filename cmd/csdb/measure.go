package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// measurement compares the recorded sizes, in bytes, with those on disk.
type measurement struct {
	// Layers, Data and TarSplits are the sizes on disk of all that was
	// measured.
	Layers    int64 `json:"layers"`
	Data      int64 `json:"data"`
	TarSplits int64 `json:"tar-splits"`
	// Skipped is the number of layers of which no size is recorded that could
	// be compared.
	Skipped     int          `json:"skipped-layers"`
	Differences []difference `json:"differences"`
}

// difference is something whose size is not the recorded one.
type difference struct {
	Kind     model.Kind `json:"kind"`
	ID       string     `json:"id"`
	Item     string     `json:"item"` // "content", "tar-split" or "data KEY"
	Path     string     `json:"path"` // relative to the graph root
	Recorded int64      `json:"recorded"`
	Measured int64      `json:"measured"`
}

// measurer measures what records speak of.
type measurer struct {
	root   string
	files  *content.Files
	home   drivers.Inspector
	copies bool // the driver copies parents
	driver string
}

// measured is something to be measured.
type measured struct {
	difference
	tree bool   // Path is a directory
	sum  *int64 // to which it belongs
}

// measure measures the whole store. Nobody waits meanwhile; what differs is
// looked at once more while nobody can change anything.
func (s *session) measure(ctx context.Context, store *graph.Store, damaged *damages) (m *measurement, err error) {
	at, err := newMeasurer(ctx, store)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, at.close()) }()
	var all []measured
	m = &measurement{Differences: []difference{}}
	view := func(fn func(*graph.ReadTx) error) error {
		wait, cancel := s.waiting(ctx)
		defer cancel()
		return store.View(wait, fn)
	}
	err = view(func(tx *graph.ReadTx) (err error) {
		all, err = at.plan(tx, m, damaged)
		return err
	})
	if err != nil {
		return nil, err
	}
	suspect, err := s.measureAll(ctx, at, all)
	if err != nil || !suspect {
		m.conclude(all)
		return m, err
	}
	return m, view(func(tx *graph.ReadTx) error { return at.confirm(ctx, tx, m, all) })
}

// measureAll measures everything, and tells whether anything differs.
func (s *session) measureAll(ctx context.Context, at *measurer, all []measured) (suspect bool, err error) {
	var total int64
	for i := range all {
		total += all[i].Recorded
	}
	progress := s.StartProgress("measuring", total)
	defer progress.End()
	for i := range all {
		if all[i].Measured, err = at.size(ctx, &all[i]); err != nil {
			return false, err
		}
		suspect = suspect || all[i].Measured != all[i].Recorded
		progress.Add(all[i].Recorded)
	}
	return suspect, nil
}

func newMeasurer(ctx context.Context, store *graph.Store) (at *measurer, err error) {
	at = &measurer{root: store.Root(), driver: store.DriverName()}
	entry, known := builtin.Registry().Find(at.driver)
	if !known || entry.Inspect == nil {
		return nil, fmt.Errorf("%w: driver %s is not known", model.ErrUnsupported, at.driver)
	}
	if at.files, err = content.Open(at.root); err != nil {
		return nil, err
	}
	at.home, err = entry.Inspect(ctx, filepath.Join(at.root, at.driver), nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, at.files.Close())
	}
	copier, ok := at.home.(drivers.ParentCopier)
	at.copies = ok && copier.CopiesParents()
	return at, nil
}

func (at *measurer) close() error {
	err := at.files.Close()
	if at.home != nil {
		err = errors.Join(err, at.home.Close())
	}
	return err
}

// plan lists what is recorded with a size.
func (at *measurer) plan(tx *graph.ReadTx, m *measurement, damaged *damages) (all []measured, err error) {
	m.Skipped = 0
	layers, err := tx.Layers()
	if err := damaged.note(err); err != nil {
		return nil, err
	}
	for _, l := range layers {
		all = append(all, at.planLayer(l, m)...)
	}
	for _, kind := range model.Kinds {
		objects, err := loadObjects(tx, kind, damaged)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			items, err := tx.Data(model.NewID(kind, o.ID))
			if err := damaged.note(err); err != nil {
				return nil, err
			}
			for _, item := range items {
				all = append(all, measured{sum: &m.Data, difference: difference{
					Kind: kind, ID: o.ID, Item: "data " + item.Key, Path: item.Content.Path, Recorded: item.Content.Size,
				}})
			}
		}
	}
	return all, nil
}

// planLayer lists what of a layer is recorded with a size.
func (at *measurer) planLayer(l *model.Layer, m *measurement) (all []measured) {
	about := difference{Kind: model.KindLayer, ID: string(l.ID)}
	switch {
	case !l.Made:
	case l.Size < 0, l.Incomplete, at.home == nil, at.copies && l.Parent != "":
		m.Skipped++
	default:
		about.Item, about.Path, about.Recorded = "content", filepath.Join(at.driver, at.home.ContentPath(l.DriverDir())), l.Size
		all = append(all, measured{difference: about, tree: true, sum: &m.Layers})
	}
	if l.Diff != nil && l.Diff.TarSplit != nil {
		about.Item, about.Path, about.Recorded = "tar-split", l.Diff.TarSplit.Path, l.Diff.TarSplit.Size
		all = append(all, measured{difference: about, sum: &m.TarSplits})
	}
	return all
}

// size measures something. What does not exist has no size.
func (at *measurer) size(ctx context.Context, what *measured) (size int64, err error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	if what.tree {
		size, err = archive.TreeSize(ctx, filepath.Join(at.root, what.Path))
	} else {
		stat, errStat := at.files.Stat(what.Path)
		size, err = stat.Size, errStat
	}
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return size, err
}

// confirm leaves of the differences those that are still there now that nobody
// changes anything.
func (at *measurer) confirm(ctx context.Context, tx *graph.ReadTx, m *measurement, all []measured) error {
	before := make(map[difference]bool)
	for _, what := range all {
		if what.Measured != what.Recorded {
			before[what.recorded()] = true
		}
	}
	var noted damages // what is damaged has been noted
	now, err := at.plan(tx, m, &noted)
	if err != nil {
		return err
	}
	for i := range now {
		what := &now[i]
		what.Measured = what.Recorded
		if before[what.difference.recorded()] {
			if what.Measured, err = at.size(ctx, what); err != nil {
				return err
			}
		}
	}
	m.conclude(now)
	return nil
}

// recorded returns what is recorded about something, to find it again.
func (d difference) recorded() difference {
	d.Measured = 0
	return d
}

// conclude sums up.
func (m *measurement) conclude(all []measured) {
	for i := range all {
		what := &all[i]
		*what.sum += what.Measured
		if what.Measured != what.Recorded {
			m.Differences = append(m.Differences, what.difference)
		}
	}
}

// writeMeasurement writes for people what was measured.
func (s *session) writeMeasurement(m *measurement) error {
	fmt.Fprintf(s.Stdout, "\nmeasured on disk: layers %s, data items %s, tar-splits %s\n", humanSize(m.Layers), humanSize(m.Data), humanSize(m.TarSplits))
	if m.Skipped > 0 {
		fmt.Fprintf(s.Stdout, "%s without a size to compare\n", plural(int64(m.Skipped), "layer"))
	}
	if len(m.Differences) == 0 {
		fmt.Fprintln(s.Stdout, "everything else is as recorded")
		return nil
	}
	w := s.table()
	fmt.Fprintln(w, "\nKIND\tID\tITEM\tRECORDED\tON DISK\tPATH")
	for _, d := range m.Differences {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", d.Kind, shortID(d.ID), clean(d.Item), d.Recorded, d.Measured, clean(d.Path))
	}
	return w.Flush()
}
