// Package store is the contract of the state that everything durable lives in:
// a flat, ordered, revisioned key-value space with conditional transactions and
// a watch that delivers whole transactions in order.
//
// It owns the contract and nothing else. Package store/etcd keeps it on an
// embedded or an external etcd, package store/mem in memory, and package
// store/storetest is the suite that both pass. What the keys and values mean is
// the business of package state.
package store

import (
	"context"
	"errors"
	"io"
	"iter"
)

// Revision is a position in the history of a store. Every committed transaction
// has one, larger than all before it. Zero means "none".
type Revision int64

// Limits of one transaction. They are those that an external etcd cluster has
// without being told otherwise, so nothing built on them needs a tuned cluster.
const (
	MaxOps   = 120     // operations, and as many conditions
	MaxBytes = 1 << 20 // keys and values together
)

// ErrCompacted reports that a watch asked for history that the store no longer
// has. The follower lists again and compares.
var ErrCompacted = errors.New("history compacted")

// Record is one key with its value as of some revision. Its Value belongs to the
// caller once returned.
type Record struct {
	Key     string
	Value   []byte
	Created Revision // of the transaction that created the key
	Rev     Revision // of the transaction that last wrote it
}

// Cond is a condition of a transaction. Build it with the functions below.
type Cond struct {
	Kind CondKind
	Key  string // a prefix for CondUnchangedPrefix
	Rev  Revision
}

// CondKind says what a Cond compares.
type CondKind uint8

// The kinds of condition.
const (
	CondRev             CondKind = iota // the key was last written at Rev; 0: it does not exist
	CondCreated                         // the key was created at Rev and lives; 0: it does not exist
	CondUnchangedPrefix                 // no key under the prefix was written after Rev
)

// At holds while key was last written at rev. At(key, 0) holds while it is absent.
func At(key string, rev Revision) Cond { return Cond{CondRev, key, rev} }

// Absent holds while key does not exist.
func Absent(key string) Cond { return Cond{CondRev, key, 0} }

// CreatedAt holds while the incarnation of key that was created at rev lives.
func CreatedAt(key string, rev Revision) Cond { return Cond{CondCreated, key, rev} }

// UnchangedSince holds while no existing key under prefix was written after rev.
// A deleted key escapes it, so keep emptied keys where this matters.
func UnchangedSince(prefix string, rev Revision) Cond {
	return Cond{CondUnchangedPrefix, prefix, rev}
}

// Op is one write of a transaction. Build it with the functions below.
type Op struct {
	Kind  OpKind
	Key   string
	Value []byte
}

// OpKind says what an Op does.
type OpKind uint8

// The kinds of operation.
const (
	OpPut OpKind = iota
	OpDelete
	OpDeletePrefix
)

// Put writes value under key. The store does not modify value and does not keep
// it after the call that takes it returns.
func Put(key string, value []byte) Op { return Op{OpPut, key, value} }

// Delete removes key. It is not an error when it does not exist.
func Delete(key string) Op { return Op{Kind: OpDelete, Key: key} }

// DeletePrefix removes every key under prefix. prefix must not be empty.
func DeletePrefix(prefix string) Op { return Op{Kind: OpDeletePrefix, Key: prefix} }

// Txn is a transaction: all of Then happens at one revision when all of If holds,
// else nothing does. No key may be written twice in one transaction.
type Txn struct {
	If   []Cond
	Then []Op
}

// Bytes returns the size of t as it counts against MaxBytes.
func (t Txn) Bytes() int {
	n := 0
	for _, op := range t.Then {
		n += len(op.Key) + len(op.Value)
	}
	return n
}

// Event is one change of one key.
type Event struct {
	Deleted bool
	Record  Record // of a deletion only Key and Rev are set
}

// Batch is everything that one or more whole transactions did, in order. A
// transaction is never split over two batches. Rev is that of the last one.
type Batch struct {
	Rev    Revision
	Events []Event
}

// Store is a revisioned key-value state. All methods may be called concurrently.
type Store interface {
	// Get returns the current record of key, or fault.NotFound.
	Get(ctx context.Context, key string) (Record, error)

	// List yields every record whose key starts with prefix, in key order, all as
	// of one revision, which it returns. A yielded error ends the sequence; the
	// sequence can be ranged over once. It streams: neither side holds everything.
	List(ctx context.Context, prefix string) (iter.Seq2[Record, error], Revision, error)

	// Apply commits t whole and returns its revision, or returns fault.Stale and
	// changes nothing when any condition does not hold. It refuses, with
	// fault.Invalid, a transaction over MaxOps or MaxBytes, an empty one, and one
	// that writes a key twice. An error that wraps fault.Unavailable leaves open
	// whether t was committed: read before repeating. A transaction that changes
	// nothing, because what it deletes is not there, is no step in the history: it
	// returns the current revision.
	Apply(ctx context.Context, t Txn) (Revision, error)

	// Watch yields the transactions after the given revision that touch keys under
	// prefix, whole and in order, without end. It reconnects by itself. It ends
	// with ErrCompacted when that history is gone, with the context's error when
	// ctx ends, and with any other error when it cannot go on.
	Watch(ctx context.Context, prefix string, after Revision) iter.Seq2[Batch, error]

	// Close releases what the store holds. Calls after it return fault.Unavailable.
	Close() error
}

// Leader is a store that can elect one of several processes.
type Leader interface {
	// Lead blocks until this process leads the election called name, or ctx ends.
	// The term lasts until Resign, until its lease cannot be renewed, or until the
	// store is closed. id names this process to others.
	Lead(ctx context.Context, name, id string) (Term, error)
	// Leading returns the id of who leads the election now, or fault.NotFound.
	Leading(ctx context.Context, name string) (string, error)
}

// Term is a period of leadership.
type Term interface {
	// Fence is a condition that holds only while this term lasts. Every write made
	// as leader carries it: a leader that was paused cannot write after its term.
	Fence() Cond
	// Rev is the revision at which the term began. A leader reads nothing older.
	Rev() Revision
	// Done is closed when the term is known to be over.
	Done() <-chan struct{}
	// Resign ends the term, so that another can lead at once.
	Resign(ctx context.Context) error
}

// Status is what a store says of its own size.
type Status struct {
	Size      int64 // bytes on disk
	InUse     int64 // of which hold data
	Quota     int64 // at which writes stop; 0: unknown
	FreeDisk  int64 // bytes free beside an embedded store; -1: unknown
	Embedded  bool
	Endpoints []string
}

// Statuser is a store that knows its size.
type Statuser interface {
	Status(ctx context.Context) (Status, error)
}

// Snapshotter is a store that can write a consistent copy of itself while it runs.
type Snapshotter interface {
	// Snapshot writes the store, whole and at one revision, to w.
	Snapshot(ctx context.Context, w io.Writer) error
}
