package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScriptUsesRelativeRoots(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		for _, roots := range [][2]string{{"one/two/root", "one/three/run"}, {"./four/root", "./four/run"}} {
			relative := s
			relative.root, relative.runRoot = roots[0], roots[1]
			relative.wantOutput(t, "", "layers")
			absolute := fmt.Sprintf("Root: %s\nRun Root: %s\n", filepath.Join(s.dir, roots[0]), filepath.Join(s.dir, roots[1]))
			if output := relative.ok(t, "status"); !strings.HasPrefix(output, absolute) {
				t.Errorf("status is %q, want it to begin with %q", output, absolute)
			}
			relative.wantOutput(t, "", "shutdown")
			if _, err := os.Stat(filepath.Join(s.dir, roots[0], s.driver)); err != nil {
				t.Errorf("no store has been made: %v", err)
			}
		}
	})
}

func TestScriptReadsStatus(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		want := fmt.Sprintf("Root: %s\nRun Root: %s\nDriver Name: %s\n", s.root, s.runRoot, s.driver)
		if output := s.ok(t, "status"); !strings.HasPrefix(output, want) {
			t.Errorf("status is %q, want it to begin with %q", output, want)
		}
	})
}

func TestScriptStoresDataItems(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		layer := s.line(t, "create-layer")
		image := s.line(t, "create-image", layer)
		container := s.line(t, "create-container", image)
		small, large := strings.Repeat("s", 1234), strings.Repeat("l", 5678)
		s.file(t, "small", small)
		s.file(t, "large", large)
		for kind, id := range map[string]string{"layer": layer, "image": image, "container": container} {
			s.wantOutput(t, "", "list-"+kind+"-data", id)
			s.wantOutput(t, "", "set-"+kind+"-data", "-f", "small", id, "one")
			s.wantOutput(t, "", "set-"+kind+"-data", "-f", "large", id, "a two/with:more")
			s.wantOutput(t, "one\na two/with:more\n", "list-"+kind+"-data", id)
			s.wantOutput(t, small, "get-"+kind+"-data", id, "one")
			s.wantOutput(t, "", "get-"+kind+"-data", "-f", "copy", id, "a two/with:more")
			wantSame(t, s.path("copy"), []byte(large))
			s.fails(t, "get-"+kind+"-data", id, "three")
			if kind == "layer" {
				continue
			}
			s.wantOutput(t, "1234\n", "get-"+kind+"-data-size", id, "one")
			s.wantOutput(t, "5678\n", "get-"+kind+"-data-size", id, "a two/with:more")
			s.wantOutput(t, digestOfText(small)+"\n", "get-"+kind+"-data-digest", id, "one")
			s.wantOutput(t, digestOfText(large)+"\n", "get-"+kind+"-data-digest", id, "a two/with:more")
			s.fails(t, "get-"+kind+"-data-size", id, "three")
			s.fails(t, "get-"+kind+"-data-digest", id, "three")
		}
		s.wantFailure(t, "image not known", "get-image-data", "nosuch", "one")
		s.wantFailure(t, "does not exist", "get-image-data", image, "nosuch")
	})
}

func digestOfText(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

func TestScriptFindsImagesByDigest(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		layer := s.line(t, "create-layer")
		manifest, other := digestOfText("manifest"), digestOfText("other")
		s.file(t, "manifest", "manifest")
		s.wantOutput(t, "", "images-by-digest", manifest)
		first := s.line(t, "create-image", layer)
		s.ok(t, "set-image-data", "-f", "manifest", first, "manifest")
		second := s.line(t, "create-image", "--digest", other, layer)
		both := s.line(t, "create-image", "--digest", manifest, layer)
		s.ok(t, "set-image-data", "-f", "manifest", both, "manifest")
		s.wantLines(t, []string{first, both}, "images-by-digest", "-q", manifest)
		s.wantOutput(t, second+"\n", "images-by-digest", "--quiet", other)
		s.ok(t, "delete-image", first)
		s.wantOutput(t, both+"\n", "images-by-digest", "-q", manifest)
		s.ok(t, "delete-image", second)
		s.wantOutput(t, "", "images-by-digest", other)
	})
}

