package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// timestamps reads what has a change stamp since the last read: modifyTimestamp, or
// OpenLDAP's entryCSN, which begins with one. The clock is the server's: a position is
// the newest stamp that was seen, less how long the read took and an overlap, so that
// an entry that was read before it changed comes again. Entries that are gone have no
// stamp.
type timestamps struct{}

// overlap is for servers that stamp an entry a while before they show it, and for
// providers whose clocks differ.
const overlap = 5 * time.Minute

func (timestamps) name() string   { return "timestamps" }
func (timestamps) removals() bool { return false }

// stampForm tells the two kinds of stamps apart.
func stampForm(attribute string) (format string, ok bool) {
	switch strings.ToLower(attribute) {
	case "modifytimestamp":
		return "20060102150405Z", true
	case "entrycsn":
		return "20060102150405.000000Z#000000#000#000000", true
	}
	return "", false
}

func (timestamps) begin(_ context.Context, r *reading) (position, error) {
	if _, ok := stampForm(r.s.cfg.Groups.ChangeStamp); !ok {
		return nil, fmt.Errorf("groups.change_stamp is %q, which is no time", r.s.cfg.Groups.ChangeStamp)
	}
	return position{r.s.now().UTC().Format(time.RFC3339Nano)}, nil
}

// ended makes of when the read began by our clock where it began by the server's.
func (timestamps) ended(r *reading, begun position) position {
	start, err := time.Parse(time.RFC3339Nano, begun[0])
	if err != nil {
		return position{""}
	}
	return position{r.startedBefore(start)}
}

// startedBefore returns a stamp that is older than all that the server has given since
// the read began, or "".
func (r *reading) startedBefore(start time.Time) string {
	format, _ := stampForm(r.s.cfg.Groups.ChangeStamp)
	newest, ok := stampTime(string(r.newest))
	if !ok {
		return ""
	}
	took := max(r.s.now().Sub(start), 0)
	return newest.Add(-took - overlap).UTC().Format(format)
}

// stampTime reads the time that a stamp begins with (RFC 4517 §3.3.13).
func stampTime(stamp string) (time.Time, bool) {
	stamp, _, _ = strings.Cut(stamp, "#")
	stamp, _, _ = strings.Cut(strings.TrimSuffix(stamp, "Z"), ".")
	t, err := time.Parse("20060102150405", stamp)
	return t, err == nil
}

func (timestamps) changes(ctx context.Context, r *reading, since position) (position, error) {
	start := r.s.now()
	if len(since) != 1 || since[0] == "" {
		return nil, readAll("no change stamp was seen in the last read")
	}
	r.newest = append(r.newest[:0], since[0]...)
	later := fmt.Sprintf("(%s>=%s)", r.s.cfg.Groups.ChangeStamp, since[0])
	for _, h := range []*half{&r.users, &r.groups} {
		for _, g := range h.where.regions(h.m.request) {
			h.sweep++
			g.filter = "(&" + g.filter + later + ")"
			end, err := r.s.sweep(ctx, r.c, g, h.handler(), &h.t, func() { r.pages++; r.tell("changes") })
			if err != nil {
				return nil, err
			}
			if end.partial != "" {
				return nil, readAll("the answer was not whole: %s", end.partial)
			}
		}
		if err := r.identify(ctx, h); err != nil {
			return nil, err
		}
	}
	moved, err := r.others(ctx, later)
	if err != nil {
		return nil, err
	}
	next := position{r.startedBefore(start)}
	if next[0] < since[0] {
		next = slices.Clone(since) // nothing is newer than what was read before
	}
	return next, r.below(ctx, moved)
}

// others returns the DNs of what is neither a user nor a group and passes a filter.
func (r *reading) others(ctx context.Context, filter string) ([]string, error) {
	var dns []string
	var t tally
	add := func(dn []byte) {
		t.received++
		t.fresh++
		dns = append(dns, string(dn))
	}
	receive := &handler{
		entry:  func(e *Entry) error { add(e.DN); return nil },
		broken: func(dn []byte, _ string) error { add(dn); return nil },
	}
	for _, base := range r.contexts() {
		g := region{base: base, scope: goldap.ScopeWholeSubtree, filter: "(&" + r.neither() + filter + ")", attrs: []string{"1.1"}}
		end, err := r.s.sweep(ctx, r.c, g, receive, &t, func() { r.tell("changes") })
		switch {
		case err != nil:
			return nil, err
		case end.partial != "":
			return nil, readAll("the answer was not whole: %s", end.partial)
		}
	}
	return dns, nil
}
