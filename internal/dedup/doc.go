// Package dedup lets files with equal content share it on disk, by the ioctl
// FIDEDUPERANGE (ioctl_fideduperange(2)), which btrfs and XFS have. Names,
// owners, modes, times and contents stay what they are; only the blocks below
// become the same ones, until one of the files is written to.
//
// Files of one size are told apart by a key of their content, or not at all,
// see Method. What decides is the kernel: it compares the bytes while nobody can
// write to either file, so a key that collides, or a file that is changed
// meanwhile, costs time and nothing else.
//
// # Memory
//
// The trees are walked several times. The first walk only counts, in a table of
// fixed size, how many files there are of which size. Then come rounds: each is
// for so many sizes that their files are about 260,000 (roughly 100 bytes
// each), and has a walk of its own. So a million files take some 30 MB in four
// rounds; only files that are all of one size are in one round, however many
// they are. Sizes that one file alone has are in no round.
//
// # Trees of strangers
//
// Walks do not follow symbolic links or cross mounts. A file is opened later by
// its name, without following links either, and is left out if it is not the
// regular file that was seen. Of sparse files the holes are neither read nor
// compared, so that they take as long as what they have on disk.
package dedup
