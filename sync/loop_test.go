package sync_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
)

// The clock of a bubble begins at midnight UTC, 2000-01-01.

// sleep lets time pass in the bubble, and what is due then happen.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func clock(times []time.Time, zone string) []string {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		panic(err)
	}
	var out []string
	for _, t := range times {
		out = append(out, t.In(loc).Format("Jan 02 15:04:05 -07"))
	}
	return out
}

func TestScheduleFiresAtItsInstants(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "15,45 8-9 * * *", "Europe/Berlin")).start()
		defer h.stop()
		sleep(30 * time.Hour)
		want := []string{
			"Jan 01 01:00:00 +01", // never run before: at once
			"Jan 01 08:15:00 +01", "Jan 01 08:45:00 +01", "Jan 01 09:15:00 +01", "Jan 01 09:45:00 +01",
		}
		if diff := cmp.Diff(want, clock(h.source.times(), "Europe/Berlin")); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if st := h.Status(corp); st.Next.In(time.UTC).Format("02 15:04") != "02 07:15" || st.Stale {
			t.Errorf("Status = %+v", st)
		}
	})
}

func TestScheduleOverBothClockChanges(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "30 2 * * *", "Europe/Berlin")).start()
		defer h.stop()
		sleep(time.Until(time.Date(2000, 11, 1, 12, 0, 0, 0, time.UTC)))
		got := clock(h.source.times(), "Europe/Berlin")
		if want := 1 + 306; len(got) != want { // at once, and on each day from January 1 to November 1
			t.Errorf("%d runs, want %d", len(got), want)
		}
		var near []string
		for _, at := range got {
			if day := at[:6]; day >= "Mar 25" && day <= "Mar 27" || day >= "Oct 28" && day <= "Oct 30" {
				near = append(near, at)
			}
		}
		if diff := cmp.Diff([]string{
			"Mar 25 02:30:00 +01", "Mar 26 03:00:00 +02", "Mar 27 02:30:00 +02",
			"Oct 28 02:30:00 +02", "Oct 29 02:30:00 +02", "Oct 30 02:30:00 +01",
		}, near); diff != "" {
			t.Errorf("runs around the changes (-want +got):\n%s", diff)
		}
	})
}

func TestRunsOfOneSourceNeverOverlap(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "0 * * * *", ""))
		under := 0
		h.source.set(func(ctx context.Context, _ sync.PullRequest) (*identity.Observation, error) {
			if under++; under > 1 {
				t.Error("two runs at the same time")
			}
			select {
			case <-time.After(150 * time.Minute):
			case <-ctx.Done():
			}
			under--
			return people(proven, "ann"), nil
		})
		h.start()
		defer h.stop()
		sleep(9*time.Hour + time.Minute)
		want := []string{"Jan 01 00:00:00 +00", "Jan 01 03:00:00 +00", "Jan 01 06:00:00 +00", "Jan 01 09:00:00 +00"}
		if diff := cmp.Diff(want, clock(h.source.times(), "UTC")); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if n := h.Status(corp).Skipped; n != 6 {
			t.Errorf("%d slots skipped, want 6: two during each run", n)
		}
	})
}

func TestShutdownDoesNotWaitForeverForARun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "0 * * * *", ""))
		h.source.set(func(context.Context, sync.PullRequest) (*identity.Observation, error) {
			time.Sleep(time.Hour) // deaf to its context
			return people(proven, "ann"), nil
		})
		h.start()
		begin := time.Now()
		h.stop()
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("stopping took %s", took)
		}
		sleep(2 * time.Hour)
		if lines := h.roll(); len(lines) != 0 {
			t.Errorf("written after the runner had ended: %v", lines)
		}
	})
}

func TestOneMissedSlotIsCaughtUpOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := mem.New()
		h := build(t, s, scheduled(t, "0 * * * *", "")).start()
		sleep(90 * time.Minute)
		h.stop()
		time.Sleep(5 * time.Hour)

		next := build(t, s, scheduled(t, "0 * * * *", "")).start()
		defer next.stop()
		sleep(time.Hour)
		want := []string{"Jan 01 06:30:00 +00", "Jan 01 07:00:00 +00"}
		if diff := cmp.Diff(want, clock(next.source.times(), "UTC")); diff != "" {
			t.Errorf("runs after five missed slots (-want +got):\n%s", diff)
		}
		if slot := next.Status(corp).LastSlot.UTC().Format("15:04"); slot != "07:00" {
			t.Errorf("the slot served last is %s", slot)
		}
	})
}

