// Package vfs keeps every layer as a whole tree of its own: a new layer is a
// copy of its parent. It works on every file system and without any privilege,
// at the price of the copy. On file systems that share blocks between files
// (XFS, btrfs and others) that price is paid in metadata only.
//
// The home contains
//
//	dir/<id>/        the layer, which is also where it is "mounted"
//	dir/.part-<id>/  a layer that is not yet, or no longer, there
//
// A layer can be a copy of one in the home of another store, which is not needed
// any more then. Contents are shared with it as far as the two are in one file
// system.
//
// The root directory of a layer without parent has mode 0755 until a diff says
// otherwise: processes of any user in a container must be able to enter it,
// and its owner must be able to write to it also without root's privileges.
//
// There is nothing to unmount and nothing that a read-only mount could
// prevent: whoever gets the path of a layer can write to it.
package vfs
