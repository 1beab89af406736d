package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScriptUsesDirectoriesOfObjects(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		image := s.line(t, "create-image", s.line(t, "create-layer"))
		container := s.line(t, "create-container", image)
		var all []string
		for _, kind := range []struct{ name, id string }{{"image", image}, {"container", container}} {
			for command, root := range map[string]string{"get-" + kind.name + "-dir": s.root, "get-" + kind.name + "-run-dir": s.runRoot} {
				dir := s.line(t, command, kind.id)
				if !strings.HasPrefix(dir, root+"/") {
					t.Errorf("%s printed %s, which is not below %s", command, dir, root)
				}
				writeFile(t, filepath.Join(dir, "file"), "text")
				if again := s.line(t, command, kind.id); again != dir {
					t.Errorf("%s printed %s, and then %s", command, dir, again)
				}
				all = append(all, dir)
			}
		}
		s.ok(t, "delete-container", container)
		s.ok(t, "delete-image", image)
		for _, dir := range all {
			if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is there after its object: %v", dir, err)
			}
		}
	})
}
