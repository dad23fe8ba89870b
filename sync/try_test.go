package sync_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// desk is a source that also answers about single people: those of entries.
type desk struct {
	*script
	entries []plan.TrialEntry
}

func (d *desk) Find(_ context.Context, q sync.FindRequest) (*sync.Finding, error) {
	f := &sync.Finding{Server: "ldap.example", Family: "test"}
	for _, e := range d.entries {
		if e.Record != nil && q.User != "" && strings.EqualFold(e.Record.Name, q.User) {
			f.Entries = append(f.Entries, e)
		}
	}
	for _, e := range d.entries {
		if slices.Contains(q.Keys, e.Key) && len(f.Entries) == 0 {
			f.Entries = append(f.Entries, e)
		}
	}
	return f, nil
}

// deskEntry is "ann" under the key k-ann, in scope, listed by groups.
func deskEntry(key, name string, groups ...string) plan.TrialEntry {
	e := plan.TrialEntry{
		DN: "cn=" + name, Key: identity.Key(key), By: "login name", Scope: plan.TrialScope{In: true},
		Record: &identity.Record{Source: corp, Key: identity.Key(key), Name: name, DN: "cn=" + name, Hash: 99},
	}
	for _, g := range groups {
		e.Groups = append(e.Groups, plan.TrialGroup{Key: identity.Key("k-" + g), Name: g, By: "member"})
	}
	return e
}

func steps(t *plan.Trial) []string {
	var out []string
	for _, s := range t.Steps {
		line := s.Op.String() + " " + string(s.Key)
		for _, m := range s.Add {
			line += " +" + string(m.Key)
		}
		for _, m := range s.Remove {
			line += " -" + string(m.Key)
		}
		out = append(out, line)
	}
	return out
}

func TestTryShowsWhatARunWouldMakeOfOnePerson(t *testing.T) { inBubble(t, tryPeople) }

func tryPeople(t *testing.T) {
	d := &desk{}
	h := build(t, mem.New(), func(s *sync.SourceSpec) { d.script = s.Source.(*script); s.Source = d }).start()
	defer h.stop()
	h.source.sees(people(proven, "ann", "bob", "carl", "staff: ann bob", "board: bob"))
	h.wantRun(state.RunSucceeded)
	h.source.sees(people(proven, "ann", "bob", "staff: ann bob", "board: bob"))
	h.wantRun(state.RunSucceeded) // carl is missing from now on
	before := h.db.View().Now().Rev()

	for _, c := range []struct {
		name, user string
		entries    []plan.TrialEntry
		steps      []string
		conflict   string
		known      string
	}{
		{name: "nothing changes", user: "ann", entries: []plan.TrialEntry{
			{Key: "k-ann", Scope: plan.TrialScope{In: true}, Record: people(proven, "ann").Users[0].Record, Groups: deskEntry("", "", "staff").Groups},
		}, known: "k-ann"},
		{
			name: "a new person", user: "dora", entries: []plan.TrialEntry{deskEntry("k-dora", "dora", "staff", "unheard")},
			steps: []string{"create_user k-dora", "change_members k-staff +k-dora"},
		},
		{
			name: "renamed and moved", user: "ann", entries: []plan.TrialEntry{deskEntry("k-ann", "ann.lee", "board")}, known: "k-ann",
			steps: []string{"update_user k-ann", "change_members k-board +k-ann", "change_members k-staff -k-ann"},
		},
		{name: "out of scope", user: "k-bob", entries: []plan.TrialEntry{
			{Key: "k-bob", Scope: plan.TrialScope{Why: "the filter"}, Record: people(proven, "bob").Users[0].Record},
		}, steps: []string{"deactivate_user k-bob"}, known: "k-bob"},
		{name: "gone from the directory", user: "bob", steps: []string{"deactivate_user k-bob"}, known: "k-bob"},
		{name: "back again", user: "carl", entries: []plan.TrialEntry{deskEntry("k-carl", "carl")}, steps: []string{"return_user k-carl"}, known: "k-carl"},
		{
			name: "the name of one who is there", user: "ann", entries: []plan.TrialEntry{deskEntry("k-2", "ANN"), deskEntry("k-ann", "ann.lee")},
			steps: []string{"create_user k-2"},
		},
		{name: "the name of one who is gone", user: "carl", entries: []plan.TrialEntry{deskEntry("k-3", "carl")}, conflict: plan.Recreated},
		{name: "cannot be mapped", user: "k-bob", entries: []plan.TrialEntry{{Key: "k-bob", Scope: plan.TrialScope{In: true}, Problem: "it has no name"}}, known: "k-bob"},
		{name: "nobody", user: "zoe"},
	} {
		d.entries = c.entries
		got, err := h.Try(t.Context(), corp, c.user)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.steps, steps(got)); diff != "" {
			t.Errorf("%s: steps (-want +got):\n%s\nnotes: %q", c.name, diff, got.Notes)
		}
		conflict, known := "", ""
		if len(got.Conflicts) > 0 {
			conflict = got.Conflicts[0].Code
		}
		if got.Known != nil {
			known = string(got.Known.Key)
		}
		if conflict != c.conflict || known != c.known {
			t.Errorf("%s: conflict %q, known %q; want %q, %q", c.name, conflict, known, c.conflict, c.known)
		}
	}
	if after := h.db.View().Now().Rev(); after != before {
		t.Errorf("the store went from %d to %d: something was written", before, after)
	}
}

func TestTryAsksWhichOneIsMeant(t *testing.T) {
	d := &desk{entries: []plan.TrialEntry{deskEntry("k-1", "twin"), deskEntry("k-2", "Twin")}}
	h := build(t, mem.New(), func(s *sync.SourceSpec) { d.script = s.Source.(*script); s.Source = d })
	got, err := h.Try(t.Context(), corp, "twin")
	if err != nil || len(got.Entries) != 2 || len(got.Steps) != 0 || len(got.Notes) != 1 {
		t.Errorf("Try(twin) = %+v, %v", got, err)
	}
}

func TestTryNeedsASourceThatCanBeAsked(t *testing.T) {
	h := build(t, mem.New())
	if _, err := h.Try(t.Context(), corp, "ann"); fault.Code(err) != "not_findable" {
		t.Errorf("Try = %v", err)
	}
	if _, err := h.Try(t.Context(), "other", "ann"); fault.Code(err) != "source_not_found" {
		t.Errorf("Try of another = %v", err)
	}
}
