package admin

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/usage"
)

// refusing is a store that takes no counts for a while.
type refusing struct {
	store.Store
	away atomic.Bool
}

// Apply implements store.Store.
func (r *refusing) Apply(ctx context.Context, t store.Txn) (store.Revision, error) {
	if r.away.Load() && strings.HasPrefix(t.Then[0].Key, "w/u/") {
		return 0, fault.New(fault.Unavailable, "away", "the store does not answer")
	}
	return r.Store.Apply(ctx, t)
}

// noSync is a Syncer that is not asked anything.
type noSync struct{ Syncer }

// countingAPI returns an API over a state with one user, which does not follow its
// store: what is counted is kept beside what is followed.
func countingAPI(t testing.TB, s store.Store) (*API, access.Caller) {
	t.Helper()
	db, err := state.Open(t.Context(), state.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{DB: db, Sync: noSync{}, Usage: usage.DefaultConfig()})
	if err != nil {
		t.Fatal(err)
	}
	return a, access.Caller{User: identity.NewUserID(), Kind: access.KindKey, Token: "x"}
}

func kept(t *testing.T, a *API) []int64 {
	t.Helper()
	days, err := a.db.Usage(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var out []int64
	for _, d := range days {
		out = append(out, d.Table[usage.Bucket{Name: usage.OtherTouches, Class: usage.ClassOther}].Done)
	}
	return out
}

// What is counted is kept every few minutes, also beyond midnight and after the store
// was away, and once more at the end. Nothing is kept twice.
func TestCountUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &refusing{Store: mem.New()}
		a, c := countingAPI(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.CountUsage(ctx) }()
		count := func() { a.count(c, "getMe", http.StatusOK, "") }
		later := func(d time.Duration, want ...int64) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if d := cmp.Diff(want, kept(t, a)); d != "" {
				t.Errorf("kept (-want +got):\n%s", d)
			}
		}
		count()
		later(usageEvery-time.Second, []int64(nil)...)
		later(2*time.Second, 1)
		s.away.Store(true)
		count()
		later(usageEvery, 1)
		s.away.Store(false)
		later(usageEvery, 2)
		later(24*time.Hour, 2) // time in a bubble begins at midnight
		count()
		later(usageEvery, 2, 1)
		count()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		later(0, 2, 2)
		if due := a.counter.tally.Due(); len(due) != 0 {
			t.Errorf("due at the end: %v", due)
		}
	})
}

func TestOutcomes(t *testing.T) {
	for status, want := range map[int]usage.Outcome{
		200: usage.Done, 204: usage.Done, 304: usage.Done, 0: usage.Done,
		403: usage.Refused, 405: usage.Refused, 409: usage.Refused, 412: usage.Refused, 429: usage.Refused,
		400: usage.Failed, 404: usage.Failed, 422: usage.Failed, 500: usage.Failed, 503: usage.Failed,
	} {
		if got := outcomeOf(status); got != want {
			t.Errorf("outcomeOf(%d) = %v, want %v", status, got, want)
		}
	}
}

// The class follows what somebody may do, also when a grant expires with no write.
func TestClassFollowsGrants(t *testing.T) {
	s := mem.New()
	db, err := state.Open(t.Context(), state.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	a, err := New(Options{DB: db, Sync: noSync{}, Usage: usage.DefaultConfig(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	c := access.Caller{User: identity.NewUserID(), Kind: access.KindKey}
	wantClass := func(want usage.Class) {
		t.Helper()
		if got, on := a.counter.classOf(db.View().Now(), c); got.class != want || on != "2026-11-25" {
			t.Errorf("class %s on %s, want %s", got.class, on, want)
		}
	}
	commit := func(cs ...state.Change) {
		t.Helper()
		if _, err := db.Commit(t.Context(), audit.Actor{Kind: audit.ActorSystem, ID: "test"}, cs...); err != nil {
			t.Fatal(err)
		}
	}
	wantClass(usage.ClassOther)
	m := identity.UserMember(c.User)
	commit(state.Create{Member: m, Record: &identity.Record{Source: identity.Local, Key: "k", Name: "ann"}})
	wantClass(usage.ClassDataUser)
	commit(state.PutGrant{Grant: permissions.Grant{
		ID: "g", Permission: permissions.Audit, Subject: m, By: "user:root", At: now, Reason: "test", Origin: "local", Expires: now.Add(time.Hour),
	}})
	wantClass(usage.ClassAuditor)
	now = now.Add(time.Hour)
	wantClass(usage.ClassDataUser)
	c.Kind = access.KindService
	wantClass(usage.ClassService)
}

// BenchmarkCount measures what counting adds to a request.
func BenchmarkCount(b *testing.B) {
	a, c := countingAPI(b, mem.New())
	b.ReportAllocs()
	for b.Loop() {
		a.count(c, "accessEvaluation", http.StatusOK, "")
	}
}
