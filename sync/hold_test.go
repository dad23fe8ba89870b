package sync_test

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/rollcall-id/rollcall/sync/plan"
)

// crowd names n people, beginning with p<from>.
func crowd(from, n int) []string {
	var names []string
	for i := from; i < from+n; i++ {
		names = append(names, fmt.Sprintf("p%03d", i))
	}
	return names
}

// full returns a running house that has synced people p000 to p039.
func full(t *testing.T, options ...option) *house {
	t.Helper()
	h := build(t, mem.New(), options...).start()
	h.source.sees(people(proven, crowd(0, 40)...))
	h.wantRun(state.RunSucceeded)
	return h
}

func (h *house) held() *state.HeldPlan { return h.db.View().Now().Source(corp).Held }

func (h *house) audited(action string) int {
	h.t.Helper()
	records, _, err := h.store.List(h.t.Context(), "w/a/")
	if err != nil {
		h.t.Fatalf("list: %v", err)
	}
	n := 0
	for r, err := range records {
		if err != nil {
			h.t.Fatalf("list: %v", err)
		}
		n += strings.Count(string(r.Value), `"act":"`+action+`"`)
	}
	return n
}

func TestAPlanOverItsLimitsWaitsForApproval(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t)
		defer h.stop()
		before := h.roll()
		h.source.sees(people(proven, append(crowd(0, 25), "newcomer")...)) // fifteen leave, one comes
		run := h.wantRun(state.RunHeld)
		if diff := cmp.Diff(before, h.roll()); diff != "" {
			t.Errorf("a held plan changed the roll:\n%s", diff)
		}
		held := h.held()
		if held == nil || held.Digest != run.Digest || len(held.Reasons) == 0 || held.Run != run.ID {
			t.Fatalf("what is held: %+v, the run says %+v", held, run)
		}
		kept, _, err := h.db.KeptPlan(t.Context(), corp)
		if err != nil || len(kept.Steps) != 16 {
			t.Errorf("the kept plan: %v", err)
		}
		if h.audited("SyncRunHeld") != 1 {
			t.Error("no event tells of the held plan")
		}

		if err := h.Approve(t.Context(), corp, "sha256:other", admin); !errors.Is(err, fault.Stale) {
			t.Errorf("Approve of another digest = %v", err)
		}
		if err := h.Approve(t.Context(), corp, held.Digest, admin); err != nil {
			t.Fatalf("Approve: %v", err)
		}
		synctest.Wait()
		last := h.Status(corp).LastRun
		done, err := h.Wait(t.Context(), corp, last)
		if err != nil || done.State != state.RunSucceeded || done.Trigger != "approval" || done.By != admin.String() {
			t.Errorf("the approved run: %+v, %v", done, err)
		}
		if done.Counts.Users.Removed != 15 || done.Counts.Users.Created != 1 {
			t.Errorf("the approved run: %+v", done.Counts)
		}
		if h.held() != nil || h.Status(corp).Approval != nil || h.audited("SyncRunApproved") != 1 {
			t.Error("the plan or its approval outlived the run")
		}
		if _, err := h.store.Get(t.Context(), "w/q/corp/"+held.Digest+"/0000"); !errors.Is(err, fault.NotFound) {
			t.Errorf("the kept plan is still stored: %v", err)
		}
		if err := h.Approve(t.Context(), corp, held.Digest, admin); !errors.Is(err, fault.NotFound) {
			t.Errorf("Approve when nothing is held = %v", err)
		}
	})
}

func TestTheSamePlanKeepsItsPlaceAndIsOnlyCounted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t, scheduled(t, "0 * * * *", ""))
		defer h.stop()
		h.source.sees(people(proven, crowd(0, 20)...))
		sleep(61 * time.Minute)
		first := h.held()
		if first == nil {
			t.Fatal("nothing is held")
		}
		runs, _ := h.db.Runs(t.Context(), corp)
		sleep(5 * time.Hour)
		if diff := cmp.Diff(first, h.held()); diff != "" {
			t.Errorf("the held plan moved:\n%s", diff)
		}
		again, _ := h.db.Runs(t.Context(), corp)
		if len(again) != len(runs) || h.Status(corp).Unchanged != 5 || h.audited("SyncRunHeld") != 1 {
			t.Errorf("%d records, then %d; %d counted; %d events", len(runs), len(again), h.Status(corp).Unchanged, h.audited("SyncRunHeld"))
		}
	})
}

func TestApprovalCoversASubsetAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		what string
		next []string
		want state.RunState
	}{
		{"the same leavers", crowd(0, 20), state.RunSucceeded},
		{"fewer leavers", crowd(0, 22), state.RunSucceeded},
		{"so few that no limit is crossed", crowd(0, 39), state.RunSucceeded},
		{"one other leaver", crowd(1, 22), state.RunHeld},
		{"nobody answers any more", nil, state.RunHeld},
	} {
		t.Run(c.what, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := full(t)
				defer h.stop()
				h.source.sees(people(proven, crowd(0, 20)...))
				digest := h.wantRun(state.RunHeld).Digest
				h.source.sees(people(proven, c.next...))
				if err := h.Approve(t.Context(), corp, digest, admin); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				runs, err := h.db.Runs(t.Context(), corp)
				if err != nil || runs[0].Trigger != "approval" || runs[0].State != c.want {
					t.Fatalf("the run after the approval: %s %s, %v, want %s", runs[0].Trigger, runs[0].State, err, c.want)
				}
				if c.want == state.RunHeld {
					if h.Status(corp).Approval != nil || h.held().Digest == digest {
						t.Error("the approval outlived the plan it was for")
					}
				}
			})
		})
	}
}

func TestApprovalExpires(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t)
		defer h.stop()
		h.source.sees(people(proven, crowd(0, 20)...))
		digest := h.wantRun(state.RunHeld).Digest
		h.source.fails("the server is gone")
		if err := h.Approve(t.Context(), corp, digest, admin); err != nil {
			t.Fatal(err)
		}
		sleep(23 * time.Hour)
		if n := len(h.source.times()); n != 3 {
			t.Errorf("%d reads: a failed run under an approval was not left to the next one", n)
		}
		if h.Status(corp).Approval == nil {
			t.Error("the approval is gone after 23 hours")
		}
		sleep(2 * time.Hour)
		h.source.sees(people(proven, crowd(0, 20)...))
		if run := h.wantRun(state.RunHeld); run.Digest != digest {
			t.Errorf("the digest moved from %s to %s", digest, run.Digest)
		}
	})
}

func TestApprovalDiesWithTheConfiguration(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t)
		defer h.stop()
		h.source.sees(people(proven, crowd(0, 20)...))
		digest := h.wantRun(state.RunHeld).Digest
		if err := h.Reload([]sync.SourceSpec{h.spec(func(s *sync.SourceSpec) { s.ConfigHash = "c2" })}); err != nil {
			t.Fatal(err)
		}
		if err := h.Approve(t.Context(), corp, digest, admin); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if h.held() == nil || h.held().Digest == digest {
			t.Errorf("an approval from before the configuration moved was used: %+v", h.held())
		}
	})
}

func TestUnprovenReadRemovesNothingAndSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t)
		defer h.stop()
		seen := people(identity.Proof{Why: "the size limit was reached"}, append(crowd(0, 10), "newcomer")...)
		seen.Cursor = "further"
		h.source.sees(seen)
		run := h.wantRun(state.RunSucceeded)
		if run.Counts.Users.Removed != 0 || run.Counts.Users.Created != 1 || len(run.Withheld) == 0 || !strings.Contains(run.Summary, "size limit") {
			t.Errorf("the record says %q, %+v", run.Summary, run.Counts)
		}
		if st := h.db.View().Now().Source(corp); st.Cursor == "further" {
			t.Error("the cursor moved without a proof")
		}
		if n := len(h.roll()); n != 41 {
			t.Errorf("%d in the roll, want 41", n)
		}
	})
}

func TestAnEmptyAnswerIsHeld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		h.source.sees(people(proven, "ann"))
		h.wantRun(state.RunSucceeded)
		h.source.sees(people(proven))
		run := h.wantRun(state.RunHeld)
		if !strings.Contains(strings.Join(run.Held, " "), "rights of the bind account") {
			t.Errorf("the reasons: %v", run.Held)
		}
	})
}

func TestPlanStoresNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t)
		defer h.stop()
		synctest.Wait()
		h.source.sees(people(proven, crowd(0, 20)...))
		before := h.store.Revision()
		p, run, err := h.Plan(t.Context(), corp, "root")
		if err != nil || len(p.Steps) != 20 || run.State != state.RunPlanned || run.Digest == "" || len(run.Held) == 0 {
			t.Errorf("Plan = %v, %+v, %v", p, run, err)
		}
		h.source.fails("no route to host")
		if _, run, err = h.Plan(t.Context(), corp, "root"); err == nil || run.Error != "no route to host" {
			t.Errorf("Plan of a source that fails = %+v, %v", run, err)
		}
		synctest.Wait()
		if after := h.store.Revision(); after != before {
			t.Errorf("planning moved the store from %d to %d", before, after)
		}
	})
}

func TestUnchangedRunWritesOneTransactionAndNoRecord(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t, scheduled(t, "0 * * * *", ""))
		defer h.stop()
		sleep(time.Minute)
		runs, _ := h.db.Runs(t.Context(), corp)
		for i := 1; i <= 3; i++ {
			var txns []store.Txn
			h.store.Fail(func(txn store.Txn) error { txns = append(txns, txn); return nil })
			sleep(time.Hour)
			h.store.Fail(nil)
			if len(txns) != 1 || len(txns[0].Then) != 1 || txns[0].Then[0].Key != "v/s/corp" {
				t.Fatalf("an unchanged run wrote %d transactions: %v", len(txns), txns)
			}
			if st := h.Status(corp); st.Unchanged != i {
				t.Errorf("%d unchanged runs are counted, want %d", st.Unchanged, i)
			}
		}
		again, _ := h.db.Runs(t.Context(), corp)
		if len(again) != len(runs) {
			t.Errorf("unchanged runs left %d records", len(again)-len(runs))
		}
	})
}

func TestARunAfterAFailureLeavesARecord(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t, scheduled(t, "0 * * * *", ""))
		defer h.stop()
		h.source.fails("down")
		sleep(61 * time.Minute)
		h.source.sees(people(proven, crowd(0, 40)...))
		sleep(time.Hour)
		runs, _ := h.db.Runs(t.Context(), corp)
		if runs[0].State != state.RunSucceeded || runs[0].Summary != "nothing changed" || runs[1].State != state.RunFailed {
			t.Errorf("the newest records: %s %q, %s", runs[0].State, runs[0].Summary, runs[1].State)
		}
	})
}

func TestHistoryKeepsAHundredOfEach(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		for i := range 110 {
			h.source.sees(people(proven, "ann", fmt.Sprintf("g%d:", i%2)))
			h.run()
			h.run()
		}
		runs, err := h.db.Runs(t.Context(), corp)
		if err != nil || len(runs) != 2*state.KeptRuns {
			t.Errorf("%d records, %v, want %d", len(runs), err, 2*state.KeptRuns)
		}
	})
}

func TestAPanicIsAFailedRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t)
		defer h.stop()
		h.source.set(func(context.Context, sync.PullRequest) (*identity.Observation, error) { panic("index out of range") })
		if run := h.wantRun(state.RunFailed); !strings.Contains(run.Error, "a bug of Rollcall") {
			t.Errorf("the record says %q", run.Error)
		}
		h.source.sees(people(proven, crowd(0, 40)...))
		h.wantRun(state.RunSucceeded)
	})
}

func TestEntriesThatAreSkippedAreListed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		seen := people(proven, "ann", "bob")
		for i := range 130 {
			seen.Skipped = append(seen.Skipped, identity.Skipped{
				Key: identity.Key(fmt.Sprintf("s%03d", i)), DN: "cn=\xff\xfe" + strings.Repeat("x", 3000), Reason: "it is larger than 256 KiB",
			})
		}
		h.source.sees(seen)
		run := h.wantRun(state.RunSucceeded)
		stored, err := h.db.StoredRun(t.Context(), corp, run.ID)
		if err != nil || stored.SkippedAll != 130 || len(stored.Skipped) != 100 {
			t.Errorf("the stored record lists %d of %d, %v", len(stored.Skipped), stored.SkippedAll, err)
		}
	})
}

