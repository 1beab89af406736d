package fsck

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// SchemaName names the format of a Report in JSON, and its version. Fields may
// be added within one version.
const SchemaName = "csdb.fsck/1"

// Severity tells how bad a finding is.
type Severity string

// The severities.
const (
	// Damage: something is lost, or cannot be used until it is replaced.
	Damage Severity = "damage"
	// Repairable: something is wrong, but everything that is needed to put it
	// right is there.
	Repairable Severity = "repairable"
	// Info: nothing is wrong; it is worth knowing.
	Info Severity = "info"
)

// rank orders severities, the worst first.
func (s Severity) rank() int { return slices.Index([]Severity{Damage, Repairable, Info}, s) }

// Verdict sums up a report.
type Verdict string

// The verdicts.
const (
	Clean       Verdict = "clean"      // nothing is wrong
	NeedsRepair Verdict = "repairable" // nothing is lost
	Damaged     Verdict = "damaged"    // something is lost
	Unchecked   Verdict = "unchecked"  // no damage was found, but not everything could be looked at
)

// Object is a layer, an image or a container.
type Object struct {
	Kind model.Kind `json:"kind"`
	ID   string     `json:"id"`
	// Names are those of the object, as far as they can be read.
	Names []string `json:"names,omitempty"`
	// Item is the key of the data item that a finding is about.
	Item string `json:"item,omitempty"`
	// TarSplit tells that it is about the file from which the layer's diff is
	// reproduced.
	TarSplit bool `json:"tar-split,omitempty"`
}

// Realm tells where a finding was found.
type Realm string

// The realms.
const (
	InDatabase Realm = "database" // Place is a bucket and a key, or a page, or ""
	InRoot     Realm = "root"     // Place is a path relative to the graph root
	InRunRoot  Realm = "run-root" // Place is a mount point, the ID of a lease, or a run root
	// Place is the path of a database of volatile containers, a colon and a blank,
	// and a bucket and a key in it, or a page; or the path alone.
	InVolatile Realm = "volatile"
)

// Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// Object is what the finding is about, if that can be told.
	Object *Object `json:"object,omitempty"`
	// Realm and Place are where it was found.
	Realm Realm  `json:"realm"`
	Place string `json:"place"`
	// Expected and Found say what is wrong.
	Expected string `json:"expected"`
	Found    string `json:"found"`
	// Files are those of a layer that differ. Of very many only some are listed.
	Files []FileDamage `json:"files,omitempty"`
	// Effect is what does not work as long as nothing is done.
	Effect string `json:"effect"`
	// Images and Containers are those that suffer from it, the object itself
	// included. Of very many only some are listed, and More is set.
	Images     []Object `json:"images"`
	Containers []Object `json:"containers"`
	More       bool     `json:"more,omitempty"`
	// Remedies are what can be done, the best first.
	Remedies []string `json:"remedies"`
	// Fix is the change of a file that puts it right, if there is one. Its path
	// is relative to the graph root.
	Fix *drivers.Fix `json:"fix,omitempty"`
	// Derived tells that what is wrong follows from the records of the
	// database, so that db.Tx.Mend puts it right.
	Derived bool `json:"derived,omitempty"`
	// Quarantined tells that the object has been marked as damaged, so that
	// nothing uses it until it is healed.
	Quarantined bool `json:"quarantined,omitempty"`
	// Unusable tells that the content of the object is damaged or gone.
	Unusable bool `json:"-"`
	// Lost is what is known of content that is missing or damaged, nil if the
	// finding is not about content, or nothing is known.
	Lost *Lost `json:"-"`
	// Trash is what the finding is about if that is to be removed.
	Trash *Trash `json:"-"`
	// Mount is what it is about if that is a mount which is not there.
	Mount *db.Mount `json:"-"`
	// Hold is one that is of no use, or with CodeUnheld one that is missing.
	Hold *db.Hold `json:"-"`
	// Lock is the path whose lock is held by whoever works on what was found,
	// see graph.AtWork, or "".
	Lock string `json:"-"`
}

// Trash is content that is to be removed.
type Trash struct {
	// Path is that of the entry in the database.
	Path string
	// Places are where the content may be, relative to the root.
	Places []string
}

