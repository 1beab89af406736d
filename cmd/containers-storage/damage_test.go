package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// What can be read is printed; then the damage is reported.
func TestDamagedRecordDoesNotHideOthers(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	for _, id := range []string{"one", "two", "three"} {
		s.ok(t, "create-layer", "--id", id)
		s.ok(t, "create-image", "--id", id, id)
		s.ok(t, "create-container", "--id", id, id)
	}
	for _, bucket := range []string{"layers", "images", "containers"} {
		dbtest.FlipBit(t, filepath.Join(s.root, "csdb.db"), bucket, "two")
	}
	for _, test := range []struct {
		words  string
		stdout string // with IDs of 64 digits left out
	}{
		{"layers -q", "one\nthree\n"},
		{"layers", "one\n\timage: one\n\tcontainer: one\nthree\n\timage: three\n\tcontainer: three\n"},
		{"images", "one\nthree\n"},
		{"containers", "one\nthree\n"},
		{"layer one two three", "ID: one\nID: three\n"},
		{"image three two", "ID: three\nTop Layer: three\nSize: 0\n"},
	} {
		r := s.run(t, strings.Fields(test.words)...)
		if r.status != exitFailed || withoutGenerated(r.stdout) != test.stdout || !strings.Contains(r.stderr, "two: checksum does not match") {
			t.Errorf("%s: exit status %d, stdout %q (want %q), stderr %q", test.words, r.status, r.stdout, test.stdout, r.stderr)
		}
		if n := strings.Count(r.stderr, "\n"); n != 1 {
			t.Errorf("%s: the error has %d lines: %q", test.words, n, r.stderr)
		}
	}
}

// withoutGenerated leaves out lines that are a generated ID.
func withoutGenerated(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if len(line) <= model.IDSize {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// full is a writer that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-layer", "--id", "layer", "--name", "name")
	for _, words := range [][]string{{"layers"}, {"layers", "-j"}, {"get-names", "layer"}, {"exists", "layer"}, {"create-image"}, {"--help"}} {
		status, stderr := s.runTo(t, full{}, words...)
		if status != exitFailed || !strings.Contains(stderr, "no space left") {
			t.Errorf("%q: exit status %d, stderr %q", words, status, stderr)
		}
	}
}
