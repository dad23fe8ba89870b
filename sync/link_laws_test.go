package sync_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// renumber gives people numbers, by which the second source is linked to the first.
func (d *directory) renumber(t *rapid.T) {
	for _, k := range slices.Sorted(maps.Keys(d.users)) {
		if p := d.users[k]; p.dept == "" || p.dept == "a" || p.dept == "b" {
			p.dept = fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "number"))
			d.users[k] = p
		}
	}
}

// of makes an observation that of another source.
func of(source identity.SourceID, o *identity.Observation) *identity.Observation {
	o.Source = source
	for _, entries := range [][]identity.Seen{o.Users, o.Groups} {
		for _, e := range entries {
			if e.Record != nil {
				e.Record.Source = source
			}
		}
	}
	return o
}

func (p *pair) follows(source identity.SourceID, d *directory) {
	d = d.copy()
	from := p.source
	if source == hr {
		from = p.second
	}
	from.set(func(_ context.Context, r sync.PullRequest) (*identity.Observation, error) {
		return of(source, d.observe(proven, r.Known, nothing)), nil
	})
}

// sync runs a source to the end, approving what is held.
func (p *pair) syncOf(source identity.SourceID) state.Run {
	p.t.Helper()
	r, err := p.Start(p.t.Context(), source, "root")
	if err != nil {
		p.t.Fatalf("Start: %v", err)
	}
	run, err := p.Wait(p.t.Context(), source, r.ID)
	if err != nil {
		p.t.Fatalf("Wait: %v", err)
	}
	if run.State != state.RunHeld {
		return run
	}
	if err := p.Approve(p.t.Context(), source, run.Digest, audit.Actor{Kind: audit.ActorSystem, ID: "test"}); err != nil {
		p.t.Fatalf("Approve: %v", err)
	}
	for {
		changed := p.db.View().Changed()
		if p.db.View().Now().Source(source).Held == nil {
			run, err := p.Wait(p.t.Context(), source, p.Status(source).LastRun)
			if err != nil {
				p.t.Fatalf("Wait: %v", err)
			}
			return run
		}
		<-changed
	}
}

// TestLinkingLaws lets two directories change at random, one of them linked to the other.
func TestLinkingLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disable := rapid.SampledFrom([]string{"", plan.DisableAny}).Draw(t, "disable")
		use := rapid.SampledFrom([]string{plan.UseUsers, plan.UseAttributes}).Draw(t, "use")
		p := paired(t, patient, func(s *sync.SourceSpec) {
			s.Link, s.Use = plan.Rule{To: corp, By: "dept", Disable: disable}, use
		})
		if err := p.Reload([]sync.SourceSpec{p.spec(patient), p.link}); err != nil {
			t.Fatalf("Reload: %v", err)
		}
		p.open()
		defer func() { p.stop() }()
		dirs := map[identity.SourceID]*directory{corp: populated(t), hr: populated(t)}
		for range rapid.IntRange(2, 8).Draw(t, "steps") {
			source := rapid.SampledFrom([]identity.SourceID{corp, hr, hr}).Draw(t, "source")
			if rapid.Bool().Draw(t, "drifts") {
				dirs[source].drift(t)
			}
			dirs[source].renumber(t)
			p.follows(source, dirs[source])
			before, grants, known := p.power(), p.granted(), p.joined()
			planned, _, err := p.Plan(context.Background(), source, "root")
			if err != nil {
				t.Fatalf("Plan: %v", err)
			}
			if run := p.syncOf(source); run.State != state.RunSucceeded {
				t.Fatalf("the run of %s ended as %s: %s", source, run.State, run.Error)
			}
			p.lawful(t, source, dirs, known)
			if diff := gocmp.Diff(grants, p.granted()); diff != "" {
				t.Fatalf("a run of %s changed grants:\n%s", source, diff)
			}
			got := map[string]counted{}
			for _, c := range planned.Consequences {
				got[c.Permission] = counted{c.Gain, c.Lose}
			}
			if diff := gocmp.Diff(consequences(before, p.power()), got, gocmp.AllowUnexported(counted{})); diff != "" {
				t.Fatalf("consequences of a run of %s (-after applying +as planned):\n%s", source, diff)
			}
			again, _, err := p.Plan(context.Background(), source, "root")
			if err != nil || !again.IsEmpty() {
				t.Fatalf("planned again, a run of %s would change %s, %v", source, again.Summary(), err)
			}
			p.sameAsFresh()
			p.give(t)
		}
	})
}

