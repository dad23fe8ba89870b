package state

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// MaxWithdrawn is how many grants of a removed permission go in one transaction.
const MaxWithdrawn = 100

// Withdrawal returns the changes that remove the first [MaxWithdrawn] grants of a
// permission.
func (s *Snapshot) Withdrawal(p permissions.Permission) []Change {
	of := slices.SortedFunc(s.book.With(p), func(x, y *permissions.Grant) int { return x.Subject.Compare(y.Subject) })
	var cs []Change
	for _, g := range of[:min(len(of), MaxWithdrawn)] {
		cs = append(cs, RemoveGrant{Subject: g.Subject, Permission: p, Reason: "the permission was removed"})
	}
	return cs
}

// RemoveLeftGrants removes the grants that a removed permission has left, in as many
// transactions as it takes.
func (d *DB) RemoveLeftGrants(ctx context.Context, by audit.Actor, p permissions.Permission, only ...Change) error {
	for done := false; !done; {
		_, err := d.Decide(ctx, by, func(s *Snapshot) ([]Change, error) {
			cs := s.Withdrawal(p)
			if _, known := s.book.Lookup(p); known {
				cs = nil // it was made again, which it can be only when nothing was left
			}
			if done = len(cs) == 0; done {
				return nil, nil
			}
			return slices.Concat(only, cs), nil
		})
		if err != nil {
			return err
		}
	}
	_, err := d.store.Apply(ctx, store.Txn{Then: []store.Op{store.Delete(keyLeft + string(p))}})
	return err
}

// leftEvery is how often a leader looks for what a replica that ended has left.
const leftEvery = time.Minute

// Grants of a removed permission do not count, since the catalogue does not have its
// name. Only of a name that was removed are they taken away: another unknown one may be
// known to a newer version.

// FollowLeftGrants removes, as leader, what removed permissions have left when the
// process that removed them ended before it was done. It ends with ctx.
func (d *DB) FollowLeftGrants(ctx context.Context, term store.Cond) error {
	for {
		all, _, err := d.store.List(ctx, keyLeft)
		if err != nil {
			return err
		}
		var left []permissions.Permission
		for rec, err := range all {
			if err != nil {
				return err
			}
			left = append(left, permissions.Permission(strings.TrimPrefix(rec.Key, keyLeft)))
		}
		for _, p := range left {
			if err := d.RemoveLeftGrants(ctx, cleaner, p, Fenced{term}); err != nil {
				return err
			}
		}
		if err := pause(ctx, leftEvery); err != nil {
			return err
		}
	}
}

// cleaner stands behind what only finishes what somebody has begun.
var cleaner = audit.Actor{Kind: audit.ActorSystem, ID: "cleaner", Name: "cleaner"}
