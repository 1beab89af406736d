package repair

import (
	"fmt"

	"github.com/csdb/csdb/db"
)

// Hold notes that another store needs an object, or that it does not any more.
type Hold struct {
	db.Hold

	Add bool `json:"add"`
}

// String says what is done.
func (h *Hold) String() string {
	where := h.Root
	if h.RunRoot != "" {
		where += " with run root " + h.RunRoot
	}
	if h.Add {
		return fmt.Sprintf("note that the store %s needs %s %s", where, h.Kind, h.ID)
	}
	return fmt.Sprintf("forget that the store %s needs %s %s", where, h.Kind, h.ID)
}

// hold adds or removes a hold.
func (r *repairer) hold(tx *db.Tx, h *Hold) error {
	if err := r.noteDatabase(tx); err != nil {
		return err
	}
	r.result.Entries++
	if h.Add {
		return tx.AddHold(h.Hold)
	}
	return tx.RemoveHold(h.Kind, h.ID, h.Store)
}
