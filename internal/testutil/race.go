//go:build race

package testutil

// Race tells whether the race detector is on, under which everything takes some
// ten times as long. Tests that try many inputs of one kind take fewer of them
// then: from the others, which are all tried without it, it learns nothing new.
const Race = true