// Lost is content that could be brought back from elsewhere.
type Lost struct {
	// Content is a data item's file or a tar-split, if Diff is nil.
	Content model.Content
	// Diff is that of a layer, and Files are the names in it of the files that
	// differ, all of them.
	Diff  *model.Diff
	Files []string
	// Dir is the directory that has the layer's files, relative to the root.
	Dir string
	// Whole is set if all of the layer's content is gone.
	Whole *LostLayer
}

// LostLayer is a layer of whose content nothing is left.
type LostLayer struct {
	Layer  drivers.InspectedLayer
	Driver drivers.Entry
	// Homes are those of other stores in which its ancestors may be, see
	// drivers.Entry.Inspect.
	Homes []string
	// Needs is the driver's name for the layer that must be there before this one
	// is brought back, or "".
	Needs string
}

// compare orders findings: the worst first, then by code, object and place.
func (f *Finding) compare(g *Finding) int {
	return cmp.Or(
		cmp.Compare(f.Severity.rank(), g.Severity.rank()),
		strings.Compare(string(f.Code), string(g.Code)),
		strings.Compare(f.sortKey(), g.sortKey()),
		strings.Compare(string(f.Realm), string(g.Realm)),
		strings.Compare(f.Place, g.Place),
		strings.Compare(f.Expected, g.Expected),
		strings.Compare(f.Found, g.Found),
	)
}

func (f *Finding) sortKey() string {
	if f.Object == nil {
		return ""
	}
	return strings.Join([]string{string(f.Object.Kind), f.Object.ID, f.Object.Item}, "\x00")
}

// Pages describes the database file.
type Pages struct {
	TxID     uint64 `json:"tx"`        // last transaction
	PageSize int    `json:"page-size"` // bytes
	Pages    int    `json:"pages"`     // up to the last one ever used
	Free     int    `json:"free"`      // those of them that hold nothing
}

// Checked counts what was looked at.
type Checked struct {
	Layers      int `json:"layers"`
	Images      int `json:"images"`
	Containers  int `json:"containers"`
	Files       int `json:"files"`       // content files
	Directories int `json:"directories"` // of layers
	// Contents is how many data items, tar-splits and diffs were read, and
	// Bytes how many bytes that were.
	Contents int   `json:"contents"`
	Bytes    int64 `json:"bytes"`
}

// FileDamage is a file of a layer that is not as it was imported.
type FileDamage struct {
	Path  string `json:"path"` // its name in the layer's diff
	Found string `json:"found"`
}

// Report is the outcome of a check.
type Report struct {
	Schema string `json:"schema"`
	// Root is the graph root, "" if only a database file was checked.
	Root     string `json:"root,omitempty"`
	Database string `json:"database"`
	// Volatile are the databases of the volatile containers that the store has at
	// this boot of the machine.
	Volatile []string `json:"volatile,omitempty"`
	// Others are the graph roots of other stores that were looked at for the sake of
	// objects that are needed from one store to the other.
	Others []string `json:"others,omitempty"`
	Depth  Depth    `json:"depth"`
	// UUID, Driver and Created are those of the store, if they can be read.
	UUID    string    `json:"uuid,omitempty"`
	Driver  string    `json:"driver,omitempty"`
	Created time.Time `json:"created,omitzero"`

	Pages   Pages   `json:"pages"`
	Checked Checked `json:"checked"`
	Verdict Verdict `json:"verdict"`
	// Unchecked says what could not be looked at, and why.
	Unchecked []string  `json:"unchecked"`
	Findings  []Finding `json:"findings"`
}

// Count returns the number of findings of a severity.
func (r *Report) Count(severity Severity) int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Severity == severity {
			n++
		}
	}
	return n
}

// has tells whether there is a finding with a code.
func (r *Report) has(code Code) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == code })
}

// close orders the findings and sets the verdict.
func (r *Report) close() {
	slices.SortFunc(r.Findings, func(f, g Finding) int { return f.compare(&g) })
	slices.Sort(r.Unchecked)
	switch {
	case r.Count(Damage) > 0:
		r.Verdict = Damaged
	case len(r.Unchecked) > 0:
		r.Verdict = Unchecked
	case r.Count(Repairable) > 0:
		r.Verdict = NeedsRepair
	default:
		r.Verdict = Clean
	}
}
