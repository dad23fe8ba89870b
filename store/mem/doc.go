// Package mem keeps a store.Store in memory: the whole contract, elections and
// compaction included, without a disk. It is for tests, which it also gives the
// means to make a write fail before it commits or its answer get lost after.
//
// It promises the order and the revisions of the real store: the first is 2, each
// transaction that changes something adds one, a transaction that changes nothing
// returns the current one. Reads see one immutable tree and never wait for a
// writer. History is kept until Compact, so memory grows with every write.
package mem
