package db_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
)

// TestDrawingShowsWhatIsInTheFiles compares the drawing of the schema in the
// package comment with databases that have one of everything, both ways.
func TestDrawingShowsWhatIsInTheFiles(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	withBolt(t, database.Path(), func(tx *bolt.Tx) error {
		return errors.Join(
			db.PutRecord(inBucket(tx, "prepared"), "prepared", "tx", &db.Prepared{Tx: "tx", Coordinator: "uuid", Root: "/nowhere"}),
			db.PutRecord(inBucket(tx, "decided"), "decided", "uuid", &db.Decided{Store: "uuid", Tx: "tx"}))
	})
	run, err := db.OpenRun(t.Context(), t.TempDir(), "1c8a6e0a-uuid")
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	err = run.Update(t.Context(), func(tx *db.RunTx) error {
		return errors.Join(
			tx.SetMount(db.Mount{Layer: "own", Path: "/mnt", Count: 1, Since: time.Now()}),
			tx.AddStaged(db.Staged{Path: "vfs/dir/new", Kind: db.TrashLayer}),
			tx.PutLease(db.Lease{ID: "lease"}))
	})
	if err != nil {
		t.Fatal(err)
	}

	drawings := readDrawings(t)
	for name, path := range map[string]string{"v1/": database.Path(), "UUID/": run.Path()} {
		drawn := drawings[name]
		if drawn == nil {
			t.Fatalf("the package comment has no drawing that begins with %s", name)
		}
		compareWithDrawing(t, path, drawn)
		for _, missing := range drawn.unseen() {
			t.Errorf("%s: drawn but not found: %s", filepath.Base(path), missing)
		}
	}
}

// drawn is a line of a drawing with those that are indented below it.
type drawn struct {
	text    string
	pattern *regexp.Regexp
	bucket  bool
	empty   bool // of a value
	below   []*drawn
	seen    bool
}

// readDrawings returns the drawings of the package comment by their first
// lines, each below an entry of its own.
func readDrawings(t *testing.T) map[string]*drawn {
	t.Helper()
	drawings := make(map[string]*drawn)
	var path []*drawn // the line of each depth
	for line := range strings.Lines(string(readFile(t, "doc.go"))) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "//\t")
		depth := (len(text) - len(strings.TrimLeft(text, " "))) / 2
		name, about, _ := strings.Cut(strings.TrimLeft(text, " "), " ")
		if !ok || (depth == 0 && !strings.HasSuffix(name, "/")) {
			continue
		}
		d := &drawn{
			text: name, bucket: strings.HasSuffix(name, "/"), pattern: patternOf(strings.TrimSuffix(name, "/")),
			empty: strings.HasPrefix(strings.TrimLeft(about, " "), "empty:"),
		}
		if depth == 0 {
			drawings[name] = &drawn{below: []*drawn{d}, seen: true}
			path = nil
		} else {
			above := path[depth-1]
			above.below = append(above.below, d)
		}
		path = append(path[:depth], d)
	}
	return drawings
}

// patternOf makes a regular expression of a drawn key: words in capitals stand
// for something, "|" for a NUL byte, a NUMBER for eight bytes.
func patternOf(key string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(strings.ReplaceAll(key, "|", "\x00"))
	quoted = strings.ReplaceAll(quoted, "NUMBER", `(?s:.{8})`)
	quoted = regexp.MustCompile(`[A-Z]{2,}`).ReplaceAllString(quoted, `[^\x00]+`)
	if key == "KEY" {
		quoted = `(?s:.+)`
	}
	return regexp.MustCompile("^" + quoted + "$")
}

// find returns the line that shows a key.
func (d *drawn) find(key []byte, bucket bool) *drawn {
	for _, line := range d.below {
		// As bytes that are no UTF-8 match no dot, they become Latin-1.
		runes := make([]rune, len(key))
		for i, b := range key {
			runes[i] = rune(b)
		}
		if line.bucket == bucket && line.pattern.MatchString(string(runes)) {
			return line
		}
	}
	return nil
}

// unseen lists the lines below d that have shown nothing.
func (d *drawn) unseen() []string {
	var lines []string
	for _, line := range d.below {
		if !line.seen {
			lines = append(lines, line.text)
		}
		for _, text := range line.unseen() {
			lines = append(lines, line.text+text)
		}
	}
	return lines
}

// compareWithDrawing fails the test for everything in a file that is not drawn.
func compareWithDrawing(t *testing.T, path string, drawing *drawn) {
	t.Helper()
	file, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var walk func(b *bolt.Bucket, below *drawn, place string) error
	walk = func(b *bolt.Bucket, below *drawn, place string) error {
		return b.ForEach(func(key, value []byte) error {
			name := fmt.Sprintf("%s/%s", place, strings.ReplaceAll(string(key), "\x00", "|"))
			line := below.find(key, value == nil)
			if line == nil {
				t.Errorf("%s is not drawn", name)
				return nil
			}
			line.seen = true
			switch {
			case value == nil && line.below == nil: // "with the same in it"
				return walk(b.Bucket(key), below, name)
			case value == nil:
				return walk(b.Bucket(key), line, name)
			}
			if (len(value) == 0) != line.empty {
				t.Errorf("%s has a value of %d bytes; drawn as empty: %v", name, len(value), line.empty)
			}
			return nil
		})
	}
	err = file.View(func(tx *bolt.Tx) error { return walk(tx.Cursor().Bucket(), drawing, filepath.Base(path)) })
	if err != nil {
		t.Fatal(err)
	}
}
