package page

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"unicode/utf8"
)

// treemap is a map of the space: each group is a rectangle, and each thing in it
// a rectangle in that.
type treemap struct {
	W, H  float64
	Areas []area
}

// area is the rectangle of a group.
type area struct {
	rect
	Class, Title string
	Heading      string // "" if there is no room
	Tiles        []tile
}

// tile is the rectangle of a thing.
type tile struct {
	rect
	Title string
	Lines []string // as many as there is room for
	Layer int      // index of the layer that it is, or NoParent
}

// The measures of the map, in units of the SVG that are about a pixel each.
const (
	mapWidth, mapHeight = 1080, 480
	areaGap             = 4     // between groups
	headingHeight       = 20    // above the tiles of a group
	lineHeight          = 15    // of text
	letterWidth         = 7.5   // of text, on average
	minTile             = 30    // area of the smallest tile
	minGroup            = 0.002 // part of the map that a group has at least, so that it can be seen
	maxTiles            = 400   // of a group; what is smaller becomes one
)

// draw draws the map.
func (s *space) draw(humanSize func(int64) string) treemap {
	m := treemap{W: mapWidth, H: mapHeight}
	sizes := make([]float64, 0, len(s.Groups))
	for _, g := range s.Groups {
		sizes = append(sizes, max(float64(g.Bytes), float64(s.Bytes)*minGroup))
	}
	for i, r := range squarify(sizes, rect{0, 0, mapWidth, mapHeight}) {
		g := s.Groups[i]
		text := g.Title + ", " + humanSize(g.Bytes)
		a := area{rect: r.inset(areaGap / 2), Class: g.Class, Title: text}
		inner := a.rect
		if inner.H > headingHeight+lineHeight {
			a.Heading = shorten(inner.W-8, text, g.Title)
			inner.Y += headingHeight
			inner.H -= headingHeight
		}
		a.Tiles = g.tiles(inner, humanSize)
		m.Areas = append(m.Areas, a)
	}
	return m
}

// tiles lays what is in a group into a rectangle.
func (g *group) tiles(into rect, humanSize func(int64) string) []tile {
	cells, smallest := g.visible(into)
	sizes := make([]float64, 0, len(cells))
	for _, c := range cells {
		sizes = append(sizes, max(float64(c.Bytes), smallest))
	}
	tiles := make([]tile, 0, len(cells))
	for i, r := range squarify(sizes, into) {
		c := cells[i]
		t := tile{rect: r, Title: c.Title + ": " + humanSize(c.Bytes), Layer: c.Layer}
		if label := shorten(r.W-8, c.Label, path.Base(c.Label)); r.H > lineHeight+4 && label != "" {
			t.Lines = append(t.Lines, label)
		}
		if size := humanSize(c.Bytes); r.H > 2*lineHeight+4 && len(t.Lines) > 0 && fits(size, r.W-8) {
			t.Lines = append(t.Lines, size)
		}
		tiles = append(tiles, t)
	}
	return tiles
}

// visible returns the things that can be seen in a rectangle with one that
// stands for all others, the largest first, and the size that can be seen.
func (g *group) visible(into rect) (cells []cell, smallest float64) {
	smallest = minTile * float64(g.Bytes) / max(into.W*into.H, minTile)
	n := 0
	for n < len(g.Cells) && n < maxTiles && float64(g.Cells[n].Bytes) >= smallest {
		n++
	}
	rest := g.Cells[n:]
	if len(rest) < 2 {
		return g.Cells, smallest
	}
	others := cell{Label: count(len(rest), "smaller "+g.Noun), Layer: NoParent}
	others.Title = others.Label
	for _, c := range rest {
		others.Bytes += c.Bytes
	}
	at, _ := slices.BinarySearchFunc(g.Cells[:n], others, func(a, b cell) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return slices.Insert(slices.Clone(g.Cells[:n]), at, others), smallest
}

// inset returns the rectangle without a margin.
func (r rect) inset(margin float64) rect {
	w, h := max(r.W-2*margin, r.W/2), max(r.H-2*margin, r.H/2)
	return rect{r.X + (r.W-w)/2, r.Y + (r.H-h)/2, w, h}
}

// minLetters is how many letters of a text are worth being shown.
const minLetters = 6

// shorten returns the first of several texts that there is room for, or else the
// beginning of the last one. It returns "" if that would tell nothing.
func shorten(width float64, texts ...string) string {
	for _, text := range texts {
		if fits(text, width) {
			return text
		}
	}
	room := int(width / letterWidth)
	if room < minLetters {
		return ""
	}
	return string([]rune(texts[len(texts)-1])[:room-1]) + "…"
}

// fits tells whether there is room for a text.
func fits(text string, width float64) bool {
	return float64(utf8.RuneCountInString(text))*letterWidth <= width
}

// The attributes of an SVG element, to a tenth of a unit.

func (r rect) Left() string   { return tenths(r.X) }
func (r rect) Top() string    { return tenths(r.Y) }
func (r rect) Width() string  { return tenths(r.W) }
func (r rect) Height() string { return tenths(r.H) }

// TextLeft and TextTop are where the n-th line of text begins.
func (r rect) TextLeft() string { return tenths(r.X + 4) }

// TextTop returns the base line of the n-th line.
func (r rect) TextTop(n int) string { return tenths(r.Y + float64(n+1)*lineHeight) }

func tenths(x float64) string { return fmt.Sprint(math.Round(x*10) / 10) }
