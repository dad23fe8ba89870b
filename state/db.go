package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// Options are what a DB needs. Store is required.
type Options struct {
	Store store.Store
	Log   *slog.Logger     // default: discards
	Now   func() time.Time // default: time.Now
}

// DB writes the roll and reads it through its View.
type DB struct {
	store store.Store
	log   *slog.Logger
	now   func() time.Time
	view  *View
	first *editor // of the view, until Run takes it
}

// Open checks that this version may use the store, reads everything, and returns a
// DB whose View is of that moment. Run makes it follow.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Store == nil {
		return nil, errors.New("state: Options.Store is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &DB{store: o.Store, log: o.Log, now: o.Now, view: newView(o.Store, o.Log, o.Now)}
	if err := d.checkFormat(ctx); err != nil {
		return nil, err
	}
	e, snap, err := d.view.load(ctx)
	if err != nil {
		return nil, err
	}
	d.first = e
	d.view.publish(snap, nil)
	return d, nil
}

// View returns the view of the store.
func (d *DB) View() *View { return d.view }

// Run follows the store until ctx ends, or until it cannot go on. It is called once.
func (d *DB) Run(ctx context.Context) error {
	e := d.first
	d.first = nil
	err := d.view.follow(ctx, e)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end that was asked for
	}
	return fmt.Errorf("follow the store: %w", err)
}

// storedFormat is the value of meta/format.
type storedFormat struct {
	Format int `json:"format"`
	// Needs is the oldest version of Rollcall that understands the store.
	Needs string `json:"needs"`
}

// checkFormat refuses a store that a newer version wrote, and marks a new one.
func (d *DB) checkFormat(ctx context.Context) error {
	r, err := d.store.Get(ctx, keyFormat)
	if errors.Is(err, fault.NotFound) {
		b, err := encode(storedFormat{Format: format, Needs: "0.1"})
		if err != nil {
			return err
		}
		_, err = d.store.Apply(ctx, store.Txn{If: []store.Cond{store.Absent(keyFormat)}, Then: []store.Op{store.Put(keyFormat, b)}})
		if errors.Is(err, fault.Stale) {
			return d.checkFormat(ctx) // another replica was first
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("read the format of the store: %w", err)
	}
	var f storedFormat
	if err := decode(keyFormat, r.Value, &f); err != nil {
		return err
	}
	if f.Format > format {
		return fault.New(fault.Invalid, "newer_format",
			"the store has format %d and needs Rollcall %s or newer; this version knows format %d", f.Format, f.Needs, format)
	}
	return nil
}

// Commit writes changes and their audit entry in one transaction, and returns its
// revision once the View shows it. It is fault.Stale when anything it was based on
// has changed: then nothing was written, and the caller decides again.
func (d *DB) Commit(ctx context.Context, by audit.Actor, cs ...Change) (store.Revision, error) {
	return d.commit(ctx, d.view.Now(), by, cs)
}

// Decide is Commit for writes that can change what anyone may do. decide is called
// with a snapshot and returns the changes; when another such write came between, it
// is called again with a newer one, up to five times. So two of them cannot each be
// right alone and wrong together.
func (d *DB) Decide(ctx context.Context, by audit.Actor, decide func(*Snapshot) ([]Change, error)) (store.Revision, error) {
	snap := d.view.Now()
	for try := 1; ; try++ {
		cs, err := decide(snap)
		if err != nil || len(cs) == 0 {
			return snap.rev, err
		}
		rev, err := d.commit(ctx, snap, by, append(cs, epoch{}))
		if !errors.Is(err, fault.Stale) || try == 5 {
			return rev, err
		}
		if snap, err = d.newer(ctx, snap); err != nil {
			return 0, err
		}
	}
}

// newer returns a snapshot that shows what the store holds now.
func (d *DB) newer(ctx context.Context, old *Snapshot) (*Snapshot, error) {
	r, err := d.store.Get(ctx, keyEpoch)
	switch {
	case errors.Is(err, fault.NotFound):
		return d.view.AtLeast(ctx, old.rev+1)
	case err != nil:
		return nil, err
	}
	return d.view.AtLeast(ctx, max(r.Rev, old.rev+1))
}

// epoch makes a transaction rest on no other decision having been written since its
// snapshot, and counts as one.
type epoch struct{}

func (epoch) build(t *txn) error {
	t.base(keyEpoch, t.snap.epoch)
	t.write(store.Put(keyEpoch, []byte(`{}`)))
	return nil
}

func (d *DB) commit(ctx context.Context, snap *Snapshot, by audit.Actor, cs []Change) (store.Revision, error) {
	t := newTxn(snap, by, d.now())
	for _, c := range cs {
		if err := c.build(t); err != nil {
			return 0, tooManyMembers(err)
		}
	}
	return d.send(ctx, t)
}

// send commits a transaction and waits until the view shows it, if any of it is for
// the view.
func (d *DB) send(ctx context.Context, t *txn) (store.Revision, error) {
	rev, err := d.apply(ctx, t)
	if err != nil {
		return 0, err
	}
	if !slices.ContainsFunc(t.ops, func(op store.Op) bool { return strings.HasPrefix(op.Key, viewPrefix) }) {
		return rev, nil
	}
	_, err = d.view.AtLeast(ctx, rev)
	return rev, err
}

// apply commits a transaction. When the answer is lost it looks for the audit entry
// instead of trying again: the entry is there exactly when the rest is.
func (d *DB) apply(ctx context.Context, t *txn) (store.Revision, error) {
	st, key, err := t.finish()
	if err != nil {
		return 0, err
	}
	rev, err := d.store.Apply(ctx, st)
	switch {
	case errors.Is(err, fault.Stale):
		return 0, fault.New(fault.Stale, "stale", "somebody else changed the same thing at the same time: read it again and decide anew: %w", err)
	case err == nil || key == "" || !errors.Is(err, fault.Unavailable):
		return rev, err
	}
	if r, e := d.store.Get(ctx, key); e == nil {
		return r.Rev, nil
	}
	return 0, fmt.Errorf("it is not known whether the change was written: %w", err)
}
