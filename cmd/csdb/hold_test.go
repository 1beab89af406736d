package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// newImageStore makes a store with the image store images, in which the image "far"
// is, of which there are a container and a volatile one.
func newImageStore(t *testing.T) (root, runRoot, images string) {
	t.Helper()
	dir := t.TempDir()
	root, runRoot, images = filepath.Join(dir, "root"), filepath.Join(dir, "run"), filepath.Join(dir, "images")
	store, err := graph.Open(t.Context(), graph.Options{Root: root, RunRoot: runRoot, Driver: "vfs", ImageStore: images})
	must(t, err)
	_, err = store.CreateLayer(t.Context(), graph.LayerSpec{ID: "far-layer"})
	must(t, err)
	_, err = store.CreateImage(t.Context(), graph.ImageSpec{ID: "far", TopLayer: "far-layer", Names: []string{"far:1"}})
	must(t, err)
	for id, volatile := range map[model.ContainerID]bool{"near": false, "lost": true} {
		_, err = store.CreateContainer(t.Context(), graph.ContainerSpec{ID: id, Image: "far", Volatile: volatile})
		must(t, err)
	}
	must(t, store.Close())
	return root, runRoot, images
}

func TestWhatStoresNeedOfEachOtherIsShown(t *testing.T) {
	root, runRoot, images := newImageStore(t)
	for words, want := range map[string][]string{
		root + " info":                    {"Volatile in:", runRoot, "Needs:", "of the store " + images},
		root + " ls":                      {"near", "lost"},
		root + " fsck":                    {"clean: 0 damaged, 0 repairable, 0 for information"},
		root + " tree":                    {"its parent far-layer is in the store " + images + "\n"},
		images + " info":                  {"Needed:", "by the store " + root},
		images + " refs --kind image far": {"cannot be deleted before\n", "what needs it in the store " + root + "\n", "what needs it in the store " + root + " with run root " + runRoot + "\n"},
		images + " hold list":             {"image far", root + " with run root " + runRoot},
		images + " fsck --other " + root:  {"clean: 0 damaged, 0 repairable, 0 for information"},
	} {
		store, command, _ := strings.Cut(words, " ")
		r := csdb(t, append([]string{"--root", store, "--runroot", runRoot}, strings.Fields(command)...)...)
		if r.status != exitOK {
			t.Errorf("%s: %+v", words, r)
		}
		for _, text := range want {
			if !strings.Contains(r.stdout, text) {
				t.Errorf("%s: %q is missing in\n%s", words, text, r.stdout)
			}
		}
	}
}

func TestHoldsOfAStoreAreRemoved(t *testing.T) {
	root, runRoot, images := newImageStore(t)
	call := func(words ...string) result {
		return csdb(t, append([]string{"--root", images, "--runroot", runRoot}, words...)...)
	}
	var list []listedHold
	holds := func() int {
		t.Helper()
		r := call("hold", "list", "--json")
		if err := json.Unmarshal([]byte(r.stdout), &list); err != nil || r.status != exitOK {
			t.Fatalf("%v: %+v", err, r)
		}
		return len(list)
	}
	all := holds()
	for _, words := range [][]string{{"--store", "/nowhere"}, {"--store", root, "unicorn"}, {}} {
		if r := call(append([]string{"hold", "remove"}, words...)...); r.status != exitFailed || holds() != all {
			t.Errorf("%q: %+v", words, r)
		}
	}
	uuid, err := db.ReadMarker(root)
	must(t, err)
	if r := call("hold", "remove", "--store", uuid, "far:1"); r.stdout != "1 hold ended\n" || holds() != all-1 {
		t.Errorf("by UUID: %+v", r)
	}
	if r := call("hold", "rm", "--store", root+"/"); r.status != exitOK || holds() != 0 {
		t.Errorf("by graph root: %+v", r)
	}
	if r := call("fsck", "--other", root); r.status != exitRepairable || !strings.Contains(r.stdout, "REF-UNHELD") {
		t.Errorf("fsck: %+v", r)
	}
	if r := call("repair", "--other", root, "--yes"); r.status != exitOK || holds() == 0 {
		t.Errorf("repair: %+v", r)
	}
}
