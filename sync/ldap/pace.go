package ldap

import (
	"context"
	"time"

	"github.com/rollcall-id/rollcall/config"
)

// pace keeps one connection from asking faster than the directory is to be asked. A
// server cannot be told to send slowly, so what an answer brought too fast is waited
// for before the next request.
type pace struct {
	request time.Duration // between the beginnings of two requests
	entry   time.Duration // for each entry that an answer brought

	next time.Time // when the next request may begin
}

func (c *Config) pace() pace {
	return pace{request: each(c.RequestsPerSecond), entry: each(c.EntriesPerSecond)}
}

// each returns the time for one of so many a second; none when there is no limit.
func each(perSecond float64) time.Duration {
	if perSecond <= 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / perSecond)
}

// begin waits until the next request may be sent.
func (p *pace) begin(ctx context.Context) error {
	if p.request == 0 && p.entry == 0 {
		return nil
	}
	if left := time.Until(p.next); left > 0 {
		t := time.NewTimer(left)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
		}
	}
	p.next = time.Now().Add(p.request)
	return nil
}

// took notes that the answer to a request that began at the given time brought so many
// entries.
func (p *pace) took(begun time.Time, entries int) {
	if until := begun.Add(time.Duration(entries) * p.entry); until.After(p.next) {
		p.next = until
	}
}

func (c *Config) validatePace(p *config.Problems) {
	// Slower than this, no directory is read before its timeout.
	const least = 0.1
	for at, rate := range map[string]float64{"requests_per_second": c.RequestsPerSecond, "entries_per_second": c.EntriesPerSecond} {
		if !(rate == 0 || rate >= least && rate <= 1e9) {
			p.Add(at, "must be 0, which means no limit, or at least %v", least)
		}
	}
}
