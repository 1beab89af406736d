// Package flock has the locks that processes on one store share: a fair
// readers-writer lock for the database (RW), and locks by key for single
// objects (Keys).
//
// All of them are advisory locks of the kernel, which vanish with the process
// that holds them. None is ever polled: whoever waits sleeps in the kernel and
// is woken in turn. A wait that is given up (its context ends) leaves one
// thread in the kernel's queue, which gives the lock back as soon as it gets
// it.
package flock
