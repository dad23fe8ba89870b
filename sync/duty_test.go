package sync_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
)

func TestADutyIsDoneWhileLeadingAndBegunAgainWhenItFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := mem.New()
		db, err := state.Open(t.Context(), state.Options{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		begun := make(chan store.Cond, 2)
		duty := sync.Duty{Name: "clean", Run: func(ctx context.Context, fence store.Cond) error {
			begun <- fence
			if len(begun) == 1 {
				return errors.New("not today")
			}
			<-ctx.Done()
			return ctx.Err()
		}}
		r, err := sync.New(sync.Options{DB: db, Leader: s, Duties: []sync.Duty{duty}})
		if err != nil {
			t.Fatal(err)
		}
		h := &house{Runner: r, t: t, db: db, store: s}
		h.start()
		time.Sleep(time.Minute) // of the bubble: past the pause after a failure
		if len(begun) != 2 {
			t.Fatalf("begun %d times, want twice", len(begun))
		}
		if first, again := <-begun, <-begun; first == (store.Cond{}) || again != first {
			t.Errorf("begun under %v and %v, want one fence", first, again)
		}
		if !r.Leading() {
			t.Error("a duty that failed ended the term")
		}
		h.stop()
	})
}

// TestWhoReturnsHasNotForAMomentWhatHeHadBefore looks at every state that a run goes
// through when somebody is back who is no longer in his group.
func TestWhoReturnsHasNotForAMomentWhatHeHadBefore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		h.source.sees(people(proven, "ann", "bob", "staff: ann bob"))
		h.wantRun(state.RunSucceeded)
		h.source.sees(people(proven, "bob", "staff: bob"))
		h.wantRun(state.RunSucceeded)
		h.source.sees(people(proven, "ann", "bob", "staff: bob"))
		look := func() {
			snap := h.db.View().Now()
			ann, err := snap.OneUser("ann")
			if err != nil {
				t.Fatal(err)
			}
			who, _ := snap.Subject(ann)
			if who.Status == "" && len(snap.DirectGroups(who.Handle)) > 0 {
				t.Error("ann is active and in the group that she has left")
			}
		}
		h.store.Fail(func(store.Txn) error { look(); return nil })
		h.wantRun(state.RunSucceeded)
		look()
		if ann, _ := h.db.View().Now().OneUser("ann"); !slices.Contains(h.roll(), "user k-ann ann") {
			t.Errorf("ann (%v) has not returned: %v", ann, h.roll())
		}
	})
}

// TestNothingIsPlannedWhileValuesCannotBeRead keeps an old replica from taking what a
// newer one wrote for absent, and making everybody twice.
func TestNothingIsPlannedWhileValuesCannotBeRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		h.source.sees(people(proven, "ann"))
		h.wantRun(state.RunSucceeded)
		ann, err := h.db.View().Now().OneUser("ann")
		if err != nil {
			t.Fatal(err)
		}
		key := "v/u/" + ann.String()
		readable, err := h.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		put := func(value string) {
			if _, err := h.store.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put(key, []byte(value))}}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		put(`{"v":99,"src":"corp","key":"k-ann","name":"ann"}`)
		if n := h.db.View().Now().Unread(); n != 1 {
			t.Errorf("%d values are unread, want 1", n)
		}
		if run := h.wantRun(state.RunFailed); !strings.Contains(run.Error, "newer version") {
			t.Errorf("the run says %q, want what to do", run.Error)
		}
		put(string(readable.Value))
		h.wantRun(state.RunSucceeded)
		if got := h.roll(); !slices.Equal(got, []string{"user k-ann ann"}) {
			t.Errorf("the roll is %v, want ann once", got)
		}
	})
}
