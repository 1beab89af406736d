package repair_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/graph/repair"
	"github.com/csdb/csdb/model"
)

// patient is a store with a layer of several files, and the archive that it was
// imported from.
type patient struct {
	*sample
	archive []byte
	packed  []byte // the same, by gzip: what was imported
}

func newPatient(t *testing.T, driver string) *patient {
	t.Helper()
	p := &patient{sample: newSample(t, driver)}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(h tar.Header, content string) {
		h.Mode, h.Size = 0o640, int64(len(content))
		must(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, content)
		must(t, err)
	}
	add(tar.Header{Typeflag: tar.TypeDir, Name: "usr/lib/"}, "")
	add(tar.Header{Typeflag: tar.TypeSymlink, Name: "lib", Linkname: "usr/lib"}, "")
	add(tar.Header{Typeflag: tar.TypeReg, Name: "./lib/one", Uid: 7, Gid: 8, PAXRecords: map[string]string{"SCHILY.xattr.user.x": "y"}}, "content of one")
	add(tar.Header{Typeflag: tar.TypeLink, Name: "usr/other-one", Linkname: "lib/one"}, "")
	add(tar.Header{Typeflag: tar.TypeReg, Name: "usr/two"}, strings.Repeat("two ", 100_000))
	add(tar.Header{Typeflag: tar.TypeReg, Name: ".wh.base"}, "") // a file of the layer base
	add(tar.Header{Typeflag: tar.TypeFifo, Name: "usr/pipe"}, "")
	must(t, w.Close())
	p.archive = buf.Bytes()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(p.archive)
	must(t, err)
	must(t, z.Close())
	p.packed = packed.Bytes()
	store := p.open(t)
	_, err = store.ImportLayer(t.Context(), graph.LayerSpec{ID: "patient", Parent: "top"}, bytes.NewReader(p.packed))
	must(t, err)
	must(t, store.SetData(t.Context(), model.LayerID("patient"), "notes", strings.NewReader("a blob")))
	must(t, store.Close())
	return p
}

// file returns the path of a file in the layer.
func (p *patient) file(name string) string {
	if p.driver == "vfs" {
		return p.path("vfs/dir/patient/" + name)
	}
	return p.path("overlay/patient/diff/" + name)
}

func (p *patient) options() fsck.Options {
	return fsck.Options{Root: p.root, RunRoot: p.run, Depth: fsck.Contents}
}

// sources makes what the patient can be healed from.
func (p *patient) sources(t *testing.T) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		name = filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(name), 0o700))
		must(t, os.WriteFile(name, content, 0o600))
		return name
	}
	blob := func(layout string, content []byte) {
		file(fmt.Sprintf("%s/blobs/sha256/%x", layout, sha256.Sum256(content)), content)
		file(layout+"/oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	}
	blob("packed", p.packed)
	blob("packed", []byte("a blob"))
	blob("plain", p.archive)
	blob("plain", []byte("a blob"))
	other := newPatient(t, p.driver)
	otherKind := "vfs"
	if p.driver == "vfs" {
		otherKind = "overlay"
	}
	another := newPatient(t, otherKind)
	return map[string][]string{
		"archive":                {file("layer.tar", p.archive), file("notes", []byte("a blob"))},
		"compressed archive":     {file("something else", []byte("?")), file("layer.tar.gz", p.packed), file("notes", []byte("a blob"))},
		"layout":                 {filepath.Join(dir, "packed")},
		"layout, not compressed": {filepath.Join(dir, "plain")},
		"store":                  {other.root},
		"store of another kind":  {another.root},
	}
}

// hurt damages whatever can be healed.
func (p *patient) hurt(t *testing.T) {
	t.Helper()
	must(t, os.WriteFile(p.file("usr/lib/one"), []byte("CONTENT of one"), 0o640))
	must(t, os.Remove(p.file("usr/two")))
	must(t, os.Remove(p.path("%-layers/patient/notes")))
}

func TestHealing(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			for name, from := range newPatient(t, driver).sources(t) {
				t.Run(name, func(t *testing.T) {
					p := newPatient(t, driver)
					healthy := p.tree(t)
					p.hurt(t)
					before := p.listing(t)
					plan, err := repair.Make(t.Context(), p.options(), from...)
					must(t, err)
					if len(plan.Steps) != 2 || len(codesOf(plan.Left)) > 0 {
						t.Fatalf("steps %v, left %v", plan.Steps, codesOf(plan.Left))
					}
					result, err := repair.Apply(t.Context(), plan)
					must(t, err)
					report, err := fsck.Check(t.Context(), p.options())
					must(t, err)
					if codes := codesOf(report.Findings); len(codes) > 0 {
						t.Errorf("found after the healing: %v", codes)
					}
					if diff := cmp.Diff(healthy, p.tree(t)); diff != "" {
						t.Errorf("the layer after the healing: %s", diff)
					}
					p.undo(t, before, result.ID)
				})
			}
		})
	}
}

