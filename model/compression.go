package model

import "fmt"

// Compression is the way in which a layer's diff was compressed when it was
// received. The numbers are part of the database and of the compatible
// command's JSON output.
type Compression int

// The known compressions.
const (
	Uncompressed Compression = iota
	Bzip2
	Gzip
	Xz
	Zstd
)

// String returns the name of the compression as used in file name extensions
// and messages; the empty stream encoding is called "none".
func (c Compression) String() string {
	switch c {
	case Uncompressed:
		return "none"
	case Bzip2:
		return "bzip2"
	case Gzip:
		return "gzip"
	case Xz:
		return "xz"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("compression(%d)", int(c))
}
