package archive

import "hash/maphash"

// seen remembers which names an archive has made, as hashes: whiteouts may
// come after what they do not apply to. The seed is random, so that nobody can
// make names collide on purpose; a million names collide by chance in one of
// ten million archives, and then a file survives that should not.
type seen struct {
	seed maphash.Seed
	// hashes has, for a name that is an entry of the archive, its hash with
	// the lowest bit set, and for a directory that was only needed by another
	// entry, its hash with the lowest bit clear.
	hashes map[uint64]struct{}
}

func newSeen() seen {
	return seen{seed: maphash.MakeSeed(), hashes: make(map[uint64]struct{})}
}

// add remembers that name is an entry, and that the directories above it are
// needed. Names are free of symbolic links, so that one file has one name.
func (s *seen) add(name string) {
	s.hashes[s.hash(name)|1] = struct{}{}
	for name != "" {
		name, _ = splitName(name)
		if s.has(name) {
			return // and so it has all names above
		}
		s.hashes[s.hash(name)&^1] = struct{}{}
	}
}

// has tells whether name is an entry or above one.
func (s *seen) has(name string) bool {
	if s.isEntry(name) {
		return true
	}
	_, needed := s.hashes[s.hash(name)&^1]
	return needed
}

// isEntry tells whether name is an entry.
func (s *seen) isEntry(name string) bool {
	_, entry := s.hashes[s.hash(name)|1]
	return entry
}

func (s *seen) hash(name string) uint64 { return maphash.String(s.seed, name) }
