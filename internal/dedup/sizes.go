package dedup

import "hash/maphash"

// sizeBuckets is how many numbers a table of sizes has.
const sizeBuckets = 1 << 18

// sizes counts files by their sizes in a table that does not grow: sizes that
// share a number cost time, and are told apart later. The seed keeps anybody
// from making all sizes of a store share one.
type sizes struct {
	seed    maphash.Seed
	buckets []bucket
}

// bucket is a number that some sizes share.
type bucket struct{ files, bytes int64 }

func newSizes() *sizes {
	return &sizes{seed: maphash.MakeSeed(), buckets: make([]bucket, sizeBuckets)}
}

// bucketOf returns the number of a size.
func (s *sizes) bucketOf(size int64) int {
	return int(maphash.Comparable(s.seed, size) % sizeBuckets)
}

// add counts a file.
func (s *sizes) add(size int64) {
	b := &s.buckets[s.bucketOf(size)]
	b.files++
	b.bytes += size
}

// round is a range of numbers whose files are worked on together.
type round struct{ from, to int }

// has tells whether the files of a size belong to the round.
func (s *sizes) has(r round, size int64) bool {
	n := s.bucketOf(size)
	return r.from <= n && n < r.to && s.buckets[n].files > 1
}

// rounds divides all sizes that more than one file may have into rounds with at
// most so many files, or one number, and returns how many bytes the files have.
func (s *sizes) rounds(limit int64) (rounds []round, bytes int64) {
	var r round
	var files int64
	for n, b := range s.buckets {
		if b.files < 2 {
			continue
		}
		if files > 0 && files+b.files > limit {
			rounds = append(rounds, r)
			r, files = round{from: n}, 0
		}
		r.to = n + 1
		files += b.files
		bytes += b.bytes
	}
	if files > 0 {
		rounds = append(rounds, r)
	}
	return rounds, bytes
}
