package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/testutil"
)

// filled makes a layer with a file, an image on it and a data item, and ends the
// use of the store.
func (s script) filled(t *testing.T) (layer, image string) {
	t.Helper()
	layer = s.line(t, "create-layer")
	writeFile(t, filepath.Join(s.line(t, "mount", layer), "theirs"), "1")
	s.ok(t, "unmount", layer)
	image = s.created(t, "create-image", "--name", "their-image", "--name", "second", layer)
	writeFile(t, filepath.Join(s.dir, "config"), "configuration")
	s.ok(t, "set-image-data", "-f", filepath.Join(s.dir, "config"), image, "config")
	s.wantOutput(t, "", "shutdown")
	return layer, image
}

// created runs a command that creates something, and returns its ID.
func (s script) created(t *testing.T, words ...string) string {
	t.Helper()
	id, _, _ := strings.Cut(s.ok(t, words...), "\n")
	return id
}

func TestScriptUsesAdditionalStores(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		other := s.beside("ro-root")
		lower, image := other.filled(t)
		before := testutil.Snapshot(t, other.root)
		for _, prefix := range []string{"", s.driver} { // scripts name the driver, or leave it to the store
			s := s.with("--storage-opt=" + prefix + ".imagestore=" + other.root)
			s.wantOutput(t, lower+"\n", "layers", "-q")
			s.wantOutput(t, image+"\n", "images", "-q")
			for _, words := range [][]string{{"layer", lower}, {"image", "their-image"}} {
				if got := s.ok(t, words...); !strings.HasSuffix(got, "Read Only: true\n") {
					t.Errorf("%q printed %q", words, got)
				}
			}
			own := s.created(t, "create-layer", lower)
			path := s.line(t, "mount", own)
			if _, err := os.Stat(filepath.Join(path, "theirs")); err != nil {
				t.Error(err)
			}
			writeFile(t, filepath.Join(path, "mine"), "2")
			s.ok(t, "unmount", own)
			s.wantOutput(t, "Add \"/mine\"\n", "changes", own)
			mine := s.created(t, "create-image", "--name", "mine", own)
			for _, words := range [][]string{{"layer", own}, {"image", "mine"}} {
				if got := s.ok(t, words...); strings.Contains(got, "Read Only") {
					t.Errorf("%q printed %q", words, got)
				}
			}
			for _, of := range []string{"mine", "their-image"} {
				c := s.created(t, "create-container", of)
				if _, err := os.Stat(filepath.Join(s.line(t, "mount", c), "theirs")); err != nil {
					t.Error(err)
				}
				s.ok(t, "unmount", c)
				s.wantOutput(t, "", "delete-container", c)
			}
			s.wantFailure(t, "identifier is not an image", "delete-image", image)
			s.wantFailure(t, "identifier is not a layer", "delete-layer", lower)
			s.wantFailure(t, "read-only", "mount", lower)
			if got := s.line(t, "mount", "-r", "their-image"); !strings.HasPrefix(got, s.dir+"/") {
				t.Errorf("the image is mounted on %q", got)
			}
			s.ok(t, "unmount", "their-image")

			// A new name makes a copy of the image, which shadows it.
			s.wantOutput(t, "", "add-names", "-n", "renamed", image)
			s.wantOutput(t, "renamed\ntheir-image\nsecond\n", "get-names", image)
			s.wantOutput(t, "", "remove-names", "-n", "second", image)
			s.wantFailure(t, "", "exists", "second")
			s.wantOutput(t, "configuration", "get-image-data", "renamed", "config")
			s.wantOutput(t, "", "delete-image", "renamed")
			s.wantOutput(t, "their-image\nsecond\n", "get-names", image)
			s.wantFailure(t, "", "image", "renamed")

			s.ok(t, "delete-image", mine)
			s.wantOutput(t, "", "check")
			s.wantOutput(t, "", "wipe")
			s.wantOutput(t, image+"\n", "images", "-q")
		}
		if diff := cmp.Diff(before, testutil.Snapshot(t, other.root)); diff != "" {
			t.Errorf("the additional store has been changed:\n%s", diff)
		}
	})
}

