package sync_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// BenchmarkWeigh works out what a plan means for 100,000 people in 10,000 groups with
// 500,000 memberships, of which every hundredth group carries a grant: once as all of
// them are planned from nothing but default permissions, once as every membership
// moves, and once as one does.
func BenchmarkWeigh(b *testing.B) {
	const users, groups, perUser = 100_000, 10_000, 5
	all := &identity.Observation{Source: corp, Proof: proven}
	for i := range users {
		k := identity.Key(fmt.Sprintf("u%06d", i))
		all.Users = append(all.Users, identity.Seen{Key: k, Record: &identity.Record{Source: corp, Key: k, Name: string(k)}})
	}
	members := func(shift int) []identity.Seen {
		out := make([]identity.Seen, groups)
		for i := range out {
			k := identity.Key(fmt.Sprintf("g%05d", i))
			out[i] = identity.Seen{Key: k, Record: &identity.Record{Source: corp, Key: k, Name: string(k)}}
			for j := range users * perUser / groups {
				out[i].Users = append(out[i].Users, all.Users[(i*37+j*1009+shift)%users].Key)
			}
		}
		return out
	}
	all.Groups = members(0)
	h := build(b, mem.New(), patient).open()
	defer func() { h.stop() }()
	h.source.sees(all)
	h.localUser("root", permissions.UserAdmin)
	first, err := plan.Compute(h.db.View().Now().Of(corp), all, plan.Policy{})
	if err != nil {
		b.Fatal(err)
	}
	weigh := func(name string, p *plan.Plan) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			snap := h.db.View().Now()
			p.Marked = true
			for b.Loop() {
				snap.Weigh(p, time.Now())
			}
			b.ReportMetric(float64(len(p.Steps)), "steps")
			b.ReportMetric(float64(len(p.Raised)), "raised")
		})
	}
	weigh("first", first)
	h.wantRun("succeeded")
	for i := range groups / 100 {
		h.grant(h.groupNamed(fmt.Sprintf("g%05d", i*100)), permissions.Governance)
	}
	for name, shift := range map[string]int{"all memberships move": 1, "one moves": 0} {
		next := *all
		next.Groups = members(shift)
		if shift == 0 {
			next.Groups[100].Users[0] = all.Users[99_999].Key
		}
		p, err := plan.Compute(h.db.View().Now().Of(corp), &next, plan.Policy{})
		if err != nil {
			b.Fatal(err)
		}
		weigh(name, p)
	}
}
