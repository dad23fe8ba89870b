package store

import (
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/fault"
)

// Validate returns fault.Invalid when no store would take t: it is empty, over
// [MaxOps] or [MaxBytes], or writes a key twice. Every Apply calls it first, so
// that all stores refuse the same transactions for the same reasons.
func (t Txn) Validate() error {
	switch n := t.Bytes(); {
	case len(t.Then) == 0:
		return fault.New(fault.Invalid, "txn_empty", "a transaction needs at least one operation")
	case len(t.Then) > MaxOps:
		return fault.New(fault.Invalid, "txn_too_large", "a transaction of %d operations is over the limit of %d: split it", len(t.Then), MaxOps)
	case len(t.If) > MaxOps:
		return fault.New(fault.Invalid, "txn_too_large", "a transaction of %d conditions is over the limit of %d: split it", len(t.If), MaxOps)
	case n > MaxBytes:
		return fault.New(fault.Invalid, "txn_too_large", "a transaction of %d bytes is over the limit of %d: split it", n, MaxBytes)
	}
	for _, c := range t.If {
		if err := c.validate(); err != nil {
			return err
		}
	}
	return t.validateKeys()
}

func (c Cond) validate() error {
	if c.Kind > CondUnchangedPrefix {
		return fault.New(fault.Invalid, "txn_malformed", "a condition of unknown kind %d", c.Kind)
	}
	if c.Key == "" {
		return fault.New(fault.Invalid, "txn_malformed", "a condition without a key")
	}
	if c.Rev < 0 {
		return fault.New(fault.Invalid, "txn_malformed", "a condition on %q at the negative revision %d", c.Key, c.Rev)
	}
	return nil
}

// validateKeys refuses empty keys and keys that two operations write. Sorted, a
// key or prefix that collides with another stands right behind one that covers it.
func (t Txn) validateKeys() error {
	sorted := make([]*Op, len(t.Then))
	for i := range t.Then {
		op := &t.Then[i]
		if op.Kind > OpDeletePrefix {
			return fault.New(fault.Invalid, "txn_malformed", "an operation of unknown kind %d", op.Kind)
		}
		if op.Key == "" {
			return fault.New(fault.Invalid, "txn_malformed", "an operation without a key")
		}
		sorted[i] = op
	}
	slices.SortFunc(sorted, func(a, b *Op) int {
		if c := strings.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		return int(b.Kind) - int(a.Kind) // a prefix before the key that equals it
	})
	var prefix *Op
	for i, op := range sorted {
		twice := i > 0 && sorted[i-1].Key == op.Key
		if prefix != nil && strings.HasPrefix(op.Key, prefix.Key) {
			twice = true
		}
		if twice {
			return fault.New(fault.Invalid, "txn_duplicate_key", "a transaction may write %q once only", op.Key)
		}
		if op.Kind == OpDeletePrefix {
			prefix = op
		}
	}
	return nil
}
