package sync_test

import (
	"context"
	"errors"
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
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
)

// local makes a local user who holds some permissions.
func (h *house) localUser(name string, ps ...permissions.Permission) audit.Actor {
	h.t.Helper()
	u := identity.NewUserID()
	r := &identity.Record{Source: identity.Local, Key: identity.Key(u.String()), Name: name}
	h.decide(state.Create{Member: identity.UserMember(u), Record: r})
	for _, p := range ps {
		h.grant(identity.UserMember(u), p)
	}
	return audit.Actor{Kind: audit.ActorUser, ID: u.String(), Name: name}
}

func (h *house) decide(cs ...state.Change) {
	h.t.Helper()
	_, err := h.db.Decide(h.t.Context(), audit.Actor{Kind: audit.ActorSystem, ID: "test"}, func(*state.Snapshot) ([]state.Change, error) { return cs, nil })
	if err != nil {
		h.t.Fatalf("Decide: %v", err)
	}
}

func (h *house) grant(m identity.Member, p permissions.Permission) {
	h.t.Helper()
	h.decide(state.PutGrant{Grant: permissions.Grant{
		ID: permissions.GrantID(identity.NewUserID().String()), Permission: p, Subject: m, By: "test", At: time.Unix(1, 0), Origin: "local", Acknowledged: true,
	}})
}

func (h *house) groupNamed(name string) identity.Member {
	h.t.Helper()
	id, err := h.db.View().Now().OneGroup(name)
	if err != nil {
		h.t.Fatalf("%v", err)
	}
	return identity.GroupMember(id)
}

// may says what a user may do.
func (h *house) may(name string) string {
	h.t.Helper()
	s := h.db.View().Now()
	id, err := s.OneUser(name)
	if err != nil {
		return "unknown"
	}
	e := s.Book().Effective(s, id, time.Now())
	var ps []string
	for _, p := range e.Permissions() {
		ps = append(ps, string(p))
	}
	return strings.Join(ps, " ")
}

// reconfigured reloads the source with another hash of its configuration.
func (h *house) reconfigured(hash string) {
	h.t.Helper()
	if err := h.Reload([]sync.SourceSpec{h.spec(func(s *sync.SourceSpec) { s.ConfigHash = hash })}); err != nil {
		h.t.Fatalf("%v", err)
	}
}

// financed returns a house whose group finance carries GOVERNANCE, with ann in it.
func financed(t *testing.T) *house {
	t.Helper()
	h := build(t, mem.New()).start()
	h.source.sees(people(proven, "ann", "bob", "cid", "finance: ann"))
	h.wantRun(state.RunSucceeded)
	h.grant(h.groupNamed("finance"), permissions.Governance)
	return h
}

var wider = []string{"ann", "bob", "cid", "dora", "finance: ann bob +audit", "audit: dora"}

func TestAChangedSourceIsHeldWhenItRaisesSomebody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := financed(t)
		defer h.stop()
		setup := h.localUser("setup", permissions.ApplicationAdmin)
		users := h.localUser("users", permissions.UserAdmin)
		before := h.roll()

		h.reconfigured("c2")
		h.source.sees(people(proven, wider...))
		run := h.wantRun(state.RunHeld)
		want := []string{"2 people gain GOVERNANCE: bob, dora through group finance"}
		if diff := cmp.Diff(want, run.Held); diff != "" {
			t.Errorf("why the run is held (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, h.roll()); diff != "" || h.may("bob") != "" {
			t.Errorf("a held run changed the roll, bob may %q:\n%s", h.may("bob"), diff)
		}
		if held := h.held(); held.Raises != 2 || h.audited("SyncRunHeld") != 1 || !run.Marked || len(run.Consequences) != 1 {
			t.Errorf("the held plan: %+v, the run: %+v", held, run)
		}

		err := h.Approve(t.Context(), corp, run.Digest, setup)
		if fault.Code(err) != "grant_not_allowed" || !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "GOVERNANCE to bob") {
			t.Errorf("Approve by who may not confer = %v", err)
		}
		synctest.Wait()
		if h.held() == nil || h.may("bob") != "" || h.audited("SyncRunApproved") != 0 {
			t.Error("a refused approval let the run go on")
		}
		if err := h.Approve(t.Context(), corp, run.Digest, users); err != nil {
			t.Fatalf("Approve by a user administrator: %v", err)
		}
		synctest.Wait()
		if h.held() != nil || h.may("bob") != "GOVERNANCE" || h.may("dora") != "GOVERNANCE" || h.may("cid") != "" {
			t.Errorf("after the approved run bob may %q, dora %q, cid %q", h.may("bob"), h.may("dora"), h.may("cid"))
		}
	})
}