func TestNothingIsCaughtUpWhenNothingWasMissed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := mem.New()
		h := build(t, s, scheduled(t, "0 * * * *", "")).start()
		sleep(61 * time.Minute)
		h.stop()
		time.Sleep(10 * time.Minute)
		next := build(t, s, scheduled(t, "0 * * * *", "")).start()
		defer next.stop()
		sleep(40 * time.Minute)
		if n := len(next.source.times()); n != 0 {
			t.Errorf("%d runs before the next slot", n)
		}
	})
}

func TestASlotServedByHandIsStillServed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "@every 20m", "")).start()
		defer h.stop()
		sleep(10 * time.Minute)
		h.wantRun(state.RunSucceeded)
		sleep(31 * time.Minute)
		want := []string{"00:00", "00:10", "00:20", "00:40"}
		var got []string
		for _, at := range h.source.times() {
			got = append(got, at.UTC().Format("15:04"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestJitterPutsOff(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		plain := scheduled(t, "0 * * * *", "")
		h := build(t, mem.New(), plain, func(s *sync.SourceSpec) { s.NoJitter = false }).start()
		defer h.stop()
		sleep(90 * time.Minute)
		slot := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)
		j := mustParse(t, "0 * * * *", "").Jitter(corp, slot)
		if j == 0 {
			t.Fatal("this name is put off by nothing, take another one")
		}
		if times := h.source.times(); len(times) != 2 || !times[1].Equal(slot.Add(j)) {
			t.Errorf("runs at %v, want one at %v", times, slot.Add(j))
		}
		if s := h.Status(corp).LastSlot; !s.Equal(slot) {
			t.Errorf("the slot served is %v, want %v", s, slot)
		}
	})
}

func TestReloadChangesTheSchedule(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "0 0 * * *", "")).start()
		defer h.stop()
		sleep(30 * time.Minute)
		if err := h.Reload([]sync.SourceSpec{h.spec(scheduled(t, "0 * * * *", ""))}); err != nil {
			t.Fatal(err)
		}
		sleep(40 * time.Minute)
		if n := len(h.source.times()); n != 2 {
			t.Errorf("%d runs, want one at once and one at the new slot", n)
		}
		if err := h.Reload(nil); err != nil {
			t.Fatal(err)
		}
		sleep(5 * time.Hour)
		if n := len(h.source.times()); n != 2 {
			t.Errorf("%d runs after the source was taken out", n)
		}
		if _, err := h.Start(t.Context(), corp, "root"); fault.Code(err) != "source_not_found" {
			t.Errorf("Start of a source that is gone = %v", err)
		}
	})
}

func TestDisabledSourceIsNotRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "0 * * * *", ""), func(s *sync.SourceSpec) { s.Disabled = true }).start()
		defer h.stop()
		sleep(5 * time.Hour)
		if n := len(h.source.times()); n != 0 {
			t.Errorf("%d runs of a disabled source", n)
		}
		if _, err := h.Start(t.Context(), corp, "root"); fault.Code(err) != "source_disabled" {
			t.Errorf("Start = %v", err)
		}
		if _, _, err := h.Plan(t.Context(), corp, "root"); err != nil {
			t.Errorf("Plan = %v", err)
		}
	})
}

func TestStaleAfterThreeIntervals(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "0 * * * *", "")).start()
		defer h.stop()
		sleep(time.Minute)
		h.source.sees(people(identity.Proof{Why: "a page was lost"}, "ann"))
		sleep(2 * time.Hour)
		if h.Status(corp).Stale {
			t.Error("stale after two intervals")
		}
		sleep(2 * time.Hour)
		if !h.Status(corp).Stale {
			t.Error("not stale after four intervals without a proof")
		}
	})
}

func TestShutdownInterruptsARunAndTheNextStartCatchesUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := mem.New()
		h := build(t, s, scheduled(t, "0 * * * *", ""))
		h.source.set(func(ctx context.Context, _ sync.PullRequest) (*identity.Observation, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		h.start()
		sleep(time.Second)
		run, _, ok := h.Live(corp)
		if !ok {
			t.Fatal("no run is live")
		}
		h.stop()
		stored, err := h.db.StoredRun(t.Context(), corp, run.ID)
		if err != nil || stored.State != state.RunInterrupted || !strings.Contains(stored.Error, "shut down") {
			t.Errorf("the record: %v %q, %v", stored.State, stored.Error, err)
		}
		next := build(t, s, scheduled(t, "0 * * * *", "")).start()
		defer next.stop()
		if n := len(next.source.times()); n != 1 {
			t.Errorf("%d runs at once after an interrupted one", n)
		}
	})
}