func TestAnEntryThatCannotBeStoredStopsNobodyElse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		h.source.sees(people(proven, "ann", "bob", "staff: ann bob"))
		h.wantRun(state.RunSucceeded)
		seen := people(proven, "ann", "bob", "cem", "staff: ann bob cem")
		seen.Users[1].Record.Attributes = identity.Attributes{"photo": {strings.Repeat("x", 300<<10)}}
		seen.Users = append(seen.Users, identity.Seen{
			Key: "k-\xff", Record: &identity.Record{Source: corp, Key: "k-\xff", Name: "dan"},
		})
		h.source.sees(seen)
		run := h.wantRun(state.RunSucceeded)
		if run.SkippedAll != 2 || !strings.Contains(run.Skipped[1].Reason+run.Skipped[0].Reason, "256 KiB") {
			t.Errorf("the record lists %+v", run.Skipped)
		}
		if diff := cmp.Diff([]string{
			"group k-staff staff", "user k-ann ann", "user k-bob bob", "user k-cem cem",
			"k-staff > user k-ann corp", "k-staff > user k-bob corp", "k-staff > user k-cem corp",
		}, h.roll()); diff != "" {
			t.Errorf("the roll (-want +got):\n%s", diff)
		}
	})
}

func TestFirstRunMayAskAndAnyReplicaMayApprove(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := mem.New()
		ask := func(s *sync.SourceSpec) { s.Limits.FirstRun = plan.FirstRunAsk }
		leader := build(t, s, ask).start()
		defer leader.stop()
		leader.source.sees(people(proven, crowd(0, 5)...))
		other := build(t, s, ask).start()
		defer other.stop()
		run := other.wantRun(state.RunHeld)
		if len(leader.roll()) != 0 {
			t.Errorf("a first run that asks wrote %v", leader.roll())
		}
		if err := other.Approve(t.Context(), corp, run.Digest, admin); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(other.roll()); n != 5 || len(other.source.times()) != 0 {
			t.Errorf("%d in the roll after the approval, want 5", n)
		}
	})
}

func TestThePlanHeldBeforeIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := full(t)
		defer h.stop()
		h.source.sees(people(proven, crowd(0, 20)...))
		h.wantRun(state.RunHeld)
		if _, err := h.db.PlanBefore(t.Context(), corp); !errors.Is(err, fault.NotFound) {
			t.Errorf("PlanBefore of the first = %v", err)
		}
		h.source.sees(people(proven, crowd(0, 15)...))
		h.wantRun(state.RunHeld)
		before, err := h.db.PlanBefore(t.Context(), corp)
		if err != nil {
			t.Fatal(err)
		}
		kept, _, err := h.db.KeptPlan(t.Context(), corp)
		if err != nil {
			t.Fatal(err)
		}
		if d := plan.Compare(before, kept); len(d.Came) != 5 || len(d.Went) != 0 || d.Same != 20 {
			t.Errorf("from the plan before to the one that is held: %d came, %d went, %d the same", len(d.Came), len(d.Went), d.Same)
		}
		h.source.sees(people(proven, crowd(0, 40)...))
		h.wantRun(state.RunSucceeded)
		records, _, err := h.store.List(t.Context(), "w/q/")
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range records {
			t.Errorf("%s is left, %v", r.Key, err)
		}
	})
}

func TestProtectedUsersStay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), func(s *sync.SourceSpec) { s.Protected = []string{"ann"} }).start()
		defer h.stop()
		h.source.sees(people(proven, "ann", "bob", "carl"))
		h.wantRun(state.RunSucceeded)
		h.source.sees(people(proven, "carl"))
		run := h.wantRun(state.RunSucceeded)
		if diff := cmp.Diff([]string{"user k-ann ann", "user k-bob bob missing", "user k-carl carl"}, h.roll()); diff != "" {
			t.Errorf("the roll (-want +got):\n%s", diff)
		}
		if len(run.Conflicts) != 1 || run.Conflicts[0].Code != plan.Protected || run.Conflicts[0].Key != "k-ann" {
			t.Errorf("the record does not say who stayed: %+v", run.Conflicts)
		}
	})
}
