package state

import (
	"context"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/store"
)

// clockActor stands behind what only the clock does.
var clockActor = audit.Actor{Kind: audit.ActorSystem, ID: "clock", Name: "clock"}

// expiryBatch is how many ends are told in one transaction.
const expiryBatch = 50

// TellExpired writes one audit entry for each grant that has ended since it was last
// called, as leader, and returns when the next one ends; the zero time when none will.
// It changes nothing that anybody may do: a grant counts for nothing from its end on,
// on every replica and by itself.
func (d *DB) TellExpired(ctx context.Context, term store.Cond) (next time.Time, err error) {
	for {
		told := 0
		_, err := d.Decide(ctx, clockActor, func(s *Snapshot) ([]Change, error) {
			now := d.now()
			next, told = time.Time{}, 0
			cs := []Change{Fenced{term}}
			for g := range s.book.Grants() {
				switch {
				case g.Expires.IsZero() || g.Told:
				case g.Effective(now):
					if next.IsZero() || g.Expires.Before(next) {
						next = g.Expires
					}
				case told < expiryBatch:
					cs = append(cs, MarkExpired{*g})
					told++
				}
			}
			if told == 0 {
				return nil, nil
			}
			return cs, nil
		})
		if err != nil || told < expiryBatch {
			return next, err
		}
	}
}

// maxExpirySleep bounds how late a grant that was shortened is told.
const maxExpirySleep = 30 * time.Second

// FollowExpiry tells of each grant that ends, on time, until ctx ends.
func (d *DB) FollowExpiry(ctx context.Context, term store.Cond) error {
	for {
		changed := d.view.Changed()
		next, err := d.TellExpired(ctx, term)
		if err != nil {
			return err
		}
		sleep := maxExpirySleep
		if !next.IsZero() {
			sleep = max(min(sleep, next.Sub(d.now())), time.Millisecond)
		}
		timer := time.NewTimer(sleep)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
			if err := pause(ctx, time.Second); err != nil { // many changes at once are looked at once
				return err
			}
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
