package sync_test

import (
	"context"
	"errors"
	"slices"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
)

// asked makes the source answer each request with what o returns, and lists the requests.
func (h *house) asked(o func(sync.PullRequest) *identity.Observation) func() []sync.PullRequest {
	var mu gosync.Mutex
	var all []sync.PullRequest
	h.source.set(func(_ context.Context, r sync.PullRequest) (*identity.Observation, error) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, r)
		return o(r), nil
	})
	return func() []sync.PullRequest {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// changesAfter answers like a directory that tells its changes: everything without a
// cursor, nothing with one, a sweep when asked for a proof.
func changesAfter(full ...string) func(sync.PullRequest) *identity.Observation {
	return func(r sync.PullRequest) *identity.Observation {
		o := people(proven)
		switch {
		case r.Since == "":
			o = people(proven, full...)
		case r.Prove:
			o.Reach = identity.ReachSweep
		default:
			o.Reach = identity.ReachChanges
		}
		o.Cursor = r.Since + "+"
		return o
	}
}

func TestChangesAreReadFromTheCursorAndProvenOnSchedule(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		prove, err := sync.ParseSchedule("@daily", "")
		if err != nil {
			t.Fatal(err)
		}
		h := build(t, mem.New(), scheduled(t, "0 */6 * * *", ""), func(s *sync.SourceSpec) { s.Prove = prove })
		asked := h.asked(changesAfter("ann", "bob"))
		h.start()
		defer h.stop()
		sleep(31 * time.Hour)
		var got []string
		for _, r := range asked() {
			what := "changes"
			if r.Since == "" {
				what = "all"
			} else if r.Prove {
				what = "proof"
			}
			got = append(got, what+" after "+string(r.Since))
		}
		want := []string{
			"all after ", "changes after +", "changes after ++", "changes after +++",
			"proof after ++++", "changes after +++++", // the second day
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("reads (-want +got):\n%s", diff)
		}
		st := h.db.View().Now().Source(corp)
		if st.LastFull.Format("02 15:04") != "02 00:00" || st.LastProven.Format("02 15:04") != "02 06:00" {
			t.Errorf("compared at %v, proven at %v", st.LastFull, st.LastProven)
		}
		if want := []string{"ann", "bob"}; len(h.roll()) != len(want) {
			t.Errorf("the roll is %v", h.roll())
		}
	})
}

func TestABlindSourceIsComparedEveryHour(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		prove, err := sync.ParseSchedule("@daily", "")
		if err != nil {
			t.Fatal(err)
		}
		h := build(t, mem.New(), scheduled(t, "*/20 * * * *", ""), func(s *sync.SourceSpec) { s.Prove = prove })
		answer := changesAfter("ann")
		asked := h.asked(func(r sync.PullRequest) *identity.Observation {
			o := answer(r)
			o.Blind = true
			return o
		})
		h.start()
		defer h.stop()
		sleep(2*time.Hour + time.Minute)
		proofs := 0
		for _, r := range asked() {
			if r.Prove {
				proofs++
			}
		}
		if proofs != 2 {
			t.Errorf("%d proofs in two hours, want 2", proofs)
		}
	})
}

func TestAProofMayBeAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		asked := h.asked(changesAfter("ann"))
		h.wantRun(state.RunSucceeded)
		r, err := h.StartProof(t.Context(), corp, "root")
		if err == nil {
			r, err = h.Wait(t.Context(), corp, r.ID)
		}
		if err != nil || r.State != state.RunSucceeded || r.Reach != identity.ReachSweep {
			t.Fatalf("%+v, %v", r, err)
		}
		if all := asked(); len(all) != 2 || !all[1].Prove {
			t.Errorf("asked %+v", all)
		}
	})
}

func TestAChangedConfigurationReadsEverything(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		asked := h.asked(changesAfter("ann"))
		h.wantRun(state.RunSucceeded)
		if err := h.Reload([]sync.SourceSpec{h.spec(func(s *sync.SourceSpec) { s.ConfigHash = "c2" })}); err != nil {
			t.Fatal(err)
		}
		h.wantRun(state.RunSucceeded)
		h.wantRun(state.RunSucceeded)
		if all := asked(); all[1].Since != "" || all[2].Since != "+" {
			t.Errorf("asked since %q and then %q", all[1].Since, all[2].Since)
		}
	})
}

