package ldap_test

import (
	"context"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync/ldap"

	rollsync "github.com/rollcall-id/rollcall/sync"
)

// BenchmarkRead reads 100,000 users of a real slapd, eleven attributes each, and
// beside it lets ldapsearch read the same: the reader alone, its entries discarded.
// allocs/entry and MB-peak are of the reader, ratio is its time over ldapsearch's.
func BenchmarkRead(b *testing.B) {
	const users = 100_000
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: users}
	s := dirtest.StartSlapd(b, dirtest.SlapdOptions{LDIF: org.WriteLDIF})
	src := source(b, plainConfig(s))
	var ours, theirs time.Duration
	var mallocs, peak uint64
	for b.Loop() {
		started := time.Now()
		ldapsearch(b, s)
		theirs += time.Since(started)

		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		stop := watchHeap(&peak)
		n := 0
		started = time.Now()
		if err := src.Scan(context.Background(), func(*ldap.Entry) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(started)
		stop()
		runtime.ReadMemStats(&after)
		mallocs += after.Mallocs - before.Mallocs
		if n != users {
			b.Fatalf("read %d entries, want %d", n, users)
		}
		if peak > before.HeapAlloc {
			peak -= before.HeapAlloc
		}
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/read")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "s/ldapsearch")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ratio")
	b.ReportMetric(float64(mallocs)/float64(b.N)/users, "allocs/entry")
	b.ReportMetric(float64(peak)/(1<<20), "MB-peak")
}

// BenchmarkPull reads 100,000 users and 10,000 groups with 500,000 memberships into
// an observation: for the first time, and when nothing has changed.
func BenchmarkPull(b *testing.B) {
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 100_000, Groups: 10_000, Members: 50, Huge: 1_000}
	s := dirtest.StartSlapd(b, dirtest.SlapdOptions{LDIF: org.WriteLDIF})
	src := source(b, plainConfig(s))
	known := learn(pull(b, src, nil))
	for name, k := range map[string]rollsync.Known{"first": nil, "unchanged": known} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				proven(b, pull(b, src, k))
			}
		})
	}
	b.Run("ldapsearch", func(b *testing.B) {
		for b.Loop() {
			ldapsearch(b, s)
			search(b, s, "ou=groups,"+s.Suffix, "cn", "description", "member", "uniqueMember", "memberUid", "entryUUID", "entryCSN")
		}
	})
}

func plainConfig(s *dirtest.Slapd) ldap.Config {
	c := slapdConfig(s)
	c.URLs, c.AllowPlaintext, c.TLS.CA = []string{s.URL}, true, ""
	// The eleven attributes of the measured bar.
	c.Users.Disabled, c.Users.Locked, c.Users.Expires = []ldap.Rule{}, []ldap.Rule{}, []ldap.Expiry{}
	c.Users.Profile = map[string]ldap.Mapping{"organization": {}, "location": {}, "description": {}}
	c.Users.Attributes = map[string]ldap.Mapping{"employee": {Attribute: "employeeNumber"}, "department": {Attribute: "departmentNumber"}, "changed": {Attribute: "modifyTimestamp"}}
	return c
}

func ldapsearch(b *testing.B, s *dirtest.Slapd) {
	b.Helper()
	search(b, s, "ou=people,"+s.Suffix, "uid", "cn", "sn", "givenName", "mail", "telephoneNumber", "title", "employeeNumber",
		"departmentNumber", "entryUUID", "modifyTimestamp")
}

func search(b *testing.B, s *dirtest.Slapd, base string, attributes ...string) {
	b.Helper()
	cmd := exec.CommandContext(context.Background(), "ldapsearch", append([]string{
		"-x", "-LLL", "-E", "pr=1000/noprompt", "-H", s.URL, "-D", s.Reader.DN, "-w", s.Reader.Password, "-b", base, "(objectClass=*)",
	}, attributes...)...)
	cmd.Stdout = io.Discard
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
}

// watchHeap keeps the largest heap that it sees in peak.
func watchHeap(peak *uint64) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*peak = max(*peak, m.HeapAlloc)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() { close(done); wg.Wait() }
}
