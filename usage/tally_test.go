package usage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/permissions"
)

const today Date = "2026-11-25"

func newTally() *Tally { return NewTally(All([]string{"listUsers", "check"})) }

// did counts one event for each of who.
func did(t *testing.T, y *Tally, c Class, n Name, o Outcome, who ...string) {
	t.Helper()
	for _, w := range who {
		if err := y.Add(today, Event{w, c, n, o}); err != nil {
			t.Fatal(err)
		}
	}
}

func people5(prefix string) []string {
	return []string{prefix + "1", prefix + "2", prefix + "3", prefix + "4", prefix + "5"}
}

// kept adds what is due to a table, as the store does.
func kept(y *Tally, into Table) Table {
	for _, c := range y.Due() {
		into = into.Apply(c.Table)
		y.Given(c)
	}
	return into
}

func wantTable(t *testing.T, got, want Table) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("kept (-want +got):\n%s", d)
	}
}

func TestFourAreMergedFiveAreNot(t *testing.T) {
	y := newTally()
	did(t, y, ClassGovernor, PermissionGranted, Done, people5("g")[:4]...)
	did(t, y, ClassAdmin, PermissionGranted, Done, people5("a")...)
	did(t, y, ClassAdmin, PermissionGranted, Refused, "a1")
	table := kept(y, nil)
	wantTable(t, table, Table{
		{PermissionGranted, ClassAdmin}: {Done: 5, Refused: 1},
		{OtherWorkflows, ClassOther}:    {Done: 4},
	})
	// A fifth person takes the bucket out of the others.
	did(t, y, ClassGovernor, PermissionGranted, Failed, "g5")
	wantTable(t, kept(y, table), Table{
		{PermissionGranted, ClassAdmin}:    {Done: 5, Refused: 1},
		{PermissionGranted, ClassGovernor}: {Done: 4, Failed: 1},
	})
}

// However often one person does it, he is one.
func TestOnePersonIsOne(t *testing.T) {
	y := newTally()
	for range 100 {
		did(t, y, ClassAdmin, APIName("listUsers"), Done, "a1", "a2", "a3", "a4")
	}
	wantTable(t, kept(y, nil), Table{{OtherTouches, ClassOther}: {Done: 400}})
}

// Small classes of one name are merged first; only when they are too few together
// does the name go.
func TestClassesAreMergedBeforeNames(t *testing.T) {
	y := newTally()
	did(t, y, ClassGovernor, UserCreated, Done, "g1", "g2", "g3", "g4")
	did(t, y, ClassAuditor, UserCreated, Done, "r1")
	did(t, y, ClassAuditor, UserDeleted, Done, "r1", "r2")
	did(t, y, ClassAuditor, APIName("check"), Done, "r1")
	table := kept(y, nil)
	wantTable(t, table, Table{
		{UserCreated, ClassOther}:    {Done: 5},
		{OtherWorkflows, ClassOther}: {Done: 2},
		{OtherTouches, ClassOther}:   {Done: 1},
	})
	// When the governors become five, the one auditor does not stay behind alone.
	did(t, y, ClassGovernor, UserCreated, Done, "g5")
	wantTable(t, kept(y, table), Table{
		{UserCreated, ClassGovernor}: {Done: 5},
		{OtherWorkflows, ClassOther}: {Done: 3},
		{OtherTouches, ClassOther}:   {Done: 1},
	})
}

// After a restart nobody knows who was counted before: three and three stay merged.
func TestRestartMerges(t *testing.T) {
	before := newTally()
	did(t, before, ClassAdmin, UserCreated, Done, "a1", "a2", "a3")
	did(t, before, ClassAdmin, UserDeleted, Done, people5("a")...)
	table := kept(before, nil)
	after := newTally()
	did(t, after, ClassAdmin, UserCreated, Done, "a4", "a5", "a6")
	did(t, after, ClassAdmin, UserDeleted, Done, "a6")
	wantTable(t, kept(after, table), Table{
		{UserDeleted, ClassAdmin}:    {Done: 5},
		{OtherWorkflows, ClassOther}: {Done: 7},
	})
}

func TestPreviewedAndNotApplied(t *testing.T) {
	y := newTally()
	p := people5("a")
	did(t, y, ClassAdmin, PermissionGranted, Previewed, p...)
	did(t, y, ClassAdmin, PermissionGranted, Previewed, p[0])
	table := kept(y, nil)
	wantTable(t, table, Table{{PermissionGranted, ClassAdmin}: {Previewed: 6}})
	did(t, y, ClassAdmin, PermissionGranted, Refused, p[1])
	did(t, y, ClassAdmin, PermissionGranted, Done, p[0], p[0])
	wantTable(t, kept(y, table), Table{{PermissionGranted, ClassAdmin}: {Done: 2, Refused: 1, Previewed: 4}})
}

