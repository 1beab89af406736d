package overlay_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/drivers/drivertest"
	"github.com/csdb/csdb/model"
)

// damages are what may become of the files by which layers are put together.
func damages() []drivertest.Damage {
	const (
		name    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		another = "234567ABCDEFGHIJKLMNOPQRST"
	)
	remove := func(pattern string) func(t testing.TB, home string) {
		return func(t testing.TB, home string) {
			t.Helper()
			for _, path := range matches(t, home, pattern) {
				must(t, os.RemoveAll(path))
			}
		}
	}
	fill := func(pattern, content string) func(t testing.TB, home string) {
		return func(t testing.TB, home string) {
			t.Helper()
			for _, path := range matches(t, home, pattern) {
				must(t, os.WriteFile(path, []byte(content), 0o600))
			}
		}
	}
	replace := func(pattern, target string) func(t testing.TB, home string) {
		return func(t testing.TB, home string) {
			t.Helper()
			for _, path := range matches(t, home, pattern) {
				must(t, os.RemoveAll(path))
				must(t, os.Symlink(target, path))
			}
		}
	}
	return []drivertest.Damage{
		{Name: "all short names are lost", Do: remove("l/*")},
		{Name: "all records of short names are lost", Do: remove("*/link")},
		{Name: "all records of short names are empty", Do: fill("*/link", "")},
		{Name: "all mount points are lost", Do: remove("*/merged")},
		{Name: "the empty directory is lost", Do: remove("*/empty")},
		{Name: "short names of others are about", Do: func(t testing.TB, home string) {
			t.Helper()
			must(t, os.Symlink("/etc", filepath.Join(home, "l", name)))
			must(t, os.Symlink("../gone/diff", filepath.Join(home, "l", another)))
			must(t, os.Symlink("../top/../../../etc/diff", filepath.Join(home, "l", "short")))
			remove("l/[A-Z2-7]*")(t, home)
		}},
		{Name: "short names and their records are lost", Do: func(t testing.TB, home string) {
			t.Helper()
			remove("l/*")(t, home)
			remove("*/link")(t, home)
		}, Want: model.ErrCorrupt},
		{Name: "lower is empty", Do: fill("top/lower", ""), Want: model.ErrCorrupt},
		{Name: "lower has a path", Do: fill("top/lower", "/etc"), Want: model.ErrCorrupt},
		{Name: "lower climbs", Do: fill("top/lower", "l/../../../../../../../etc/x"), Want: model.ErrCorrupt},
		{Name: "lower climbs with the right length", Do: fill("top/lower", "l/../../../../../../../../etc"), Want: model.ErrCorrupt},
		{Name: "lower names nothing", Do: fill("top/lower", "l/"+name), Want: model.ErrCorrupt},
		{Name: "lower has small letters", Do: fill("top/lower", "l/abcdefghijklmnopqrstuvwxyz"), Want: model.ErrCorrupt},
		{Name: "lower ends with a line feed", Do: fill("top/lower", "l/"+name+"\n"), Want: model.ErrCorrupt},
		{Name: "lower has options", Do: fill("top/lower", "l/"+name+",upperdir=/etc"), Want: model.ErrCorrupt},
		{Name: "lower is a link", Do: replace("top/lower", "../middle/lower"), Want: model.ErrCorrupt},
		{Name: "lower is a directory", Do: func(t testing.TB, home string) {
			t.Helper()
			must(t, os.Remove(filepath.Join(home, "top/lower")))
			must(t, os.Mkdir(filepath.Join(home, "top/lower"), 0o700))
		}, Want: model.ErrCorrupt},
		{Name: "short names lead out", Do: replace("l/*", "/etc"), Want: model.ErrCorrupt},
		{Name: "short names climb", Do: replace("l/*", "../../../../../../etc/diff"), Want: model.ErrCorrupt},
		{Name: "short names lead to another directory", Do: replace("l/*", "../base/work"), Want: model.ErrCorrupt},
		{Name: "short names lead to a layer and not its content", Do: replace("l/*", "../base"), Want: model.ErrCorrupt},
		{Name: "short names are bare", Do: replace("l/*", "base/diff"), Want: model.ErrCorrupt},
		{Name: "lower has a name of another form", Do: func(t testing.TB, home string) {
			t.Helper()
			must(t, os.Symlink("../base/diff", filepath.Join(home, "l", "abcdefghijklmnopqrstuvwxyz")))
			fill("top/lower", "l/abcdefghijklmnopqrstuvwxyz")(t, home)
		}, Want: model.ErrCorrupt},
		{Name: "lower has a name in a sub-directory", Do: func(t testing.TB, home string) {
			t.Helper()
			must(t, os.Mkdir(filepath.Join(home, "l", "SUB"), 0o700))
			must(t, os.Symlink("../base/diff", filepath.Join(home, "l", "SUB", "ABCDEFGHIJKLMNOPQRSTUV")))
			fill("top/lower", "l/SUB/ABCDEFGHIJKLMNOPQRSTUV")(t, home)
		}, Want: model.ErrCorrupt},
		{Name: "short names lead to no layer", Do: replace("l/*", "../missing/diff"), Want: model.ErrCorrupt},
		{Name: "short names are files", Do: func(t testing.TB, home string) {
			t.Helper()
			for _, path := range matches(t, home, "l/*") {
				must(t, os.Remove(path))
				must(t, os.WriteFile(path, nil, 0o600))
			}
		}, Want: model.ErrCorrupt},
		{Name: "the directory of short names is a link", Do: func(t testing.TB, home string) {
			t.Helper()
			must(t, os.Rename(filepath.Join(home, "l"), home+"-moved"))
			must(t, os.Symlink("../home-moved", filepath.Join(home, "l")))
		}, Want: model.ErrCorrupt},
		{Name: "content below is a link", Do: replace("base/diff", "/etc"), Want: model.ErrCorrupt},
		{Name: "content below is missing", Do: remove("base/diff"), Want: model.ErrCorrupt},
		{Name: "own content is a link", Do: replace("top/diff", "/etc"), Want: model.ErrCorrupt},
		{Name: "own content is missing", Do: remove("top/diff"), Want: model.ErrCorrupt},
		{Name: "work directory is a link", Do: replace("top/work", "/etc"), Want: model.ErrCorrupt},
		{Name: "mount point is a link", Do: replace("top/merged", "/etc"), Want: model.ErrCorrupt},
		{Name: "layer is a link", Do: func(t testing.TB, home string) {
			t.Helper()
			must(t, os.Rename(filepath.Join(home, "top"), home+"-moved"))
			must(t, os.Symlink("../home-moved", filepath.Join(home, "top")))
		}, Want: model.ErrCorrupt},
	}
}
