package flock

// HoldersIn returns the holders of the lock on a file of which a text in the
// form of /proc/locks tells.
func HoldersIn(text, device string, inode uint64) []Holder {
	return holders(locksIn(text, device, inode))
}
