package sink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// carrier carries the log to one sink.
type carrier struct {
	keeper   *Keeper
	sink     *Sink
	to       target
	pause    time.Duration // after a first failure
	disabled atomic.Bool   // the receiver wants no more
}

const (
	batch = 100 // entries at a time
	// A sink that fails is tried again after a pause, which doubles up to mostPause,
	// without end.
	firstPause = time.Second
	mostPause  = 30 * time.Minute
	// cursorPause is how long it may be before it is stored how far a slow sink is.
	cursorPause = 2 * time.Second
)

// run carries until ctx ends or the term is over.
func (c *carrier) run(ctx context.Context, fence store.Cond) error {
	defer func() { _ = c.to.close() }()
	if c.disabled.Load() {
		return nil
	}
	for ctx.Err() == nil {
		err := c.follow(ctx, fence)
		switch {
		case errors.Is(err, errGone):
			c.disable(ctx, fence)
			return nil
		case errors.Is(err, fault.Stale):
			return err
		case err != nil && ctx.Err() == nil:
			c.keeper.log.WarnContext(ctx, "audit sink cannot go on, trying again", "sink", c.sink.Name, "err", err)
			wait(ctx, c.pause)
		}
	}
	return nil
}

func (c *carrier) disable(ctx context.Context, fence store.Cond) {
	c.disabled.Store(true)
	c.keeper.log.ErrorContext(ctx, "audit sink disabled until the next start", "sink", c.sink.Name, "err", errGone)
	c.keeper.note(ctx, fence, audit.Event{Action: Disabled, Target: "sink/" + c.sink.Name, Name: c.sink.Name, Reason: errGone.Error()})
}

// begin returns from where the sink goes on.
func (c *carrier) begin(ctx context.Context, fence store.Cond) (state.AuditCursor, error) {
	at, err := c.keeper.db.SinkCursor(ctx, c.sink.Name)
	if err != nil || at.Rev > 0 || c.sink.Type != TypeWebhook {
		return at, err
	}
	head, err := c.keeper.db.AuditHead(ctx)
	if err != nil || head.Rev == 0 {
		return at, err
	}
	at = state.AuditCursor{Rev: head.Rev, Seq: head.Seq}
	return at, c.keeper.db.KeepSinkCursor(ctx, fence, c.sink.Name, at)
}

func (c *carrier) follow(ctx context.Context, fence store.Cond) error {
	after, err := c.begin(ctx, fence)
	if err != nil {
		return err
	}
	d := &delivery{carrier: c, fence: fence, kept: after, at: after}
	q := state.AuditQuery{After: after.Rev, Limit: batch}
	for page, err := range c.keeper.db.FollowAudit(ctx, q, upkeepPause) {
		if err == nil {
			err = d.page(ctx, &page)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// delivery knows how far a sink is, and how far that is stored.
type delivery struct {
	*carrier
	fence    store.Cond
	at, kept state.AuditCursor
	stored   time.Time
}

// page delivers a page, however long it takes.
func (d *delivery) page(ctx context.Context, page *state.AuditPage) error {
	d.missing(ctx, page)
	entries := make([]audit.Envelope, 0, len(page.Entries))
	for i := range page.Entries {
		if e := page.Entries[i].Envelope(); slices.ContainsFunc(e.Actions, d.sink.wants) {
			entries = append(entries, e)
		}
	}
	pause := d.pause
	for len(entries) > 0 {
		n, err := d.take(ctx, entries)
		entries = entries[n:]
		if err == nil {
			pause = d.pause
			continue
		}
		if errors.Is(err, errGone) || errors.Is(err, fault.Stale) || ctx.Err() != nil {
			return err
		}
		d.keeper.metrics.failures.WithLabelValues(d.sink.Name).Inc()
		d.keeper.log.WarnContext(ctx, "audit entry not taken, trying again", "sink", d.sink.Name, "entry", entries[0].ID, "rev", entries[0].Revision, "pause", pause, "err", err)
		wait(ctx, jitter(pause))
		pause = min(2*pause, mostPause)
	}
	if n := len(page.Entries); n > 0 {
		d.at = state.AuditCursor{Rev: page.Next, Seq: page.Entries[n-1].Seq}
	}
	return d.keep(ctx)
}

// missing says when entries were removed before the sink had them: there were too many
// while it took none.
func (d *delivery) missing(ctx context.Context, page *state.AuditPage) {
	if len(page.Entries) == 0 || d.at.Seq == 0 || page.Entries[0].Seq == d.at.Seq+1 {
		return
	}
	d.keeper.log.ErrorContext(ctx, "audit sink has missed entries: retention by size removed them before it took them",
		"sink", d.sink.Name, "first", d.at.Seq+1, "last", page.Entries[0].Seq-1)
}

// take hands on a few at a time, and stores how far it is when that takes long.
func (d *delivery) take(ctx context.Context, entries []audit.Envelope) (int, error) {
	step := len(entries)
	if d.sink.Type == TypeWebhook {
		step = 1
	}
	n, err := d.to.take(ctx, entries[:step])
	if n > 0 {
		d.at = state.AuditCursor{Rev: store.Revision(entries[n-1].Revision), Seq: entries[n-1].Seq}
		d.keeper.metrics.taken.WithLabelValues(d.sink.Name).Add(float64(n))
	}
	if err != nil || time.Since(d.stored) >= cursorPause {
		err = errors.Join(err, d.keep(ctx))
	}
	return n, err
}

func (d *delivery) keep(ctx context.Context) error {
	if d.at == d.kept {
		return nil
	}
	if err := d.keeper.db.KeepSinkCursor(ctx, d.fence, d.sink.Name, d.at); err != nil {
		return fmt.Errorf("store how far it is: %w", err)
	}
	d.kept, d.stored = d.at, time.Now()
	d.keeper.metrics.revision.WithLabelValues(d.sink.Name).Set(float64(d.at.Rev))
	return nil
}

// jitter spreads a pause over half to one and a half of it.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // spreads load, hides nothing
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
