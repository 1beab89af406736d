package model

import (
	"fmt"
	"math"
)

// IDMap maps the range [ContainerID, ContainerID+Size) of user or group IDs
// inside a container to the range beginning at HostID outside
// (user_namespaces(7)).
type IDMap struct {
	ContainerID int `json:"container_id" cbor:"1,keyasint"`
	HostID      int `json:"host_id" cbor:"2,keyasint"`
	Size        int `json:"size" cbor:"3,keyasint"`
}

// ValidateIDMaps reports whether maps are well-formed: every range lies within
// 32 bits, and no two ranges overlap on either side.
func ValidateIDMaps(maps []IDMap) error {
	for i, m := range maps {
		if m.Size <= 0 || m.ContainerID < 0 || m.HostID < 0 ||
			int64(m.ContainerID)+int64(m.Size) > math.MaxUint32+1 || int64(m.HostID)+int64(m.Size) > math.MaxUint32+1 {
			return fmt.Errorf("%w: range %d:%d:%d is not within 32 bits", ErrInvalidMappings, m.ContainerID, m.HostID, m.Size)
		}
		for _, other := range maps[:i] {
			if overlap(m.ContainerID, other.ContainerID, m.Size, other.Size) || overlap(m.HostID, other.HostID, m.Size, other.Size) {
				return fmt.Errorf("%w: range %d:%d:%d overlaps with %d:%d:%d", ErrInvalidMappings,
					m.ContainerID, m.HostID, m.Size, other.ContainerID, other.HostID, other.Size)
			}
		}
	}
	return nil
}

// overlap tells whether two ranges that begin at a and b share an ID.
func overlap(a, b, sizeA, sizeB int) bool {
	return a < b+sizeB && b < a+sizeA
}
