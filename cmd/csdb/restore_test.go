package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// restore runs restore on the backup made before, and returns what it says.
func (s *sample) restore(t testing.TB, status int, args ...string) (value restoration) {
	t.Helper()
	r := s.csdb(t, append([]string{"restore", "--json"}, args...)...)
	if r.status != status {
		t.Fatalf("restore: %+v, want status %d", r, status)
	}
	must(t, json.Unmarshal([]byte(r.stdout), &value))
	return value
}

func (s *sample) backup(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	if r := s.csdb(t, "backup", path); r.status != exitOK {
		t.Fatalf("backup: %+v", r)
	}
	return path
}

func TestRestoreSaysWhatHasChanged(t *testing.T) {
	s := newSample(t)
	backup := s.backup(t)
	store := s.open(t)
	defer store.Close()
	// A program that has the store open goes on.
	must(t, store.DeleteContainer(t.Context(), jobCtr))
	_, err := store.CreateImage(t.Context(), graph.ImageSpec{ID: "new", TopLayer: sideLayer})
	must(t, err)
	must(t, store.SetData(t.Context(), model.ImageID("new"), "manifest", strings.NewReader("manifest")))

	value := s.restore(t, exitDamaged, backup)
	if !slices.ContainsFunc(value.Lost, func(b brief) bool { return b.ID == "new" }) || len(value.Lost) != 1 {
		t.Errorf("lost: %+v", value.Lost)
	}
	if len(value.Found) != 2 { // the container and its layer
		t.Errorf("found: %+v", value.Found)
	}
	codes := make(map[fsck.Code]int)
	for _, f := range value.Check.Findings {
		codes[f.Code]++
	}
	// The data of the container has gone, and that of the image is too much.
	if codes[fsck.CodeStray] == 0 || value.Check.Count(fsck.Damage) == 0 {
		t.Errorf("findings: %v", codes)
	}
	if _, err := store.Container(t.Context(), "job"); err != nil {
		t.Error(err)
	}
	if r := s.csdb(t, "fsck", value.Kept); r.status != exitOK {
		t.Errorf("what is kept: %+v", r)
	}
}

func TestRestoreOfALostDatabase(t *testing.T) {
	s := newSample(t)
	backup := s.backup(t)
	for _, harm := range []func() error{
		func() error { return os.Remove(s.path(db.FileName)) },
		func() error { return os.Truncate(s.path(db.FileName), 8192) },
	} {
		must(t, harm())
		value := s.restore(t, exitOK, backup)
		if value.Lost != nil || value.Check.Verdict != fsck.Clean {
			t.Errorf("got %+v", value)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	s, other := newSample(t), newSample(t)
	backup := other.backup(t)
	before, err := os.ReadFile(s.path(db.FileName))
	must(t, err)
	damaged := s.backup(t)
	must(t, os.Truncate(damaged, 8192))
	for _, test := range []struct {
		args   []string
		status int
	}{
		{[]string{backup}, exitFailed},
		{[]string{damaged}, exitDamaged},
		{[]string{s.path("nothing")}, exitFailed},
		{[]string{s.path(db.FileName)}, exitFailed},
		{[]string{}, exitFailed},
	} {
		if r := s.csdb(t, append([]string{"restore"}, test.args...)...); r.status != test.status {
			t.Errorf("%q: %+v, want status %d", test.args, r, test.status)
		}
	}
	if r := csdb(t, "--root", s.path("nowhere"), "restore", backup); r.status != exitUnreadable {
		t.Errorf("got %+v", r)
	}
	after, err := os.ReadFile(s.path(db.FileName))
	must(t, err)
	if !slices.Equal(before, after) {
		t.Error("the database has changed")
	}
	s.restore(t, exitOK, "--force", backup) // both have the same contents
}
