package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
)

// dump writes a dump to a new file and returns its path and its lines.
func (s *sample) dump(t testing.TB, status int, args ...string) (path string, lines []string) {
	t.Helper()
	r := s.csdb(t, append([]string{"db", "dump"}, args...)...)
	if r.status != status {
		t.Fatalf("dump: %+v", r)
	}
	path = filepath.Join(t.TempDir(), "dump")
	must(t, os.WriteFile(path, []byte(r.stdout), 0o600))
	return path, strings.Split(strings.TrimSpace(r.stdout), "\n")
}

// recordLines are the lines of a dump without those about the whole.
func recordLines(lines []string) (records []string) {
	for _, line := range lines {
		if strings.Contains(line, `"raw"`) || strings.Contains(line, `"key"`) || strings.Contains(line, `"sequence"`) {
			records = append(records, line)
		}
	}
	return records
}

func TestDumpCanBeLoadedAgain(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	must(t, store.SetData(t.Context(), toolImage, "\xff\xfe", strings.NewReader("a key that is no text")))
	must(t, store.Close())
	path, lines := s.dump(t, exitOK)
	loaded := filepath.Join(t.TempDir(), "loaded.db")
	if r := s.csdb(t, "db", "load", path, loaded); r.status != exitOK || !strings.Contains(r.stdout, "clean: ") {
		t.Fatalf("load: %+v", r)
	}
	_, again := s.dump(t, exitOK, "--file", loaded)
	if diff := cmp.Diff(recordLines(lines), recordLines(again)); diff != "" {
		t.Error(diff)
	}
	// It can take the place of the store's.
	s.restore(t, exitOK, loaded)
	if r := s.csdb(t, "inspect", "tool:2"); r.status != exitOK {
		t.Errorf("inspect: %+v", r)
	}
}

func TestDumpOfADamagedDatabase(t *testing.T) {
	s := newSample(t)
	dbtest.FlipBit(t, s.path(db.FileName), "images", string(toolImage))
	path, lines := s.dump(t, exitOK)
	if n := strings.Count(strings.Join(lines, "\n"), `"damage"`); n != 1 {
		t.Errorf("%d damaged records", n)
	}
	// What is damaged stays so.
	loaded := filepath.Join(t.TempDir(), "loaded.db")
	if r := s.csdb(t, "db", "load", path, loaded); r.status != exitDamaged {
		t.Errorf("load: %+v", r)
	}
	if r := s.csdb(t, "db", "get", "images", string(toolImage)); r.status != exitDamaged {
		t.Errorf("get: %+v", r)
	}

	// A page is destroyed, with all that is in it.
	content, err := os.ReadFile(s.path(db.FileName))
	must(t, err)
	var pages []pageValue
	must(t, json.Unmarshal([]byte(s.csdb(t, "db", "pages", "--json").stdout), &pages))
	for _, p := range pages {
		if p.Kind == "leaf" && len(p.Bucket) == 2 && string(p.Bucket[1]) == "layers" {
			copy(content[int(p.ID)*int(p.Size):][:p.Size], make([]byte, p.Size))
		}
	}
	must(t, os.WriteFile(s.path(db.FileName), content, 0o600))
	path, lines = s.dump(t, exitDamaged)
	if !strings.Contains(lines[len(lines)-1], `"unread":1`) {
		t.Errorf("it ends with %s", lines[len(lines)-1])
	}
	for _, args := range [][]string{{"db", "stats"}, {"db", "buckets"}, {"db", "pages"}, {"db", "stats", "--json"}} {
		if r := s.csdb(t, args...); r.status != exitDamaged || r.stdout == "" || !strings.Contains(r.stderr, "page") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	rest := filepath.Join(t.TempDir(), "rest.db")
	if r := s.csdb(t, "db", "load", path, rest); r.status != exitFailed {
		t.Errorf("load: %+v", r)
	}
	if r := s.csdb(t, "db", "load", "--partial", path, rest); r.status != exitDamaged {
		t.Errorf("load: %+v", r)
	}
	if _, again := s.dump(t, exitOK, "--file", rest); len(recordLines(again)) < len(lines)/2 {
		t.Errorf("%d lines of %d", len(again), len(lines))
	}
}

func TestLoadRefusesHalfADump(t *testing.T) {
	s := newSample(t)
	_, lines := s.dump(t, exitOK)
	dir := t.TempDir()
	half, file := filepath.Join(dir, "half"), filepath.Join(dir, "file")
	for name, kept := range map[string][]string{
		"no end":       lines[:len(lines)-1],
		"no head":      lines[1:],
		"lost a line":  append(append([]string{}, lines[:5]...), lines[6:]...),
		"line twice":   append(append([]string{}, lines[:5]...), lines[4:]...),
		"half a line":  append(append([]string{}, lines[:5]...), lines[5][:20]),
		"other format": append([]string{`{"csdb-dump":2}`}, lines[1:]...),
		"nothing":      {},
	} {
		must(t, os.WriteFile(half, []byte(strings.Join(kept, "\n")), 0o600))
		if r := s.csdb(t, "db", "load", half, file); r.status != exitFailed || r.stderr == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestRollbackTakesBackAMistake(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	must(t, store.SetMetadata(t.Context(), toolImage, "a mistake"))
	r := s.csdb(t, "db", "rollback", "--yes", "--json")
	var v rollback
	must(t, json.Unmarshal([]byte(r.stdout), &v))
	if r.status != exitOK || v.Entry == nil || v.Entry.Changes[0].Op != db.OpMetadata || v.Kept == "" {
		t.Errorf("got %+v: %+v", r, v)
	}
	// A program that has the store open goes on.
	image, err := store.Image(t.Context(), string(toolImage))
	must(t, err)
	if image.Metadata != "" {
		t.Errorf("the image still has %q", image.Metadata)
	}
	must(t, store.Close())
	if r := s.csdb(t, "fsck", v.Kept); r.status != exitOK {
		t.Errorf("what is kept: %+v", r)
	}
	if r := s.csdb(t, "compact"); r.status != exitOK {
		t.Errorf("compact: %+v", r)
	}
}

func TestStatsAddUp(t *testing.T) {
	s := newSample(t)
	var v statsValue
	must(t, json.Unmarshal([]byte(s.csdb(t, "db", "stats", "--json").stdout), &v))
	keys := make(map[string]int)
	for _, b := range v.Buckets {
		keys[strings.Join(stringsOf(b.Path), "/")] = b.Keys
	}
	if keys["v1/layers"] != 7 || keys["v1/images"] != 2 || keys["v1/names/image"] != 3 || len(v.Metas) != 2 {
		t.Errorf("got %v", keys)
	}
	if r := s.csdb(t, "db", "stats"); r.status != exitOK || !strings.Contains(r.stdout, "v1/layers") {
		t.Errorf("got %+v", r)
	}
	if r := s.csdb(t, "db", "buckets"); r.status != exitOK || !strings.Contains(r.stdout, "v1/names/image") {
		t.Errorf("got %+v", r)
	}
	if r := s.csdb(t, "db", "pages"); r.status != exitOK || !strings.Contains(r.stdout, "freelist") {
		t.Errorf("got %+v", r)
	}
}