func TestAfterTheMarkedRunADirectoryActsAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := financed(t)
		defer h.stop()
		h.source.sees(people(proven, "ann", "bob", "cid", "finance: ann bob"))
		if run := h.wantRun(state.RunSucceeded); run.Marked || h.may("bob") != "GOVERNANCE" {
			t.Errorf("an unchanged source: marked %v, bob may %q", run.Marked, h.may("bob"))
		}
		h.reconfigured("c2")
		if run := h.wantRun(state.RunSucceeded); !run.Marked {
			t.Error("the run after the change was not marked")
		}
		h.source.sees(people(proven, "ann", "bob", "cid", "finance: ann bob cid"))
		if run := h.wantRun(state.RunSucceeded); run.Marked || h.may("cid") != "GOVERNANCE" {
			t.Errorf("the run after the marked one: marked %v, cid may %q", run.Marked, h.may("cid"))
		}
	})
}

func TestAChangeTakenBackEndsTheHold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := financed(t)
		defer h.stop()
		h.reconfigured("c2")
		h.source.sees(people(proven, wider...))
		digest := h.wantRun(state.RunHeld).Digest
		h.reconfigured("c1")
		h.source.sees(people(proven, "ann", "bob", "cid", "finance: ann"))
		if run := h.wantRun(state.RunSucceeded); run.Marked || h.held() != nil || h.may("bob") != "" {
			t.Errorf("after the change was taken back: %+v, held %+v", run, h.held())
		}
		if err := h.Approve(t.Context(), corp, digest, admin); !errors.Is(err, fault.NotFound) {
			t.Errorf("Approve of what is held no more = %v", err)
		}
	})
}

func TestAMarkIsKeptUntilAReadIsProven(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := financed(t)
		defer h.stop()
		h.reconfigured("c2")
		h.source.sees(people(identity.Proof{Users: true, Why: "cut short"}, "ann", "bob", "cid", "finance: ann"))
		h.wantRun(state.RunSucceeded)
		h.source.sees(people(proven, wider...))
		h.wantRun(state.RunHeld)
	})
}

func TestASourceThatWasMarkedByHandIsHeld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := financed(t)
		defer h.stop()
		h.decide(state.MarkSource{Source: corp})
		h.source.sees(people(proven, wider...))
		digest := h.wantRun(state.RunHeld).Digest
		if err := h.Approve(t.Context(), corp, digest, h.localUser("users", permissions.UserAdmin)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if h.may("bob") != "GOVERNANCE" || !h.db.View().Now().Source(corp).Marked.IsZero() {
			t.Error("the approved run was not applied, or left the mark")
		}
	})
}

// A change that comes while the directory is read is not what was read.
func TestAMarkThatComesDuringARunStays(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := financed(t)
		defer h.stop()
		h.source.set(func(context.Context, sync.PullRequest) (*identity.Observation, error) {
			h.decide(state.MarkSource{Source: corp})
			return people(proven, "ann", "bob", "cid", "finance: ann"), nil
		})
		h.wantRun(state.RunSucceeded)
		h.source.sees(people(proven, wider...))
		h.wantRun(state.RunHeld)
	})
}

func TestWhoApprovesMustBeAbleToConfer(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules func(*permissions.Settings)
		holds []permissions.Permission
		want  string
	}{
		{"nothing but APPLICATION_ADMIN", nil, []permissions.Permission{permissions.ApplicationAdmin}, "grant_not_allowed"},
		{"the permission alone", nil, []permissions.Permission{permissions.Governance}, "grant_not_allowed"},
		{"USER_ADMIN", nil, []permissions.Permission{permissions.UserAdmin}, ""},
		{"held: USER_ADMIN", held, []permissions.Permission{permissions.UserAdmin}, "grant_not_allowed"},
		{"held: USER_ADMIN who governs", held, []permissions.Permission{permissions.UserAdmin, permissions.Governance}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := financed(t)
				defer h.stop()
				by := h.localUser("boss", c.holds...)
				set := permissions.DefaultSettings()
				if c.rules != nil {
					c.rules(&set)
				}
				h.decide(state.PutSettings{Settings: set})
				h.reconfigured("c2")
				h.source.sees(people(proven, wider...))
				err := h.Approve(t.Context(), corp, h.wantRun(state.RunHeld).Digest, by)
				if fault.Code(err) != c.want {
					t.Errorf("Approve = %v, want %q", err, c.want)
				}
				synctest.Wait()
				if got := h.may("bob") == "GOVERNANCE"; got != (c.want == "") {
					t.Errorf("bob may %q", h.may("bob"))
				}
			})
		})
	}
}

