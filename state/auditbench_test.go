package state

import (
	"context"
	"fmt"
	"testing"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store/mem"
)

// BenchmarkAudit verifies and pages through entries of an ordinary size, and
// says how many bytes each of them takes in the store.
func BenchmarkAudit(b *testing.B) {
	const n = 10_000
	s := mem.New()
	d := audited(b, s)
	defer d.stop()
	term := lead(b, s)
	for i := range n {
		d.commit(b, admin, Note{audit.Event{
			Action: "PermissionGranted", Target: "user/" + identity.NewUserID().String(), Name: fmt.Sprintf("user%d", i), Reason: "runs the data office",
			Changes: []audit.Change{{Field: "permission", After: []string{"GOVERNANCE"}}},
		}})
	}
	d.fold(b, term)
	head, _, err := d.segments(context.Background())
	if err != nil || head.End.Seq != n {
		b.Fatalf("head %+v, %v", head, err)
	}
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			d.verified(b)
		}
		b.ReportMetric(n, "entries/op")
		b.ReportMetric(float64(head.Bytes)/n, "stored-B/entry")
	})
	for name, q := range map[string]AuditQuery{
		"newest page": {Order: NewestFirst, Limit: 50}, "page in the middle": {After: head.End.Rev / 2, Limit: 50},
		"search all": {Filter: audit.Filter{Text: "not there"}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := d.AuditEntries(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
