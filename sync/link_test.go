package sync_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/plan"
)

const hr identity.SourceID = "hr"

var byNumber = plan.Rule{To: corp, By: "number"}

// badged is people of a source, of whom "ann=1" has the number 1; the key is that of
// the name in the source.
func badged(source identity.SourceID, lines ...string) *identity.Observation {
	bare := make([]string, len(lines))
	numbers := map[identity.Key]string{}
	for i, line := range lines {
		name, number, _ := strings.Cut(line, "=")
		bare[i] = name
		numbers[identity.Key("k-"+name)] = number
	}
	o := people(proven, bare...)
	o.Source = source
	for i := range o.Users {
		r := o.Users[i].Record
		r.Source, r.DN = source, ""
		r.Attributes = identity.Attributes{"number": {numbers[r.Key]}, "at": {string(source)}}.Normalize()
	}
	for i := range o.Groups {
		o.Groups[i].Record.Source = source
	}
	return o
}

// pair is a house with two sources, the second of which is linked to the first.
type pair struct {
	*house
	second *script
	link   sync.SourceSpec
}

func paired(t tester, options ...option) *pair {
	t.Helper()
	p := &pair{house: build(t, mem.New()), second: &script{}}
	p.link = sync.SourceSpec{ID: hr, Source: p.second, Limits: plan.DefaultLimits(), ConfigHash: "l1", Link: byNumber}
	p.relink(options...)
	return p
}

// relink loads the sources, the second one changed.
func (p *pair) relink(options ...option) {
	p.t.Helper()
	for _, o := range options {
		o(&p.link)
	}
	if err := p.Reload([]sync.SourceSpec{p.spec(), p.link}); err != nil {
		p.t.Fatalf("Reload: %v", err)
	}
}

// read runs a source that shows people.
func (p *pair) read(o *identity.Observation, want state.RunState) state.Run {
	p.t.Helper()
	from := p.source
	if o.Source == hr {
		from = p.second
	}
	from.sees(o)
	r, err := p.Start(p.t.Context(), o.Source, "root")
	if err != nil {
		p.t.Fatalf("Start: %v", err)
	}
	run, err := p.Wait(p.t.Context(), o.Source, r.ID)
	if err != nil || run.State != want {
		p.t.Fatalf("the run of %s ended as %s (%s), %v; want %s", o.Source, run.State, run.Error, err, want)
	}
	return run
}

