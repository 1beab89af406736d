package db

import (
	"bytes"
	"slices"
	"strings"
)

// gap is a range of keys about which a tree has nothing to say, because the page
// or the value that said it is damaged.
type gap struct {
	// path has the names of the buckets that it lies in, the root bucket's
	// first; none means the bucket that contains all others.
	path []string
	// The keys lie between low and high, nil meaning that there is no bound.
	// high does not belong to the gap, nor does low if it is open.
	low, high []byte
	open      bool
}

// gaps are all those of a tree. A damaged tree has few, for a whole page is one.
type gaps struct {
	byPath map[string][]gap
	count  int
}

// maxGaps is how many gaps one bucket may have. One with more is taken for a
// single gap, so that looking them up never takes long.
const maxGaps = 1000

func newGaps() *gaps { return &gaps{byPath: make(map[string][]gap)} }

func (g *gaps) add(added gap) {
	name := strings.Join(added.path, separator)
	if len(g.byPath[name]) >= maxGaps {
		g.byPath[name] = []gap{{path: added.path}}
	}
	g.byPath[name] = append(g.byPath[name], added)
	g.count++
}

// none tells whether nothing is missing.
func (g *gaps) none() bool { return g.count == 0 }

// has tells whether a key of a bucket lies in a gap, or a bucket in which the
// bucket lies does.
func (g *gaps) has(path []string, key string) bool {
	for depth := range len(path) + 1 {
		name := key
		if depth < len(path) {
			name = path[depth]
		}
		in := g.byPath[strings.Join(path[:depth], separator)]
		if slices.ContainsFunc(in, func(one gap) bool { return one.contains([]byte(name)) }) {
			return true
		}
	}
	return false
}

func (g *gap) contains(key []byte) bool {
	low, high := bytes.Compare(key, g.low), -1
	if g.high != nil {
		high = bytes.Compare(key, g.high)
	}
	return (low > 0 || low == 0 && !g.open || g.low == nil) && high < 0
}
