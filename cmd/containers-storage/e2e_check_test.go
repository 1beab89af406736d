package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScriptChecksAndDeletesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, s script)
		want   []string // in what is printed
		// kept tells that a container is damaged, which goes only by force.
		kept bool
		left string // by layers, images and containers in the end
	}{
		{
			name: "changed file",
			damage: func(t *testing.T, s script) {
				s.onMount(t, "lay", func(dir string) error { return os.WriteFile(filepath.Join(dir, "a"), []byte("HELLO\n"), 0o644) })
			},
			want: []string{"layer lay:\n", " layer lay: layer content incorrect digest", `layer lay: file integrity checksum failed for "a"`, "image im:\n layer lay: "},
		},
		{
			name: "added file",
			damage: func(t *testing.T, s script) {
				s.onMount(t, "lay", func(dir string) error { return os.WriteFile(filepath.Join(dir, "datafile3"), nil, 0o644) })
			},
			want: []string{"layer lay:\n layer lay: +/datafile3, layer content modified\nimage im:\n layer lay: +/datafile3, layer content modified\n"},
		},
		{
			name:   "layer that was deleted",
			damage: func(t *testing.T, s script) { s.ok(t, "delete", "lay") },
			want:   []string{"image im:\n image im: layer lay: image layer is missing\n"},
		},
		{
			name: "parent that was deleted",
			damage: func(t *testing.T, s script) {
				s.ok(t, "create-layer", "-i", "child", "lay")
				s.ok(t, "create-image", "-i", "on", "child")
				s.ok(t, "delete", "lay")
			},
			want: []string{"layer child:\n layer lay: layer is missing\n", "image on:\n layer lay: layer is missing\n"},
		},
		{
			name:   "data item of a layer that is missing",
			damage: func(t *testing.T, s script) { s.damageItem(t, "layers/lay", false) },
			want:   []string{`layer lay: data item "datafile": layer data item is missing`, "image im:\n layer lay: data item"},
		},
		{
			name:   "data item of an image that is missing",
			damage: func(t *testing.T, s script) { s.damageItem(t, "images/im", false) },
			want:   []string{"image im:\n image im: data item \"datafile\": image data item is missing\n"},
		},
		{
			name:   "data item of an image that is too long",
			damage: func(t *testing.T, s script) { s.damageItem(t, "images/im", true) },
			want:   []string{"image im:\n image im: data item \"datafile\": image data item has incorrect size\n"},
		},
		{
			name: "data item of a container that is missing",
			damage: func(t *testing.T, s script) {
				s.container(t)
				s.damageItem(t, "containers/co", false)
			},
			want: []string{"container co:\n container co: data item \"datafile\": container data item is missing\n"}, kept: true, left: "lay im",
		},
		{
			name: "data item of a container that is too long",
			damage: func(t *testing.T, s script) {
				s.container(t)
				s.damageItem(t, "containers/co", true)
			},
			want: []string{"container co:\n container co: data item \"datafile\": container data item has incorrect size\n"}, kept: true, left: "lay im",
		},
		{
			name: "image that was deleted",
			damage: func(t *testing.T, s script) {
				s.container(t)
				s.ok(t, "delete", "im")
			},
			want: []string{"container co:\n image im: image missing\n"}, kept: true, left: "lay",
		},
		{
			name: "layer of an image with a container",
			damage: func(t *testing.T, s script) {
				s.container(t)
				s.damageItem(t, "layers/lay", false)
			},
			want: []string{"container co:\n layer lay: data item", "image is in use by a container"}, kept: true,
		},
		{
			name: "layers that only the driver knows",
			damage: func(t *testing.T, s script) {
				s.ok(t, "create-storage-layer", "-i", "one")
				s.ok(t, "create-storage-layer", "-i", "two", "one")
			},
			want: []string{
				"layer one:\n layer one: layer in lower level storage driver not accounted for\n",
				"layer two:\n layer two: layer in lower level storage driver not accounted for\n",
			},
			left: "lay im",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			forEachDriver(t, func(t *testing.T, s script) {
				s.ok(t, "import-layer", "-i", "lay", "-f", testFile(t, "base.tar"))
				s.ok(t, "create-image", "-i", "im", "lay")
				for _, object := range []string{"layer lay", "image im"} {
					kind, id, _ := strings.Cut(object, " ")
					s.ok(t, "set-"+kind+"-data", "-f", testFile(t, "other.json"), id, "datafile")
				}
				s.wantOutput(t, "", "check")
				test.damage(t, s)
				for _, want := range test.want[:1] {
					s.wantFailure(t, want, "check")
				}
				output, status := s.try(t, "check", "-r")
				for _, want := range test.want {
					if !strings.Contains(output, want) {
						t.Errorf("check -r printed %q without %q", output, want)
					}
				}
				if (status == exitFailed) != test.kept || !test.kept && status != 0 {
					t.Errorf("check -r: exit status %d", status)
				}
				if test.kept {
					s.wantFailure(t, " 1 container errors\n", "check")
					s.ok(t, "check", "-r", "-f")
				}
				s.wantOutput(t, "", "check")
				left := s.ok(t, "layers", "-q") + s.ok(t, "images", "-q") + s.ok(t, "containers")
				if got := strings.Join(strings.Fields(left), " "); got != test.left {
					t.Errorf("%q is left, want %q", got, test.left)
				}
			})
		})
	}
}

// onMount changes a layer where it is mounted.
func (s script) onMount(t *testing.T, id string, change func(dir string) error) {
	t.Helper()
	if err := change(s.line(t, "mount", id)); err != nil {
		t.Fatal(err)
	}
	s.ok(t, "unmount", id)
}

// container makes a container with a data item.
func (s script) container(t *testing.T) {
	t.Helper()
	s.ok(t, "create-container", "-i", "co", "im")
	s.ok(t, "set-container-data", "-f", testFile(t, "other.json"), "co", "datafile")
}

// damageItem removes the file of a data item, or makes it longer.
func (s script) damageItem(t *testing.T, object string, longer bool) {
	t.Helper()
	path := filepath.Join(s.root, s.driver+"-"+object, "datafile")
	if !longer {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString("more")
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestScriptDeletesLayersThatNothingUses(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.ok(t, "import-layer", "-i", "used", "-f", testFile(t, "base.tar"))
		s.ok(t, "create-image", "-i", "image", "used")
		s.ok(t, "create-container", "-i", "container", "image")
		for _, words := range [][]string{{"check"}, {"check", "-r"}, {"check", "-m", "0"}, {"check", "-r", "-m", "0"}} {
			s.wantOutput(t, "", words...)
		}
		s.ok(t, "create-layer", "-i", "lone")
		s.ok(t, "create-layer", "-i", "above", "lone")
		s.wantOutput(t, "", "check", "-r") // they are not old
		s.ok(t, "exists", "-q", "-l", "lone", "above")
		output := s.ok(t, "check", "-r", "-m", "0")
		for _, id := range []string{"lone", "above"} {
			if want := "layer " + id + ": layer not referenced by any images or containers\n"; !strings.Contains(output, want) {
				t.Errorf("check -r -m 0 printed %q without %q", output, want)
			}
			s.fails(t, "exists", "-q", "-l", id)
		}
		s.ok(t, "exists", "-q", "used", "container")
		s.wantOutput(t, "", "check")
	})
}
