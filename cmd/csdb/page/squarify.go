package page

import "slices"

// rect is a rectangle.
type rect struct{ X, Y, W, H float64 }

// squarify divides a rectangle into as many as there are sizes, whose areas are
// in proportion and which are as square as can be. The sizes are positive and the
// largest comes first. This is the algorithm of Bruls, Huizing and van Wijk,
// "Squarified Treemaps" (2000): rows are laid along the shorter side, and a row
// gets another rectangle as long as that makes none in it longer.
func squarify(sizes []float64, into rect) []rect {
	var sum float64
	for _, size := range sizes {
		sum += size
	}
	rects := make([]rect, 0, len(sizes))
	scale := into.W * into.H / sum
	for rest := sizes; len(rest) > 0; {
		side := min(into.W, into.H)
		n := 1
		for n < len(rest) && worst(rest[:n+1], scale, side) <= worst(rest[:n], scale, side) {
			n++
		}
		var row []rect
		row, into = lay(rest[:n], scale, into)
		rects = append(rects, row...)
		rest = rest[n:]
	}
	return rects
}

// worst returns how much longer than wide a rectangle of a row is at most.
func worst(row []float64, scale, side float64) float64 {
	var sum float64
	for _, size := range row {
		sum += size * scale
	}
	largest, smallest := slices.Max(row)*scale, slices.Min(row)*scale
	return max(side*side*largest/(sum*sum), sum*sum/(side*side*smallest))
}

// lay lays a row along the shorter side, and returns what is left.
func lay(row []float64, scale float64, into rect) (rects []rect, left rect) {
	var sum float64
	for _, size := range row {
		sum += size * scale
	}
	if into.W >= into.H {
		width := sum / into.H
		y := into.Y
		for _, size := range row {
			height := size * scale / width
			rects = append(rects, rect{into.X, y, width, height})
			y += height
		}
		return rects, rect{into.X + width, into.Y, max(into.W-width, 0), into.H}
	}
	height := sum / into.W
	x := into.X
	for _, size := range row {
		width := size * scale / height
		rects = append(rects, rect{x, into.Y, width, height})
		x += width
	}
	return rects, rect{into.X, into.Y + height, into.W, max(into.H-height, 0)}
}
