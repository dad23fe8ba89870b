package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// View follows the store and keeps the newest Snapshot. Readers take it without
// waiting and without a lock.
type View struct {
	store store.Store
	log   *slog.Logger
	now   func() time.Time
	pause time.Duration // after a first failure to follow
	feed  *feed

	snap atomic.Pointer[Snapshot]

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever snap is; guarded by mu
	failed  error         // why the view will not move again; guarded by mu
}

func newView(s store.Store, log *slog.Logger, now func() time.Time) *View {
	return &View{store: s, log: log, now: now, pause: firstPause, feed: &feed{now: now}, changed: make(chan struct{})}
}

// Now returns the newest snapshot. It never waits.
func (v *View) Now() *Snapshot { return v.snap.Load() }

// AtLeast returns a snapshot of the given revision or a newer one, waiting for it
// until ctx ends: then, or when the view cannot go on, it is fault.Unavailable.
func (v *View) AtLeast(ctx context.Context, rev store.Revision) (*Snapshot, error) {
	for {
		if s := v.snap.Load(); s.rev >= rev {
			return s, nil
		}
		v.mu.Lock()
		changed, failed := v.changed, v.failed
		v.mu.Unlock()
		if s := v.snap.Load(); s.rev >= rev {
			return s, nil
		}
		if failed != nil {
			return nil, fault.New(fault.Unavailable, "view_stopped", "the view of the store stopped: %w", failed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fault.New(fault.Unavailable, "not_visible_yet", "revision %d is not visible yet: %w", rev, ctx.Err())
		}
	}
}

// Changed returns a channel that is closed when a snapshot newer than the one given
// may be there.
func (v *View) Changed() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changed
}

func (v *View) publish(s *Snapshot, failed error) {
	if s != nil {
		v.snap.Store(s)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed = failed
	close(v.changed)
	v.changed = make(chan struct{})
}

// load reads everything under v/ at one revision. Members come before users in key
// order, so they are put off until the users have their handles: handles are then in
// the order of ids.
func (v *View) load(ctx context.Context) (*editor, *Snapshot, error) {
	e := newEditor()
	records, rev, err := v.store.List(ctx, viewPrefix)
	if err != nil {
		return nil, nil, fmt.Errorf("read the roll: %w", err)
	}
	var chunks []store.Event
	for r, err := range records {
		if err != nil {
			return nil, nil, fmt.Errorf("read the roll: %w", err)
		}
		ev := store.Event{Record: r}
		if strings.HasPrefix(r.Key, keyMembers) || strings.HasPrefix(r.Key, keyLocal) || strings.HasPrefix(r.Key, keyLinked) {
			chunks = append(chunks, ev)
			continue
		}
		v.take(e, ev)
	}
	for _, ev := range chunks {
		v.take(e, ev)
	}
	e.feed = v.feed.begin(rev)
	return e, e.publish(rev), nil
}

// take applies one event. What this version cannot read is said and left out: one
// bad value must not keep a daemon from answering for all others.
func (v *View) take(e *editor, ev store.Event) {
	if err := e.apply(ev); err != nil {
		v.log.Error("stored value left out", "key", ev.Record.Key, "rev", ev.Record.Rev, "err", err)
		if key := ev.Record.Key; strings.HasPrefix(key, keyUser) || strings.HasPrefix(key, keyLinked) || strings.HasPrefix(key, keyGroup) || strings.HasPrefix(key, keyMembers) {
			e.left[key] = struct{}{}
		}
		return
	}
	delete(e.left, ev.Record.Key)
}

// The pause after a failure to follow the store. It doubles while failures go on.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 5 * time.Second
)

// follow applies what happens after the snapshot until ctx ends or the store is
// closed. When the history it needs is gone it reads everything again. Whatever else
// fails is tried again without end: readers have the last snapshot meanwhile.
func (v *View) follow(ctx context.Context, e *editor) error {
	rev := v.snap.Load().rev
	pause := v.pause
	for {
		began := rev
		err := v.watch(ctx, e, &rev)
		if errors.Is(err, store.ErrCompacted) && ctx.Err() == nil {
			v.log.WarnContext(ctx, "view fell behind the store's history, reading again", "rev", rev)
			var next *editor
			var snap *Snapshot
			if next, snap, err = v.load(ctx); err == nil {
				e, rev = next, snap.rev
				v.publish(snap, nil)
				continue
			}
		}
		if ctx.Err() != nil || fault.Code(err) == "store_closed" {
			v.publish(nil, err)
			return err
		}
		if rev > began {
			pause = v.pause
		}
		v.log.WarnContext(ctx, "view cannot follow the store, trying again", "rev", rev, "pause", pause, "err", err)
		wait(ctx, pause)
		pause = min(2*pause, mostPause)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// together is how many batches of the store one snapshot may bring when they come
// faster than they are taken in. Each snapshot costs a copy of all that the next one
// changes, which during a run is more than the changes themselves.
const together = 32

func (v *View) watch(ctx context.Context, e *editor, rev *store.Revision) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan store.Batch, 2*together)
	var failed error
	go func() {
		defer close(batches)
		for batch, err := range v.store.Watch(ctx, viewPrefix, *rev) {
			if err != nil {
				failed = err
				return
			}
			select {
			case batches <- batch:
			case <-ctx.Done():
			}
		}
	}()
	waiting := 0
	for batch := range batches {
		for _, ev := range batch.Events {
			v.take(e, ev)
		}
		*rev = batch.Rev
		if waiting++; len(batches) == 0 || waiting == together {
			v.publish(e.publish(batch.Rev), nil)
			waiting = 0
		}
	}
	if failed != nil {
		return failed
	}
	return ctx.Err()
}
