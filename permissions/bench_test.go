package permissions

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

const (
	benchUsers  = 100_000
	benchGroups = 10_000
)

// company has 100,000 users, each a direct member of five of 10,000 groups that are
// nested three deep below ten departments. Every permission is carried by a hundred
// groups and by two hundred users, and the book holds 20,000 other grants.
func company() (*roll, *Book) {
	rnd := rand.New(rand.NewPCG(1, 2))
	r := &roll{}
	for i := range benchGroups {
		switch {
		case i < 10:
			r.addGroup()
		case i < 100:
			r.addGroup(uint32(rnd.IntN(10)))
		case i < 1000:
			r.addGroup(uint32(10 + rnd.IntN(90)))
		default:
			r.addGroup(uint32(100 + rnd.IntN(900)))
		}
	}
	for range benchUsers {
		in := map[uint32]bool{}
		for len(in) < 5 {
			in[uint32(1000+rnd.IntN(benchGroups-1000))] = true
		}
		var groups []uint32
		for g := range in {
			groups = append(groups, g)
		}
		r.addUser(Subject{}, groups...)
	}
	e := NewBook().Edit()
	n := 0
	put := func(p Permission, to identity.Member) {
		e.Put(grant(GrantID(fmt.Sprintf("grant-%06d", n)), p, to))
		n++
	}
	for entry := range BuiltIns() {
		for range 100 {
			put(entry.Name, group(100+rnd.IntN(benchGroups-100)))
		}
		for range 200 {
			put(entry.Name, user(rnd.IntN(benchUsers)))
		}
	}
	for i := range 20_000 {
		p := Permission(fmt.Sprintf("CUSTOM_%d", i%50))
		e.PutCustom(Entry{Name: p})
		put(p, user(rnd.IntN(benchUsers)))
	}
	return r.close(), e.Book()
}

func BenchmarkCheck(b *testing.B) {
	r, book := company()
	now := time.Now()
	names := make([]Permission, 0, len(builtIn))
	for e := range BuiltIns() {
		names = append(names, e.Name)
	}
	b.ReportAllocs()
	yes, i := 0, 0
	for b.Loop() {
		i++
		q := Request{User: r.users[i*7919%benchUsers], Permission: names[i%len(names)], Now: now}
		if book.Check(r, q).Allowed {
			yes++
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "checks/s")
	b.ReportMetric(100*float64(yes)/float64(b.N), "%yes")
}

func BenchmarkEffective(b *testing.B) {
	r, book := company()
	now := time.Now()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		book.Effective(r, r.users[i*7919%benchUsers], now)
	}
}

func BenchmarkExplain(b *testing.B) {
	r, book := company()
	now := time.Now()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		book.Explain(r, Request{User: r.users[i*7919%benchUsers], Permission: Governance, Now: now})
	}
}

// BenchmarkJudge is a grant to a group that everybody is in, under the rules that
// spare the judge nothing: he looks at 100,000 people twice.
func BenchmarkJudge(b *testing.B) {
	r, book := company()
	for i := range 10 {
		r.nested[i] = []uint32{benchGroups}
	}
	for g := range benchGroups { // closing again would take minutes
		r.above[g] = append(r.above[g], benchGroups)
	}
	all := r.addGroup()
	r.missing[all] = false
	r.groupAt[r.groups[all]], r.above = all, append(r.above, nil)
	e := book.Edit()
	for i, entry := range builtIn {
		e.Put(grant(GrantID(fmt.Sprintf("root-%d", i)), entry.Name, user(0)))
	}
	e.SetSettings(Settings{GrantRule: GrantRuleHeld, AdminGovernorExclusive: true})
	before := View{Members: r, Book: e.Book()}
	e.Put(grant("new", Audit, group(benchGroups)))
	after := View{Members: r, Book: e.Book()}
	w, now := Writer{User: r.users[0]}, time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if err := Judge(before, after, r.everybody(), w, now); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/100k")
}

// BenchmarkGrant is one new grant among 100,000, published at once.
func BenchmarkGrant(b *testing.B) {
	e := NewBook().Edit()
	for i := range 100_000 {
		e.Put(grant(GrantID(fmt.Sprintf("grant-%06d", i)), builtIn[i%11].Name, user(i%50_000)))
	}
	b.ReportAllocs()
	i := 100_000
	for b.Loop() {
		i++
		e.Put(grant(GrantID(fmt.Sprintf("grant-%06d", i)), builtIn[i%11].Name, user(i%50_000)))
		e.Book()
	}
}

func BenchmarkBookFill(b *testing.B) {
	for b.Loop() {
		e := NewBook().Edit()
		for i := range 100_000 {
			e.Put(grant(GrantID(fmt.Sprintf("grant-%06d", i)), builtIn[i%11].Name, user(i%50_000)))
		}
		e.Book()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/grant")
}

func TestCheckDoesNotAllocate(t *testing.T) {
	r := town()
	e := NewBook().Edit()
	e.Put(grant("g", Governance, group(2)))
	e.PutCustom(Entry{Name: "APPROVER"})
	book := e.Book()
	got := testing.AllocsPerRun(100, func() {
		for _, p := range []Permission{Governance, Audit, "APPROVER", "NO_SUCH"} {
			for u := range 4 {
				book.Check(r, Request{User: r.users[u], Permission: p, Now: at(10)})
			}
		}
	})
	if got != 0 {
		t.Errorf("Check allocates %v times, want 0", got)
	}
}
