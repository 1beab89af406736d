package page_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/csdb/csdb/cmd/csdb/page"
)

// many is a number of layers that takes a page to its limits.
const many = 2000

// grow makes layers, of which each lies on the one that parent tells.
func grow(parent func(i int) int) []page.Layer {
	layers := make([]page.Layer, many)
	for i := range layers {
		layers[i] = page.Layer{ID: fmt.Sprintf("%064x", i), Short: fmt.Sprintf("%012x", i), Parent: parent(i), Size: int64(i * i)}
	}
	return layers
}

// use puts an image on every n-th layer.
func use(layers []page.Layer, n int) []page.Layer {
	for i := 0; i < len(layers); i += n {
		layers[i].Users = []page.User{{Kind: page.Image, ID: fmt.Sprint("image-", i), Short: fmt.Sprint("image-", i)}}
	}
	return layers
}

func TestManyLayers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		name   string
		layers []page.Layer
	}{
		{"a chain", grow(func(i int) int { return i - 1 })},
		{"a chain in which all are used", use(grow(func(i int) int { return i - 1 }), 1)},
		{"no two on each other", grow(func(int) int { return page.NoParent })},
		{"all on one", use(grow(func(i int) int { return min(i, 1) - 1 }), 1)},
		{"a chain with one beside each", use(grow(func(i int) int { return i - 2 + i%2 }), 2)},
		{"two on each", grow(func(i int) int { return (i+1)/2 - 1 })},
		{"each on any one before", use(grow(func(i int) int { return random.IntN(i+1) - 1 }), 5)},
		{"each on one of the last before", use(grow(func(i int) int { return max(i-1-random.IntN(4), -1) }), 3)},
	} {
		t.Run(test.name, func(t *testing.T) {
			html := render(t, &page.Page{Layers: test.layers})
			// Browsers cut off what is nested more than 512 deep.
			const maxDepth, maxSize = 400, 4 << 20
			if len(html) > maxSize {
				t.Errorf("the page has %d bytes", len(html))
			}
			seen, open := 0, 0
			for _, e := range parse(t, html) {
				if e.depth > maxDepth {
					t.Fatalf("<%s> is nested %d deep", e.name, e.depth)
				}
				if strings.HasPrefix(e.attrs["id"], "layer-") {
					seen++
				}
				if _, isOpen := e.attrs["open"]; isOpen {
					open++
				}
			}
			if seen != many {
				t.Errorf("%d layers are shown", seen)
			}
			if open > 100 {
				t.Errorf("%d branches are open", open)
			}
		})
	}
}

func TestChainsAreFolded(t *testing.T) {
	layers := grow(func(i int) int { return i - 1 })
	html := render(t, &page.Page{Layers: use(layers, many-1)})
	if want := fmt.Sprintf("<summary>%d layers, ", many-2); !strings.Contains(html, want) {
		t.Errorf("%q is missing", want)
	}
}
