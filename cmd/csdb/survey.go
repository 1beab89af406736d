package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/csdb/csdb/cmd/csdb/page"
	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// Limits of what a report lists.
const (
	maxFindings = 500
	maxEntries  = 300
	maxObjects  = 100
)

// survey is what is known of a store, for a report.
type survey struct {
	session *session
	info    storeInfo
	usage   diskUsage
	forest  *forest
	data    []page.Data
	entries []*db.JournalEntry // the last ones, the oldest first
	older   int
	found   map[model.ID][]int // the findings about an object
}

// survey collects what a report says. What is damaged is noted and left out; of a
// store that cannot be opened, there are only the findings.
func (s *session) survey(ctx context.Context, checked *fsck.Report, damaged *damages) (*page.Page, error) {
	v := survey{session: s, info: storeInfo{RunRoot: s.settings.runRoot}, forest: &forest{}}
	err := s.with(ctx, func(store *graph.Store) error {
		v.info.describe(store)
		if err := v.info.countLeases(ctx, s, store, damaged); err != nil {
			return err
		}
		wait, cancel := s.waiting(ctx)
		defer cancel()
		return store.View(wait, func(tx *graph.ReadTx) error { return v.load(ctx, tx, damaged) })
	})
	if err := damaged.note(err); err != nil {
		return nil, err
	}
	v.index(checked)
	p := &page.Page{
		Root: clean(s.settings.root), Made: s.Now(), By: "csdb " + programVersion(), Check: pageCheck(checked),
		TarSplits: v.usage.TarSplits, Data: v.data, HumanSize: humanSize, Older: v.older, Layers: v.layers(),
	}
	if v.info.UUID != "" {
		p.Facts = s.facts(&v.info)
	}
	for _, err := range damaged.errs {
		p.Unread = append(p.Unread, clean(oneLine(err)))
	}
	for _, o := range v.forest.loose {
		p.Loose = append(p.Loose, v.user(&o))
	}
	for _, u := range v.usage.Objects[:min(len(v.usage.Objects), maxObjects)] {
		p.Objects = append(p.Objects, page.Object{User: v.user(&u.object), Own: u.Own, Unique: u.Unique, Shared: u.Shared})
	}
	p.Left = len(v.usage.Objects) - len(p.Objects)
	for _, e := range slices.Backward(v.entries) {
		p.History = append(p.History, pageEntry(e))
	}
	return p, nil
}

// load reads everything in one transaction.
func (v *survey) load(ctx context.Context, tx *graph.ReadTx, damaged *damages) (err error) {
	if err := v.info.load(tx, damaged); err != nil {
		return err
	}
	if v.forest, err = loadForest(tx, damaged); err != nil {
		return err
	}
	if err := v.usage.load(tx, damaged); err != nil {
		return err
	}
	v.usage.sort()
	if err := v.loadData(tx, damaged); err != nil {
		return err
	}
	err = tx.Journal(0, func(e *db.JournalEntry) bool {
		v.entries = append(v.entries, e)
		return ctx.Err() == nil
	})
	v.older = max(len(v.entries)-maxEntries, 0)
	v.entries = v.entries[v.older:]
	return errors.Join(damaged.note(err), ctx.Err())
}

// loadData sums up the data items of each object.
func (v *survey) loadData(tx *graph.ReadTx, damaged *damages) error {
	for _, u := range v.usage.Objects {
		items, err := tx.Data(model.NewID(u.Kind, u.ID))
		if err := damaged.note(err); err != nil {
			return err
		}
		sum := page.Data{Label: strings.TrimSpace(describeUser(&u.object))}
		for _, item := range items {
			sum.Size += item.Content.Size
		}
		v.data = append(v.data, sum)
	}
	return nil
}

// index notes which findings are about an object.
func (v *survey) index(checked *fsck.Report) {
	v.found = make(map[model.ID][]int)
	for i, f := range checked.Findings[:min(len(checked.Findings), maxFindings)] {
		if f.Object != nil && slices.Contains(model.Kinds, f.Object.Kind) {
			id := model.NewID(f.Object.Kind, f.Object.ID)
			v.found[id] = append(v.found[id], i)
		}
	}
}

// layers returns all layers, each one before those on it.
func (v *survey) layers() []page.Layer {
	flat := v.forest.flatten().Layers
	layers := make([]page.Layer, 0, len(flat))
	indexes := make(map[model.LayerID]int, len(flat))
	for i, l := range flat {
		layer := page.Layer{
			ID: clean(l.ID), Short: shortID(l.ID), Parent: page.NoParent, Size: l.Size, Findings: v.found[model.LayerID(l.ID)],
		}
		if len(l.Names) > 0 {
			layer.Names = names(l.Names)
		}
		// A parent that comes later is one of a circle.
		if parent, known := indexes[l.Parent]; known {
			layer.Parent = parent
		}
		for _, o := range l.Users {
			layer.Users = append(layer.Users, v.user(&o))
		}
		if l.Incomplete {
			layer.Notes = append(layer.Notes, "incomplete")
		}
		if l.Damage != "" {
			layer.Notes = append(layer.Notes, "in quarantine because of "+l.Damage)
		}
		if l.Fault != "" {
			layer.Notes = append(layer.Notes, l.Fault)
		}
		layers = append(layers, layer)
		indexes[model.LayerID(l.ID)] = i
	}
	return layers
}

// user returns an image or a container as it is shown.
func (v *survey) user(o *object) page.User {
	u := page.User{Kind: string(o.Kind), ID: clean(o.ID), Short: shortID(o.ID), Findings: v.found[model.NewID(o.Kind, o.ID)]}
	if len(o.Names) > 0 {
		u.Name, u.Names = clean(o.Names[0]), names(o.Names)
	}
	if o.Layer != "" && v.forest.nodes[o.Layer] == nil {
		u.Note = v.forest.missing("layer", o.Layer)
	}
	return u
}

// pageCheck returns the outcome of a check as it is shown.
func pageCheck(r *fsck.Report) page.Check {
	c := page.Check{Verdict: string(r.Verdict), Summary: clean(extent(r, "; "))}
	for _, severity := range []fsck.Severity{fsck.Damage, fsck.Repairable, fsck.Info} {
		c.Counts = append(c.Counts, page.Count{Severity: severityWord(severity), Number: r.Count(severity)})
	}
	for _, what := range r.Unchecked {
		c.Unchecked = append(c.Unchecked, clean(what))
	}
	for i := range r.Findings[:min(len(r.Findings), maxFindings)] {
		f := &r.Findings[i]
		c.Findings = append(c.Findings, page.Finding{
			Severity: string(f.Severity), Code: string(f.Code), About: clean(strings.TrimSpace(subject(f.Object))), Lines: findingLines(f),
		})
	}
	c.More = len(r.Findings) - len(c.Findings)
	return c
}

// severityWord is what findings of a severity are called when they are counted.
func severityWord(severity fsck.Severity) string {
	switch severity {
	case fsck.Damage:
		return "damaged"
	case fsck.Info:
		return "for information"
	default:
		return string(severity)
	}
}

// pageEntry returns a transaction as it is shown.
func pageEntry(e *db.JournalEntry) page.Entry {
	entry := page.Entry{Time: e.Time.Local(), TxID: e.TxID, Author: author(e), Changes: changes(e)}
	if n := len(entry.Changes); n > maxShown+1 {
		entry.Changes = append(entry.Changes[:maxShown:maxShown], plural(int64(n-maxShown), "more change"))
	}
	return entry
}
