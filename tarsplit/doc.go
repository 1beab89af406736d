// Package tarsplit records a tar stream in such a way that it can be
// reproduced bit for bit from the files that were unpacked from it.
//
// A tar-split holds everything in a stream but the content of its files: the
// headers, the padding, what stands behind the end of the archive, and for
// each file a name, a size and a checksum. The format is that of
// github.com/vbatts/tar-split, a JSON object per line, which containers/storage
// keeps for each layer; either program can replay what the other has recorded.
//
// A Recorder stands between a stream and the code that unpacks it. Replay puts
// the stream together again, and Read goes through the records without the
// files. Compress and Decompress convert to and from the form in which a
// tar-split is stored. The package knows readers and writers only: where a
// tar-split is kept and how a file is found is up to others.
package tarsplit