func TestAnUnprovenReadOfChangesKeepsTheCursor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		h.asked(changesAfter("ann", "bob"))
		h.wantRun(state.RunSucceeded)
		asked := h.asked(func(sync.PullRequest) *identity.Observation {
			return &identity.Observation{
				Source: corp, Reach: identity.ReachChanges, Cursor: "later", Proof: identity.Proof{Why: "the test says so"},
				Skipped: []identity.Skipped{{DN: "cn=x", Reason: "no key"}},
			}
		})
		h.wantRun(state.RunSucceeded)
		h.wantRun(state.RunSucceeded)
		if all := asked(); all[0].Since != "+" || all[1].Since != "+" {
			t.Errorf("asked %+v", all)
		}
	})
}

// TestWhoIsInDisputeIsReadAgain has somebody claim a name that is taken.
func TestWhoIsInDisputeIsReadAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		o := people(proven, "ann", "bob")
		o.Users[1].Record.Name, o.Cursor = "ann", "c"
		h.source.sees(o)
		h.wantRun(state.RunSucceeded)
		asked := h.asked(changesAfter())
		h.wantRun(state.RunSucceeded)
		h.wantRun(state.RunSucceeded)
		all := asked()
		if diff := cmp.Diff([]identity.Gone{{Key: "k-bob"}}, all[0].Again); diff != "" {
			t.Errorf("again (-want +got):\n%s", diff)
		}
		if len(all[1].Again) != 0 {
			t.Errorf("again %v, and nobody is in dispute any more", all[1].Again)
		}
	})
}

// told is a source whose directory says when something changes.
type told struct {
	*script
	waits chan chan error // one for each wait; what is sent ends it
}

func (w *told) Wait(ctx context.Context, _ identity.Cursor, ready func()) error {
	end := make(chan error)
	select {
	case w.waits <- end:
	case <-ctx.Done():
		return ctx.Err()
	}
	ready()
	select {
	case err := <-end:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestADirectoryThatSaysWhenItChangesIsReadThen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var w *told
		h := build(t, mem.New(), scheduled(t, "@daily", ""))
		w = &told{h.source, make(chan chan error)}
		if err := h.Reload([]sync.SourceSpec{h.spec(scheduled(t, "@daily", ""), func(s *sync.SourceSpec) { s.Source, s.Follow = w, true })}); err != nil {
			t.Fatal(err)
		}
		asked := h.asked(changesAfter("ann"))
		h.start()
		defer h.stop()
		begun := time.Now()
		for range 3 {
			(<-w.waits) <- nil
			sleep(100 * time.Millisecond)
		}
		if n := len(asked()); n != 4 {
			t.Errorf("%d reads, want the first and one for each change", n)
		}
		if d := time.Since(begun); d < 2*time.Second {
			t.Errorf("three runs within %v: a busy directory is read without a pause", d)
		}
		// A directory that ceases to say is read by the schedule alone.
		(<-w.waits) <- errors.New("not any more")
		sleep(30 * time.Hour)
		(<-w.waits) <- errors.New("still not")
		if n := len(asked()); n != 5 && n != 6 {
			t.Errorf("%d reads after a day, want one by schedule besides", n)
		}
	})
}

// TestARunThatDoesNotGetPastAChangeIsNotWokenAgain has the directory repeat itself, as it
// does while a plan is held.
func TestARunThatDoesNotGetPastAChangeIsNotWokenAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "@daily", ""))
		w := &told{h.source, make(chan chan error)}
		if err := h.Reload([]sync.SourceSpec{h.spec(scheduled(t, "@daily", ""), func(s *sync.SourceSpec) { s.Source, s.Follow = w, true })}); err != nil {
			t.Fatal(err)
		}
		h.asked(changesAfter("ann"))
		h.start()
		defer h.stop()
		end := <-w.waits
		h.source.fails("the directory is away")
		end <- nil
		sleep(time.Hour)
		select {
		case <-w.waits:
			t.Error("it is followed from the same cursor again")
		default:
		}
		if n := len(h.source.times()); n != 2 {
			t.Errorf("%d reads, want 2", n)
		}
	})
}
