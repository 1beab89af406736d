// Package compress reads and writes the compressed streams that layers arrive
// and leave in: gzip, bzip2, xz and zstd, and plain ones.
//
// NewReader recognizes a stream by its first bytes and never by a name or a
// media type. What it reads may be hostile, so every decoder works within a
// bounded window, and damage is told apart from a source that could not be
// read: the former is an *Error, the latter comes through unchanged.
//
// The decoders themselves are those of the standard library (bzip2),
// klauspost/compress (gzip, zstd) and ulikunitz/xz. What is here is the
// recognition, the limits, and one meaning of errors for all of them.
package compress
