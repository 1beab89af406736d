package repair_test

import (
	"crypto/sha256"
	"encoding/base32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/fsck"
)

// damage is something that happens to a store, with all that a check finds then,
// and what comes of it. Findings are lines of code and place. In these, in
// paths, and in steps "%" and "@" stand for what sample.named says, and
// "LINK-OF-layer" and "FILES-OF-layer" for the short name of that layer and for
// the directory that has its files, and "SPARE-OF-layer" for the short name that
// it gets when its own is lost.
type damage struct {
	name string
	// driver is the one that it can happen to, or "" for any.
	driver string
	do     func(t *testing.T, s *sample)
	// steps are what is planned, and mended the findings that they put right.
	steps, mended []string
	// left are the findings about which nothing is done.
	left []string
	// after are the findings after the repair, if these are not those left.
	after []string
	// depth is that of the check, "" for the default.
	depth fsck.Depth
	// source makes the content of a file that is given as a source; it is
	// called SOURCE in steps.
	source func(t *testing.T) []byte
}

// allDamages returns all damages.
func allDamages() []damage {
	return slices.Concat(
		databaseDamage(), pageDamage(), recordDamage(), referenceDamage(), fileDamage(), strayDamage(),
		layerDamage(), overlayDamage(), nameDamage(), healable(), combinations(),
	)
}

// mend is the step that mends the database.
const mend = "make anew what follows from the records of the database"

// quarantine returns the steps that put in quarantine what findings are about
// that are left.
func (d damage) quarantine(s *sample) (steps []string) {
	codes := []string{"DATA-MISSING", "DATA-KIND", "DATA-SIZE", "DATA-DIGEST", "LAYER-CONTENT", "LAYER-DIR-MISSING", "LAYER-DIR-KIND", "OVERLAY-DIFF"}
	subjects := map[string]string{
		manifest: `data item "manifest" of image app`, "%-containers/web/settings": `data item "settings" of container web`,
		split: "the tar-split of layer top", "@top": "layer top", "@side": "layer side", "overlay/side/diff": "layer side", "@web-rw": "layer web-rw",
	}
	for place, subject := range subjects {
		subjects[s.named(place)] = subject
	}
	for _, line := range d.left {
		code, place, _ := strings.Cut(line, " ")
		if slices.Contains(codes, code) {
			steps = append(steps, "put "+subjects[place]+" in quarantine")
		}
	}
	return steps
}

// Deeds that many cases have in common.

func remove(name string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { must(t, os.RemoveAll(s.path(name))) }
}

// write puts a file in the place of whatever is there.
func write(name, content string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		must(t, os.RemoveAll(s.path(name)))
		must(t, os.MkdirAll(filepath.Dir(s.path(name)), 0o700))
		must(t, os.WriteFile(s.path(name), []byte(content), 0o600))
	}
}

func makeDir(name string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		must(t, os.RemoveAll(s.path(name)))
		must(t, os.MkdirAll(s.path(name), 0o700))
	}
}

func link(target, name string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		must(t, os.RemoveAll(s.path(name)))
		must(t, os.Symlink(target, s.path(name)))
	}
}

func pipe(name string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		must(t, os.RemoveAll(s.path(name)))
		must(t, unix.Mkfifo(s.path(name), 0o600))
	}
}

func chmod(name string, mode os.FileMode) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { must(t, os.Chmod(s.path(name), mode)) }
}

func chown(name string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { must(t, os.Chown(s.path(name), 12345, -1)) }
}

// flip changes a bit of a file, and not its times.
func flip(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	content, err := os.ReadFile(path)
	must(t, err)
	content[len(content)/2] ^= 1
	must(t, os.WriteFile(path, content, 0o600))
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
}

// inDatabase changes the database behind its back.
func inDatabase(do func(t testing.TB, path string)) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { do(t, s.path(db.FileName)) }
}

// records changes the records with an intact database.
func records(fn func(s *sample, tx *db.Tx) error) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		database, err := db.Open(t.Context(), s.root, db.Options{NoSync: true})
		must(t, err)
		defer database.Close()
		must(t, database.Update(t.Context(), func(tx *db.Tx) error { return fn(s, tx) }))
	}
}

// all does several things, one after the other.
func all(deeds ...func(*testing.T, *sample)) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		for _, do := range deeds {
			do(t, s)
		}
	}
}

// on does something with the short name of a layer.
func on(layer string, do func(name string) func(*testing.T, *sample)) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { do(s.links()[layer])(t, s) }
}

const (
	manifest = "%-images/app/manifest"
	split    = "%-layers/top.tar-split.gz"
	nobody   = "BBBBBBBBBBBBBBBBBBBBBBBBBB" // a short name of no layer
)

// and returns the case with something more that happens.
func (d damage) and(do func(*testing.T, *sample)) damage {
	d.do = all(d.do, do)
	return d
}

// spareName returns the short name that a layer gets when its own is lost.
func spareName(layer string) string {
	sum := sha256.Sum256([]byte(layer))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

// resolved returns the case as it is for one store.
func (d damage) resolved(s *sample) damage {
	var pairs []string
	for layer, name := range s.links() {
		files := strings.TrimPrefix(s.contentOf(layer, ""), s.root+"/")
		pairs = append(pairs, "LINK-OF-"+layer, name, "SPARE-OF-"+layer, spareName(layer), "FILES-OF-"+layer, strings.TrimSuffix(files, "/"))
	}
	links := strings.NewReplacer(pairs...)
	for _, lines := range []*[]string{&d.steps, &d.mended, &d.left, &d.after} {
		*lines = slices.Clone(*lines)
		for i, line := range *lines {
			(*lines)[i] = links.Replace(s.named(line))
		}
	}
	return d
}
