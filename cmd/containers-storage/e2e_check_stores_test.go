package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/testutil"
)

// lent makes a layer and an image, each with a data item, and ends the use of the
// store.
func (s script) lent(t *testing.T) {
	t.Helper()
	s.ok(t, "import-layer", "-i", "lay", "-f", testFile(t, "base.tar"))
	s.ok(t, "create-image", "-i", "im", "lay")
	for _, words := range [][]string{{"set-layer-data", "lay"}, {"set-image-data", "im"}} {
		s.ok(t, words[0], "-f", testFile(t, "other.json"), words[1], "datafile")
	}
	s.wantOutput(t, "", "shutdown")
}

// reading returns the store with another one that is only read.
func (s script) reading(other script) script {
	return s.with("--storage-opt=" + s.driver + ".imagestore=" + other.root)
}

func TestScriptChecksAdditionalStores(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, other script)
		want   []string // in what is printed, none if nothing is wrong
		counts string
	}{
		{name: "nothing", damage: func(*testing.T, script) {}},
		{
			name: "layers that only the driver knows",
			damage: func(t *testing.T, other script) {
				other.ok(t, "create-storage-layer", "-i", "one")
				other.ok(t, "create-storage-layer", "-i", "two", "one")
			},
		},
		{name: "layers that nothing uses", damage: func(t *testing.T, other script) {
			other.ok(t, "create-layer", "-i", "idle")
			other.ok(t, "create-layer", "-i", "idler", "idle")
		}},
		{
			name: "changed file",
			damage: func(t *testing.T, other script) {
				other.onMount(t, "lay", func(dir string) error { return os.WriteFile(filepath.Join(dir, "a"), []byte("HELLO\n"), 0o644) })
			},
			want: []string{
				"read-only layer lay:\n read-only layer lay: layer content incorrect digest", `read-only layer lay: file integrity checksum failed for "a"`,
				"read-only image im:\n read-only layer lay: ",
			},
			counts: "0 layer errors, 1 read-only layer errors, 0 image errors, 1 read-only image errors, 0 container errors\n",
		},
		{
			name:   "layer that was deleted",
			damage: func(t *testing.T, other script) { other.ok(t, "delete", "lay") },
			want:   []string{"read-only image im:\n read-only image im: layer lay: image layer is missing\n"},
			counts: "0 layer errors, 0 read-only layer errors, 0 image errors, 1 read-only image errors, 0 container errors\n",
		},
		{
			name: "parent that was deleted",
			damage: func(t *testing.T, other script) {
				other.ok(t, "create-layer", "-i", "child", "lay")
				other.ok(t, "delete", "im")
				other.ok(t, "delete", "lay")
			},
			want:   []string{"read-only layer child:\n read-only layer lay: layer is missing\n"},
			counts: "0 layer errors, 1 read-only layer errors, 0 image errors, 0 read-only image errors, 0 container errors\n",
		},
		{
			name:   "data item of a layer that is missing",
			damage: func(t *testing.T, other script) { other.damageItem(t, "layers/lay", false) },
			want: []string{
				"read-only layer lay:\n read-only layer lay: data item \"datafile\": layer data item is missing\n",
				"read-only image im:\n read-only layer lay: data item",
			},
			counts: "0 layer errors, 1 read-only layer errors, 0 image errors, 1 read-only image errors, 0 container errors\n",
		},
		{
			name:   "data item of an image that is missing",
			damage: func(t *testing.T, other script) { other.damageItem(t, "images/im", false) },
			want:   []string{"read-only image im:\n read-only image im: data item \"datafile\": image data item is missing\n"},
			counts: "0 layer errors, 0 read-only layer errors, 0 image errors, 1 read-only image errors, 0 container errors\n",
		},
		{
			name:   "data item of an image that is too long",
			damage: func(t *testing.T, other script) { other.damageItem(t, "images/im", true) },
			want:   []string{"read-only image im:\n read-only image im: data item \"datafile\": image data item has incorrect size\n"},
			counts: "0 layer errors, 0 read-only layer errors, 0 image errors, 1 read-only image errors, 0 container errors\n",
		},
		{
			name: "containers, which nobody sees",
			damage: func(t *testing.T, other script) {
				other.container(t)
				other.damageItem(t, "containers/co", false)
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			forEachDriver(t, func(t *testing.T, s script) {
				other := s.beside("ro-root")
				other.lent(t)
				test.damage(t, other)
				other.ok(t, "shutdown")
				before := testutil.Snapshot(t, other.root)
				both := s.reading(other)
				for _, words := range [][]string{{"check", "-m", "0"}, {"check", "-r", "-m", "0"}, {"check", "-r", "-f", "-q", "-m", "0"}} {
					if len(test.want) == 0 {
						both.wantOutput(t, "", words...)
						continue
					}
					both.wantFailure(t, test.counts, words...)
					output, _ := both.try(t, words...)
					for _, want := range test.want {
						if !strings.Contains(output, want) {
							t.Errorf("%q printed %q without %q", words, output, want)
						}
					}
				}
				s.wantOutput(t, "", "check")
				if diff := cmp.Diff(before, testutil.Snapshot(t, other.root)); diff != "" {
					t.Errorf("the additional store has been changed:\n%s", diff)
				}
			})
		})
	}
}

