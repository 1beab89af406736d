// Package userns runs a program in a user namespace of its own, in which it is
// root, for those who are not: see user_namespaces(7).
//
// StateOf tells whether a process needs that, and Program.Run does it. The kernel
// lets no process with several threads into a new user namespace, and only
// newuidmap(1) and newgidmap(1) may give it more than one ID. So the program is
// started anew in the new namespaces, where it waits until it has been given its
// IDs, and then starts itself once more: only with that does it get the powers of
// root. Whoever uses Program.Run to start itself has to call Continue first of
// all.
package userns
