package fsck_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// contentsOf returns the path of a file in a layer.
func (s *sample) contentsOf(layer, file string) string {
	if s.driver == "vfs" {
		return filepath.Join(s.root, "vfs/dir", layer, file)
	}
	return filepath.Join(s.root, s.driver, layer, "diff", file)
}

// damageFile changes a file in place, without changing its size or its times.
func damageFile(path string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { flipByte(t, s.path(path)) }
}

func damageLayer(layer, file string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { flipByte(t, s.contentsOf(layer, file)) }
}

func flipByte(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	content, err := os.ReadFile(path)
	must(t, err)
	content[len(content)/2] ^= 0x10
	must(t, os.WriteFile(path, content, 0o600))
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
}

// deepDamage is what is found only if contents are read.
func deepDamage() []damage {
	return []damage{
		{name: "bit of a manifest", do: damageFile(manifest), want: []string{"damage DATA-DIGEST " + manifest}},
		{name: "bit of a layer's data item", do: damageFile("%-layers/base/notes"), want: []string{"damage DATA-DIGEST %-layers/base/notes"}},
		{name: "bit of a container's data item", do: damageFile("%-containers/web/settings"), want: []string{"damage DATA-DIGEST %-containers/web/settings"}},
		// What the tar-split would give then is not worth a finding.
		{name: "bit of a tar-split", do: damageFile(split), want: []string{"damage DATA-DIGEST " + split}},
		{name: "bit of a file", do: damageLayer("middle", "etc/middle"), want: []string{"damage LAYER-CONTENT middle"}},
		{name: "file has become longer", do: func(t *testing.T, s *sample) {
			must(t, os.WriteFile(s.contentsOf("top", "etc/top"), []byte("more than that"), 0o644))
		}, want: []string{"damage LAYER-CONTENT top"}},
		{name: "file is missing", do: func(t *testing.T, s *sample) {
			must(t, os.Remove(s.contentsOf("top", "etc/top")))
		}, want: []string{"damage LAYER-CONTENT top"}},
		{name: "symbolic link out of the layer", do: func(t *testing.T, s *sample) {
			must(t, os.Remove(s.contentsOf("top", "etc/top")))
			must(t, os.Symlink("/etc/passwd", s.contentsOf("top", "etc/top")))
		}, want: []string{"damage LAYER-CONTENT top"}},
		{name: "several at once", do: func(t *testing.T, s *sample) {
			damageFile(manifest)(t, s)
			damageLayer("top", "etc/top")(t, s)
			damageLayer("base", "etc/base")(t, s)
		}, want: []string{"damage DATA-DIGEST " + manifest, "damage LAYER-CONTENT base", "damage LAYER-CONTENT top"}},
		// Nothing is said twice.
		{name: "layer is missing", do: removeLayer("middle"), want: []string{"damage LAYER-DIR-MISSING middle"}},
		{name: "manifest is missing", do: remove(manifest), want: []string{"damage DATA-MISSING " + manifest}},
		{name: "tar-split is missing", do: remove(split), want: []string{"damage DATA-MISSING " + split}},
		{name: "manifest is short", do: replace(manifest, "{", 0o600), want: []string{"damage DATA-SIZE " + manifest}},
		{name: "tar-split is short", do: replace(split, "{", 0o600), want: []string{"damage DATA-SIZE " + split}},
		// All files are right, and yet they do not give what is recorded.
		{name: "diff has another size", do: inDatabase(func(t testing.TB, path string) {
			dbtest.Rewrite(t, path, "layers", "top", func(content []byte) []byte {
				return bytes.ReplaceAll(content, []byte{0x19, 0x0a, 0x00}, []byte{0x19, 0x0a, 0x01}) // 2560 in CBOR
			})
		}), want: []string{"damage LAYER-CONTENT top"}},
		{name: "whole layer in quarantine", do: marked("top"), want: []string{"repairable DAMAGE-MARK top"}},
		{name: "damaged layer in quarantine", do: func(t *testing.T, s *sample) {
			marked("top")(t, s)
			damageLayer("top", "etc/top")(t, s)
		}, want: []string{"damage LAYER-CONTENT top"}},
		{name: "nothing", do: func(*testing.T, *sample) {}},
	}
}

