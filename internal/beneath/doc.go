// Package beneath works on the files of a directory tree without ever leaving
// it, whatever names it is asked for, whatever symbolic links the tree
// contains, and whoever changes the tree meanwhile.
//
// There are two kinds of name. The methods of Dir that take a whole name
// ("usr/lib/x") let the kernel resolve it beneath the directory: an absolute
// link begins at the directory, ".." stops at it (openat2(2), Linux 5.6). The
// methods that take the name of one entry ("x") refuse anything that is not a
// single component, and never follow the entry.
//
// Places finds directories by name and keeps the last few open, for work that
// comes sorted by directory. Cursor and Walk go through a whole tree with a
// fixed number of descriptors, however deep it is.
package beneath