func held(s *permissions.Settings) { s.GrantRule = permissions.GrantRuleHeld }

func TestNobodyApprovesWhatRaisesHimself(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := financed(t)
		defer h.stop()
		id, err := h.db.View().Now().OneUser("bob")
		if err != nil {
			t.Fatal(err)
		}
		h.grant(identity.UserMember(id), permissions.UserAdmin)
		set := permissions.DefaultSettings()
		set.ForbidSelfGrant = true
		h.decide(state.PutSettings{Settings: set})
		h.reconfigured("c2")
		h.source.sees(people(proven, wider...))
		digest := h.wantRun(state.RunHeld).Digest
		err = h.Approve(t.Context(), corp, digest, audit.Actor{Kind: audit.ActorUser, ID: id.String()})
		if fault.Code(err) != "grant_not_allowed" || !strings.Contains(err.Error(), "to yourself") {
			t.Errorf("Approve by one who is raised = %v", err)
		}
	})
}

func TestAnApprovalCoversNobodyElse(t *testing.T) {
	for _, c := range []struct {
		name string
		sees []string
		want state.RunState
	}{
		{"fewer", []string{"ann", "bob", "cid", "finance: ann bob"}, state.RunSucceeded},
		{"another", []string{"ann", "bob", "cid", "finance: ann bob cid"}, state.RunHeld},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := financed(t)
				defer h.stop()
				h.reconfigured("c2")
				h.source.sees(people(proven, wider...))
				digest := h.wantRun(state.RunHeld).Digest
				h.source.sees(people(proven, c.sees...))
				if err := h.Approve(t.Context(), corp, digest, h.localUser("users", permissions.UserAdmin)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				runs, err := h.db.Runs(t.Context(), corp)
				if err != nil || runs[0].Trigger != "approval" || runs[0].State != c.want {
					t.Fatalf("the run after the approval: %+v, %v", runs[0], err)
				}
			})
		})
	}
}

// A grant that is made after the plan was weighed, and before it is applied, is not
// overlooked.
func TestAGrantBetweenPlanAndRunIsNotOverlooked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		h.source.sees(people(proven, "ann", "bob", "finance: ann"))
		h.wantRun(state.RunSucceeded)
		h.reconfigured("c2")
		h.source.sees(people(proven, "ann", "bob", "finance: ann bob"))
		granted := false
		h.store.Fail(func(store.Txn) error {
			if !granted {
				granted = true
				h.grant(h.groupNamed("finance"), permissions.Governance)
			}
			return nil
		})
		h.wantRun(state.RunHeld)
		h.store.Fail(nil)
		if !granted || h.may("bob") != "" || h.may("ann") != "GOVERNANCE" {
			t.Errorf("granted %v, bob may %q", granted, h.may("bob"))
		}
	})
}

func TestDefaultPermissionsHoldNoFirstRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		users := h.localUser("users", permissions.UserAdmin)
		_, err := h.db.Decide(t.Context(), users, func(*state.Snapshot) ([]state.Change, error) {
			return []state.Change{state.PutDefaults{Source: corp, Permissions: []permissions.Permission{permissions.CreateFilter}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		h.source.sees(people(proven, "ann", "bob"))
		run := h.wantRun(state.RunSucceeded)
		if !run.Marked || len(run.Consequences) != 1 || run.Consequences[0].Gain != 2 || h.may("ann") != "CREATE_FILTER" {
			t.Errorf("the first run: %+v, ann may %q", run.Consequences, h.may("ann"))
		}
		// Who points the source elsewhere chooses who gets them.
		h.source.sees(people(proven, "ann", "bob", "eve"))
		if err := h.Reload([]sync.SourceSpec{h.spec(func(s *sync.SourceSpec) { s.ConfigHash = "elsewhere" })}); err != nil {
			t.Fatal(err)
		}
		if run := h.wantRun(state.RunHeld); h.may("eve") != "unknown" {
			t.Errorf("a run of a changed source: %+v, eve may %q", run.Consequences, h.may("eve"))
		}
	})
}
