package db

import (
	"context"
	"fmt"

	"github.com/csdb/csdb/model"
)

// The files salvage*.go get out of a database file what can be got, whatever has
// become of it. The rest of the package trusts a file as a whole or not at all;
// here each value is judged by itself. Its checksum covers the bucket and the
// key, so that a value is known for what it is wherever it lies.
//
// A file of bbolt has more in it than its newest state. What a transaction
// changes it writes to other pages than those that held it before: so the state
// before the last transaction is still whole, and pages that are free keep old
// values until they are written anew. The sources are, the best first:
//
//   - the tree of the newest transaction;
//   - pages that are in use according to the list of free pages, but to which
//     the damaged tree no longer leads;
//   - the tree of the transaction before;
//   - pages that are free;
//   - pages that lie in the wrong place, or behind the end.
//
// A source is asked only about those ranges of keys that all better ones have
// lost (see gaps): what an intact part of a tree does not have was deleted.

// Origin tells where a record was found.
type Origin string

// The origins, the best first.
const (
	FromLive     Origin = "live"     // the tree of the newest transaction
	FromCutOff   Origin = "cut-off"  // a page in use to which the tree no longer leads
	FromPrevious Origin = "previous" // the tree of an earlier transaction
	FromBackup   Origin = "backup"   // a backup
	FromFreed    Origin = "freed"    // a page that is free
	FromStray    Origin = "stray"    // a page in the wrong place, or behind the end
	FromFiles    Origin = "files"    // directories and content files
)

// rank orders origins, the best first.
func (o Origin) rank() int {
	for i, origin := range []Origin{FromLive, FromCutOff, FromPrevious, FromBackup, FromFreed, FromStray, FromFiles} {
		if o == origin {
			return i
		}
	}
	return -1
}

// SalvagedRecord is a record that was found, and where.
type SalvagedRecord struct {
	// Bucket and Key are as in the package comment.
	Bucket, Key string
	Origin      Origin
	// Page is the page that it was found in, 0 if it comes from no page.
	Page uint64

	bucket bucket
	// path has the names of the buckets that it lies in.
	path []string
	// stamp is the greatest number of a record in the page; it tells the
	// newer one of two versions of the page.
	stamp  uint64
	record any // see Value
}

// Object returns what the record is about: a layer, image or container, and the
// key of a data item. The kind is "" if it is about something else.
func (r *SalvagedRecord) Object() (kind model.Kind, id, item string) {
	return objectOf(r.bucket, r.Key)
}

// Value returns what the record says: a *model.Layer, *model.Image,
// *model.Container, *model.Data, *Trash, *JournalEntry, *Hold, *Elsewhere,
// *Prepared, *Decided, *RunRoot, *Info or *Usage, which must not be changed, or the bytes of an embedding program.
func (r *SalvagedRecord) Value() any { return r.record }

// SalvagedTree is the state of the database after one transaction, as far as it
// can be read.
type SalvagedTree struct {
	TxID uint64
	// Meta tells that a meta page leads to it. Otherwise its root was found
	// by reading all pages.
	Meta bool
	// Intact tells that nothing in it is damaged.
	Intact bool
}

// Loss is an object, or a data item of one, that is known to have existed and
// was not found.
type Loss struct {
	Kind model.Kind
	ID   string
	Item string // "" for the object itself
	// Evidence says how that is known.
	Evidence string
}

// Salvaged is what could be got out of a database file.
type Salvaged struct {
	Path string
	// Size and PageSize are in bytes.
	Size, PageSize int64
	// Trees are those that records were taken from, the newest first. There is
	// none if neither a meta page nor a root can be read.
	Trees []SalvagedTree
	// MetaErrors say what is wrong with the meta pages, nil if nothing is.
	MetaErrors [2]error
	// Incomplete tells that pages remain unread which claim to be longer than
	// is believable.
	Incomplete bool

	records map[recordKey]*SalvagedRecord
	gaps    []*gaps // of the trees
	// evidence has what is known to have existed; settle makes losses of it.
	evidence map[objectKey]string
	// named has the names of objects as the index of names has them.
	named   map[objectKey][]string
	history history
	// greatest has the greatest number of a record in each bucket.
	greatest map[bucket]uint64
	// apps are buckets of embedding programs, and names those of buckets that
	// may be.
	apps  map[bucket]bool
	names map[string]bool
}