// give grants something to somebody, so that the next run has consequences.
func (p *pair) give(t *rapid.T) {
	all := subjects(p.db.View().Now())
	if len(all) == 0 {
		return
	}
	m := rapid.SampledFrom(all).Draw(t, "to")
	p.grant(m, rapid.SampledFrom([]permissions.Permission{permissions.Audit, permissions.CreateFilter}).Draw(t, "permission"))
}

// granted is every grant, as it is stored.
func (p *pair) granted() map[string]string {
	rows := p.local()
	maps.DeleteFunc(rows, func(key, _ string) bool { return !strings.HasPrefix(key, "v/p/g/") })
	return rows
}

// joined is to whom the entries of the second source belong.
func (p *pair) joined() map[identity.Key]identity.UserID {
	out := map[identity.Key]identity.UserID{}
	s := p.db.View().Now()
	for row := range s.Users(identity.UserID{}, time.Time{}) {
		id, _ := row.Member.User()
		u, _, _ := s.User(id)
		if u.Record.Source == hr {
			out[u.Record.Key] = id
		}
		for _, l := range u.Linked {
			out[l.Record.Key] = id
		}
	}
	return out
}

// lawful holds the roll against the plainest reading of the rule.
func (p *pair) lawful(t *rapid.T, source identity.SourceID, dirs map[identity.SourceID]*directory, known map[identity.Key]identity.UserID) {
	s := p.db.View().Now()
	numbers := map[string][]identity.UserID{} // present users of corp
	has := map[identity.UserID]bool{}         // of whom hr had a record before
	owners := map[identity.Key]int{}
	for key, id := range known {
		has[id] = true
		if now, ok := p.joined()[key]; ok && now != id {
			t.Fatalf("entry %s went from one user to another", key)
		}
	}
	for row := range s.Users(identity.UserID{}, time.Time{}) {
		id, _ := row.Member.User()
		u, _, _ := s.User(id)
		if row.Source == corp && u.Missing.IsZero() {
			for _, n := range u.Record.Attributes["dept"] {
				numbers[n] = append(numbers[n], id)
			}
		}
		if len(u.Linked) > 1 || len(u.Linked) == 1 && u.Record.Source != corp {
			t.Fatalf("a user of %s with %d linked records", u.Record.Source, len(u.Linked))
		}
		if row.Source == hr {
			owners[row.Key]++
		}
		for _, l := range u.Linked {
			owners[l.Record.Key]++
		}
	}
	for key, n := range owners {
		if n > 1 {
			t.Fatalf("entry %s is that of %d users", key, n)
		}
	}
	if source != hr {
		return
	}
	claims := map[string]int{}
	for key, person := range dirs[hr].users {
		if _, before := known[key]; !before {
			claims[person.dept]++
		}
	}
	now := p.joined()
	for key, person := range dirs[hr].users {
		if _, before := known[key]; before {
			continue
		}
		id, joined := now[key]
		of := numbers[person.dept]
		u, _, _ := s.User(id)
		linked := joined && u.Record.Source == corp
		if linked && (len(of) != 1 || claims[person.dept] != 1 || has[of[0]] || of[0] != id) {
			t.Fatalf("entry %s with number %s joined a user, of %d who answer, with %d claims", key, person.dept, len(of), claims[person.dept])
		}
	}
}
