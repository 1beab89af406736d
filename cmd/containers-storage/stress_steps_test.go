package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// step runs a few commands that belong together.
func (w *worker) step() {
	s := w.stacks[w.random.IntN(len(w.stacks))]
	switch what := w.random.IntN(16); {
	case what < 2:
		w.useShared()
	case what < 3:
		w.look()
	case s.container != "" && what < 5:
		w.removeContainer(s)
	case s.container != "":
		w.useContainer(s)
	case s.image != "" && what < 5:
		w.removeImage(s)
	case s.image != "" && what < 8:
		w.useImage(s)
	case s.image != "":
		w.makeContainer(s)
	case len(s.layers) > 0 && (what < 9 || len(s.layers) == maxLayers):
		w.makeImage(s)
	case len(s.layers) > 0 && what < 10:
		w.removeLayer(s)
	case len(s.layers) > 0 && what < 12:
		w.compareLayer(s)
	default:
		w.makeLayer(s)
	}
}

// maxLayers is how many layers a stack gets.
const maxLayers = 4

// archives are what layers are made from.
var archives = []string{"base.tar", "base.tar.gz", "base.tar.bz2", "base.tar.xz", "base.tar.zst", "top.tar"}

func (w *worker) makeLayer(s *stack) {
	w.t.Helper()
	id, parent := fmt.Sprintf("%s-layer%d", s.name, s.made), "base"
	if len(s.layers) > 0 {
		parent = s.layers[len(s.layers)-1]
	}
	archive := archives[w.random.IntN(len(archives))]
	if w.random.IntN(2) == 0 {
		w.want(id+"\n", "import-layer", "-i", id, "-f", testFile(w.t, archive), parent)
	} else {
		w.want(id+"\n", "create-layer", "-i", id, parent)
		w.want("", "apply-diff", "-f", testFile(w.t, archive), id)
	}
	s.made++
	s.layers, s.archives = append(s.layers, id), append(s.archives, archive)
}

func (w *worker) compareLayer(s *stack) {
	w.t.Helper()
	last := len(s.layers) - 1
	plain, _, _ := strings.Cut(s.archives[last], ".")
	plain += ".tar"
	want, err := os.ReadFile(testFile(w.t, plain))
	if err != nil {
		w.fail("%v", err)
	}
	w.want(string(want), "diff", "-u", s.layers[last])
	w.want(s.layers[last]+": true\n", "exists", "-l", s.layers[last])
	if last > 0 {
		w.refused("layer has children", "delete-layer", s.layers[last-1])
	}
}

func (w *worker) removeLayer(s *stack) {
	w.t.Helper()
	last := len(s.layers) - 1
	w.want("", "delete-layer", s.layers[last])
	w.refused(s.layers[last]+": false\n", "exists", s.layers[last])
	s.layers, s.archives = s.layers[:last], s.archives[:last]
}

func (w *worker) makeImage(s *stack) {
	w.t.Helper()
	s.image, s.names, s.item = s.name+"-image", []string{s.name + "-name"}, ""
	w.want(s.image+"\n\t"+s.names[0]+"\n", "create-image", "-i", s.image, "-n", s.names[0], s.layers[len(s.layers)-1])
}

func (w *worker) useImage(s *stack) {
	w.t.Helper()
	switch w.random.IntN(4) {
	case 0:
		s.item = fmt.Sprintf("item %d of %s", w.random.IntN(1000), s.image)
		path := w.store.path(s.name)
		writeFile(w.t, path, s.item)
		w.want("", "set-image-data", "-f", path, s.names[0], "item")
	case 1:
		if s.item != "" {
			w.want(s.item, "get-image-data", s.image, "item")
		}
	case 2:
		name := fmt.Sprintf("%s-name%d", s.name, w.random.IntN(5))
		s.names = append([]string{name}, slices.DeleteFunc(s.names, func(n string) bool { return n == name })...)
		w.want("", "add-names", "-n", name, s.image)
		w.want(strings.Join(s.names, "\n")+"\n", "get-names", s.names[len(s.names)-1])
	case 3:
		w.refused("layer is in use by an image", "delete-layer", s.layers[len(s.layers)-1])
		w.refused("that ID is already in use", "create-image", "-i", s.image, "")
	}
}

