// Package archive turns a tar stream into a directory tree and a directory
// tree into a tar stream, the way image layers need it: deletions are written
// as whiteouts, owners, modes, times and extended attributes are kept, and
// nothing is ever read or written outside the tree, whatever the archive or
// the tree contains.
//
// Unpack and Pack are the two directions; PackChanges packs only what differs
// between two trees, which Changes and OverlayChanges find. OpenTree opens the
// files of an unpacked tree by their names in the archive.
//
// Whiteouts have two forms. In a tar stream they are empty files whose names
// begin with ".wh." (OCI image specification, "Layer Filesystem Changeset").
// In the upper directory of an overlay they are character devices 0/0 and
// directories with an opaque attribute (the kernel's
// Documentation/filesystems/overlayfs.rst).
//
// Trees are worked on through package beneath, which keeps every system call
// inside the tree. The package neither compresses nor digests, and it syncs
// nothing: that is the business of those who call it.
package archive
