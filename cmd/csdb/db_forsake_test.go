package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
)

func TestForsakeGivesUpWhatNobodyCanDecide(t *testing.T) {
	s := newSample(t)
	if r := s.csdb(t, "db", "forsake"); r.status != exitOK || r.stdout != "nothing is undecided\n" {
		t.Errorf("forsake: %+v", r)
	}
	path := filepath.Join(s.root, db.FileName)
	dbtest.Put(t, path, "prepared", "tx", []byte{1, 0, 0, 0, 0}) // a value without content
	dbtest.Rewrite(t, path, "prepared", "tx", func([]byte) []byte {
		content, err := cbor.Marshal(db.Prepared{Tx: "tx", Coordinator: "8c7f3c0e-8f3c-4e57-9a3e-5d1f6a1b2c3d", Root: "/nowhere", PID: 7, Command: "engine\x1b"})
		must(t, err)
		return content
	})
	before, err := os.ReadFile(path)
	must(t, err)
	if r := s.csdb(t, "db", "forsake", "--dry-run"); r.status != exitOK || !strings.Contains(r.stdout, "in /nowhere knows") || strings.Contains(r.stdout, "\x1b") {
		t.Errorf("forsake --dry-run: %+v", r)
	}
	if r := s.csdb(t, "db", "forsake"); r.status == exitOK {
		t.Errorf("nobody was asked: %+v", r)
	}
	after, err := os.ReadFile(path)
	must(t, err)
	if string(before) != string(after) {
		t.Error("the database has been changed")
	}
	if r := s.csdb(t, "gc"); r.status == exitOK && strings.Contains(r.stdout, "remove") {
		t.Errorf("gc: %+v", r)
	}
	if r := s.csdb(t, "--json", "db", "forsake", "--yes"); r.status != exitOK || !strings.Contains(r.stdout, `"tx":"tx"`) || !strings.Contains(r.stdout, `"forsaken":true`) {
		t.Errorf("forsake --yes: %+v", r)
	}
	if r := s.csdb(t, "db", "forsake"); r.stdout != "nothing is undecided\n" {
		t.Errorf("forsake: %+v", r)
	}
	if r := s.csdb(t, "fsck"); r.status != exitOK {
		t.Errorf("fsck: %+v", r)
	}
}
