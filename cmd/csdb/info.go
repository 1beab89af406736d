package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/cmd/csdb/page"
	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
)

type info struct{}

func (p *program) infoCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name: "info", Usage: "describe the store and its database",
		Description: `
Shows what the store is, how large its database is, and how much is in it. All
numbers come from the databases; nothing is measured.

Examples:

  csdb info
  csdb --json info | jq .uuid`,
	}, arity{0, 0}, &info{})
}

// storeInfo describes a store.
type storeInfo struct {
	UUID     string    `json:"uuid"`
	Created  time.Time `json:"created"`
	Driver   string    `json:"driver"`
	Schema   uint64    `json:"schema"`
	Features []string  `json:"features"`
	Root     string    `json:"root"`
	RunRoot  string    `json:"run-root"`
	Database fileInfo  `json:"database"`
	Usage    *db.Usage `json:"usage"`
	// Leases is how many leases have not expired, as far as the run root tells.
	Leases int `json:"leases"`
	// Runs are the run roots in which there are volatile containers at this boot of
	// the machine.
	Runs []string `json:"run-roots-of-volatile-containers"`
	// Needs and NeededBy are the other stores of which objects are needed, and those
	// that need objects of this one.
	Needs    []otherStore `json:"needs"`
	NeededBy []otherStore `json:"needed-by"`
	// Last is the last entry of the journal.
	Last *db.JournalEntry `json:"last-change"`
}

// otherStore is another store, and with how many objects it has to do.
type otherStore struct {
	Root    string `json:"root"`
	Objects int    `json:"objects"`
}

// relate adds what is known of other stores.
func (v *storeInfo) relate(r *graph.Relations) error {
	boot, err := db.BootID()
	if err != nil {
		return err
	}
	v.Runs, v.Needs, v.NeededBy = []string{}, []otherStore{}, []otherStore{}
	for _, run := range r.Runs {
		if run.Boot == boot {
			v.Runs = append(v.Runs, run.Path)
		}
	}
	for _, e := range r.Elsewhere {
		v.Needs = count(v.Needs, e.Root)
	}
	for _, h := range r.Holds {
		if h.Counts(boot) {
			v.NeededBy = count(v.NeededBy, h.Root)
		}
	}
	return nil
}

// count counts an object of a store.
func count(stores []otherStore, root string) []otherStore {
	i := slices.IndexFunc(stores, func(o otherStore) bool { return o.Root == root })
	if i < 0 {
		return append(stores, otherStore{root, 1})
	}
	stores[i].Objects++
	return stores
}

// fileInfo describes the file of a database. Sizes are in bytes.
type fileInfo struct {
	Path     string `json:"path"`
	Size     int64  `json:"size"`
	PageSize int    `json:"page-size"`
	Pages    int    `json:"pages"`
	Free     int    `json:"free-pages"`
	TxID     int    `json:"tx"`
}

func (o *info) run(ctx context.Context, s *session, _ []string) error {
	value := storeInfo{RunRoot: s.settings.runRoot}
	var damaged damages
	err := s.with(ctx, func(store *graph.Store) error {
		value.describe(store)
		if err := value.countLeases(ctx, s, store, &damaged); err != nil {
			return err
		}
		wait, cancel := s.waiting(ctx)
		defer cancel()
		return store.View(wait, func(tx *graph.ReadTx) error { return value.load(tx, &damaged) })
	})
	if err != nil {
		return err
	}
	if s.json {
		err = s.writeJSON(value)
	} else {
		err = s.writeInfo(&value)
	}
	if err != nil {
		return err
	}
	return damaged.err()
}

// describe adds what is known of an open store.
func (v *storeInfo) describe(store *graph.Store) {
	about := store.Info()
	v.UUID, v.Created, v.Driver, v.Features = about.UUID, about.Created, about.Driver, list(about.Features)
	v.Root = store.Root()
}

// countLeases adds how many leases there are.
func (v *storeInfo) countLeases(ctx context.Context, s *session, store *graph.Store, damaged *damages) (err error) {
	_, v.Leases, err = s.leases(ctx, store)
	return damaged.note(err)
}

// load adds what a transaction sees.
func (v *storeInfo) load(tx *graph.ReadTx, damaged *damages) (err error) {
	if v.Schema, err = tx.Schema(); err != nil {
		return err
	}
	file, err := tx.FileInfo()
	if err := damaged.note(err); err != nil {
		return err
	}
	v.Database = fileInfo{
		Path: filepath.Join(v.Root, db.FileName), Size: file.Size, PageSize: file.PageSize,
		Pages: file.Pages, Free: file.Free, TxID: tx.TxID(),
	}
	v.Usage, err = tx.Usage()
	if err := damaged.note(err); err != nil {
		return err
	}
	relations, err := tx.Relations()
	if err := damaged.note(err); err != nil {
		return err
	}
	if err := v.relate(&relations); err != nil {
		return err
	}
	v.Last, err = lastEntry(tx)
	return damaged.note(err)
}

// lastEntry returns the last entry of the journal, nil if there is none.
func lastEntry(tx *graph.ReadTx) (last *db.JournalEntry, err error) {
	err = tx.Journal(0, func(e *db.JournalEntry) bool {
		last = e
		return true
	})
	return last, err
}

func (s *session) writeInfo(v *storeInfo) error {
	w := s.table()
	for _, fact := range s.facts(v) {
		fmt.Fprintf(w, "%s:\t%s\n", fact.Name, fact.Text)
	}
	return w.Flush()
}

// facts says what there is to say about a store.
func (s *session) facts(v *storeInfo) (facts []page.Line) {
	line := func(name, format string, args ...any) {
		facts = append(facts, page.Line{Name: name, Text: fmt.Sprintf(format, args...)})
	}
	line("UUID", "%s", v.UUID)
	line("Created", "%s (%s)", v.Created.Format(time.RFC3339), s.ago(v.Created))
	line("Driver", "%s", v.Driver)
	line("Schema", "%d", v.Schema)
	if len(v.Features) > 0 {
		line("Features", "%s", strings.Join(v.Features, ", "))
	}
	line("Graph root", "%s", v.Root)
	line("Run root", "%s", v.RunRoot)
	f := &v.Database
	line("Database", "%s, %d pages of %d bytes, %d of them free", humanSize(f.Size), f.Pages, f.PageSize, f.Free)
	line("Transaction", "%d", f.TxID)
	if u := v.Usage; u != nil {
		line("Layers", "%d with %s; not needed: %s", u.Layers, humanSize(u.LayerBytes), humanSize(u.UnusedLayerBytes))
		line("Images", "%d", u.Images)
		line("Containers", "%d", u.Containers)
		line("Data items", "%d with %s", u.DataItems, humanSize(u.DataBytes))
		line("Tar-splits", "%s", humanSize(u.TarSplitBytes))
	}
	if v.Leases > 0 {
		line("Leases", "%d", v.Leases)
	}
	for _, run := range v.Runs {
		line("Volatile in", "%s", clean(run))
	}
	for _, o := range v.Needs {
		line("Needs", "%s of the store %s", plural(int64(o.Objects), "object"), clean(o.Root))
	}
	for _, o := range v.NeededBy {
		line("Needed", "%s, by the store %s", plural(int64(o.Objects), "object"), clean(o.Root))
	}
	if v.Last != nil {
		line("Last change", "%s by %s: %s", s.ago(v.Last.Time), author(v.Last), changes(v.Last)[0])
	}
	return facts
}
