package sync_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
)

// order orders the undo of the last run, as it is planned now.
func (h *house) order(by audit.Actor) (state.UndoOrder, error) {
	h.t.Helper()
	p, run, err := h.PlanUndo(h.t.Context(), corp)
	if err != nil {
		return state.UndoOrder{}, err
	}
	c, err := h.OrderUndo(h.t.Context(), corp, run.ID, p.Fingerprint())
	if err != nil {
		return state.UndoOrder{}, err
	}
	_, err = h.db.Decide(h.t.Context(), by, func(*state.Snapshot) ([]state.Change, error) { return []state.Change{c}, nil })
	return c.Order, err
}

// undo undoes the last run and returns the record of that.
func (h *house) undo(by audit.Actor) state.Run {
	h.t.Helper()
	o, err := h.order(by)
	if err != nil {
		h.t.Fatalf("order the undo: %v", err)
	}
	run, err := h.Wait(h.t.Context(), corp, o.Run)
	if err != nil || run.State != state.RunSucceeded {
		h.t.Fatalf("the undo ended as %+v, %v", run, err)
	}
	return run
}

func (h *house) resume() { h.t.Helper(); h.decide(state.Pause{Source: corp}) }

// grants lists what is stored of grants.
func (h *house) grants() []string {
	h.t.Helper()
	records, _, err := h.store.List(h.t.Context(), "v/p/g/")
	if err != nil {
		h.t.Fatalf("list: %v", err)
	}
	var all []string
	for r, err := range records {
		if err != nil {
			h.t.Fatalf("list: %v", err)
		}
		all = append(all, r.Key+" "+string(r.Value))
	}
	return all
}

// lines removes the missing from a picture: whom a run created stays, and counts for
// nothing.
func present(picture []string) []string {
	gone := map[string]bool{}
	for _, l := range picture {
		if strings.HasSuffix(l, " missing") {
			gone[strings.Fields(l)[1]] = true
		}
	}
	return slices.DeleteFunc(picture, func(l string) bool {
		return slices.ContainsFunc(strings.Fields(l), func(f string) bool { return gone[f] })
	})
}

func TestTheLastRunIsUndone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New(), scheduled(t, "@every 15m", "")).start()
		defer h.stop()
		h.localUser("root", permissions.ApplicationAdmin, permissions.UserAdmin)
		h.source.sees(people(proven, "ann", "bob", "carl", "staff: ann bob carl", "old: ann"))
		h.wantRun(state.RunSucceeded)
		h.grant(h.groupNamed("staff"), permissions.Audit)
		before := h.roll()
		h.source.sees(people(proven, "ann", "bob", "dora", "staff: bob dora", "new: dora"))
		mistake := h.wantRun(state.RunSucceeded)
		grants := h.grants()

		run := h.undo(audit.Actor{Kind: audit.ActorSystem, ID: "test"})
		if run.Trigger != "undo" || !strings.Contains(run.Summary, mistake.ID) {
			t.Errorf("the record says %+v", run)
		}
		if diff := cmp.Diff(before, present(h.roll())); diff != "" {
			t.Errorf("the roll before the run and after its undo (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(grants, h.grants()); diff != "" {
			t.Errorf("an undo touched grants:\n%s", diff)
		}
		if h.audited("SyncUndoApproved") != 1 || h.audited("SyncRunUndone") != 1 || h.audited("SourcePaused") != 1 {
			t.Error("the audit log does not tell of the undo")
		}

		// The source is paused until somebody resumes it.
		n := len(h.source.times())
		sleep(2 * time.Hour)
		if _, err := h.Start(t.Context(), corp, "root"); fault.Code(err) != "source_paused" || fault.Code(h.MayStart(corp)) != "source_paused" {
			t.Errorf("Start of a paused source = %v", err)
		}
		if got := len(h.source.times()); got != n || h.Status(corp).Paused.IsZero() {
			t.Errorf("a paused source was read %d times", got-n)
		}
		// Then everything is read again, and the directory has the last word.
		h.resume()
		synctest.Wait()
		if got := len(h.source.times()); got != n+1 {
			t.Errorf("a resumed source was read %d times, want once", got-n)
		}
		if diff := cmp.Diff([]string{"group k-new new", "group k-staff staff", "user k-ann ann", "user k-bob bob", "user k-dora dora"},
			slices.DeleteFunc(present(h.roll()), func(l string) bool { return strings.Contains(l, ">") || strings.Contains(l, "root") })); diff != "" {
			t.Errorf("the roll after the source was resumed (-want +got):\n%s", diff)
		}
	})
}