// marked puts a layer in quarantine.
func marked(layer model.LayerID) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		database, err := db.Open(t.Context(), s.root, db.Options{})
		must(t, err)
		defer database.Close()
		must(t, database.Update(t.Context(), func(tx *db.Tx) error { return tx.SetLayerDamage(layer, "LAYER-CONTENT") }))
	}
}

func TestContentsAreRead(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			original := newSample(t, driver)
			for _, d := range deepDamage() {
				d.depth = fsck.Contents
				t.Run(d.name, func(t *testing.T) { d.test(t, copyOf(t, original)) })
			}
		})
	}
}

// What is told of a layer says which files differ, and who suffers.
func TestFilesThatDifferAreNamed(t *testing.T) {
	s := newSample(t, "vfs")
	s.open(t)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for i := range 150 {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("f%03d", i), Mode: 0o644, Size: 4}))
		_, err := w.Write([]byte("text"))
		must(t, err)
	}
	must(t, w.Close())
	_, err := s.store.ImportLayer(t.Context(), graph.LayerSpec{ID: "wide", Parent: "side"}, &archive)
	must(t, err)
	s.image(t, "wide", "wide")
	s.closeStore(t)
	flipByte(t, s.contentsOf("wide", "f007"))
	must(t, os.Remove(s.contentsOf("wide", "f003")))

	f := s.checkContents(t).Findings[0]
	want := []fsck.FileDamage{
		{Path: "f003", Found: "no such file"},
		{Path: "f007", Found: "content has"},
	}
	short := func(files []fsck.FileDamage) []fsck.FileDamage {
		for i := range files {
			for _, beginning := range []string{"no such file", "content has"} {
				if strings.Contains(files[i].Found, beginning) {
					files[i].Found = beginning
				}
			}
		}
		return files
	}
	if diff := cmp.Diff(want, short(f.Files)); diff != "" {
		t.Error(diff)
	}
	if f.Found != "2 files that differ" || len(f.Images) != 1 || f.Images[0].ID != "wide" {
		t.Errorf("got %+v", f)
	}
	for i := range 150 {
		must(t, os.RemoveAll(s.contentsOf("wide", fmt.Sprintf("f%03d", i))))
	}
	if f := s.checkContents(t).Findings[0]; f.Found != "150 files that differ" || len(f.Files) != 100 {
		t.Errorf("of 150 files %d are listed, found %q", len(f.Files), f.Found)
	}
}

func (s *sample) checkContents(t *testing.T) *fsck.Report {
	t.Helper()
	return check(t.Context(), t, fsck.Options{Root: s.root, RunRoot: s.runRoot, Depth: fsck.Contents})
}

// Each part is read by one of the subsets, and by one only.
func TestSubsetsMakeUpTheWhole(t *testing.T) {
	s := newSample(t, "vfs")
	whole := s.checkContents(t).Checked
	if whole.Contents != 15 || whole.Bytes == 0 {
		t.Errorf("read %d things, %d bytes", whole.Contents, whole.Bytes)
	}
	var count int
	var bytes int64
	for i := range 4 {
		subset := fsck.Subset(fmt.Sprintf("%d/4", i+1))
		part := check(t.Context(), t, fsck.Options{Root: s.root, Depth: fsck.Contents, Subset: subset}).Checked
		count += part.Contents
		bytes += part.Bytes
	}
	if count != whole.Contents || bytes != whole.Bytes {
		t.Errorf("four parts have %d things, %d bytes; all have %d, %d", count, bytes, whole.Contents, whole.Bytes)
	}
	for subset, enough := range map[fsck.Subset]int64{"1": 1, "3k": 3 << 10, "20%": whole.Bytes / 5, "100%": whole.Bytes, "1T": whole.Bytes} {
		part := check(t.Context(), t, fsck.Options{Root: s.root, Depth: fsck.Contents, Subset: subset}).Checked
		if part.Bytes < enough || part.Bytes >= enough+4096 {
			t.Errorf("subset %s has %d bytes", subset, part.Bytes)
		}
	}
}

