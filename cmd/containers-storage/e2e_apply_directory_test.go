package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/testutil"
)

// configured runs a command on the store that a configuration names, without
// any flag. It returns what was printed on both streams, and whether it failed.
func (s script) configured(t *testing.T, conf string, words ...string) ([]string, error) {
	t.Helper()
	child := testutil.Child(t, "command", words...)
	child.Env = append(child.Environ(), configurationVariable+"="+conf)
	child.Stderr = nil
	output, err := child.CombinedOutput()
	return lines(string(output)), err
}

// mustConfigured is configured for commands that have to succeed.
func (s script) mustConfigured(t *testing.T, conf string, words ...string) []string {
	t.Helper()
	output, err := s.configured(t, conf, words...)
	if err != nil {
		t.Fatalf("%q: %v: %q", words, err, output)
	}
	return output
}

// conf writes a configuration with the places and the driver of the store.
func (s script) conf(t *testing.T, pullOptions string) string {
	t.Helper()
	return s.file(t, "storage.conf", fmt.Sprintf("[storage]\ndriver = %q\ngraphroot = %q\nrunroot = %q\n[storage.options]\npull_options = {%s}\n",
		s.driver, s.root, s.runRoot, pullOptions))
}

func TestScriptFillsALayerFromADirectory(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		if s.driver != "overlay" {
			t.Skip("the script is for overlay only")
		}
		conf := s.conf(t, `enable_partial_images = "true"`)
		tree := s.path("tree")
		if err := os.Mkdir(tree, 0o755); err != nil {
			t.Fatal(err)
		}
		testutil.OddTree(t, tree)
		layer := s.mustConfigured(t, conf, "create-layer")
		if got := s.mustConfigured(t, conf, "applydiff-using-staging-dir", layer[0], tree); len(layer) != 1 || got != nil {
			t.Errorf("create-layer printed %q, applydiff-using-staging-dir %q", layer, got)
		}
		s.mustConfigured(t, conf, "create-image", "--name", "app", layer[0])
		container := s.mustConfigured(t, conf, "create-container", "app")
		dir := s.mustConfigured(t, conf, "mount", container[0])
		if len(container) != 1 || len(dir) != 1 {
			t.Fatalf("create-container printed %q, mount %q", container, dir)
		}
		if diff := cmp.Diff(snapshotOfContent(t, tree), snapshotOfContent(t, dir[0])); diff != "" {
			t.Errorf("the layer is not the directory (-want +got):\n%s", diff)
		}
		s.mustConfigured(t, conf, "unmount", container[0])
		s.mustConfigured(t, conf, "check")
	})
}

// snapshotOfContent describes what is in a directory, without sockets, which no
// archive has, and with the times that layers can have: none before 1970.
func snapshotOfContent(t *testing.T, dir string) []string {
	t.Helper()
	listing := testutil.Snapshot(t, dir)
	for name, entry := range listing {
		if name == "." || entry.Type == "socket" {
			delete(listing, name)
		} else if epoch := time.Unix(0, 0).UTC(); entry.ModTime.Before(epoch) {
			entry.ModTime = epoch
			listing[name] = entry
		}
	}
	return listing.Lines()
}

func TestScriptFillsNoLayerFromADirectoryThatCannotBeRead(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		layer := s.line(t, "create-layer")
		before := s.ok(t, "layers", "-j")
		s.wantFailure(t, `partial pulls need the driver overlay, which is `+s.driver+` here, and enable_partial_images = "true"`,
			"applydiff-using-staging-dir", layer, s.dir)
		if s.driver != "overlay" {
			return
		}
		conf := s.conf(t, `enable_partial_images = "True"`)
		bad := s.path("bad")
		if err := os.Mkdir(bad, 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(bad, "a"), "a")
		writeFile(t, filepath.Join(bad, ".wh.b"), "b")
		for _, dir := range []string{s.path("none"), bad, filepath.Join(bad, "a")} {
			output, err := s.configured(t, conf, "applydiff-using-staging-dir", layer, dir)
			if err == nil || len(output) != 1 {
				t.Errorf("%s: %v, %q", dir, err, output)
			}
			if after := s.ok(t, "layers", "-j"); after != before {
				t.Errorf("%s: layers are %s instead of %s", dir, after, before)
			}
		}
		if entries := s.mustConfigured(t, conf, "changes", layer); !slices.Equal(entries, nil) {
			t.Errorf("the layer has %q", entries)
		}
	})
}
