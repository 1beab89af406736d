package tarsplit

import (
	"hash/crc64"
	"testing"

	"pgregory.net/rapid"
)

func TestChecksumEqualsThatOfTheStandardLibrary(t *testing.T) {
	table := crc64.MakeTable(crc64.ISO)
	rapid.Check(t, func(t *rapid.T) {
		sum := rapid.Uint64().Draw(t, "sum")
		size := rapid.IntRange(0, 5*foldSize).Draw(t, "size")
		data := make([]byte, size)
		state := rapid.Uint64().Draw(t, "seed")
		for i := range data {
			state = state*6364136223846793005 + 1442695040888963407
			data[i] = byte(state >> 56)
		}
		if got, want := checksum(sum, data), crc64.Update(sum, table, data); got != want {
			t.Errorf("checksum %016x, want %016x", got, want)
		}
		cut := rapid.IntRange(0, size).Draw(t, "cut")
		if got, want := checksum(checksum(sum, data[:cut]), data[cut:]), crc64.Update(sum, table, data); got != want {
			t.Errorf("in two parts %016x, want %016x", got, want)
		}
	})
}

// Every bit of a block has its own way through the words; a sparse pattern shows
// one that is wrong where noise might not.
func TestChecksumOfSingleBits(t *testing.T) {
	table := crc64.MakeTable(crc64.ISO)
	for bit := range 3 * foldSize * 8 {
		data := make([]byte, 3*foldSize)
		data[bit/8] = 1 << (bit % 8)
		if got, want := checksum(0, data), crc64.Checksum(data, table); got != want {
			t.Fatalf("bit %d: checksum %016x, want %016x", bit, got, want)
		}
	}
}

func BenchmarkChecksum(b *testing.B) {
	data := make([]byte, 256<<10)
	table := crc64.MakeTable(crc64.ISO)
	for name, update := range map[string]func(uint64, []byte) uint64{
		"here":    checksum,
		"library": func(sum uint64, p []byte) uint64 { return crc64.Update(sum, table, p) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				update(0, data)
			}
		})
	}
}
