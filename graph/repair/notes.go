package repair

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// Places in the graph root.
const (
	lostFound  = "lost+found"
	notesName  = "undo.jsonl"
	planName   = "plan.json"
	backupName = "csdb.db"
	undoneName = "undone"
	movedDir   = "moved" // what was taken away, under the path that it had
)

// NotesSchema names the format of the notes, of which each is a line of JSON,
// and its version.
const NotesSchema = "csdb.repair-notes/1"

// head is the first line of the notes.
type head struct {
	Schema string    `json:"schema"`
	UUID   string    `json:"uuid"`
	Time   time.Time `json:"time"`
}

// note is a change that is about to be made, or the end of all.
type note struct {
	Op   noteOp `json:"op"`
	Path string `json:"path,omitempty"` // relative to the root
	// Before and After are what is at the path. For a move, To is where it goes.
	Before *state `json:"before,omitempty"`
	After  *state `json:"after,omitempty"`
	To     string `json:"to,omitempty"`
	// Temp is the name in the same directory under which the new file is made.
	Temp string `json:"temp,omitempty"`
	// Mount is one that is forgotten. Then Path is the run root.
	Mount *db.Mount `json:"mount,omitempty"`
	// TxID is the number of the transaction that mended the database.
	TxID int `json:"tx,omitempty"`
}

type noteOp string

const (
	noteChange noteOp = "change" // of a file, from Before to After
	noteMove   noteOp = "move"   // of a file or a tree, from Path to To
	noteMade   noteOp = "made"   // of a file that was not there: it has the content that it should have
	noteMend   noteOp = "mend"   // of the database, of which there is a copy
	noteForget noteOp = "forget" // of a mount
	noteDone   noteOp = "done"   // all was done
)

// notes are the notes of a repair under way.
type notes struct {
	dir  string // relative to the root
	file *os.File
}

// begin makes the directory of a repair, with the plan and the head of the
// notes.
func begin(root string, plan *Plan, now time.Time) (_ *notes, err error) {
	dir := path.Join(lostFound, "csdb-repair-"+now.UTC().Format("20060102T150405.000000000Z"))
	full := filepath.Join(root, dir)
	if err := fsutil.MakeDirs(filepath.Dir(full), 0o700); err != nil {
		return nil, err
	}
	if err := os.Mkdir(full, 0o700); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := fsutil.WriteFile(filepath.Join(full, planName), append(text, '\n'), 0o600); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(full, notesName), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	n := &notes{dir: dir, file: file}
	err = errors.Join(n.write(head{Schema: NotesSchema, UUID: plan.UUID, Time: now}),
		fsutil.SyncDir(full), fsutil.SyncDir(filepath.Dir(full)), fsutil.SyncDir(root))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return n, nil
}

// write adds a line and makes it durable.
func (n *notes) write(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if _, err := n.file.Write(append(text, '\n')); err != nil {
		return err
	}
	return n.file.Sync()
}

func (n *notes) close() error { return n.file.Close() }

// errNotBegun is the error for notes whose author died before he had written
// their head: nothing was done.
var errNotBegun = fmt.Errorf("%w: a repair that was begun", model.ErrNotFound)

// readNotes reads the notes in the directory of a repair. A last line that was
// not written to its end belongs to something that was not done. If there is not
// even a first one, the error matches errNotBegun.
func readNotes(dir string) (h head, all []note, err error) {
	file, err := os.Open(filepath.Join(dir, notesName))
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil, errNotBegun
	}
	if err != nil {
		return h, nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := bufio.NewReader(file)
	for n := 0; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && n == 0 {
			return h, nil, errNotBegun
		}
		if errors.Is(err, io.EOF) {
			return h, all, checkHead(h, dir)
		}
		if err != nil {
			return h, nil, err
		}
		if n == 0 {
			err = json.Unmarshal(line, &h)
		} else {
			all = append(all, note{})
			err = json.Unmarshal(line, &all[n-1])
		}
		if err != nil {
			return h, nil, fmt.Errorf("%s, line %d: %w: %w", filepath.Join(dir, notesName), n+1, model.ErrCorrupt, err)
		}
	}
}

func checkHead(h head, dir string) error {
	if h.Schema != NotesSchema {
		return fmt.Errorf("%s: %w: notes of format %q, want %q", dir, model.ErrUnsupported, h.Schema, NotesSchema)
	}
	return nil
}