func TestImpossibleSubsetsAreRefused(t *testing.T) {
	for _, subset := range []fsck.Subset{"0/4", "5/4", "1/0", "a/b", "-1/4", "1/", "/", "0%", "101%", "NaN%", "-5%", "%", "x", "0", "-1G", "1/2/3"} {
		_, err := fsck.Check(t.Context(), fsck.Options{Root: t.TempDir(), Depth: fsck.Contents, Subset: subset})
		wantClass(t, err, model.ErrInvalid)
	}
	for _, options := range []fsck.Options{
		{Root: t.TempDir(), Subset: "1/2"},
		{Root: t.TempDir(), Only: []string{"x"}},
		{Database: "x", Depth: fsck.Contents},
	} {
		_, err := fsck.Check(t.Context(), options)
		wantClass(t, err, model.ErrInvalid)
	}
}

// With Only, what an object is made of is read, and nothing else.
func TestOnlyWhatIsNamedIsRead(t *testing.T) {
	s := newSample(t, "vfs")
	everything := []string{"base", "middle", "top", "side"}
	for _, c := range []struct {
		only   []string
		layers []string
	}{
		{[]string{"base"}, []string{"base"}},
		{[]string{"middle"}, []string{"base", "middle"}},
		{[]string{"app"}, []string{"base", "middle", "top"}},
		{[]string{"app:latest"}, []string{"base", "middle", "top"}},
		{[]string{"idle"}, []string{"base", "side"}},
		{[]string{"web-name", "si"}, everything},
	} {
		t.Run(strings.Join(c.only, " "), func(t *testing.T) {
			for _, layer := range everything {
				damaged := copyOf(t, s)
				flipByte(t, damaged.contentsOf(layer, "etc/"+layer))
				report := check(t.Context(), t, fsck.Options{Root: damaged.root, Depth: fsck.Contents, Only: c.only})
				if found := len(report.Findings) == 1; found != slices.Contains(c.layers, layer) {
					t.Errorf("damage of layer %s: found is %t", layer, found)
				}
			}
		})
	}
	_, err := fsck.Check(t.Context(), fsck.Options{Root: s.root, Depth: fsck.Contents, Only: []string{"nobody"}})
	wantClass(t, err, model.ErrNotFound)
}

func TestProgressTellsWhatIsRead(t *testing.T) {
	s := newSample(t, "vfs")
	var total int64
	var read atomic.Int64
	report := check(t.Context(), t, fsck.Options{Root: s.root, Depth: fsck.Contents, Progress: func(bytes int64) func(int64) {
		total = bytes
		return func(n int64) { read.Add(n) }
	}})
	if total == 0 || read.Load() != total || report.Checked.Bytes != total {
		t.Errorf("%d of %d bytes are said to be read, the report has %d", read.Load(), total, report.Checked.Bytes)
	}
}

// While contents are read nobody waits, and what is replaced or deleted
// meanwhile is no damage.
func TestChangesWhileContentsAreRead(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s := newSample(t, driver)
			flipByte(t, s.path("%-layers/base/notes"))
			flipByte(t, s.contentsOf("top", "etc/top"))
			flipByte(t, s.path(manifest))
			change := func() {
				s.open(t)
				must(t, s.store.SetData(t.Context(), model.LayerID("base"), "notes", strings.NewReader("other notes")))
				must(t, s.store.DeleteContainer(t.Context(), "web"))
				_, err := s.store.DeleteImage(t.Context(), "app")
				must(t, err)
				s.closeStore(t)
			}
			changed := false
			report := check(t.Context(), t, fsck.Options{Root: s.root, RunRoot: s.runRoot, Depth: fsck.Contents, Progress: func(total int64) func(int64) {
				var mu sync.Mutex
				var read int64
				return func(n int64) {
					mu.Lock()
					defer mu.Unlock()
					// A file that differs is not counted.
					if read += n; read+int64(len("top")) >= total && !changed {
						changed = true
						change()
					}
				}
			}})
			if !changed {
				t.Error("nothing has been changed")
			}
			wantFindings(t, report)
		})
	}
}

func wantClass(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("got error %v, want one that matches %q", err, class)
	}
}
