package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScriptCountsMounts(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		layer := s.line(t, "create-layer")
		unmounted, mounted := layer+" mountpoint unmounted\n", layer+" mounted\n"
		s.wantOutput(t, "", "mounted", layer)
		first := s.line(t, "mount", layer)
		s.wantOutput(t, mounted, "mounted", layer)
		s.wantOutput(t, unmounted, "unmount", layer)
		s.wantOutput(t, "", "mounted", layer)
		// Two mounts need two unmounts.
		for range 2 {
			if again := s.line(t, "mount", layer); again != first {
				t.Errorf("mounted on %s instead of %s", again, first)
			}
		}
		s.wantOutput(t, "", "unmount", layer)
		s.wantOutput(t, mounted, "mounted", layer)
		s.wantOutput(t, unmounted, "unmount", layer)
		s.wantOutput(t, "", "mounted", layer)
		// Force undoes all at once.
		for range 3 {
			s.line(t, "mount", layer)
		}
		s.wantOutput(t, unmounted, "unmount", "--force", layer)
		s.wantOutput(t, "", "mounted", layer)
		if output, status := s.try(t, "mount", "--option", "nosuid", layer); status != exitFlags {
			t.Errorf("an unknown flag: exit status %d, %s", status, output)
		}
	})
}

func TestScriptChangesLayersThroughMounts(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		lower := s.line(t, "create-layer")
		dir := s.line(t, "mount", lower)
		for _, name := range []string{"stays", "goes"} {
			writeFile(t, filepath.Join(dir, name), name)
		}
		s.ok(t, "unmount", lower)

		middle := s.line(t, "create-layer", lower)
		dir = s.line(t, "mount", middle)
		writeFile(t, filepath.Join(dir, "new"), "new")
		if err := os.Remove(filepath.Join(dir, "goes")); err != nil {
			t.Fatal(err)
		}
		s.ok(t, "unmount", middle)

		upper := s.line(t, "create-layer", middle)
		s.wantFilesIn(t, lower, "goes", "stays")
		s.wantFilesIn(t, middle, "new", "stays")
		s.wantFilesIn(t, upper, "new", "stays")
		s.wantOutput(t, lower+"\n"+middle+"\n"+upper+"\n", "layers")
	})
}

// wantFilesIn mounts a layer and compares the names of its files.
func (s script) wantFilesIn(t *testing.T, layer string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(s.line(t, "mount", layer))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("layer %s has the files %q instead of %q", layer, got, want)
	}
	s.ok(t, "unmount", layer)
}

func TestScriptFindsWhatAVolatileContainerWrote(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		s.ok(t, "import-layer", "-i", "base", "-f", testFile(t, "base.tar"))
		s.ok(t, "create-image", "-n", "image", "base")
		container := s.line(t, "create-container", "--volatile", "image")
		for i := range 3 {
			dir := s.line(t, "mount", container)
			path := filepath.Join(dir, "written")
			if _, err := os.Stat(path); (i == 0) != errors.Is(err, fs.ErrNotExist) {
				t.Errorf("mount %d: %v", i+1, err)
			}
			writeFile(t, path, "text")
			s.wantOutput(t, container+" mountpoint unmounted\n", "unmount", container)
		}
		s.wantOutput(t, "4\n", "diffsize", layerOfContainer(t, s, container))
	})
}

// layerOfContainer returns the ID of a container's own layer.
func layerOfContainer(t *testing.T, s script, container string) string {
	t.Helper()
	for _, line := range lines(s.ok(t, "container", container)) {
		if id, found := strings.CutPrefix(line, "Layer: "); found {
			return id
		}
	}
	t.Fatalf("container %s has no layer", container)
	return ""
}

func TestScriptUnmountsAllAtShutdown(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		layer := s.line(t, "create-layer")
		dir := s.line(t, "mount", layer)
		s.wantFailure(t, "layer is in use", "shutdown")
		s.wantOutput(t, layer+" mounted\n", "mounted", layer)
		s.wantOutput(t, "", "shutdown", "--force")
		s.wantOutput(t, "", "mounted", layer)
		if s.line(t, "mount", layer) != dir {
			t.Error("the store cannot be used after a shutdown")
		}
	})
}

func TestScriptMountsDamagedOverlays(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		if s.driver != "overlay" {
			t.Skip("it is about the layout of overlay")
		}
		for i, name := range []string{"lower", "middle", "upper"} {
			parent := []string{"", "lower", "middle"}[i]
			s.ok(t, "import-layer", "-i", name, "-f", testFile(t, "base.tar"), parent)
		}
		for _, lost := range []string{"l/*", "*/link", "*/merged"} {
			s.wantOutput(t, "", "shutdown")
			if err := removeAll(filepath.Join(s.root, "overlay", lost)); err != nil {
				t.Fatal(err)
			}
			output, status := s.try(t, "mount", "upper")
			if status != 0 {
				t.Errorf("without overlay/%s: exit status %d, %s", lost, status, output)
				continue
			}
			if text, err := os.ReadFile(filepath.Join(strings.TrimSpace(output), "a")); err != nil || string(text) != "hello\n" {
				t.Errorf("without overlay/%s: the mount shows %q, %v", lost, text, err)
			}
			s.ok(t, "unmount", "upper")
		}
	})
}

// removeAll removes what matches a pattern, of which there must be something.
func removeAll(pattern string) error {
	paths, err := filepath.Glob(pattern)
	if len(paths) == 0 {
		err = errors.Join(err, fs.ErrNotExist)
	}
	for _, path := range paths {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}