// tree describes the files of the layer.
func (p *patient) tree(t *testing.T) (lines []string) {
	t.Helper()
	for _, name := range []string{"usr/lib/one", "usr/other-one", "usr/two"} {
		var stat unix.Stat_t
		must(t, unix.Lstat(p.file(name), &stat))
		content, err := os.ReadFile(p.file(name))
		must(t, err)
		var xattr [10]byte
		n, _ := unix.Lgetxattr(p.file(name), "user.x", xattr[:])
		lines = append(lines, fmt.Sprintf("%s %o %d:%d %d links, time %d, %q %x",
			name, stat.Mode, stat.Uid, stat.Gid, stat.Nlink, stat.Mtim.Sec, xattr[:max(n, 0)], sha256.Sum256(content)))
	}
	return lines
}

// A source that has something else, or has it damaged, is of no use, and what
// it could not heal is left as it is.
func TestSourcesAreNotTrusted(t *testing.T) {
	p := newPatient(t, "vfs")
	sick := newPatient(t, "vfs")
	sick.hurt(t)
	p.hurt(t)
	before := p.listing(t)
	damaged := bytes.Clone(p.packed)
	damaged[len(damaged)/2] ^= 1
	dir := t.TempDir()
	for name, content := range map[string][]byte{"damaged": damaged, "short": p.archive[:2048], "empty": nil, "junk": []byte("junk")} {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	must(t, os.MkdirAll(filepath.Join(dir, "layout/blobs/sha256"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "layout/oci-layout"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "layout/blobs/sha256", fmt.Sprintf("%x", sha256.Sum256(p.packed))), damaged, 0o600))
	from := []string{sick.root}
	for _, name := range []string{"damaged", "short", "empty", "junk", "layout"} {
		from = append(from, filepath.Join(dir, name))
	}
	plan, err := repair.Make(t.Context(), p.options(), from...)
	must(t, err)
	same(t, "steps", []string{"put layer patient in quarantine", `put data item "notes" of layer patient in quarantine`}, stepsOf(plan, nil))
	if len(plan.Left) != 2 {
		t.Errorf("left %v", codesOf(plan.Left))
	}
	if diff := cmp.Diff(before, p.listing(t)); diff != "" {
		t.Error(diff)
	}
	for _, path := range []string{"/dev/null", dir, filepath.Join(dir, "nothing")} {
		if _, err := repair.Make(t.Context(), p.options(), path); err == nil {
			t.Errorf("%s was taken for a source", path)
		}
	}
}

// Layers of which nothing is left come back from each kind of source, those below
// others first, as they were: with owners, modes and attributes, with what they
// delete, and with what the driver keeps beside that.
func TestWholeLayersComeBack(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			p := newPatient(t, driver)
			from := []string{p.sources(t)["layout"][0], newPatient(t, driver).root}
			healthy := slices.DeleteFunc(p.listing(t), func(line string) bool {
				return strings.HasPrefix(line, "overlay/base/empty ") // which the driver makes when it is needed
			})
			for _, layer := range []string{"base", "top", "patient"} {
				must(t, os.RemoveAll(p.path("@"+layer)))
			}
			before := p.listing(t)

			// Without the layers below it no layer can be made that has a copy of them.
			plan, err := repair.Make(t.Context(), p.options(), from[0])
			must(t, err)
			steps := []string{"put layer base in quarantine", "put layer top in quarantine", "put layer patient in quarantine"}
			if driver == "overlay" {
				steps[2] = "bring back all of overlay/patient/diff from " + from[0]
			}
			same(t, "steps", steps, stepsOf(plan, nil))

			plan, err = repair.Make(t.Context(), p.options(), from...)
			must(t, err)
			result, err := repair.Apply(t.Context(), plan)
			must(t, err)
			if result.Steps != 3 {
				t.Errorf("%d steps were done", result.Steps)
			}
			if diff := cmp.Diff(healthy, p.listing(t)); diff != "" {
				t.Errorf("after the repair: %s", diff)
			}
			report, err := fsck.Check(t.Context(), p.options())
			must(t, err)
			if len(report.Findings) > 0 {
				t.Errorf("found after the repair: %v", codesOf(report.Findings))
			}
			p.undo(t, before, result.ID)
		})
	}
}

// What is in quarantine is still found, and known to be there.
func TestFindingsTellOfQuarantine(t *testing.T) {
	p := newPatient(t, "vfs")
	p.hurt(t)
	plan, err := repair.Make(t.Context(), p.options())
	must(t, err)
	_, err = repair.Apply(t.Context(), plan)
	must(t, err)
	report, err := fsck.Check(t.Context(), p.options())
	must(t, err)
	same(t, "codes", []string{"DATA-MISSING", "LAYER-CONTENT"}, codesOf(report.Findings))
	for _, f := range report.Findings {
		if !f.Quarantined || !strings.Contains(f.Effect, "quarantine") || report.Verdict != fsck.Damaged {
			t.Errorf("%s: %+v", report.Verdict, f)
		}
	}
	store := p.open(t)
	defer store.Close()
	_, err = store.Mount(t.Context(), "patient", graph.MountOptions{})
	wantClass(t, err, model.ErrDamaged)
	_, err = store.Mount(t.Context(), "top", graph.MountOptions{})
	must(t, err)
}
