package tarsplit

import (
	"maps"
	"math"
	"slices"
)

// owners collects user or group IDs.
type owners map[uint32]struct{}

// add notes an ID. One that is not of 32 bits, which archive/tar lets through,
// belongs to nobody and is left out.
func (o owners) add(id int) {
	if id >= 0 && int64(id) <= math.MaxUint32 {
		o[uint32(id)] = struct{}{}
	}
}

// sorted returns the IDs in ascending order.
func (o owners) sorted() []uint32 { return slices.Sorted(maps.Keys(o)) }
