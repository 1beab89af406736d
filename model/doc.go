// Package model holds the records of a csdb store and the rules that concern
// one record alone: what an ID may look like, which names are allowed, how
// owners are mapped. It is pure: it does no I/O and imports nothing else of
// this module, so every other package may use it.
//
// # Glossary
//
// A layer is a set of file system changes on top of a parent layer; a layer
// without parent is a base layer. An image is a record that points to a top
// layer, which together with its ancestors makes a root file system. A
// container is a record with a read-write layer of its own, usually on top of
// an image's top layer.
//
//	image ──top layer──▶ layer ──parent──▶ layer ──parent──▶ base layer
//	  ▲                    ▲
//	  └──image── container ┴──layer──▶ layer (the container's own)
//
// An ID identifies one object of one kind for life. A name is a string that
// users give to an object and may move to another one; it is unique among the
// objects of one kind. A data item ("big data") is a named blob that belongs
// to an object: a manifest, a configuration, a signature.
//
// A layer's diff is the tar stream that describes its changes. The digest of
// the uncompressed stream is the diff digest (the OCI image specification
// calls it DiffID); the digest of the stream as it was received is the
// compressed digest.
package model
