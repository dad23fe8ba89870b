// Package persist holds the two collections that snapshots are made of: a map and
// a vector that never change once published. A new version shares all but the
// touched parts with the one before, so a reader keeps the version it took for as
// long as it likes while a writer publishes hundreds more a second.
//
// It promises that reading allocates nothing and takes no lock, that a version is
// safe for any number of readers, and that the memory holds few pointers: entries
// lie in runs of up to 32, so a million of them are some ten thousand objects for
// the garbage collector. Writing goes through an edit that belongs to one
// goroutine; what an edit made itself since it last published is changed in place,
// everything else is copied first. What the collections mean is left to others.
package persist

// owner marks the nodes that one edit has made since it last published. It is
// compared by address and so must not be of size zero.
type owner struct{ _ byte }
