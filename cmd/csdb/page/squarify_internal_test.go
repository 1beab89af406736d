package page

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSquarifyFillsTheRectangle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.Float64Range(1, 1e6), 1, 60).Draw(t, "sizes")
		slices.SortFunc(sizes, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
		into := rect{3, 5, rapid.Float64Range(10, 2000).Draw(t, "width"), rapid.Float64Range(10, 2000).Draw(t, "height")}
		var sum float64
		for _, size := range sizes {
			sum += size
		}
		rects := squarify(sizes, into)
		if len(rects) != len(sizes) {
			t.Fatalf("%d rectangles for %d sizes", len(rects), len(sizes))
		}
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-6*(1+math.Abs(b)) }
		for i, r := range rects {
			if want := sizes[i] / sum * into.W * into.H; !near(r.W*r.H, want) {
				t.Errorf("area %v of %v, want %v", r.W*r.H, r, want)
			}
			if r.X < into.X-1e-6 || r.Y < into.Y-1e-6 || r.X+r.W > into.X+into.W+1e-6 || r.Y+r.H > into.Y+into.H+1e-6 {
				t.Errorf("%v leads out of %v", r, into)
			}
			for _, other := range rects[:i] {
				if overlap(r, other) {
					t.Errorf("%v and %v overlap", r, other)
				}
			}
		}
	})
}

func overlap(a, b rect) bool {
	const slack = 1e-6
	return a.X+slack < b.X+b.W && b.X+slack < a.X+a.W && a.Y+slack < b.Y+b.H && b.Y+slack < a.Y+a.H
}

// The example of the paper.
func TestSquarifyMakesSquares(t *testing.T) {
	for i, r := range squarify([]float64{6, 6, 4, 3, 2, 2, 1}, rect{0, 0, 6, 4}) {
		if ratio := max(r.W/r.H, r.H/r.W); ratio > 2.8 {
			t.Errorf("rectangle %d is %v: %.1f times as long as wide", i, r, ratio)
		}
	}
}

func TestMapOfExtremeSizes(t *testing.T) {
	for name, sizes := range map[string][]int64{
		"one byte and very much": {1 << 62, 1},
		"one byte":               {1},
		"all alike":              slices.Repeat([]int64{7}, 3000),
		"some of everything":     {1 << 50, 1 << 40, 1 << 30, 1 << 20, 1 << 10, 1},
	} {
		p := Page{TarSplits: 1, HumanSize: func(int64) string { return "size" }}
		for _, size := range sizes {
			p.Layers = append(p.Layers, Layer{ID: "id", Short: "id", Parent: NoParent, Size: size})
		}
		s := p.divide(arrange(p.Layers))
		for _, a := range s.Map.Areas {
			if len(a.Tiles) == 0 || len(a.Tiles) > maxTiles+1 {
				t.Errorf("%s: %d tiles in %s", name, len(a.Tiles), a.Title)
			}
			for _, tile := range a.Tiles {
				if bad := tile.rect; !(bad.X >= 0 && bad.Y >= 0 && bad.W > 0 && bad.H > 0 && bad.X+bad.W <= mapWidth+1 && bad.Y+bad.H <= mapHeight+1) {
					t.Errorf("%s: tile %+v", name, bad)
				}
			}
		}
	}
}
