package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/rescue"
)

// writeRescue writes for people what was rescued: what the old database is like,
// how many records came from where, each record that is not from its newest
// state, and what is lost.
func (s *session) writeRescue(r *rescue.Report) {
	fmt.Fprintf(s.Stdout, "%s is %s", r.Database, r.State)
	if r.Problem != "" {
		fmt.Fprintf(s.Stdout, ": %s", clean(r.Problem))
	}
	fmt.Fprintf(s.Stdout, "\nstore %s, driver %s\n", r.UUID, r.Driver)
	for page, wrong := range r.Metas {
		if wrong != "" {
			fmt.Fprintf(s.Stdout, "meta page %d: %s\n", page, clean(wrong))
		}
	}
	for _, tree := range r.Trees {
		fmt.Fprintf(s.Stdout, "state after transaction %d: %s\n", tree.TxID, describeTree(tree))
	}
	if len(r.Trees) == 0 && r.State != rescue.Missing {
		fmt.Fprintln(s.Stdout, "no state can be read as a whole; each record is judged by itself")
	}
	if r.Incomplete {
		fmt.Fprintln(s.Stdout, "not everything was read: pages claim to be longer than is believable")
	}
	s.writeCounts(r)
	s.writeFound(r)
	for _, what := range r.Unusable {
		fmt.Fprintf(s.Stdout, "unusable  %s\n", clean(what))
	}
	for _, o := range r.Omitted {
		what := subjectOf(&o.Record)
		if o.Part != "" {
			what += ", its " + o.Part
		}
		fmt.Fprintf(s.Stdout, "left out  %s (%s): %s\n", clean(what), foundIn(&o.Record), clean(o.Reason))
	}
	for _, l := range r.Lost {
		what := subjectOf(&rescue.Record{Kind: string(l.Kind), ID: l.ID})
		if l.Item != "" {
			what += fmt.Sprintf(", data item %q", l.Item)
		}
		fmt.Fprintf(s.Stdout, "lost      %s: %s\n", clean(what), clean(l.Evidence))
	}
	if r.Unknown {
		fmt.Fprintln(s.Stdout, "more may be lost, of which nothing tells")
	}
	if n := r.Strays(); n > 0 {
		fmt.Fprintf(s.Stdout, "%s without a record: most likely theirs is lost, so keep them\n", many(n, "directory or file", "directories and files"))
	}
	if r.Output == "" {
		fmt.Fprintln(s.Stdout, "nothing was written")
		return
	}
	fmt.Fprintf(s.Stdout, "the new database is %s\n\n", r.Output)
	s.writeReport(r.Check)
}

func describeTree(tree rescue.Tree) string {
	words := []string{"damaged"}
	if tree.Intact {
		words[0] = "intact"
	}
	if !tree.Meta {
		words = append(words, "no meta page leads to it")
	}
	return strings.Join(words, ", ")
}

// originsShown are the columns of the table of records.
var originsShown = []db.Origin{
	db.FromLive, db.FromCutOff, db.FromPrevious, db.FromBackup, db.FromFreed, db.FromStray, db.FromFiles,
}

// writeCounts writes how many records of each kind came from where.
func (s *session) writeCounts(r *rescue.Report) {
	used := slices.DeleteFunc(slices.Clone(originsShown), func(origin db.Origin) bool {
		return !slices.ContainsFunc(r.Counts, func(c rescue.Count) bool { return c.Origins[origin] > 0 })
	})
	table := s.table()
	fmt.Fprint(table, "\nRECORDS")
	for _, origin := range used {
		fmt.Fprintf(table, "\t%s", strings.ToUpper(string(origin)))
	}
	fmt.Fprintln(table)
	for _, c := range r.Counts {
		fmt.Fprint(table, c.Kind)
		for _, origin := range used {
			fmt.Fprintf(table, "\t%d", c.Origins[origin])
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush()
	fmt.Fprintln(s.Stdout)
}

// writeFound writes each record that is not from the newest state. Of the
// journal there may be many, and nothing depends on them.
func (s *session) writeFound(r *rescue.Report) {
	for i := range r.Records {
		record := &r.Records[i]
		if record.Origin != db.FromLive && record.Kind != rescue.KindJournal {
			fmt.Fprintf(s.Stdout, "%-9s %s (%s)\n", "found", clean(subjectOf(record)), foundIn(record))
		}
	}
}

// subjectOf names what a record is about.
func subjectOf(r *rescue.Record) string {
	switch r.Kind {
	case rescue.KindData:
		return fmt.Sprintf("%s %s, data item %q", r.Of, shortID(r.ID), r.Item)
	case rescue.KindStore:
		return "description of the store"
	case rescue.KindTrash, rescue.KindApp, rescue.KindNote, rescue.KindJournal:
		return fmt.Sprintf("%s %s", r.Kind, r.ID)
	}
	text := fmt.Sprintf("%s %s", r.Kind, shortID(r.ID))
	if len(r.Names) > 0 {
		text += " (" + names(r.Names) + ")"
	}
	return text
}

// foundIn says where a record was found.
func foundIn(r *rescue.Record) string {
	places := map[db.Origin]string{
		db.FromLive:     "newest state",
		db.FromCutOff:   "a page in use that nothing leads to",
		db.FromPrevious: "the state before",
		db.FromBackup:   "the backup",
		db.FromFreed:    "a page that is free",
		db.FromStray:    "a page in the wrong place",
		db.FromFiles:    "files",
	}
	text := cmp.Or(places[r.Origin], string(r.Origin))
	if r.Page > 0 {
		text += fmt.Sprintf(", page %d", r.Page)
	}
	return text
}
