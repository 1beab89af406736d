package repair_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// fileDamage is what can happen to content files.
func fileDamage() []damage {
	return []damage{
		{name: "content file is missing", do: remove(manifest), left: []string{"DATA-MISSING " + manifest}},
		{name: "all content of an image is missing", do: remove("%-images/app"), left: []string{"DATA-MISSING " + manifest}},
		{name: "content file is empty", do: write(manifest, ""), left: []string{"DATA-SIZE " + manifest}},
		{name: "content file is long", do: write("%-containers/web/settings", strings.Repeat("x", 1000)), left: []string{"DATA-SIZE %-containers/web/settings"}},
		{name: "directory in place of a content file", do: makeDir(manifest), left: []string{"DATA-KIND " + manifest}},
		{name: "symbolic link in place of a content file", do: link("/etc/passwd", manifest), left: []string{"DATA-KIND " + manifest}},
		{name: "pipe in place of a content file", do: pipe(manifest), left: []string{"DATA-KIND " + manifest}},
		{
			name: "symbolic link in place of an object's directory", do: func(t *testing.T, s *sample) {
				outside := filepath.Join(filepath.Dir(s.root), "outside")
				must(t, os.Rename(s.path("%-images/app"), outside))
				must(t, os.Symlink(outside, s.path("%-images/app")))
			},
			steps: []string{"move %-images/app to lost+found"}, mended: []string{"STRAY %-images/app"},
			left: []string{"DATA-KIND " + manifest}, after: []string{"DATA-MISSING " + manifest},
		},
		{name: "tar-split is missing", do: remove(split), left: []string{"DATA-MISSING " + split}},
		{name: "tar-split is short", do: write(split, "?"), left: []string{"DATA-SIZE " + split}},
		{
			name: "bit of a content file", depth: fsck.Contents, do: func(t *testing.T, s *sample) { flip(t, s.path(manifest)) },
			left: []string{"DATA-DIGEST " + manifest},
		},
		{
			name: "bit of a tar-split", depth: fsck.Contents, do: func(t *testing.T, s *sample) { flip(t, s.path(split)) },
			left: []string{"DATA-DIGEST " + split},
		},
		{name: "disk cannot read a content file", depth: fsck.Contents, do: unreadable, left: []string{"UNREADABLE %-images/app/empty"}},

		{
			name: "content file can be read by all", do: chmod(manifest, 0o644),
			steps: []string{"set the mode of " + manifest + " to 0600"}, mended: []string{"DATA-ACCESS " + manifest},
		},
		{
			name: "tar-split can be written by its group", do: chmod(split, 0o620),
			steps: []string{"set the mode of " + split + " to 0600"}, mended: []string{"DATA-ACCESS " + split},
		},
		{
			name: "content file belongs to somebody else", do: chown(manifest),
			steps: []string{"set the owner of " + manifest + " to 0"}, mended: []string{"DATA-OWNER " + manifest},
		},
		{
			name: "content file belongs to somebody else and can be read by all", do: all(chown(manifest), chmod(manifest, 0o604)),
			steps:  []string{"set the owner of " + manifest + " to 0", "set the mode of " + manifest + " to 0600"},
			mended: []string{"DATA-OWNER " + manifest, "DATA-ACCESS " + manifest},
		},
	}
}

// unreadable makes a content file one that reports errors of input, as that of
// a bad disk: of the memory of a process nothing is mapped at address 0.
func unreadable(t *testing.T, s *sample) {
	store := s.open(t)
	must(t, store.SetData(t.Context(), model.ImageID("app"), "empty", strings.NewReader("")))
	must(t, store.Close())
	path := s.path("%-images/app/empty")
	must(t, unix.Mount("/proc/self/mem", path, "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(path, 0)) })
}

// strayDamage is content without a record.
func strayDamage() []damage {
	// stray has something at a path.
	stray := func(name, path string, do func(*testing.T, *sample)) damage {
		return damage{name: name, do: do, steps: []string{"move " + path + " to lost+found"}, mended: []string{"STRAY " + path}}
	}
	const part, other = "%-images/app/.tmp-manifest", "%-layers/nobody/file"
	return []damage{
		stray("content file without a record", other, write(other, "text")),
		stray("content file without a record in an area", "%-layers/stray", write("%-layers/stray", "text")),
		stray("content file without a record beside one with", "%-images/app/other", write("%-images/app/other", "text")),
		stray("content file that was not finished", part, write(part, "{")),
		stray("symbolic link without a record", "%-images/link", link("/etc", "%-images/link")),
		stray("pipe without a record", "%-images/pipe", pipe("%-images/pipe")),
		stray("directory for users of nobody", "%-containers/gone/userdata", write("%-containers/gone/userdata/state.json", "{}")),
		{
			name: "tree without a record", do: all(write("%-layers/nobody/one", "1"), write("%-layers/nobody/two", "2")),
			steps:  []string{"move %-layers/nobody/one to lost+found", "move %-layers/nobody/two to lost+found"},
			mended: []string{"STRAY %-layers/nobody/one", "STRAY %-layers/nobody/two"},
		},
		{name: "files of engines are no damage", do: all(
			write("libpod/bolt_state.db", ""), write("%-containers/web/userdata/deep/er", "x"), write("storage.lock", ""),
		)},
	}
}
