package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// Each built-in permission is given to so many groups and to so many users.
const (
	grantsToGroups = 100
	grantsToUsers  = 200
)

// check asks the newest snapshot whether users have permissions, as fast as one core
// can, for two seconds. What it took is time of the processor, so that a neighbor on
// the same core does not count.
func (w *worker) check(ctx context.Context) (reply, error) {
	snap, err := w.grant(ctx)
	if err != nil {
		return reply{}, err
	}
	var users []identity.UserID
	for row := range snap.Users(identity.UserID{}, time.Now()) {
		if id, ok := row.Member.User(); ok {
			users = append(users, id)
		}
	}
	var names []permissions.Permission
	for e := range permissions.BuiltIns() {
		names = append(names, e.Name)
	}
	book, now := snap.Book(), time.Now()
	yes := 0
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			r := permissions.Request{User: users[i*7919%len(users)], Permission: names[i%len(names)], Now: now}
			if book.Check(snap, r).Allowed {
				yes++
			}
		}
	}
	const batch = 10_000
	ask(0, batch) // closes the groups
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, used, n := time.Now(), processor(), 0
	yes = 0
	for time.Since(began) < 2*time.Second {
		ask(n, n+batch)
		n += batch
	}
	took := processor() - used
	runtime.ReadMemStats(&after)
	return reply{
		Took: took, Count: n, Yes: float64(yes) / float64(n),
		Allocs: float64(after.Mallocs-before.Mallocs) / float64(n),
	}, nil
}

// grant writes the grants that are not there yet.
func (w *worker) grant(ctx context.Context) (*state.Snapshot, error) {
	snap := w.db.View().Now()
	var groups, users []identity.Member
	for row := range snap.Groups(identity.GroupID{}) {
		groups = append(groups, row.Member)
	}
	for row := range snap.Users(identity.UserID{}, time.Now()) {
		users = append(users, row.Member)
	}
	n := 0
	for e := range permissions.BuiltIns() {
		subjects := append(spread(groups, grantsToGroups, n), spread(users, grantsToUsers, n)...)
		const atOnce = 50
		for len(subjects) > 0 {
			k := min(atOnce, len(subjects))
			var changes []state.Change
			for _, m := range subjects[:k] {
				n++
				changes = append(changes, state.PutGrant{Grant: permissions.Grant{
					ID: permissions.GrantID(fmt.Sprintf("bench-%06d", n)), Permission: e.Name, Subject: m,
					By: "bench", At: time.Now(), Origin: identity.Origin(identity.Local),
				}})
			}
			if _, err := w.db.Commit(ctx, audit.Actor{Kind: audit.ActorSystem, ID: "bench"}, changes...); err != nil {
				return nil, err
			}
			subjects = subjects[k:]
		}
	}
	return w.db.View().Now(), nil
}

// spread takes n of all, at even distances.
func spread(all []identity.Member, n, from int) []identity.Member {
	n = min(n, len(all))
	out := make([]identity.Member, n)
	for i := range out {
		out[i] = all[(i*len(all)/n+from)%len(all)]
	}
	return out
}