// What is wrong in the store itself is found and deleted beside a sound one that
// is only read, which has objects with the same IDs.
func TestScriptChecksAndDeletesBesideAnAdditionalStore(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		other := s.beside("ro-root")
		other.lent(t)
		both := s.reading(other)
		both.ok(t, "create-storage-layer", "-i", "one")
		both.ok(t, "create-storage-layer", "-i", "two", "one")
		output := both.ok(t, "check", "-r")
		for _, id := range []string{"one", "two"} {
			if want := "layer " + id + ":\n layer " + id + ": layer in lower level storage driver not accounted for\n"; !strings.Contains(output, want) {
				t.Errorf("check -r printed %q", output)
			}
		}
		s.wantOutput(t, "", "storage-layers")
		both.wantOutput(t, "lay\n", "layers", "-q")

		both.ok(t, "create-layer", "-i", "on", "lay")
		both.wantOutput(t, "", "check")
		both.wantFailure(t, "layer on: layer not referenced by any images or containers", "check", "-m", "0")
		both.ok(t, "check", "-r", "-m", "0")
		both.wantFailure(t, "", "exists", "-l", "on")
		both.wantOutput(t, "", "check")

		both.ok(t, "add-names", "-n", "mine", "im") // the image is copied, and stands before the other one
		other.damageItem(t, "images/im", false)
		both.wantOutput(t, "", "check")
		other.ok(t, "set-image-data", "-f", testFile(t, "other.json"), "im", "datafile")
		s.damageItem(t, "images/im", false)
		both.wantFailure(t, "image im:\n image im: data item \"datafile\": image data item is missing\n", "check")
		both.ok(t, "check", "-r")
		both.wantOutput(t, "", "check")
		both.wantFailure(t, "", "exists", "-i", "mine")
		both.ok(t, "exists", "-i", "im")
	})
}

func TestScriptChecksContainersOfAdditionalStores(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		other := s.beside("ro-root")
		other.lent(t)
		both := s.reading(other)
		both.ok(t, "create-container", "-i", "co", "im")
		_, layer, _ := strings.Cut(both.ok(t, "container", "co"), "Layer: ")
		layer, _, _ = strings.Cut(layer, "\n")
		both.wantOutput(t, "", "check", "-r")

		other.damageItem(t, "layers/lay", false)
		const text = "read-only layer lay: data item \"datafile\": layer data item is missing\n"
		both.wantFailure(t, "read-only layer lay:\n "+text+"read-only image im:\n "+text+"container co:\n "+text, "check")
		both.wantFailure(t, "1 container errors", "check", "-r")
		both.wantFailure(t, "0 layer errors, 1 read-only layer errors, 0 image errors, 1 read-only image errors, 1 container errors\n", "check")
		other.ok(t, "set-layer-data", "-f", testFile(t, "other.json"), "lay", "datafile")
		both.wantOutput(t, "", "check")

		other.ok(t, "delete", "im")
		other.ok(t, "delete", "lay")
		other.ok(t, "shutdown")
		both.wantFailure(t, "container co:\n", "check")
		output, status := both.try(t, "check", "-r")
		for _, want := range []string{"image im: image missing", "layer " + layer + " used by container co: layer is in use by a container", "1 container errors"} {
			if !strings.Contains(output, want) || status != exitFailed {
				t.Errorf("check -r: status %d, printed %q without %q", status, output, want)
			}
		}
		both.wantFailure(t, "container co:\n", "check")
		both.ok(t, "check", "-r", "-f")
		both.wantOutput(t, "", "check")
		both.wantOutput(t, "", "containers")
	})
}

func TestScriptChecksTheImageStore(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		images := s.beside("images")
		split := s.with("--image-store", images.root)
		split.lent(t)
		split.ok(t, "create-container", "-i", "co", "im")
		split.wantOutput(t, "", "check", "-r")
		images.wantOutput(t, "", "check")
		s.wantOutput(t, "", "check")
		images.damageItem(t, "images/im", true)
		text := "image im:\n image im: data item \"datafile\": image data item has incorrect size\ncontainer co:\n image im: data item"
		split.wantFailure(t, text, "check")
		split.wantFailure(t, "0 layer errors, 0 read-only layer errors, 1 image errors, 0 read-only image errors, 1 container errors\n", "check")
		split.ok(t, "check", "-r", "-f")
		split.wantOutput(t, "", "check")
		if left := split.ok(t, "images") + split.ok(t, "containers"); left != "" {
			t.Errorf("left: %q", left)
		}
		split.ok(t, "wipe")
	})
}

func TestCheckInJSONKnowsReadOnlyStores(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	root := s.root
	s.ok(t, "import-layer", "--id", "lay", "-f", testFile(t, "base.tar"))
	s.ok(t, "create-image", "--id", "im", "lay")
	s.ok(t, "set-layer-data", "-f", testFile(t, "other.json"), "lay", "datafile")
	if err := os.Remove(filepath.Join(root, "vfs-layers", "lay", "datafile")); err != nil {
		t.Fatal(err)
	}
	reader := newLocalStore(t)
	roots := []string{"--graph", reader.root, "--run", reader.runRoot, "--storage-driver", "vfs"}
	r := reader.run(t, append(roots, "--storage-opt=vfs.imagestore="+root, "check", "--json")...)
	want := `{"Layers":{},"ROLayers":{"lay":[{}]},"Images":{},"ROImages":{"im":[{}]},"Containers":{}}` + "\n"
	if r.status != exitFailed || r.stdout != want {
		t.Errorf("got %+v", r)
	}
}
