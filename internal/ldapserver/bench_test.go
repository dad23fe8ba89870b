package ldapserver

import (
	"bufio"
	"net"
	"testing"
)

// BenchmarkSearch reads a directory in pages of 1000 over TCP, as a client that
// decodes nothing does.
func BenchmarkSearch(b *testing.B) {
	const entries = 100_000
	s := start(b, many(b, entries), func(o *Options) { o.Anonymous = true })
	raw, err := new(net.Dialer).DialContext(b.Context(), "tcp", s.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	in := bufio.NewReaderSize(raw, 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		for id, cookie := int64(1), ""; ; id++ {
			if _, err := raw.Write(searchMessage(id, suffix, pagingControl(1000, cookie))); err != nil {
				b.Fatal(err)
			}
			m, err := readMessage(in)
			for ; err == nil && m.op == opSearchEntry; m, err = readMessage(in) {
				got++
			}
			if err != nil || m.op != opSearchDone {
				b.Fatalf("page %d: %v", id, err)
			}
			page, err := parsePaging(m.controls[0].value)
			if err != nil {
				b.Fatal(err)
			}
			if cookie = page.cookie; cookie == "" {
				break
			}
		}
		if got != entries+1 {
			b.Fatalf("%d entries", got)
		}
	}
	b.ReportMetric(entries*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