func TestScriptFindsEachManifestOfAnImage(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		image := lines(s.ok(t, "create-image", "-n", "registry.example:5000/a/b:c", ""))[0]
		want := []string{"ID: " + image, "Name: registry.example:5000/a/b:c", "Top Layer: ", "Size: 28"}
		for _, item := range []string{"manifest", "manifest-X", "manifest-Y"} {
			s.ok(t, "set-image-data", "-f", s.file(t, item, item), image, item)
			want = append(want, "Digest: "+digestOfText(item), "Data: "+item)
		}
		s.wantLines(t, want, "image", "registry.example:5000/a/b:c")
		for _, item := range []string{"manifest", "manifest-X", "manifest-Y"} {
			s.wantOutput(t, image+"\n", "images-by-digest", "-q", digestOfText(item))
		}
		output := s.ok(t, "images-by-digest", digestOfText("manifest-X"))
		for _, want := range []string{"name: registry.example:5000/a/b:c", "digest: " + digestOfText("manifest"), "digest: " + digestOfText("manifest-Y")} {
			if !strings.Contains(output, want) {
				t.Errorf("images-by-digest printed %q without %q", output, want)
			}
		}
	})
}

func TestScriptShowsImagesAndContainers(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		image := s.line(t, "create-image", "")
		item := s.file(t, "item", strings.Repeat("x", 256))
		for _, key := range []string{"one", "two"} {
			s.ok(t, "set-image-data", "-f", item, image, key)
		}
		s.wantLines(t, []string{"ID: " + image, "Top Layer: ", "Data: one", "Data: two", "Size: 512"}, "image", image)
		container := lines(s.ok(t, "create-container", "-n", "name", image))[0]
		for _, key := range []string{"one", "two"} {
			s.ok(t, "set-container-data", "-f", item, container, key)
		}
		layer := layerOfContainer(t, s, container)
		s.wantLines(t, []string{
			"ID: " + container, "Name: name", "Image: " + image, "Size: 512", "Layer: " + layer, "Data: one", "Data: two",
		}, "container", "name")
	})
}

func TestScriptListsWhatItMakes(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		lower := s.line(t, "create-layer")
		upper := s.line(t, "create-layer", lower)
		plain := s.line(t, "create-image")
		first := s.line(t, "create-image", upper)
		second := s.line(t, "create-image", upper)
		s.wantOutput(t, plain+"\n"+first+"\n"+second+"\n", "images", "-q")
		if all := lines(s.ok(t, "images")); len(all) != 3 {
			t.Errorf("images are listed in %d lines", len(all))
		}
		var containers []string
		for _, image := range []string{"", plain, first, first} {
			containers = append(containers, s.line(t, "create-container", image))
		}
		s.wantOutput(t, strings.Join(containers, "\n")+"\n", "containers")
		if all := lines(s.ok(t, "layers", "-q")); len(all) != 6 {
			t.Errorf("there are %d layers instead of 6", len(all))
		}
	})
}