func TestDays(t *testing.T) {
	y := newTally()
	did(t, y, ClassAdmin, UserCreated, Done, "a1")
	if err := y.Add(today.Add(1), Event{"a1", ClassAdmin, UserCreated, Done}); err != nil {
		t.Fatal(err)
	}
	y.Forget(today.Add(1))
	due := y.Due()
	if len(due) != 2 || due[0].Date != today || due[1].Date != today.Add(1) {
		t.Fatalf("Due = %v, want both days: what was not given out is not forgotten", due)
	}
	y.Given(due[0])
	y.Given(due[1])
	y.Forget(today.Add(1))
	if len(y.days) != 1 || len(y.Due()) != 0 {
		t.Errorf("%d days remembered and %v due, want today alone and nothing", len(y.days), y.Due())
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	y := newTally()
	for _, n := range []Name{"", "cli:", "cli:rm -rf", "api:listUsers2", "workflow:other", "touch:other", "listUsers", "ann@example.com"} {
		err := y.Add(today, Event{"a1", ClassAdmin, n, Done})
		if !errors.Is(err, fault.Invalid) || n != "" && strings.Contains(err.Error(), string(n)) {
			t.Errorf("Add(%q) = %v, want fault.Invalid without the name", n, err)
		}
	}
	if due := y.Due(); len(due) != 0 {
		t.Errorf("Due = %v, want nothing", due)
	}
	seen := map[Name]bool{}
	for _, n := range All([]string{"listUsers"}) {
		if seen[n] || n.Kind() == "" {
			t.Errorf("the name %q is there twice or without a kind", n)
		}
		seen[n] = true
	}
}

// Every persona has a class, and nobody's class depends on the order of his personas.
func TestEveryPersonaHasAClass(t *testing.T) {
	var all []permissions.PersonaID
	classes := map[Class]bool{}
	for _, p := range permissions.Personas() {
		c := ClassOf([]permissions.PersonaID{p.ID})
		if c == ClassOther || classes[c] {
			t.Errorf("persona %s is of class %s", p.ID, c)
		}
		classes[c] = true
		all = append(all, p.ID)
	}
	slices.Reverse(all)
	if c := ClassOf(all); c != ClassAdmin {
		t.Errorf("who has every persona is of class %s, want %s", c, ClassAdmin)
	}
	if c := ClassOf([]string(nil)); c != ClassOther {
		t.Errorf("who has none is of class %s", c)
	}
}

// Whatever happens in whatever order, with flushes anywhere between: nothing is lost,
// and behind every count that stands alone there are enough people.
func TestTallyLaws(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		y, table := newTally(), Table{}
		names := []Name{UserCreated, UserDeleted, APIName("check"), APIName("listUsers")}
		classes := []Class{ClassAdmin, ClassAuditor, ClassDataUser, ClassOther}
		people := map[Bucket]map[string]bool{}
		total := map[bool]Counts{}
		for range rapid.IntRange(0, 120).Draw(r, "events") {
			who := fmt.Sprint("p", rapid.IntRange(0, 11).Draw(r, "who"))
			e := Event{who, rapid.SampledFrom(classes).Draw(r, "class"), rapid.SampledFrom(names).Draw(r, "name"), Outcome(rapid.IntRange(0, 2).Draw(r, "outcome"))}
			if err := y.Add(today, e); err != nil {
				r.Fatal(err)
			}
			b := Bucket{e.Name, e.Class}
			if people[b] == nil {
				people[b] = map[string]bool{}
			}
			people[b][who] = true
			c := total[e.Name.IsWorkflow()]
			*c.at(e.Outcome)++
			total[e.Name.IsWorkflow()] = c
			if rapid.IntRange(0, 9).Draw(r, "flush") == 0 {
				table = kept(y, table)
			}
		}
		table = kept(y, table)
		got := map[bool]Counts{}
		for b, c := range table {
			got[b.Name.IsWorkflow()] = got[b.Name.IsWorkflow()].add(c, 1)
			if b.Name == b.Name.other() {
				continue
			}
			behind := map[string]bool{}
			for of, who := range people {
				switch {
				case of == b && b.Class != ClassOther:
					maps.Copy(behind, who)
				case of.Name == b.Name && b.Class == ClassOther && (len(who) < Least || of.Class == ClassOther):
					maps.Copy(behind, who)
				}
			}
			if len(behind) < Least {
				r.Errorf("%v = %v stands alone with %d people", b, c, len(behind))
			}
		}
		if d := cmp.Diff(total, got); d != "" {
			r.Errorf("totals (-counted +kept):\n%s", d)
		}
	})
}

func TestTallyTogether(t *testing.T) {
	y := newTally()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 500 {
				if err := y.Add(today, Event{fmt.Sprint(i), ClassAdmin, UserCreated, Done}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	table := Table{}
	for range 50 {
		table = kept(y, table)
	}
	wg.Wait()
	wantTable(t, kept(y, table), Table{{UserCreated, ClassAdmin}: {Done: 4000}})
}

func TestApplyDoesNotFallBelowZero(t *testing.T) {
	got := Table{{UserCreated, ClassOther}: {Done: 1}}.Apply(Table{{UserCreated, ClassOther}: {Done: -3, Failed: -1}, {UserCreated, ClassAdmin}: {Done: 5}})
	wantTable(t, got, Table{{UserCreated, ClassAdmin}: {Done: 5}})
}
