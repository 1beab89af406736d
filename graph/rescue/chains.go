package rescue

import (
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/model"
)

// chains finds layers by the diffs that they and their ancestors have.
type chains struct {
	byID   map[model.LayerID]*model.Layer
	byDiff map[digest.Digest][]*model.Layer
	// copies tells that the driver gives each layer a copy of its parent.
	copies bool
}

// newChains returns those of some layers.
func newChains(layers []*model.Layer, copies bool) *chains {
	c := &chains{
		byID: make(map[model.LayerID]*model.Layer, len(layers)), byDiff: make(map[digest.Digest][]*model.Layer), copies: copies,
	}
	for _, l := range layers {
		c.byID[l.ID] = l
		if l.Diff != nil {
			c.byDiff[l.Diff.Digest] = append(c.byDiff[l.Diff.Digest], l)
		}
	}
	return c
}

// top returns the layer that has the last one of some diffs, and whose ancestors
// have the others, "" if there is none. Where the driver gives each layer a copy
// of its parent, and nothing tells which that was, the only layer with the last
// diff will do.
func (c *chains) top(diffs []digest.Digest) model.LayerID {
	candidates := c.byDiff[diffs[len(diffs)-1]]
	for _, l := range candidates {
		if c.has(l, diffs) || c.copies && l.Parent == "" && len(candidates) == 1 {
			return l.ID
		}
	}
	return ""
}

// has tells whether a layer and its ancestors have the given diffs, the lowest
// one first, and no others.
func (c *chains) has(l *model.Layer, diffs []digest.Digest) bool {
	for i, d := range slices.Backward(diffs) {
		if l == nil || l.Diff == nil || l.Diff.Digest != d {
			return false
		}
		if l.Parent == "" {
			return i == 0
		}
		l = c.byID[l.Parent]
	}
	return false
}
