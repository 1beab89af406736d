// Package flock has the locks that processes on one store share: a fair
// readers-writer lock for the database (RW), locks by key for single objects
// (Keys), and a way to wait for the lock of any file (Queue).
//
// All of them are advisory locks of the kernel, which vanish with the process
// that holds them. None is ever polled: whoever waits sleeps in the kernel and
// is woken in turn. Every wait ends with its context, and then keeps nobody
// else waiting.
package flock