func TestScriptDeletesInOrder(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		lower := s.line(t, "import-layer", "-r", "-f", testFile(t, "base.tar"))
		upper := s.line(t, "import-layer", "-f", testFile(t, "top.tar"), lower)
		image := s.line(t, "create-image", upper)
		container := s.line(t, "create-container", image)
		s.line(t, "mount", container)
		s.wantFailure(t, "layer has children", "delete-layer", lower)
		s.wantFailure(t, "image is in use by a container", "delete-image", image)
		s.wantFailure(t, "layer is in use by a container", "delete-layer", layerOfContainer(t, s, container))
		s.wantOutput(t, "", "delete-container", container)
		s.fails(t, "exists", "-q", "-c", container)
		s.wantFailure(t, "layer is in use by an image", "delete-layer", upper)
		s.wantOutput(t, image+": "+upper+"\n"+image+": "+lower+"\n", "delete-image", image)
		s.fails(t, "exists", "-q", "-i", image)
		s.fails(t, "exists", "-q", "-l", upper, lower)
		s.wantFailure(t, "identifier is not a layer", "delete-layer", upper)

		lower = s.line(t, "create-layer")
		upper = s.line(t, "create-layer", lower)
		s.wantOutput(t, "", "delete-layer", upper)
		s.wantOutput(t, "", "delete-layer", lower)
		s.wantOutput(t, "", "layers")
	})
}

func TestScriptDeletesWithoutChecks(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		layer := s.line(t, "create-layer")
		image := s.line(t, "create-image", layer)
		container := s.line(t, "create-container", image)
		for _, id := range []string{container, image, layer} {
			s.wantOutput(t, "", "delete", id)
			s.fails(t, "exists", "-q", id)
		}
		s.wantOutput(t, "", "layers")
	})
}

func TestScriptKeepsMetadata(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		file := s.file(t, "metadata", "from a file\n")
		image := s.line(t, "create-image", "-m", "text", "")
		other := s.line(t, "create-image", "-f", file, "")
		container := s.line(t, "create-container", "-m", "text", image)
		another := s.line(t, "create-container", "-f", file, image)
		for i, id := range []string{image, container, other, another} {
			s.wantOutput(t, []string{"text\n", "from a file\n"}[i/2], "metadata", "-q", id)
			s.wantOutput(t, "", "set-metadata", "-m", "new", id)
			s.wantOutput(t, "new\n", "metadata", "-q", id)
			s.wantOutput(t, "", "set-metadata", "-f", file, id)
			s.wantOutput(t, id+": from a file\n", "metadata", id)
		}
	})
}

func TestScriptNamesObjects(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		create := map[string]func(names ...string) string{
			"layer": func(names ...string) string { return lines(s.ok(t, append([]string{"create-layer"}, names...)...))[0] },
			"image": func(names ...string) string { return lines(s.ok(t, append([]string{"create-image"}, names...)...))[0] },
			"container": func(names ...string) string {
				return lines(s.ok(t, append([]string{"create-container"}, append(names, "")...)...))[0]
			},
		}
		for kind, create := range create {
			one, two := kind+"-one", kind+"-two"
			id := create("--name", one, "-n", two)
			s.wantOutput(t, one+"\n"+two+"\n", "get-names", id)
			for _, name := range []string{one, two} {
				s.wantLines(t, []string{name + ": true"}, "exists", "--"+kind, name)
			}
			s.wantOutput(t, "", "add-names", "-n", kind+"-three", one)
			s.wantOutput(t, kind+"-three\n"+one+"\n"+two+"\n", "get-names", two)
			s.wantOutput(t, "", "remove-names", "-n", one, id)
			s.fails(t, "exists", "-q", one)
			s.wantOutput(t, "", "set-names", "-n", one, id)
			s.wantOutput(t, one+"\n", "get-names", id)
			// A name that moves leaves its old holder.
			other := create()
			s.wantOutput(t, "", "set-names", "-n", one, other)
			s.wantOutput(t, "", "get-names", id)
			s.wantOutput(t, one+"\n", "get-names", other)
			s.wantOutput(t, "", "add-names", "-n", one, id)
			s.wantOutput(t, "", "get-names", other)
			s.wantOutput(t, "", "set-names", id)
			s.wantOutput(t, "", "get-names", id)
		}
		for _, command := range []string{"add-names", "remove-names", "set-names"} {
			s.fails(t, command, "-n", "name", "nosuch")
		}
		s.fails(t, "get-names", "nosuch")
	})
}