// recordKey identifies a record.
type recordKey struct {
	in  bucket
	key string
}

// Salvage reads a database file page by page, without bbolt, and returns the
// newest version of each record that is intact. It looks at nothing else, takes
// no lock and writes nothing; nobody should write to the file meanwhile. An
// error means that the file could not be read: no content is too strange.
//
// The memory that it takes goes by the records in the file.
func Salvage(ctx context.Context, path string, progress Progress) (*Salvaged, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	s := &salvager{
		ctx: ctx, size: info.Size(), budget: readBudget(info.Size()),
		out:  newSalvaged(path, info.Size()),
		file: &countedFile{ReaderAt: f, left: info.Size(), done: progress.Start("reading", info.Size())},
	}
	if err := s.run(); err != nil {
		return nil, fmt.Errorf("salvaging %s: %w", path, err)
	}
	return s.out, nil
}

func newSalvaged(path string, size int64) *Salvaged {
	return &Salvaged{
		Path: path, Size: size, records: make(map[recordKey]*SalvagedRecord), evidence: make(map[objectKey]string),
		named: make(map[objectKey][]string), history: make(history), greatest: make(map[bucket]uint64), apps: make(map[bucket]bool), names: make(map[string]bool),
	}
}

// Intact tells whether nothing is wrong with the newest tree and with both meta
// pages.
func (s *Salvaged) Intact() bool {
	return len(s.Trees) > 0 && s.Trees[0].Intact && s.Trees[0].Meta && s.MetaErrors == [2]error{}
}

// Info returns the description of the store, nil if it is lost.
func (s *Salvaged) Info() *Info {
	if r := s.records[recordKey{bucketStore, keyInfo}]; r != nil {
		info, _ := r.record.(*Info)
		return info
	}
	return nil
}

// Complete tells whether the newest state, damaged or not, had no more layers,
// images, containers and data items than have records now or are among the
// losses. The sums over the store, which every transaction keeps, say so if
// they are intact. If nothing is lost the sizes must agree as well.
func (s *Salvaged) Complete() bool {
	if len(s.Trees) > 0 && s.Trees[0].Intact {
		return true
	}
	r := s.records[recordKey{bucketStore, keyUsage}]
	if r == nil || r.Origin.rank() > FromCutOff.rank() {
		return false
	}
	said, ok := r.record.(*Usage)
	if !ok {
		return false
	}
	counted := s.countUsage()
	losses := s.Losses()
	for _, l := range losses {
		if l.Item != "" {
			counted.DataItems++
		} else {
			counted.count(l.Kind, +1)
		}
	}
	if len(losses) > 0 {
		counted.LayerBytes, counted.DataBytes, counted.TarSplitBytes = said.LayerBytes, said.DataBytes, said.TarSplitBytes
	}
	counted.UnusedLayerBytes = said.UnusedLayerBytes // which is no sum
	return counted == *said
}

// countUsage computes the sums over all records.
func (s *Salvaged) countUsage() (u Usage) {
	for _, r := range s.records {
		switch v := r.record.(type) {
		case *model.Layer:
			u.Layers++
			u.LayerBytes += knownSize(v)
			u.TarSplitBytes += tarSplitSize(v)
		case *model.Image:
			u.Images++
		case *model.Container:
			u.Containers++
		case *model.Data:
			u.DataItems++
			u.DataBytes += v.Content.Size
		}
	}
	return u
}

// TxID returns the number of the newest transaction whose tree was found, 0 if
// there is none.
func (s *Salvaged) TxID() uint64 {
	if len(s.Trees) == 0 {
		return 0
	}
	return s.Trees[0].TxID
}
