package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
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

	pushes pushes
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
	d.pushes.db = d
	if err := d.checkFormat(ctx); err != nil {
		return nil, err
	}
	e, snap, err := d.view.load(ctx)
	if err != nil {
		return nil, err
	}
	d.first = e
	d.view.publish(snap, nil)
	if snap.users.Len() >= manyUsers {
		debug.FreeOSMemory()
	}
	return d, nil
}

// manyUsers is from how many users on reading everything leaves tens of megabytes of
// garbage, as much as it leaves data, which the process would keep for long: they are
// given back to the system at once.
const manyUsers = 10_000

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

// tries is how often a decision is made at most.
const tries = 5

// newer returns a snapshot that shows what made a transaction stale, or nil when it
// was nothing that a snapshot ever shows, such as the end of a term.
func (d *DB) newer(ctx context.Context, t *txn) (*Snapshot, error) {
	var rev store.Revision
	for _, c := range t.conds {
		if !strings.HasPrefix(c.Key, viewPrefix) {
			continue
		}
		now, err := d.written(ctx, t.snap, c)
		if err != nil {
			return nil, err
		}
		rev = max(rev, now)
	}
	if rev <= t.snap.rev {
		return nil, nil //nolint:nilnil // said above
	}
	return d.view.AtLeast(ctx, rev)
}

// written returns when what a condition of a snapshot is about was last written.
func (d *DB) written(ctx context.Context, snap *Snapshot, c store.Cond) (rev store.Revision, err error) {
	if c.Kind == store.CondUnchangedPrefix {
		records, _, err := d.store.List(ctx, c.Key)
		if err != nil {
			return 0, err
		}
		for r, err := range records {
			if err != nil {
				return 0, err
			}
			rev = max(rev, r.Rev)
		}
		return rev, nil
	}
	r, err := d.store.Get(ctx, c.Key)
	if errors.Is(err, fault.NotFound) {
		if c.Rev > 0 { // it was there as of the snapshot: the view will show how it went
			rev = snap.rev + 1
		}
		return rev, nil
	}
	return r.Rev, err
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
	t, err := d.build(snap, by, cs)
	if err != nil {
		return 0, err
	}
	return d.send(ctx, t)
}

func (d *DB) build(snap *Snapshot, by audit.Actor, cs []Change) (*txn, error) {
	t := newTxn(snap, by, d.now())
	t.spread = true
	for _, c := range cs {
		if err := c.build(t); err != nil {
			return nil, tooManyMembers(err)
		}
	}
	return t, nil
}

// send commits a transaction and waits until the view shows it, if it is for the
// view at all.
func (d *DB) send(ctx context.Context, t *txn) (store.Revision, error) {
	rev, err := d.apply(ctx, t)
	if err != nil || !t.visible() {
		return rev, err
	}
	_, err = d.view.AtLeast(ctx, rev)
	return rev, err
}

// apply commits a transaction.
func (d *DB) apply(ctx context.Context, t *txn) (store.Revision, error) {
	st, key, err := t.finish()
	if err != nil {
		return 0, err
	}
	return d.write(ctx, st, key)
}

// write commits a transaction. When the answer is lost it looks for the audit entry
// under key instead of trying again: the entry is there exactly when the rest is.
func (d *DB) write(ctx context.Context, st store.Txn, key string) (store.Revision, error) {
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
