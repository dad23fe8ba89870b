package sync_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
)

const (
	day   = 24 * time.Hour
	grace = 30 * day
)

// purges has a source purge whom it has not had for a month, so many at once.
func purges(most int, schedule *sync.Schedule) option {
	return func(s *sync.SourceSpec) { s.PurgeAfter, s.PurgeAtMost, s.Purge = grace, most, schedule }
}

// emptied is a house whose source had five people and a group, and has only eve left.
func emptied(t *testing.T, options ...option) *house {
	t.Helper()
	h := build(t, mem.New(), options...)
	h.source.sees(people(proven, "ann", "bob", "carl", "dora", "eve", "staff: ann eve", "all: eve"))
	h.start()
	h.wantRun(state.RunSucceeded)
	h.source.sees(people(proven, "eve", "all: eve"))
	h.wantRun(state.RunSucceeded)
	return h
}

// records are the stored runs of a kind, the newest first.
func (h *house) records(trigger string) []state.Run {
	h.t.Helper()
	runs, err := h.db.Runs(h.t.Context(), corp)
	if err != nil {
		h.t.Fatalf("runs: %v", err)
	}
	return slices.DeleteFunc(runs, func(r state.Run) bool { return r.Trigger != trigger })
}

// has reports whether the roll has the user with a key, present or missing.
func (h *house) has(key identity.Key) bool {
	_, ok := h.db.View().Now().UserOf(corp, key)
	return ok
}

// A purge that was ordered removes what was shown, but nobody who came back meanwhile, and
// leaves a record.
func TestAPurgeIsARunOfItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := emptied(t, purges(3, nil), func(s *sync.SourceSpec) { s.Protected = []string{"DORA"} })
		defer h.stop()
		if p, err := h.PlanPurge(corp); err != nil || len(p.Gone) != 0 {
			t.Fatalf("before the grace is over: %+v, %v", p, err)
		}
		sleep(grace + time.Minute)
		p, err := h.PlanPurge(corp)
		if err != nil || len(p.Gone) != 3 || p.More != 1 {
			t.Fatalf("PlanPurge = %+v, %v, want three of ann, bob, carl and staff", p, err)
		}
		if _, err := h.OrderPurge(corp, "sha256:0"); fault.Code(err) != "plan_changed" {
			t.Errorf("another digest: %v, want plan_changed", err)
		}
		for _, most := range []int{3, 1} {
			if p, err = h.PlanPurge(corp); err != nil || len(p.Gone) != most {
				t.Fatalf("PlanPurge = %+v, %v, want %d", p, err, most)
			}
			order, err := h.OrderPurge(corp, p.Digest)
			if err != nil {
				t.Fatal(err)
			}
			h.decide(order)
			run, err := h.Wait(t.Context(), corp, order.Order.Run)
			if err != nil || run.State != state.RunSucceeded || run.Trigger != "purge" || !strings.Contains(run.Summary, "removed for good") {
				t.Fatalf("the purge ended as %+v, %v", run, err)
			}
			if o := h.db.View().Now().Source(corp).Purge; o != nil {
				t.Errorf("the order is still there: %+v", o)
			}
		}
		if p, err := h.PlanPurge(corp); err != nil || len(p.Gone) != 0 {
			t.Errorf("afterwards: %+v, %v, want nobody", p, err)
		}
		for name, there := range map[string]bool{"ann": false, "bob": false, "carl": false, "dora": true, "eve": true} {
			if ok := h.has(identity.Key("k-" + name)); ok != there {
				t.Errorf("%s is in the roll: %t, want %t", name, ok, there)
			}
		}
		if runs := h.records("purge"); len(runs) != 2 {
			t.Errorf("%d records, want 2: %+v", len(runs), runs)
		}
	})
}

// What was ordered is not done when it has changed before the leader came to it.
func TestAPurgeOfWhatHasChanged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := emptied(t, purges(10, nil))
		defer h.stop()
		sleep(grace + time.Minute)
		p, err := h.PlanPurge(corp)
		if err != nil {
			t.Fatal(err)
		}
		order, err := h.OrderPurge(corp, p.Digest)
		if err != nil {
			t.Fatal(err)
		}
		h.source.sees(people(proven, "eve", "bob", "all: eve"))
		h.wantRun(state.RunSucceeded)
		h.decide(order)
		run, err := h.Wait(t.Context(), corp, order.Order.Run)
		if err != nil || run.State != state.RunFailed || !strings.Contains(run.Error, "look at the plan again") {
			t.Errorf("the purge ended as %+v, %v", run, err)
		}
		if o := h.db.View().Now().Source(corp).Purge; !h.has("k-ann") || o != nil {
			t.Errorf("ann is there: %t, the order: %+v", h.has("k-ann"), o)
		}
	})
}

// By schedule nobody goes before his time, and not more than one purge may remove.
func TestAPurgeBySchedule(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		daily := mustParse(t, "@daily", "")
		h := emptied(t, purges(3, daily))
		defer h.stop()
		sleep(grace - day)
		if runs := h.records("purge"); len(runs) != 0 {
			t.Fatalf("records of purges of nobody: %+v", runs)
		}
		sleep(2*day + time.Minute)
		runs := h.records("purge")
		if len(runs) == 0 || runs[0].State != state.RunHeld || len(runs[0].Held) != 1 || !strings.Contains(runs[0].Held[0], "purge_at_most") {
			t.Fatalf("5 of at most 3: %+v, want it held", runs)
		}
		if !h.has("k-ann") {
			t.Fatal("ann is gone")
		}
		if err := h.Reload([]sync.SourceSpec{h.spec(purges(5, daily))}); err != nil {
			t.Fatal(err)
		}
		h.decide(state.Pause{Source: corp, On: true, Reason: "test"})
		sleep(2 * day)
		if !h.has("k-ann") {
			t.Fatal("ann is gone from a source that is paused")
		}
		h.resume()
		sleep(2 * day)
		if run := h.records("purge")[0]; run.State != state.RunSucceeded || !strings.Contains(run.Summary, "4 users, 1 groups") {
			t.Errorf("the purge ended as %+v", run)
		}
		if h.has("k-ann") {
			t.Error("ann is still there")
		}
	})
}
