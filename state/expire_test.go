package state

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store/mem"
)

// TestTheEndOfAGrantIsToldOnceAndOnTime runs the leader's clock: one entry for each
// end, within a second or two of it, and none for a grant that was prolonged.
func TestTheEndOfAGrantIsToldOnceAndOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		c := &court{open(t, s), t, s}
		defer c.stop()
		term := lead(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.FollowExpiry(ctx, term.Fence()) }()

		boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
		ann, bob := identity.UserMember(c.user("ann")), identity.UserMember(c.user("bob"))
		start := time.Now()
		until := func(m identity.Member, d time.Duration) {
			g := give(m, permissions.Audit).(PutGrant)
			g.Grant.Expires = start.Add(d)
			c.must(actor(boss), g)
		}
		until(ann, 10*time.Minute)
		until(bob, 10*time.Minute)
		time.Sleep(5 * time.Minute)
		until(bob, time.Hour)
		time.Sleep(5*time.Minute + 2*time.Second)
		synctest.Wait()
		if got := told(c.View().Now()); !slices.Equal(got, []identity.Member{ann}) {
			t.Errorf("told of %v, want of ann alone", got)
		}
		rev := s.Revision()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if s.Revision() != rev {
			t.Error("something was written although nothing ended")
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n := len(told(c.View().Now())); n != 2 {
			t.Errorf("told of %d ends, want 2", n)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("FollowExpiry = %v, want the end that was asked for", err)
		}
	})
}

func told(s *Snapshot) []identity.Member {
	var out []identity.Member
	for g := range s.Book().Grants() {
		if g.Told {
			out = append(out, g.Subject)
		}
	}
	return out
}
