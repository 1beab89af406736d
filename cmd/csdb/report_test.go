package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// report writes a report, and returns the page.
func (s *sample) report(t *testing.T, status int, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if r := s.csdb(t, append([]string{"report", "--html", file}, args...)...); r.status != status {
		t.Fatalf("got %+v, want status %d", r, status)
	}
	content, err := os.ReadFile(file)
	must(t, err)
	return string(content)
}

// has checks that a page has some texts.
func has(t *testing.T, page string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestReportHasEverything(t *testing.T) {
	s := newSample(t)
	has(t, s.report(t, exitOK),
		"<dt>Driver</dt><dd><bdi>vfs</bdi>",
		`title="`+id("ba5e01")+`">ba5e01ffffff</span><bdi class="names">base-layer</bdi>`,
		`<bdi title="`+id("a44001")+`">docker.io/library/app:1, app:latest</bdi>`,
		`<bdi title="`+id("3eb0c7")+`">web</bdi>`,
		"<title>layers that only image tool:2 needs: 64kB</title>",
		"<title>data items of image 7001a1ffffff (tool:2): 76B</title>",
		`<p class="verdict clean">`, "to the depth references", "Nothing is wrong",
		"<bdi>create image 7001a1ffffff (tool:2)</bdi>",
	)
	has(t, s.report(t, exitOK, "--depth", "contents"), "to the depth contents")
}

func TestReportIsWrittenWholeOrNotAtAll(t *testing.T) {
	defer unix.Umask(unix.Umask(0))
	s := newSample(t)
	file := filepath.Join(t.TempDir(), "page.html")
	names := func() (names []string) {
		entries, err := os.ReadDir(filepath.Dir(file))
		must(t, err)
		for _, e := range entries {
			info, err := e.Info()
			must(t, err)
			names = append(names, fmt.Sprint(e.Name(), " ", info.Mode()))
		}
		return names
	}
	must(t, os.WriteFile(file, []byte("old"), 0o644))
	if r := s.csdb(t, "report", "--html", file); r.status != exitFailed || !strings.Contains(r.stderr, "--force") {
		t.Errorf("a file that exists: %+v", r)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "old" {
		t.Errorf("the file has become %q, %v", content, err)
	}
	for _, args := range [][]string{{"--html", file, "--force"}, {"--html", file}} {
		if r := s.csdb(t, append([]string{"report"}, args...)...); r.status != exitOK {
			t.Fatalf("%q: %+v", args, r)
		}
		if diff := cmp.Diff([]string{"page.html -rw-------"}, names()); diff != "" {
			t.Errorf("%q: %s", args, diff)
		}
		must(t, os.Remove(file))
	}
	must(t, os.Mkdir(file, 0o700))
	for _, args := range [][]string{{}, {"--force"}} {
		if r := s.csdb(t, append([]string{"report", "--html", file}, args...)...); r.status != exitFailed {
			t.Errorf("a directory, %q: %+v", args, r)
		}
	}
	if diff := cmp.Diff([]string{"page.html drwx------"}, names()); diff != "" {
		t.Error(diff)
	}
}

func TestReportNeverReplacesWhatAppearsMeanwhile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	o := &report{html: file}
	must(t, o.mayWrite(file))
	must(t, os.WriteFile(file, []byte("other"), 0o644))
	if err := o.write(file, []byte("page")); err == nil {
		t.Error("the file was written")
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "other" {
		t.Errorf("the file has become %q, %v", content, err)
	}
}

func TestReportOfAnEmptyStore(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	must(t, store.Wipe(t.Context()))
	must(t, store.Close())
	has(t, s.report(t, exitOK), "There are no layers", "Nothing takes any space", "Nothing is wrong", "delete layer")
}

func TestReportOfADamagedStore(t *testing.T) {
	s := newSample(t)
	damage(t, s)
	has(t, s.report(t, exitDamaged),
		`<p class="verdict damaged">`, "record layers/"+string(midLayers()[1]), "its parent 1a7e02ffffff has no record that can be read",
		"<strong>DATA-MISSING</strong>", "<strong>DB-RECORD</strong>", "<strong>LAYER-DIR-MISSING</strong>", "<strong>DATA-ACCESS</strong>",
		`base-layer</bdi><svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width="100" height="1"/></svg>`+
			`<span class="size">64kB</span> <a class="fault" href="#finding-2">`,
	)
	// A database of which nothing can be read.
	must(t, os.Truncate(s.path(db.FileName), 8192))
	has(t, s.report(t, exitDamaged), "<strong>DB-PAGE</strong>", "No layer can be read", "pages of 4096 bytes in a file of 8192 bytes")
}

func TestReportOfHostileNames(t *testing.T) {
	s := newSample(t)
	const payload = `</script><img src=x onerror=alert(1)>`
	store := s.open(t)
	layer := model.LayerID("layer" + payload[1:])
	_, err := store.CreateLayer(t.Context(), graph.LayerSpec{Names: []string{payload + "layer", "\u202eevil\x1b[2J\xff"}})
	must(t, err)
	if _, err := store.CreateLayer(t.Context(), graph.LayerSpec{ID: layer}); err == nil {
		t.Error("such an ID is possible: test it too")
	}
	_, err = store.CreateImage(t.Context(), graph.ImageSpec{TopLayer: sideLayer, Names: []string{payload + "image"}, Metadata: payload})
	must(t, err)
	container, err := store.CreateContainer(t.Context(), graph.ContainerSpec{Names: []string{payload + "container"}})
	must(t, err)
	must(t, store.SetData(t.Context(), container.ID, payload[2:8], strings.NewReader("data")))
	must(t, store.Close())
	page := s.report(t, exitOK)
	for _, bad := range []string{"<img", "\u202e", "\x1b", "\xff"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	has(t, page, "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;layer, \ufffdevil\ufffd[2J", "onerror=alert(1)&gt;image", "onerror=alert(1)&gt;container")
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
}

func TestReportOfManyLayers(t *testing.T) {
	const layers, entries = 2000, 500
	s := newSample(t)
	store := s.open(t)
	parent := sideLayer
	must(t, store.Update(t.Context(), func(tx *graph.Tx) error {
		for i := range layers {
			l, err := tx.CreateLayer(graph.LayerSpec{ID: model.LayerID(fmt.Sprintf("%064x", i)), Parent: parent})
			if err != nil {
				return err
			}
			if i%100 != 0 {
				parent = l.ID
			}
		}
		return nil
	}))
	for i := range entries {
		_, err := store.SetNames(t.Context(), parent, fmt.Sprint("name-", i))
		must(t, err)
	}
	must(t, store.Close())
	page := s.report(t, exitOK)
	if n := strings.Count(page, ` id="layer-`); n != layers+7 {
		t.Errorf("%d layers", n)
	}
	if n := strings.Count(page, "<tr><td><time "); n != maxEntries {
		t.Errorf("%d transactions", n)
	}
	if len(page) > 2<<20 {
		t.Errorf("%d bytes", len(page))
	}
	_, history, _ := strings.Cut(page, `id="history"`)
	newest, next := strings.Index(history, "(name-499)"), strings.Index(history, "(name-498)")
	if newest < 0 || next < newest {
		t.Error("the history does not begin with the newest transaction")
	}
}