// linked lists who has a record of the second source, and who has nothing else.
func (p *pair) linked() (out []string) {
	s := p.db.View().Now()
	for row := range s.Users(identity.UserID{}, time.Now()) {
		id, _ := row.Member.User()
		u, _, _ := s.User(id)
		line := string(row.Source) + "/" + row.Name
		for _, l := range u.Linked {
			line += " " + string(l.Record.Source) + "/" + l.Record.Name
			if !l.Missing.IsZero() {
				line += " missing"
			}
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func (p *pair) want(what string, lines ...string) {
	p.t.Helper()
	if diff := cmp.Diff(lines, p.linked()); diff != "" {
		p.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func asAttributes(s *sync.SourceSpec) { s.Use = plan.UseAttributes }

func conflicts(run state.Run) (out []string) {
	for _, c := range run.Conflicts {
		out = append(out, c.Code+" "+c.Name)
	}
	return out
}

func TestARecordJoinsTheOnlyUserWhoAnswersToTheRule(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := paired(t)
		p.start()
		defer p.stop()
		p.read(badged(corp, "ann=1", "bob=2", "cid=3", "dup=3", "none", "staff: ann"), state.RunSucceeded)
		run := p.read(badged(hr, "a.lee=1", "b1=2", "b2=2", "c=3", "new=9", "blank", "payroll: a.lee c new"), state.RunSucceeded)
		p.want("after the first run of hr", "corp/ann hr/a.lee", "corp/bob", "corp/cid", "corp/dup", "corp/none", "hr/blank", "hr/new")
		if diff := cmp.Diff([]string{"ambiguous_link b1", "ambiguous_link b2", "ambiguous_link c"}, conflicts(run)); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		if n := run.Counts; n.Linked != 1 || n.Users.Created != 2 || n.Members.Created != 2 || n.Unresolved != 1 {
			t.Errorf("counts = %+v", n)
		}
		s := p.db.View().Now()
		u := p.user("hr/a.lee")
		if u.Record.Source != corp || u.Record.Name != "ann" || !u.Attributes().Equal(identity.Attributes{"number": {"1"}, "at": {"corp"}}) {
			t.Errorf("the user is %+v with %v", u.Record, u.Attributes())
		}
		var in []string
		for g := range s.GroupsOf(identity.UserMember(u.ID)) {
			name, source := s.Name(identity.GroupMember(g))
			in = append(in, string(source)+"/"+name)
		}
		slices.Sort(in)
		if diff := cmp.Diff([]string{"corp/staff", "hr/payroll"}, in); diff != "" {
			t.Errorf("groups of ann (-want +got):\n%s", diff)
		}
		before, rev := p.linked(), s.Rev()
		again := p.read(badged(hr, "a.lee=1", "b1=2", "b2=2", "c=3", "new=9", "blank", "payroll: a.lee c new"), state.RunSucceeded)
		if got := p.linked(); !slices.Equal(got, before) || again.Counts.Users != (plan.Tally{}) {
			t.Errorf("a second run changed %v to %v, %+v, after revision %d", before, got, again.Counts, rev)
		}
	})
}

func (p *pair) user(name string) *identity.User {
	p.t.Helper()
	s := p.db.View().Now()
	id, err := s.OneUser(name)
	if err != nil {
		p.t.Fatalf("%v", err)
	}
	u, _, _ := s.User(id)
	return u
}

func TestAnAttributeOnlySourceMakesNoUser(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := paired(t, asAttributes)
		p.start()
		defer p.stop()
		p.read(badged(corp, "ann=1", "bob=2"), state.RunSucceeded)
		run := p.read(badged(hr, "a.lee=1", "ghost=9", "payroll: a.lee ghost"), state.RunSucceeded)
		p.want("after the run", "corp/ann hr/a.lee", "corp/bob")
		if run.Counts.Unlinked != 1 || run.SkippedAll != 1 || run.Skipped[0].Key != "k-ghost" || !strings.Contains(run.Skipped[0].Reason, "number = corp/number") {
			t.Errorf("unlinked: %d, %+v", run.Counts.Unlinked, run.Skipped)
		}
		p.read(badged(corp, "ann=1", "bob=2", "gus=9"), state.RunSucceeded)
		p.read(badged(hr, "a.lee=1", "ghost=9", "payroll: a.lee ghost"), state.RunSucceeded)
		p.want("once there is one who answers", "corp/ann hr/a.lee", "corp/bob", "corp/gus hr/ghost")
	})
}

// What hr says of a person follows hr: a changed record, a loss, a return. Whether she
// is active does not, unless the rule says so.
func TestALinkedRecordFollowsItsSource(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := paired(t)
		p.start()
		defer p.stop()
		p.read(badged(corp, "ann=1", "bob=2"), state.RunSucceeded)
		p.read(badged(hr, "a.lee=1", "b=2", "payroll: a.lee b"), state.RunSucceeded)
		p.grant(p.groupNamed("payroll"), permissions.Audit)
		if got := p.may("ann"); got != "AUDIT" {
			t.Fatalf("ann may %q by a group of the linked source", got)
		}
		off := badged(hr, "a.lee=1", "b=2", "payroll: a.lee b")
		off.Users[0].Record.Disabled = identity.ReasonDisabled
		p.read(off, state.RunSucceeded)
		if u := p.user("ann"); u.Status(time.Now()) != identity.Active || u.Linked[0].Record.Disabled == identity.Active || p.may("ann") != "AUDIT" {
			t.Errorf("a disable in hr makes ann %q, who may %q", u.Status(time.Now()), p.may("ann"))
		}
		p.relink(func(s *sync.SourceSpec) { s.Link.Disable, s.ConfigHash = plan.DisableAny, "l2" })
		same := badged(hr, "a.lee=1", "b=2", "payroll: a.lee b")
		for i := range same.Users {
			same.Users[i].Record = nil // as a read gives what has not changed
		}
		p.read(same, state.RunSucceeded)
		if u := p.user("ann"); u.Status(time.Now()) != identity.ReasonDisabled || p.may("ann") != "" {
			t.Errorf("under disable: any ann is %q and may %q", u.Status(time.Now()), p.may("ann"))
		}
		p.relink(func(s *sync.SourceSpec) { s.Link.Disable, s.ConfigHash = "", "l3" })
		p.read(same, state.RunHeld) // who is let in again by a changed rule is raised
		p.relink(func(s *sync.SourceSpec) { s.Link.Disable, s.ConfigHash = plan.DisableAny, "l2" })
		p.read(badged(hr, "a.lee=1", "b=2", "payroll: a.lee b"), state.RunSucceeded)
		p.relink(func(s *sync.SourceSpec) { s.Link.Disable, s.ConfigHash = "", "l4" })
		p.read(badged(hr, "a.lee=1", "b=2", "payroll: a.lee b"), state.RunSucceeded)

		// A directory that does not tidy its groups still names the one whom it lost.
		gone := p.read(badged(hr, "b=2", "payroll: a.lee b"), state.RunSucceeded)
		p.want("hr lost ann", "corp/ann hr/a.lee missing", "corp/bob hr/b")
		if u := p.user("ann"); u.Status(time.Now()) != identity.Active || p.may("ann") != "" || p.may("bob") != "AUDIT" {
			t.Errorf("after hr lost her ann is %q and may %q; %s", u.Status(time.Now()), p.may("ann"), gone.Summary)
		}
		p.read(badged(hr, "b=2", "a.lee=1", "payroll: a.lee b"), state.RunSucceeded)
		p.want("she is back", "corp/ann hr/a.lee", "corp/bob hr/b")
		if p.may("ann") != "AUDIT" {
			t.Errorf("back in hr ann may %q", p.may("ann"))
		}
		p.read(badged(corp, "bob=2"), state.RunSucceeded)
		if u := p.user("ann"); u.Status(time.Now()) != identity.ReasonMissing {
			t.Errorf("the owning source lost ann, and she is %q", u.Status(time.Now()))
		}
	})
}

