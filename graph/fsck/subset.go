package fsck

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"

	"github.com/csdb/csdb/model"
)

// Subset says how much of the contents is read. The zero value means all.
//
// It is one of
//
//	n/m   the n-th of m parts, which together are all: 1/7 on Monday, 2/7 on Tuesday
//	p%    so much of all bytes, chosen by chance
//	size  so many bytes, chosen by chance, such as 500M or 2GiB
type Subset string

// subset is a Subset that has been understood.
type subset struct {
	part, parts uint64
	bytes       int64   // at the least, if parts is 0
	fraction    float64 // of all bytes, if bytes is 0
}

// parse understands a Subset.
func (s Subset) parse() (subset, error) {
	text := string(s)
	invalid := func(why string) (subset, error) {
		return subset{}, fmt.Errorf("%w: subset %q: %s; want n/m, a percentage such as 5%%, or a size such as 2GiB", model.ErrInvalid, text, why)
	}
	if text == "" {
		return subset{fraction: 1}, nil
	}
	if n, m, found := strings.Cut(text, "/"); found {
		part, errPart := strconv.ParseUint(n, 10, 64)
		parts, errParts := strconv.ParseUint(m, 10, 64)
		if errPart != nil || errParts != nil || part < 1 || part > parts {
			return invalid("n and m must be numbers with 1 <= n <= m")
		}
		return subset{part: part, parts: parts}, nil
	}
	if number, found := strings.CutSuffix(text, "%"); found {
		percent, err := strconv.ParseFloat(number, 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return invalid("a percentage lies above 0 and is at most 100")
		}
		return subset{fraction: percent / 100}, nil
	}
	bytes, err := units.RAMInBytes(text)
	if err != nil || bytes <= 0 {
		return invalid("not a size in bytes")
	}
	return subset{bytes: bytes}, nil
}

// choose returns what is to be read of all.
func (sub subset) choose(all []reading) []reading {
	if sub.parts > 0 {
		return slices.DeleteFunc(all, func(r reading) bool {
			sum := fnv.New64a()
			_, _ = sum.Write([]byte(r.place))
			return sum.Sum64()%sub.parts != sub.part-1
		})
	}
	if sub.fraction == 1 {
		return all
	}
	var total int64
	for i := range all {
		total += all[i].size()
	}
	enough := max(sub.bytes, int64(float64(total)*sub.fraction))
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] }) //nolint:gosec // It is no secret what is read.
	var read int64
	for i := range all {
		if read >= enough {
			return all[:i]
		}
		read += all[i].size()
	}
	return all
}