// depose ends the term of whoever leads, as a lease that ran out does.
func depose(t *testing.T, s *mem.Store) {
	t.Helper()
	records, _, err := s.List(t.Context(), "leader/")
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Delete(r.Key)}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingIsWrittenAfterLeadershipWasLost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := mem.New()
		one := build(t, s)
		one.source.sees(people(proven, "ann", "bob", "staff: ann bob"))
		one.start()
		defer one.stop()
		// The lease runs out just before the first write of the plan.
		deposed := false
		s.Fail(func(txn store.Txn) error {
			if !deposed && strings.HasPrefix(txn.Then[0].Key, "v/u/") {
				deposed = true
				depose(t, s)
			}
			return nil
		})
		r, err := one.Start(t.Context(), corp, "root")
		if err != nil {
			t.Fatal(err)
		}
		run, err := one.Wait(t.Context(), corp, r.ID)
		if err != nil || run.State == state.RunSucceeded {
			t.Fatalf("the run ended as %v, %v", run.State, err)
		}
		s.Fail(nil)
		if lines := one.roll(); len(lines) != 0 || !deposed {
			t.Errorf("written after the term: %v", lines)
		}
		synctest.Wait()
		// The same process leads again and marked the record.
		stored, err := one.db.StoredRun(t.Context(), corp, run.ID)
		if err != nil || stored.State != state.RunInterrupted {
			t.Errorf("the stored record: %v, %v", stored.State, err)
		}
		one.wantRun(state.RunSucceeded)
		if len(one.roll()) != 5 {
			t.Errorf("the roll after the next run: %v", one.roll())
		}
	})
}

func TestAReplicaThatDoesNotLeadAsksTheLeader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := mem.New()
		leader := build(t, s).start()
		defer leader.stop()
		leader.source.sees(people(proven, "ann"))
		other := build(t, s).start()
		defer other.stop()
		other.source.sees(people(proven, "ann"))
		if !leader.Leading() || other.Leading() {
			t.Fatalf("leading: %v and %v", leader.Leading(), other.Leading())
		}
		run := other.wantRun(state.RunSucceeded)
		if run.By != "root" || len(leader.source.times()) != 1 || len(other.source.times()) != 0 {
			t.Errorf("run by %q, reads %d and %d", run.By, len(leader.source.times()), len(other.source.times()))
		}
		if other.Status(corp).Requested != nil {
			t.Error("the request is still there")
		}
		before := len(other.source.times())
		// A plan needs no leader.
		if p, run, err := other.Plan(t.Context(), corp, "root"); err != nil || !p.IsEmpty() || run.State != state.RunPlanned {
			t.Errorf("Plan = %v, %v, %v", p, run.State, err)
		}
		if len(other.source.times()) != before+1 {
			t.Error("the plan was not read here")
		}
	})
}

func TestLeadershipMovesWithoutADoubleRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := mem.New()
		one := build(t, s, scheduled(t, "0 * * * *", "")).start()
		two := build(t, s, scheduled(t, "0 * * * *", "")).start()
		defer two.stop()
		sleep(150 * time.Minute)
		one.stop()
		sleep(time.Hour)
		if a, b := len(one.source.times()), len(two.source.times()); a != 3 || b != 1 {
			t.Errorf("runs: %d and %d, want 3 and 1", a, b)
		}
	})
}

func TestDifferentSourcesRunAtTheSameTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New())
		both := make(chan struct{}, 2)
		meet := func(id identity.SourceID) sync.SourceSpec {
			src := &script{}
			src.set(func(ctx context.Context, _ sync.PullRequest) (*identity.Observation, error) {
				both <- struct{}{}
				for len(both) < 2 {
					time.Sleep(time.Second) // until the other one is there, too
				}
				return &identity.Observation{Source: id, Proof: proven}, nil
			})
			return sync.SourceSpec{ID: id, Source: src, Schedule: mustParse(t, "0 * * * *", ""), NoJitter: true}
		}
		if err := h.Reload([]sync.SourceSpec{meet("north"), meet("south")}); err != nil {
			t.Fatal(err)
		}
		h.start()
		defer h.stop()
		sleep(time.Minute)
		for _, id := range []identity.SourceID{"north", "south"} {
			if st := h.Status(id); st.LastProven.IsZero() {
				t.Errorf("source %s has not run: %+v", id, st)
			}
		}
	})
}
