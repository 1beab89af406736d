package repair

import (
	"fmt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// Quarantine takes something out of use that is damaged and cannot be healed, or
// lets it be used again. Its content stays where it is.
type Quarantine struct {
	Kind model.Kind `json:"kind"`
	ID   string     `json:"id"`
	// Item is the data item that is meant, and TarSplit means the layer's
	// tar-split; otherwise it is the layer's files.
	Item     string `json:"item,omitempty"`
	TarSplit bool   `json:"tar-split,omitempty"`
	// Code is that of the finding, or "" for the end of the quarantine.
	Code fsck.Code `json:"code,omitempty"`
}

func quarantineOf(o *fsck.Object, code fsck.Code) *Quarantine {
	return &Quarantine{Kind: o.Kind, ID: o.ID, Item: o.Item, TarSplit: o.TarSplit, Code: code}
}

// String says what is done.
func (q *Quarantine) String() string {
	what := fmt.Sprintf("%s %s", q.Kind, q.ID)
	switch {
	case q.Item != "":
		what = fmt.Sprintf("data item %q of %s", q.Item, what)
	case q.TarSplit:
		what = "the tar-split of " + what
	}
	if q.Code == "" {
		return fmt.Sprintf("let %s out of quarantine", what)
	}
	return fmt.Sprintf("put %s in quarantine", what)
}

// same tells whether both are about the same thing.
func (q *Quarantine) same(other *Quarantine) bool {
	return q.Kind == other.Kind && q.ID == other.ID && q.Item == other.Item && q.TarSplit == other.TarSplit
}

// quarantine plans that what a finding is about is put in quarantine, unless it
// is there or it still can be used.
func (p *Plan) quarantine(f *fsck.Finding, cause Cause) {
	if !f.Unusable || f.Quarantined {
		return
	}
	q := quarantineOf(f.Object, f.Code)
	for i := range p.Steps {
		if step := &p.Steps[i]; step.Quarantine != nil && step.Quarantine.same(q) {
			step.Findings = append(step.Findings, cause)
			return
		}
	}
	p.Steps = append(p.Steps, Step{Quarantine: q, Findings: []Cause{cause}})
}

// mark sets or clears the mark of damage.
func (r *repairer) mark(tx *db.Tx, q *Quarantine) error {
	if err := r.noteDatabase(tx); err != nil {
		return err
	}
	r.result.Entries++
	switch {
	case q.Item != "":
		return tx.SetDataDamage(q.Kind, q.ID, q.Item, string(q.Code))
	case q.TarSplit:
		return tx.SetTarSplitDamage(model.LayerID(q.ID), string(q.Code))
	}
	return tx.SetLayerDamage(model.LayerID(q.ID), string(q.Code))
}
