// Package overlay keeps layers as directories that the kernel's overlay file
// system stacks (Documentation/filesystems/overlayfs.rst). The layout of the
// home is that of containers/storage:
//
//	l/<26 characters>   symbolic link to ../<id>/diff: the layer's short name
//	<id>/diff/          the layer's own content, the upper directory of mounts
//	<id>/link           the layer's short name
//	<id>/lower          short names of the ancestors, l/A:l/B, nearest first;
//	                    a base layer has no such file
//	<id>/work/          work directory of the kernel
//	<id>/merged/        mount point
//	<id>/empty/         lower directory of a base layer, which needs one
//	<id>/diff1/ …       older contents that lie below diff, after a change of
//	                    owners by containers/storage
//	.part-<id>/         a layer that is not yet, or no longer, there
//	.probe/             exists only while the kernel is being tried out
//	.has-mount-program  "true" once a mount program was used
//	.has-force-mask     "true" once modes were forced
//	.has-metacopy       "true" once a mount could leave contents below
//	.has-redirect       "true" once a mount could leave directories below
//
// # What happens when
//
// Create fills .part-<id> completely, makes the short name and renames the
// directory to <id>: that is when the layer exists. Remove renames it back,
// and it has gone; the short name and the content follow. Whatever is
// interrupted, there is either a whole layer or a .part-<id>, which the next
// Create or Remove of the layer clears away and List reports.
//
// What the files link, lower and l/* say is never believed beyond its form: a
// short name leads to the directory diff of a layer of the same home and nowhere
// else, and no symbolic link is followed on the way. Where a short name or its
// record has been lost, it is restored from the other.
//
// # Homes of other stores
//
// Layers in the homes of other stores are used where they are, and nothing is
// made or restored there. A short name in the file lower of any layer is looked
// up in l of the driver's own home first, and then in l of the others, in their
// order. What is lost in l of another home is found by the files link of its
// layers, each time anew. Such a layer is mounted for reading only, at
//
//	<run home>/<id>/merged   exists only while the layer is mounted
//	<run home>/.empty/       what lies below it if it is a base layer
//
// # Mounts
//
// The kernel gets the directories of a mount as open descriptors if it takes
// them (Linux 6.13), and as text otherwise. Every mount is private, so that
// what is mounted inside a container's file system stays there; the home
// itself needs no mount of its own. To read a layer, View mounts it where
// nobody sees it, for as long as a descriptor is open, so nothing remains of
// that even if the process is killed.
//
// # Without root
//
// In a user namespace the driver works with attributes that are open to all
// (mount option userxattr, Linux 5.11). Layers made in that way are not
// readable as such by root, and the reverse.
//
// # Quotas
//
// The options "size" and "inodes", of the driver or of a layer, limit writable
// layers by project quotas of the file system: a layer that has one gets a
// project of its own, see quota.go.
//
// # FUSE
//
// The option "mount_program" makes a program such as fuse-overlayfs(1) mount
// the layers, see fuse.go. A home that was used so is marked, and stays with it.
//
// # Metacopy and redirects
//
// Where the kernel leaves part of what was written to lower layers, the home is
// marked, and its layers are compared as mounts show them, see indirect.go.
//
// # Forced modes
//
// The option "force_mask" gives all files of new layers one mode and one owner,
// and notes in an extended attribute what they should have, see force.go.
//
// The marks of another store's home concern the layers that stand on its layers,
// see marks.go.
//
// Layers with shifted owners and composefs are not supported yet; their options are
// refused. Homes of other stores are a matter of drivers.Config and not of options.
package overlay
