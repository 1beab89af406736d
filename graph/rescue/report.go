package rescue

import (
	"strconv"
	"strings"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// SchemaName names the format of a Report in JSON, and its version. Fields may be
// added within one version.
const SchemaName = "csdb.rescue/1"

// State is what has become of a database.
type State string

// The states.
const (
	Fine    State = "fine"    // nothing in it is damaged
	Damaged State = "damaged" // it is there
	Missing State = "missing" // it is not
)

// Tree is the state of the database after one transaction.
type Tree struct {
	TxID uint64 `json:"tx"`
	// Meta tells that a meta page leads to it; otherwise it was found.
	Meta   bool `json:"meta"`
	Intact bool `json:"intact"`
}

// Kinds of record other than those of package model.
const (
	KindData    = "data"    // data item of an object
	KindTrash   = "trash"   // content that is to be removed
	KindJournal = "journal" // entry of the journal
	KindApp     = "app"     // value of an embedding program
	KindStore   = "store"   // description of the store
	KindNote    = "note"    // about other places: what is there, or needed, or decided there
)

// Record is a record of the new database, or one that was left out of it.
type Record struct {
	// Kind is that of an object, or one of this package.
	Kind string `json:"kind"`
	// ID is that of the object, for a data item with its kind in Of. For others
	// it is the key, and for an entry of the journal its number.
	ID   string     `json:"id"`
	Of   model.Kind `json:"of,omitempty"`
	Item string     `json:"item,omitempty"`
	// Names are those of the object.
	Names []string `json:"names,omitempty"`
	// Origin is where it was found, and Page on which page, if on any.
	Origin db.Origin `json:"origin"`
	Page   uint64    `json:"page,omitempty"`
}

// Loss is an object, or a data item of one, that is known to have existed.
type Loss struct {
	Kind     model.Kind `json:"kind"`
	ID       string     `json:"id"`
	Item     string     `json:"item,omitempty"`
	Evidence string     `json:"evidence"`
}

// Omission is a record, or a part of one, that contradicts a better one.
type Omission struct {
	Record

	Part   string `json:"part,omitempty"`
	Reason string `json:"reason"`
}

// Count counts the records of a kind by origin.
type Count struct {
	Kind    string            `json:"kind"`
	Origins map[db.Origin]int `json:"origins"`
}

// Report tells what was rescued.
type Report struct {
	Schema   string `json:"schema"`
	Root     string `json:"root"`
	Database string `json:"database"`
	State    State  `json:"state"`
	// Problem says why the database cannot be used as it is.
	Problem string `json:"problem,omitempty"`
	// Size and PageSize are in bytes.
	Size     int64 `json:"size"`
	PageSize int64 `json:"page-size,omitempty"`
	// Metas say what is wrong with the two meta pages, "" if nothing is.
	Metas []string `json:"metas"`
	// Trees are those that records were taken from, the newest first.
	Trees []Tree `json:"trees"`
	// Incomplete tells that pages remain unread that cannot be right.
	Incomplete bool   `json:"incomplete,omitempty"`
	Backup     string `json:"backup,omitempty"`

	UUID    string    `json:"uuid"`
	Driver  string    `json:"driver"`
	Created time.Time `json:"created,omitzero"`

	Counts   []Count    `json:"counts"`
	Records  []Record   `json:"records"`
	Lost     []Loss     `json:"lost"`
	Omitted  []Omission `json:"omitted"`
	Unusable []string   `json:"unusable"` // content from which no record could be made

	// Unknown tells that more may be lost, of which nothing tells: the newest
	// state could not be read as a whole, and its sums do not say that
	// everything was found.
	Unknown bool `json:"unknown-losses"`

	// Output is the new database, "" if none was written, and Check what fsck
	// says about it.
	Output string       `json:"output,omitempty"`
	Check  *fsck.Report `json:"check,omitempty"`
	// Installed tells that it is in the place of the old one, and Kept what that
	// is called now, "" if there was none.
	Installed bool   `json:"installed"`
	Kept      string `json:"kept,omitempty"`

	options Options
	// state is that of the old database when it was read.
	state db.FileState
}

// note notes the records and what became of the others.
func (r *Report) note(s *db.Salvaged, omissions []db.Omission) {
	left := make(map[*db.SalvagedRecord]bool)
	r.Omitted = []Omission{}
	for _, o := range omissions {
		left[o.Record] = left[o.Record] || o.Part == ""
		r.Omitted = append(r.Omitted, Omission{Record: describe(o.Record), Part: o.Part, Reason: o.Reason})
	}
	counts := make(map[string]map[db.Origin]int)
	r.Records = []Record{}
	for _, record := range s.Records() {
		if left[record] {
			continue
		}
		described := describe(record)
		if described.Kind == "" {
			continue
		}
		r.Records = append(r.Records, described)
		if counts[described.Kind] == nil {
			counts[described.Kind] = make(map[db.Origin]int)
		}
		counts[described.Kind][described.Origin]++
	}
	r.Counts = []Count{}
	for _, kind := range []string{
		KindStore, string(model.KindLayer), string(model.KindImage), string(model.KindContainer), KindData, KindTrash, KindApp, KindNote, KindJournal,
	} {
		if counts[kind] != nil {
			r.Counts = append(r.Counts, Count{Kind: kind, Origins: counts[kind]})
		}
	}
	r.Lost = []Loss{}
	for _, l := range s.Losses() {
		r.Lost = append(r.Lost, Loss{Kind: l.Kind, ID: l.ID, Item: l.Item, Evidence: l.Evidence})
	}
}

// describe describes a record.
func describe(r *db.SalvagedRecord) Record {
	d := Record{ID: r.Key, Origin: r.Origin, Page: r.Page}
	kind, id, item := r.Object()
	switch v := r.Value().(type) {
	case *model.Layer:
		d.Kind, d.Names = string(kind), v.Names
	case *model.Image:
		d.Kind, d.Names = string(kind), v.Names
	case *model.Container:
		d.Kind, d.Names = string(kind), v.Names
	case *model.Data:
		d.Kind, d.Of, d.ID, d.Item = KindData, kind, id, item
	case *db.Trash:
		d.Kind = KindTrash
	case *db.JournalEntry:
		d.Kind, d.ID = KindJournal, strconv.FormatUint(v.Seq, 10)
	case *db.Info:
		d.Kind = KindStore
	case *db.Hold, *db.Elsewhere, *db.Prepared, *db.Decided, *db.RunRoot:
		d.Kind, d.ID = KindNote, r.Bucket+"/"+strings.ReplaceAll(r.Key, "\x00", "/")
	case []byte:
		d.Kind, d.ID = KindApp, r.Bucket+"/"+r.Key
	}
	return d
}

// Strays counts the directories and content files that have no record in the new
// database. Some may have been garbage before; but as long as there are any
// which belong to lost records, whoever cleans up the store destroys them.
func (r *Report) Strays() int {
	if r.Check == nil {
		return 0
	}
	n := 0
	for i := range r.Check.Findings {
		if r.Check.Findings[i].Code == fsck.CodeStray {
			n++
		}
	}
	return n
}
