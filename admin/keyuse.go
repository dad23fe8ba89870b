package admin

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// forCalls reports whether a credential is one that calls are made with.
func forCalls(k access.Kind) bool { return k == access.KindKey || k == access.KindService }

// withinKey returns the permissions that a key may be used for.
func withinKey(ps, limit []permissions.Permission) []permissions.Permission {
	if len(limit) == 0 {
		return ps
	}
	return slices.DeleteFunc(slices.Clone(ps), func(p permissions.Permission) bool { return !slices.Contains(limit, p) })
}

// useEvery is how often the use of one key is written down, and useWait how long a
// request waits for that.
const (
	useEvery = time.Hour
	useWait  = 2 * time.Second
)

// uses notes when keys were last used, each at most once an hour.
type uses struct {
	mu    sync.Mutex
	tried map[string]time.Time // guarded by mu
}

// begin reports whether the use of a key is to be written down now, and by whom asks.
func (u *uses) begin(t *state.Token, now time.Time) bool {
	if now.Sub(t.Used) < useEvery {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.tried[t.ID]) < useEvery {
		return false
	}
	if u.tried == nil || len(u.tried) >= maxClassed {
		u.tried = map[string]time.Time{}
	}
	u.tried[t.ID] = now
	return true
}

// note writes down that a key was used. That it cannot be written is no reason to
// refuse the request, which may only read.
func (u *uses) note(ctx context.Context, a *API, t *state.Token, now time.Time) {
	if !a.staleSince().IsZero() || !u.begin(t, now) {
		return
	}
	short, cancel := context.WithTimeout(ctx, useWait)
	defer cancel()
	if _, err := a.db.Commit(short, systemActor, state.TouchToken{ID: t.ID, At: now}); err != nil {
		a.log.DebugContext(ctx, "use of a key not noted", "key", t.ID, "err", err)
	}
}
