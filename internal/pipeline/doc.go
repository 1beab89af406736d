// Package pipeline connects the stages through which a layer's stream passes,
// so that they work at the same time: reading and hashing the stream as it
// arrives, decompressing it, hashing the result, unpacking it.
//
// Start runs one stage in a goroutine and makes its output an io.Reader.
// Buffers pass between the two sides whole and are used again; an io.Pipe would
// make the sides wait for each other at every Read. Readahead is the stage that
// only reads, Digester the reader that hashes and counts what passes, and Sum does
// that for a writer. Ingest is the whole chain for a layer on its way in.
package pipeline
