package graph_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// alteredLines returns what has been altered in a layer, as text.
func alteredLines(t testing.TB, s *graph.Store, id model.LayerID) []string {
	t.Helper()
	var all []string
	for _, one := range must(s.Altered(t.Context(), id))(t) {
		all = append(all, one.String())
	}
	return all
}

func TestAlterationsOfALayerAreListed(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.tampered = true
		s := p.open(t)
		base := []entry{
			{kind: tar.TypeDir, name: "d/", mode: 0o755},
			{kind: tar.TypeDir, name: "gone/", mode: 0o755},
			{kind: tar.TypeSymlink, name: "s", link: "d"},
			{kind: tar.TypeSymlink, name: "link", link: "d"},
			{name: "m", mode: 0o644},
			{name: "below", mode: 0o644},
			{name: "owned", mode: 0o644},
			{name: "touched", mode: 0o644},
		}
		importLayer(t, s, "base", "", base...)
		importLayer(t, s, "top", "base", entry{name: "d/x", mode: 0o600})
		for _, id := range []model.LayerID{"base", "top"} {
			if got := alteredLines(t, s, id); got != nil {
				t.Fatalf("%s, as it was made: %q", id, got)
			}
		}
		onMount(t, s, "top", func(dir string) {
			noError(t, errors.Join(
				os.Remove(filepath.Join(dir, "below")), // of the parent
				os.Chmod(filepath.Join(dir, "d/x"), 0o640),
				os.Mkdir(filepath.Join(dir, "d/new"), 0o700),
			))
		})
		want := []string{"-/below", "+/d/new/", "/d/x(mode:0600￫0640)"}
		if diff := cmp.Diff(want, alteredLines(t, s, "top")); diff != "" {
			t.Errorf("top (-want +got):\n%s", diff)
		}
		noError(t, s.DeleteLayer(t.Context(), "top"))
		var at int64
		onMount(t, s, "base", func(dir string) {
			at = modified(t, dir, "touched").Unix()
			noError(t, errors.Join(
				os.WriteFile(filepath.Join(dir, "datafile"), []byte("text"), 0o600),
				os.MkdirAll(filepath.Join(dir, "n1/n2"), 0o755),
				os.WriteFile(filepath.Join(dir, "n1/n2/f"), nil, 0o600),
				os.Remove(filepath.Join(dir, "gone")),
				os.Remove(filepath.Join(dir, "s")),
				os.Remove(filepath.Join(dir, "link")), os.WriteFile(filepath.Join(dir, "link"), nil, 0o600),
				os.WriteFile(filepath.Join(dir, "m"), []byte("text"), 0o600),
				os.Chtimes(filepath.Join(dir, "m"), time.Time{}, modified(t, dir, "below")),
				os.Chtimes(filepath.Join(dir, "touched"), time.Time{}, time.Unix(7, 0)),
			))
			if os.Geteuid() == 0 {
				noError(t, os.Chown(filepath.Join(dir, "owned"), 1, 2))
			}
		})
		want = []string{"+/datafile", "-/gone/", fmt.Sprintf("/link(type:%c￫%c)", tar.TypeSymlink, tar.TypeReg), "/m(size:0￫4)", "+/n1/n2/f"}
		if os.Geteuid() == 0 {
			want = append(want, "/owned(uid:0￫1,gid:0￫2)")
		}
		want = append(want, "-/s", fmt.Sprintf("/touched(mtime:%d￫7)", at))
		if diff := cmp.Diff(want, alteredLines(t, s, "base")); diff != "" {
			t.Errorf("base (-want +got):\n%s", diff)
		}
	})
}

// modified returns when a file was modified last.
func modified(t testing.TB, dir, name string) time.Time {
	t.Helper()
	return must(os.Lstat(filepath.Join(dir, name)))(t).ModTime()
}

// What archives may do that looks like an alteration when it has been unpacked.
func TestOddDiffsAreNotTakenForAlterations(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		for i, test := range []struct {
			name      string
			base, top []entry
		}{
			{"directories on the way", nil, []entry{{name: "a/b/c"}}},
			{
				"behind a symbolic link", nil,
				[]entry{{kind: tar.TypeDir, name: "usr/lib/"}, {kind: tar.TypeSymlink, name: "lib", link: "usr/lib"}, {name: "lib/x"}},
			},
			{
				"behind a symbolic link of the parent",
				[]entry{{kind: tar.TypeDir, name: "usr/lib/"}, {name: "usr/lib/y"}, {kind: tar.TypeSymlink, name: "lib", link: "usr/lib"}},
				[]entry{{name: "lib/x"}, {name: "lib/.wh.y"}},
			},
			{
				"opaque directory",
				[]entry{{kind: tar.TypeDir, name: "d/"}, {name: "d/a"}, {name: "d/e/b"}},
				[]entry{{kind: tar.TypeDir, name: "d/"}, {name: "d/.wh..wh..opq"}, {name: "d/c"}},
			},
			{
				"whiteouts, also of a tree",
				[]entry{{name: "d/a"}, {name: "e"}},
				[]entry{{name: ".wh.d"}, {name: ".wh.e"}, {name: ".wh.none"}},
			},
			{
				"a file in place of a directory",
				[]entry{{name: "d/a"}},
				[]entry{{name: "d"}},
			},
			{
				"the same as in the parent",
				[]entry{{name: "a", mode: 0o644}, {kind: tar.TypeDir, name: "d/", mode: 0o755}},
				[]entry{{name: "a", mode: 0o644}, {kind: tar.TypeDir, name: "d/", mode: 0o755}},
			},
			{
				"hard links",
				[]entry{{name: "a", mode: 0o644}},
				[]entry{{name: "z", mode: 0o640}, {kind: tar.TypeLink, name: "b", link: "z"}},
			},
			{"names from everywhere", nil, []entry{{kind: tar.TypeDir, name: "./"}, {name: "/abs"}, {name: "./x/../y"}}},
		} {
			base, top := model.LayerID(fmt.Sprint("base", i)), model.LayerID(fmt.Sprint("top", i))
			importLayer(t, s, base, "", test.base...)
			importLayer(t, s, top, base, test.top...)
			for _, id := range []model.LayerID{base, top} {
				if got := alteredLines(t, s, id); got != nil {
					t.Errorf("%s: %s has %q", test.name, id, got)
				}
			}
		}
	})
}

func TestAlteredSaysNothingAboutLayersWithoutDiff(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createLayer(t, s, "empty", "")
	createLayer(t, s, "written", "")
	onMount(t, s, "written", func(dir string) { noError(t, os.Mkdir(filepath.Join(dir, "d"), 0o700)) })
	createContainerOn(t, s, "c", "own")
	must(s.ApplyDiff(t.Context(), "own", bytes.NewReader(tarball(t, file("a", "1")))))(t)
	onMount(t, s, "own", func(dir string) { noError(t, os.Mkdir(filepath.Join(dir, "d"), 0o700)) })
	for _, id := range []model.LayerID{"empty", "written", "own"} {
		if got := alteredLines(t, s, id); got != nil {
			t.Errorf("%s has %q", id, got)
		}
	}
	_, err := s.Altered(t.Context(), "unicorn")
	wantError(t, err, model.ErrLayerUnknown)
}
