package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// grown makes a forest of layers that are given as "id" or "id:parent", in the
// order of their creation.
func grown(layers ...string) *forest {
	f := &forest{nodes: make(map[model.LayerID]*layerNode)}
	var order []*layerNode
	for _, layer := range layers {
		id, parent, _ := strings.Cut(layer, ":")
		n := &layerNode{object: object{Kind: model.KindLayer, ID: id, Parent: model.LayerID(parent), content: 1}}
		f.nodes[model.LayerID(id)] = n
		order = append(order, n)
	}
	f.join(order)
	return f
}

func draw(f *forest, all bool) string {
	var out strings.Builder
	d := drawing{out: &out, lines: linesFor(func(string) string { return "" }), all: all}
	d.forest(f)
	return out.String()
}

func TestDrawing(t *testing.T) {
	image := object{Kind: model.KindImage, ID: "i", Names: []string{"app:1"}, Layer: "c"}
	container := object{Kind: model.KindContainer, ID: "k", Layer: "d"}
	for _, test := range []struct {
		name   string
		layers []string
		users  []object
		all    bool
		want   string
	}{
		{"nothing", nil, nil, false, ""},
		{"single layers", []string{"a", "b"}, nil, false, "a  1B\nb  1B\n"},
		{"row of two", []string{"a", "b:a"}, nil, false, "a  1B\n`- b  1B\n"},
		{"row of three", []string{"a", "b:a", "c:b"}, nil, false, "a ... c  3 layers, 3B\n"},
		{"row of three, all of it", []string{"a", "b:a", "c:b"}, nil, true, "a  1B\n`- b  1B\n   `- c  1B\n"},
		{"row below a fork", []string{"a", "b:a", "c:b", "d:c", "e:c"}, nil, false, "a ... c  3 layers, 3B\n|- d  1B\n`- e  1B\n"},
		{
			"image in a row ends it",
			[]string{"a", "b:a", "c:b", "d:c", "e:d", "f:e"},
			[]object{image},
			false,
			"a ... c  3 layers, 3B\n|- image i (app:1)\n`- d ... f  3 layers, 3B\n",
		},
		{"container with its layer", []string{"a", "d:a"}, []object{container}, false, "a  1B\n`- container k, layer d  1B\n"},
		{"container with its layer, all of it", []string{"a", "d:a"}, []object{container}, true, "a  1B\n`- d  1B\n   `- container k\n"},
		{"container whose layer has children", []string{"d", "e:d"}, []object{container}, false, "d  1B\n|- container k\n`- e  1B\n"},
		{"missing parent", []string{"b:a", "c:b"}, nil, false, "b  1B, its parent a has no record that can be read\n`- c  1B\n"},
		{"own parent", []string{"a:a"}, nil, false, "a  1B, it is its own ancestor, or lies on one that is\n"},
		{
			"circle with a tail",
			[]string{"t:a", "a:b", "b:a"},
			nil, false,
			"t  1B, it is its own ancestor, or lies on one that is\na  1B, it is its own ancestor, or lies on one that is\n`- b  1B\n",
		},
		{"image without a layer", nil, []object{{Kind: model.KindImage, ID: "i"}}, false, "image i\n"},
		{"image whose layer is missing", nil, []object{image}, false, "image i (app:1): its layer c has no record that can be read\n"},
		{
			"mapped variants",
			[]string{"c", "m"},
			[]object{{Kind: model.KindImage, ID: "i", Layer: "c", Mapped: []model.LayerID{"m"}}},
			false,
			"c  1B\n`- image i\nm  1B\n`- image i\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := grown(test.layers...)
			for _, user := range test.users {
				f.place(user)
			}
			if diff := cmp.Diff(test.want, draw(f, test.all)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPrunedTreeHasWhatTheLayerLiesOnAndWhatLiesOnIt(t *testing.T) {
	for layer, want := range map[model.LayerID]string{
		"a": "a  1B\n|- b  1B\n|  |- c  1B\n|  `- d  1B\n`- e  1B\n",
		"b": "a  1B\n`- b  1B\n   |- c  1B\n   `- d  1B\n",
		"d": "a  1B\n`- b  1B\n   `- d  1B\n",
		"f": "f  1B\n",
		"x": "",
	} {
		f := grown("a", "b:a", "c:b", "d:b", "e:a", "f")
		f.prune(layer)
		if diff := cmp.Diff(want, draw(f, true)); diff != "" {
			t.Errorf("%s: %s", layer, diff)
		}
	}
}

func TestDeepTreesAreDrawn(t *testing.T) {
	const depth = 20_000
	layers := []string{"0"}
	for i := range depth {
		layers = append(layers, fmt.Sprintf("%d:%d", i+1, i))
	}
	f := grown(layers...)
	if got, want := draw(f, false), fmt.Sprintf("0 ... %d  %d layers, 20kB\n", depth, depth+1); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	flat := f.flatten().Layers
	if len(flat) != depth+1 || flat[depth].Depth != depth {
		t.Errorf("%d layers in the list", len(flat))
	}
	if _, err := json.Marshal(flat); err != nil {
		t.Error(err)
	}
}

func TestTreeOfASeriousStore(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	must(t, store.Update(t.Context(), func(tx *graph.Tx) error {
		for i := range 300 {
			if _, err := tx.CreateLayer(graph.LayerSpec{ID: model.LayerID(fmt.Sprint("many-", i)), Parent: baseLayer}); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, store.Close())
	dbtest.FlipBit(t, s.path(db.FileName), "layers", "many-150")
	r := s.csdb(t, "tree")
	if lines := strings.Count(r.stdout, "many-"); lines != 299 || r.status != exitDamaged {
		t.Errorf("%d layers, status %d, %q", lines, r.status, r.stderr)
	}
}

func TestTreesNeedNoUnicode(t *testing.T) {
	for locale, unicode := range map[string]bool{
		"": false, "C": false, "POSIX": false, "de_DE.ISO-8859-1": false, "C.UTF-8": true, "en_US.utf8": true,
	} {
		got := linesFor(func(name string) string { return map[string]string{"LANG": locale}[name] })
		if (got.branch == "├─ ") != unicode {
			t.Errorf("locale %q: %q", locale, got.branch)
		}
	}
	got := linesFor(func(name string) string { return map[string]string{"LANG": "C.UTF-8", "LC_ALL": "C"}[name] })
	if got.branch != "|- " {
		t.Errorf("LC_ALL does not prevail: %q", got.branch)
	}
}
