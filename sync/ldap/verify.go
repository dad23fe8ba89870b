package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// batch is how many keys one question asks for.
const batch = 50

// verify asks the same server once more for everything that the roll has and that
// the read did not bring, with the same bases and filter: an entry that no longer
// matches them is gone from the source's point of view. What answers was missed,
// which takes the proof away.
func (r *reading) verify(ctx context.Context, h *half) error {
	missing := r.missing(h)
	if len(missing) == 0 {
		return nil
	}
	r.tell("verify")
	h.verified = len(missing)
	if len(missing) > r.s.cfg.VerifySingly {
		var err error
		if missing, err = r.secondSweep(ctx, h, missing); err != nil || len(missing) == 0 {
			return err
		}
		if len(missing) > r.s.cfg.VerifySingly {
			r.answered(h, len(missing))
			return nil
		}
	}
	before := h.met
	for keys := range slices.Chunk(missing, batch) {
		if err := r.ask(ctx, h, keys); err != nil {
			return err
		}
	}
	if err := r.identify(ctx, h); err != nil {
		return err
	}
	if n := h.met - before; n > 0 {
		r.answered(h, n)
	}
	return nil
}

func (r *reading) answered(h *half, n int) {
	h.verified -= n
	h.why = append(h.why, fmt.Sprintf("%d %s were not in the answer but are there when asked for: the directory changed during the read, or its paging cannot be relied on",
		n, h.stage))
}

// missing lists the keys that the roll has and the read did not bring.
func (r *reading) missing(h *half) []identity.Key {
	if r.known == nil {
		return nil
	}
	var out []identity.Key
	for key := range r.known.Present(h.group) {
		if !h.has(key) && !h.gone[key] {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// ask looks for single keys, and takes in whatever answers.
func (r *reading) ask(ctx context.Context, h *half, keys []identity.Key) error {
	var any strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&any, "(%s=%s)", h.where.Key, h.m.form.filterValue(k))
	}
	h.sweep++
	for _, g := range h.where.regions(h.m.request) {
		g.filter = fmt.Sprintf("(&%s(|%s))", h.where.Filter, any.String())
		_, err := r.c.search(ctx, g.request(), h.handler())
		if err != nil {
			end, err := r.s.brokenOff(g, ending{}, err)
			if err != nil {
				return fmt.Errorf("ask for what seems to be gone: %w", err)
			}
			h.why = append(h.why, end.partial)
		}
	}
	return nil
}

// secondSweep reads the keys alone, and returns those of missing that are there.
func (r *reading) secondSweep(ctx context.Context, h *half, missing []identity.Key) ([]identity.Key, error) {
	wanted := make(map[identity.Key]struct{}, len(missing))
	for _, k := range missing {
		wanted[k] = struct{}{}
	}
	var there []identity.Key
	var t tally
	m := h.m.mapper()
	receive := &handler{
		entry: func(e *Entry) error {
			t.received++
			t.fresh++
			m.load(e)
			if k, err := m.entryKey(); err == nil {
				if _, ok := wanted[k]; ok {
					delete(wanted, k)
					there = append(there, k)
				}
			}
			return nil
		},
		broken: func([]byte, string) error { return nil },
	}
	for _, g := range h.where.regions([]string{h.where.Key}) {
		end, err := r.s.sweep(ctx, r.c, g, receive, &t, func() { r.pages++; r.tell("verify") })
		if err != nil {
			return nil, err
		}
		if end.partial != "" {
			h.why = append(h.why, end.partial)
		}
	}
	return there, nil
}

// conclude writes the proof.
func (r *reading) conclude() {
	p := &r.out.Proof
	p.Users = len(r.users.why) == 0
	// A group is only known with its members, and members are people.
	p.Groups = p.Users && len(r.groups.why) == 0
	p.Pages, p.Entries = r.pages, r.users.t.received+r.groups.t.received
	p.Verified = r.users.verified + r.groups.verified
	p.At = r.s.now()
	why := slices.Concat(r.users.why, r.groups.why)
	if n := r.users.keyless + r.groups.keyless; n > 1 {
		why = append(why, fmt.Sprintf("%d entries in all could not be told apart: may the account read their %s?", n, r.users.where.Key))
	}
	whole := len(why) == 0
	if whole {
		why = []string{fmt.Sprintf("the server said of every search that it is whole: %d users, %d groups in %d pages",
			r.users.met, r.groups.met, r.pages)}
		if p.Verified > 0 {
			why = append(why, fmt.Sprintf("%d that are gone were asked for once more", p.Verified))
		}
		if r.users.met == 0 {
			why = append(why, "it shows no users at all, as a server does when the account may see none: check its rights")
		}
	}
	if r.because != "" {
		why = append(why, "everything was read, since "+r.because)
	}
	if whole && r.waySaid != "" {
		why = append(why, r.waySaid)
	}
	why = append(why, r.notes...)
	const shown = 5
	if len(why) > shown {
		why = append(why[:shown], fmt.Sprintf("and %d more reasons", len(why)-shown))
	}
	p.Why = strings.Join(why, "; ")
}