// Undoing the run that linked people makes their records count as lost, with what the
// groups of the source gave; who was parted since is left alone, and so is every grant.
func TestUndoTakesLinksBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := paired(t)
		p.start()
		defer p.stop()
		p.read(badged(corp, "ann=1", "bob=2", "cid=3"), state.RunSucceeded)
		p.read(badged(hr, "c=3", "payroll: c", "other: c"), state.RunSucceeded)
		p.grant(p.groupNamed("payroll"), permissions.Audit)
		p.read(badged(hr, "a.lee=1", "b=2", "c=3", "payroll: a.lee b c", "other: c"), state.RunSucceeded)
		p.want("linked", "corp/ann hr/a.lee", "corp/bob hr/b", "corp/cid hr/c")
		if p.may("ann") != "AUDIT" || p.may("bob") != "AUDIT" {
			t.Fatalf("ann may %q, bob %q", p.may("ann"), p.may("bob"))
		}
		p.decide(state.Unlink{User: p.user("bob").ID, Source: hr})
		grants := p.grants()

		undo, last, err := p.PlanUndo(t.Context(), hr)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(undo.Withheld, "user b and entry k-b were parted since") {
			t.Errorf("withheld: %q", undo.Withheld)
		}
		order, err := p.OrderUndo(t.Context(), hr, last.ID, undo.Fingerprint())
		if err != nil {
			t.Fatal(err)
		}
		p.decide(order)
		if run, err := p.Wait(t.Context(), hr, order.Order.Run); err != nil || run.State != state.RunSucceeded {
			t.Fatalf("the undo ended as %+v, %v", run, err)
		}
		p.want("undone", "corp/ann hr/a.lee missing", "corp/bob", "corp/cid hr/c")
		if p.may("ann") != "" || p.may("cid") != "AUDIT" || !slices.Equal(p.grants(), grants) {
			t.Errorf("ann may %q, cid %q", p.may("ann"), p.may("cid"))
		}
		p.decide(state.Pause{Source: hr})
		p.read(badged(hr, "a.lee=1", "c=3", "payroll: a.lee c", "other: c"), state.RunSucceeded)
		p.want("the directory still says so", "corp/ann hr/a.lee", "corp/bob", "corp/cid hr/c")
		if p.may("ann") != "AUDIT" {
			t.Errorf("ann may %q", p.may("ann"))
		}
	})
}

func TestARuleThatRaisesSomebodyIsHeld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := paired(t, func(s *sync.SourceSpec) { s.Link = plan.Rule{} })
		p.start()
		defer p.stop()
		p.read(badged(corp, "ann=1", "bob=2"), state.RunSucceeded)
		p.read(badged(hr, "boss=7", "payroll: boss"), state.RunSucceeded)
		p.grant(p.groupNamed("payroll"), permissions.Audit)
		grants := p.db.View().Now().Book().Len()

		p.relink(func(s *sync.SourceSpec) { s.Link, s.ConfigHash = byNumber, "l2" })
		run := p.read(badged(hr, "boss=7", "a.lee=1", "payroll: boss a.lee"), state.RunHeld)
		if want := []string{"1 person gains AUDIT: ann through group payroll"}; !slices.Equal(run.Held, want) {
			t.Errorf("held for %q, want %q", run.Held, want)
		}
		p.want("while it waits", "corp/ann", "corp/bob", "hr/boss")
		if err := p.Approve(t.Context(), hr, run.Digest, p.localUser("uma", permissions.UserAdmin)); err != nil {
			t.Fatalf("Approve: %v", err)
		}
		synctest.Wait() // the approval asks for a run
		p.want("approved", "corp/ann hr/a.lee", "corp/bob", "hr/boss", "local/uma")
		if got := p.db.View().Now().Book().Len(); got != grants+1 || p.may("ann") != "AUDIT" {
			t.Errorf("%d grants, want those %d and that of uma; ann may %q", got, grants, p.may("ann"))
		}
	})
}
