package rescue

import (
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/model"
)

func layerWith(id, parent, diff string) *model.Layer {
	return &model.Layer{ID: model.LayerID(id), Parent: model.LayerID(parent), Diff: &model.Diff{Digest: digest.Digest(diff)}}
}

func TestTopLayerHasExactlyTheDiffsOfTheImage(t *testing.T) {
	layers := []*model.Layer{
		layerWith("base", "", "one"), layerWith("middle", "base", "two"), layerWith("top", "middle", "three"),
		layerWith("other", "", "two"), layerWith("orphan", "nobody", "four"), layerWith("alone", "", "five"),
	}
	for _, c := range []struct {
		name         string
		diffs        []digest.Digest
		own, copying model.LayerID // by drivers whose layers have parents, and by those that copy them
	}{
		{"all", []digest.Digest{"one", "two", "three"}, "top", "top"},
		{"a part", []digest.Digest{"one", "two"}, "middle", "middle"},
		{"one", []digest.Digest{"two"}, "other", "other"},
		{"one too many at the bottom", []digest.Digest{"zero", "one", "two", "three"}, "", ""},
		{"one too few at the bottom", []digest.Digest{"two", "three"}, "", ""},
		{"another one", []digest.Digest{"one", "x", "three"}, "", ""},
		{"unknown", []digest.Digest{"unknown"}, "", ""},
		{"no parent", []digest.Digest{"one", "four"}, "", ""},
		{"a copy", []digest.Digest{"one", "two", "five"}, "", "alone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for copies, want := range map[bool]model.LayerID{false: c.own, true: c.copying} {
				all := newChains(layers, copies)
				if got := all.top(c.diffs); got != want {
					t.Errorf("copies %v: %q, want %q", copies, got, want)
				}
			}
		})
	}
}
