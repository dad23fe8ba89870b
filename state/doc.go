// Package state keeps the roll: it knows how users, groups, members, grants and all
// else lie in the store, writes them, and follows the store to answer reads.
//
// It owns the keys (see keys.go, the only place that names them), the stored shapes,
// Commit, which writes a change and its audit entry in one transaction, and the View,
// which holds everything under v/ in memory. It promises that a write is conditional
// on what it was based on and leaves nothing half-written, that a Snapshot is of one
// revision and never waits, and that a View equals what a fresh read of the store
// would give. It leaves to others who may write what, and when a source is read.
package state