func TestScriptSplitsTheStore(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		images := s.beside("images")
		_, old := s.filled(t)
		split := s.with("--image-store", images.root)
		layer := split.created(t, "create-layer", "--readonly")
		writeFile(t, filepath.Join(split.line(t, "mount", layer), "file"), "1")
		split.ok(t, "unmount", layer)
		image := split.created(t, "create-image", "--name", "new", layer)
		split.ok(t, "set-image-data", "-f", filepath.Join(s.dir, "config"), "new", "config")
		if _, err := os.Stat(filepath.Join(images.root, s.driver+"-images", image, "config")); err != nil {
			t.Errorf("the data item is not in the image store: %v", err)
		}
		split.wantOutput(t, image+"\n"+old+"\n", "images", "-q")
		s.wantOutput(t, old+"\n", "images", "-q")
		c := split.created(t, "create-container", "new")
		if _, err := os.Stat(filepath.Join(split.line(t, "mount", c), "file")); err != nil {
			t.Error(err)
		}
		split.ok(t, "unmount", c)
		split.wantOutput(t, "", "check")

		// Another image store has none of it.
		empty := s.with("--image-store", filepath.Join(s.dir, "empty"))
		empty.wantOutput(t, old+"\n", "images", "-q")

		// The image store is a store of its own.
		images.wantOutput(t, image+"\n", "images", "-q")
		if _, err := os.Stat(filepath.Join(images.line(t, "mount", layer), "file")); err != nil {
			t.Error(err)
		}
		images.ok(t, "unmount", layer)
		images.wantFailure(t, "another store needs it", "delete-image", image)
		images.wantOutput(t, "", "shutdown")

		split.ok(t, "delete-image", old)
		split.wantFailure(t, "", "exists", "-i", old)
		split.ok(t, "delete-container", c)
		if got := split.ok(t, "delete-image", "new"); !strings.Contains(got, layer) {
			t.Errorf("deletion printed %q", got)
		}
		images.wantOutput(t, "", "layers")
		split.wantOutput(t, "", "wipe")
		split.wantOutput(t, "", "shutdown")
	})
}

func TestScriptHasTransientContainers(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.flags = nil
		_, image := s.filled(t)
		transient := s.with("--transient-store")
		lasting := s.created(t, "create-container", image)
		volatile := s.created(t, "create-container", "--volatile", "--name", "volatile", image)
		lost := transient.created(t, "create-container", "--name", "lost", image)
		writeFile(t, filepath.Join(transient.line(t, "mount", "lost"), "kept"), "1")
		transient.ok(t, "unmount", "lost")
		if _, err := os.Stat(filepath.Join(transient.line(t, "mount", "lost"), "kept")); err != nil {
			t.Error(err)
		}
		transient.ok(t, "unmount", "lost")
		quick := func(s script) []string {
			var ids []string
			for _, line := range lines(s.ok(t, "containers")) {
				if !strings.HasPrefix(line, "\t") {
					ids = append(ids, line)
				}
			}
			return ids
		}
		if got := quick(s); !slices.Equal(got, []string{lasting, volatile}) {
			t.Errorf("there are %q", got)
		}
		if got := quick(transient); !slices.Equal(got, []string{lasting, lost}) {
			t.Errorf("in the transient store there are %q", got)
		}
		s.wantFailure(t, "image is in use by a container", "delete-image", image)
		s.wantOutput(t, "", "check")
		transient.wantOutput(t, "", "check")
		if err := os.RemoveAll(s.runRoot); err != nil {
			t.Fatal(err)
		}
		for _, s := range []script{s, transient} {
			if got := quick(s); !slices.Equal(got, []string{lasting}) {
				t.Errorf("after a reboot there are %q", got)
			}
		}
		s.wantOutput(t, "", "gc")
		s.wantOutput(t, "", "check")
	})
}