func (w *worker) removeImage(s *stack) {
	w.t.Helper()
	var removed strings.Builder
	for _, layer := range slices.Backward(s.layers) {
		fmt.Fprintf(&removed, "%s: %s\n", s.image, layer)
	}
	w.want(removed.String(), "delete-image", s.image)
	s.image, s.layers, s.archives = "", nil, nil
}

func (w *worker) makeContainer(s *stack) {
	w.t.Helper()
	words := []string{"create-container", "-i", s.name + "-container", s.names[0]}
	if w.random.IntN(2) == 0 {
		words = slices.Insert(words, 1, "--volatile")
	}
	s.container, s.written = s.name+"-container", ""
	w.want(s.container+"\n", words...)
}

func (w *worker) useContainer(s *stack) {
	w.t.Helper()
	if w.random.IntN(4) == 0 {
		w.refused("image is in use by a container", "delete-image", s.image)
		return
	}
	dir := w.line("mount", s.container)
	file := filepath.Join(dir, "written")
	if got, err := os.ReadFile(file); string(got) != s.written {
		w.fail("%s has %q instead of %q: %v", file, got, s.written, err)
	}
	s.written = fmt.Sprintf("text %d", w.random.IntN(1000))
	if err := os.WriteFile(file, []byte(s.written), 0o600); err != nil {
		w.fail("%v", err)
	}
	w.want(s.container+" mounted\n", "mounted", s.container)
	w.want(s.container+" mountpoint unmounted\n", "unmount", s.container)
}

func (w *worker) removeContainer(s *stack) {
	w.t.Helper()
	if w.random.IntN(2) == 0 {
		w.line("mount", s.container)
	}
	w.want("", "delete-container", s.container)
	w.refused(s.container+": false\n", "exists", "-c", s.container)
	s.container = ""
}

// Why commands on what all loops use may fail.
var (
	gone    = []string{"layer not known", "identifier is not a layer", "image not known", "identifier is not an image"}
	taken   = []string{"that ID is already in use", "that name is already in use"}
	inUse   = []string{"layer has children", "layer is in use", "image is in use"}
	notBusy = slices.Concat(gone, inUse)
)

// useShared does something with what all loops make and delete.
func (w *worker) useShared() {
	w.t.Helper()
	layer, image := fmt.Sprintf("shared-layer%d", w.random.IntN(3)), fmt.Sprintf("shared-image%d", w.random.IntN(3))
	switch w.random.IntN(9) {
	case 0, 1:
		w.maybe(taken, "import-layer", "-i", layer, "-f", testFile(w.t, archives[w.random.IntN(len(archives))]), "base")
	case 2:
		w.maybe(notBusy, "delete-layer", layer)
	case 3:
		w.maybe(slices.Concat(gone, taken), "create-image", "-i", image, "-n", "shared", layer)
	case 4:
		w.maybe(notBusy, "delete-image", image)
	case 5:
		w.maybe(slices.Concat(gone, []string{"not a directory", "no such file"}), "diff", "-u", "-f", w.store.path(w.name+".tar"), layer)
	case 6:
		id := w.name + "-on-shared"
		if w.maybe(gone, "create-layer", "-i", id, layer) {
			w.want("", "delete-layer", id)
		}
	case 7:
		w.maybe(gone, "set-names", "-n", "shared", image)
	case 8:
		id := w.name + "-of-shared"
		if w.maybe(gone, "create-container", "-i", id, image) {
			w.line("mount", id)
			w.want("", "delete-container", id)
		}
	}
}

// look runs a command about the store as a whole.
func (w *worker) look() {
	w.t.Helper()
	commands := [][]string{
		{"layers", "--tree"}, {"images"}, {"containers"}, {"layers", "-j"}, {"storage-layers"}, {"status"}, {"gc"}, {"dedup"}, {"shutdown"}, {"check", "-q"},
	}
	words := commands[w.random.IntN(len(commands))]
	var reasons []string
	if words[0] == "shutdown" {
		reasons = []string{"layer is in use"}
	}
	w.maybe(reasons, words...)
}

// checkAll compares all that the loop has with what it should be.
func (w *worker) checkAll() {
	w.t.Helper()
	for _, s := range w.stacks {
		for _, layer := range s.layers {
			w.want(layer+": true\n", "exists", "-l", layer)
		}
		if s.image != "" {
			w.want(strings.Join(s.names, "\n")+"\n", "get-names", s.image)
		}
		if s.container != "" {
			w.useContainer(s)
		}
	}
}
