package compress

import (
	"bytes"

	"github.com/csdb/csdb/model"
)

// magicSize is the length in bytes of the longest beginning that is needed to
// recognize a format.
const magicSize = 6

// detect recognizes a format by the beginning of a stream, of which magicSize
// bytes are needed unless the stream is shorter.
func detect(start []byte) model.Compression {
	switch {
	case bytes.HasPrefix(start, []byte("BZh")):
		return model.Bzip2
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b, 0x08}): // RFC 1952, with the only method there is
		return model.Gzip
	case bytes.HasPrefix(start, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return model.Xz
	case bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippableFrame(start):
		return model.Zstd
	}
	return model.Uncompressed
}

// isSkippableFrame recognizes the beginning of a zstd skippable frame (RFC
// 8878, section 3.1.2), with which parallel compressors begin a stream.
func isSkippableFrame(start []byte) bool {
	return len(start) >= 4 && start[0]&0xf0 == 0x50 && bytes.Equal(start[1:4], []byte{0x2a, 0x4d, 0x18})
}