func TestRunsAreUndoneOneAfterTheOther(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		system := audit.Actor{Kind: audit.ActorSystem, ID: "test"}
		if _, err := h.order(system); fault.Code(err) != "nothing_to_undo" {
			t.Errorf("the undo of nothing: %v", err)
		}
		var pictures [][]string
		for _, names := range [][]string{{"ann"}, {"ann", "bob"}, {"ann", "bob", "carl"}, {"ann", "bob", "carl", "dora"}} {
			h.source.sees(people(proven, names...))
			h.wantRun(state.RunSucceeded)
			pictures = append(pictures, present(h.roll()))
		}
		for _, want := range [][]string{pictures[2], pictures[1], pictures[0]} {
			h.undo(system)
			if diff := cmp.Diff(want, present(h.roll())); diff != "" {
				t.Errorf("after an undo (-want +got):\n%s", diff)
			}
		}
		if _, err := h.order(system); fault.Code(err) != "nothing_to_undo" {
			t.Errorf("a fourth undo, of what is not kept: %v", err)
		}
	})
}

func TestAnUndoDoesWhatWasShown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		h.source.sees(people(proven, "ann", "bob", "staff: ann"))
		h.wantRun(state.RunSucceeded)
		h.source.sees(people(proven, "ann", "staff: ann"))
		run := h.wantRun(state.RunSucceeded)
		for _, c := range []struct{ run, digest string }{{run.ID, "sha256:0"}, {"another", "sha256:0"}} {
			if _, err := h.OrderUndo(t.Context(), corp, c.run, c.digest); !errors.Is(err, fault.Stale) {
				t.Errorf("OrderUndo(%v) = %v, want fault.Stale", c, err)
			}
		}
		if st := h.db.View().Now().Source(corp); st.Undo != nil || !st.Paused.IsZero() {
			t.Errorf("a refused order left %+v", st)
		}
	})
}

// TestWhoUndoesARunMayConferWhatItGives lets somebody undo a run that took a man with a
// grant away: only one who may give that grant may bring him back.
func TestWhoUndoesARunMayConferWhatItGives(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		root := h.localUser("root", permissions.ApplicationAdmin, permissions.UserAdmin)
		clerk := h.localUser("clerk", permissions.ApplicationAdmin)
		h.source.sees(people(proven, "ann", "bob", "staff: bob"))
		h.wantRun(state.RunSucceeded)
		h.grant(h.groupNamed("staff"), permissions.Governance)
		h.source.sees(people(proven, "ann", "staff:"))
		h.wantRun(state.RunSucceeded)
		if _, err := h.order(clerk); !errors.Is(err, fault.Denied) {
			t.Errorf("the order of one who may not confer: %v, want fault.Denied", err)
		}
		h.undo(root)
		if got := h.may("bob"); !strings.Contains(got, string(permissions.Governance)) {
			t.Errorf("bob may %q, want what he had", got)
		}
	})
}

// TestAnUndoThatHasBegunIsEnded leaves an order behind, as a leader does that stops in
// the middle: what is left of it is another plan than the one that was shown.
func TestAnUndoThatHasBegunIsEnded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		h.source.sees(people(proven, "ann", "bob"))
		h.wantRun(state.RunSucceeded)
		before := present(h.roll())
		h.source.sees(people(proven, "ann", "carl", "dora"))
		last := h.wantRun(state.RunSucceeded)
		h.stop()
		h = build(t, h.store)
		h.follow()
		synctest.Wait()
		st := h.db.View().Now().Source(corp)
		st.Paused = time.Now()
		st.Undo = &state.UndoOrder{Run: "20000102-000000-000-aaaa", Of: last.ID, Digest: "sha256:of more than is left", By: "root", At: time.Now(), Begun: true}
		carl, _ := h.db.View().Now().UserOf(corp, "k-carl")
		h.decide(state.PutSource{Source: corp, State: st}, state.Deactivate{Member: identity.UserMember(carl), Source: corp})
		h.stop()

		h = build(t, h.store).start()
		defer h.stop()
		run, err := h.Wait(t.Context(), corp, "20000102-000000-000-aaaa")
		if err != nil || run.State != state.RunSucceeded {
			t.Fatalf("the undo ended as %+v, %v", run, err)
		}
		if diff := cmp.Diff(before, present(h.roll())); diff != "" {
			t.Errorf("the roll after the rest was undone (-want +got):\n%s", diff)
		}
	})
}
