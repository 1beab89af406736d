package model

import "fmt"

// ChangeKind tells what happened to a path between two layers. The numbers are
// part of the compatible command's JSON output.
type ChangeKind int

// The kinds of change.
const (
	ChangeModify ChangeKind = iota
	ChangeAdd
	ChangeDelete
)

// String returns the kind as the compatible command writes it.
func (k ChangeKind) String() string {
	switch k {
	case ChangeModify:
		return "Modify"
	case ChangeAdd:
		return "Add"
	case ChangeDelete:
		return "Delete"
	}
	return fmt.Sprintf("change(%d)", int(k))
}

// Change is a difference between two layers.
type Change struct {
	Path string // absolute within the layer, for instance "/etc/passwd"
	Kind ChangeKind
}
