package state

import (
	"context"
	"fmt"

	"github.com/rollcall-id/rollcall/store"
)

// CatchUp returns a snapshot that shows everything that was written before the call,
// by whomever, and is fault.Stale when the term is over. The view follows only what
// lies under v/, so a leader cannot wait for the revision of its own election: it
// writes a mark there and waits for that.
func (d *DB) CatchUp(ctx context.Context, term store.Cond) (*Snapshot, error) {
	mark := store.Txn{If: []store.Cond{term}, Then: []store.Op{store.Put(keyTerm, []byte(`{}`))}}
	rev, err := d.store.Apply(ctx, mark)
	if err != nil {
		return nil, fmt.Errorf("catch up with the store: %w", err)
	}
	return d.view.AtLeast(ctx, rev)
}
