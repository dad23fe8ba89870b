package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

// Pull implements [sync.Source]: it reads the directory once, from one server.
func (s *Source) Pull(ctx context.Context, p sync.PullRequest) (*identity.Observation, error) {
	r := newReading(s, p)
	r.tell("connect")
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	r.c, r.out.Server, r.out.Family = c, c.name(), c.familyWords(s.cfg.Template)
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return r.kind(ctx, &r.users) },
		func(ctx context.Context) error { return r.kind(ctx, &r.groups) },
		r.ranges,
		r.strays,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("read from %s: %w", c.url, err)
		}
	}
	r.join()
	r.conclude()
	return r.out, nil
}

// reading is one Pull.
type reading struct {
	s     *Source
	c     *session
	known sync.Known // may be nil
	tellf func(sync.Progress)
	stage string
	pages int
	out   *identity.Observation

	users, groups half
	dns           map[dnKey]ref // of people and groups
	hasher        *dnHasher
	names         map[dnKey]ref // of people, when members are listed by name
	primary       map[string][]ref
	clans         []clan
}

// half is what is read of one kind: people or groups.
type half struct {
	group    bool
	where    *Where
	m        *mapper
	stage    string
	keys     []identity.Key
	byKey    map[identity.Key]int32
	sweepOf  []int32 // the sweep in which each key was met last
	sweep    int32
	t        tally
	broken   []brokenEntry
	left     map[identity.Key]bool // skipped, but known by key
	why      []string              // why the read is not complete
	keyless  int                   // entries without a readable key
	verified int
	entry    func(*Entry) error
}

type brokenEntry struct {
	dn     []byte
	reason string
}

// ref stands for a key that was met: people from 0 upwards, groups from -1 down.
type ref int32

const ambiguous ref = 1<<31 - 1

func groupRef(i int32) ref { return ref(-1 - i) }

func newReading(s *Source, p sync.PullRequest) *reading {
	r := &reading{
		s: s, known: p.Known, tellf: p.Progress,
		out:     &identity.Observation{Source: s.id},
		dns:     map[dnKey]ref{},
		hasher:  newDNHasher(),
		primary: map[string][]ref{},
		users:   half{where: &s.cfg.Users.Where, m: s.people.mapper(), stage: "users", byKey: map[identity.Key]int32{}, left: map[identity.Key]bool{}},
		groups:  half{group: true, where: &s.cfg.Groups.Where, m: s.clans.mapper(), stage: "groups", byKey: map[identity.Key]int32{}, left: map[identity.Key]bool{}},
	}
	r.users.entry, r.groups.entry = r.user, r.clan
	for _, m := range s.cfg.Groups.Members {
		if m.By == byName && len(s.cfg.Groups.Bases) > 0 {
			r.names = map[dnKey]ref{}
		}
	}
	return r
}

func (r *reading) tell(stage string) {
	r.stage = stage
	if r.tellf != nil {
		r.tellf(sync.Progress{
			Stage: stage, Server: r.out.Server, Users: len(r.users.keys), Groups: len(r.groups.keys), Pages: r.pages,
		})
	}
}

// maxBroken bounds how many entries of one read may be unreadable: more is not an
// accident of single entries.
const maxBroken = 10_000

// kind reads all people, or all groups, and asks for those that seem to be gone.
func (r *reading) kind(ctx context.Context, h *half) error {
	r.tell(h.stage)
	receive := h.handler()
	for _, g := range h.where.regions(h.m.request) {
		h.sweep++
		end, err := r.s.sweep(ctx, r.c, g, receive, &h.t, func() { r.pages++; r.tell(h.stage) })
		if err != nil {
			return err
		}
		r.pages++
		if end.partial != "" {
			h.why = append(h.why, end.partial)
		}
	}
	if err := r.identify(ctx, h); err != nil {
		return err
	}
	if len(h.why) > 0 {
		return nil // nothing will count as gone
	}
	return r.verify(ctx, h)
}

func (h *half) handler() *handler {
	return &handler{
		entry: func(e *Entry) error {
			h.t.received++
			return h.entry(e)
		},
		broken: func(dn []byte, reason string) error {
			h.t.received++
			h.t.fresh++
			if len(h.broken) >= maxBroken {
				return fmt.Errorf("more than %d entries cannot be read, the last of them %q, which %s", maxBroken, dn, reason)
			}
			h.broken = append(h.broken, brokenEntry{append([]byte(nil), dn...), reason})
			return nil
		},
	}
}

// identify asks for nothing but the keys of the entries that could not be read: one
// with a key is merely left as it was.
func (r *reading) identify(ctx context.Context, h *half) error {
	broken := h.broken
	h.broken = nil
	for _, b := range broken {
		key, err := r.keyAt(ctx, h, string(b.dn))
		if err != nil {
			return err
		}
		r.skip(h, key, b.dn, b.reason)
		if key != "" {
			if i, first := h.meet(key); first {
				r.index(h, i, b.dn)
			}
		}
	}
	return nil
}

// keyAt returns the key of the entry with the given DN, or "" when it gives none.
func (r *reading) keyAt(ctx context.Context, h *half, dn string) (identity.Key, error) {
	if dn == "" {
		return "", nil
	}
	var key identity.Key
	m := h.m.mapper()
	g := region{base: dn, scope: goldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: []string{h.where.Key}}
	_, err := r.c.search(ctx, g.request(), &handler{
		entry: func(e *Entry) error {
			m.load(e)
			if k, err := m.entryKey(); err == nil {
				key = k
			}
			return nil
		},
		broken: func([]byte, string) error { return nil },
	})
	if _, ok := errors.AsType[*goldap.Error](err); ok && r.c.conn.err() == nil {
		return "", nil // the server answered, only not with the entry
	}
	return key, err
}

// listedKeyless is how many entries without a key are listed: when a whole directory
// shows none, a few say it all.
const listedKeyless = 100

// skip lists an entry that is left as it was. One without a key takes the proof away.
func (r *reading) skip(h *half, key identity.Key, dn []byte, reason string) {
	if key != "" {
		h.left[key] = true
	} else if h.keyless++; h.keyless > listedKeyless {
		return
	}
	r.out.Skipped = append(r.out.Skipped, identity.Skipped{
		Key: key, Group: h.group, DN: clip(string(dn), 1024), Reason: strings.ToValidUTF8(reason, "\ufffd"),
	})
	if h.keyless == 1 && key == "" {
		h.why = append(h.why, fmt.Sprintf("the entry %q could not be told apart: %s", clip(string(dn), 200), clip(reason, 200)))
	}
}

// meet returns the number of a key, and whether it is met for the first time.
func (h *half) meet(key identity.Key) (i int32, first bool) {
	i, old := h.byKey[key]
	if !old {
		i = int32(len(h.keys))
		h.byKey[key] = i
		h.keys = append(h.keys, key)
		h.sweepOf = append(h.sweepOf, 0)
	}
	if h.sweepOf[i] != h.sweep {
		h.sweepOf[i] = h.sweep
		h.t.fresh++
	}
	return i, !old
}

func (h *half) ref(i int32) ref {
	if h.group {
		return groupRef(i)
	}
	return ref(i)
}

func (r *reading) index(h *half, i int32, dn []byte) { r.dns[r.hasher.key(dn)] = h.ref(i) }

// stored returns the hash that the roll has for a key.
func (r *reading) stored(h *half, key identity.Key) (uint64, bool) {
	if r.known == nil {
		return 0, false
	}
	return r.known.Hash(h.group, key)
}

// user takes in one person.
func (r *reading) user(e *Entry) error {
	h := &r.users
	h.m.load(e)
	key, err := h.m.entryKey()
	if err != nil {
		h.t.fresh++
		r.skip(h, "", e.DN, err.Error())
		return nil
	}
	i, first := h.meet(key)
	// Also under the DN that it has when it comes twice: it may have moved meanwhile.
	r.index(h, i, e.DN)
	if !first {
		return nil
	}
	r.indexNames(h.m, ref(i))
	if h.m.primary >= 0 {
		if sid, err := h.m.primaryGroupSID(); err == nil {
			r.primary[sid] = append(r.primary[sid], ref(i))
		}
	}
	seen := identity.Seen{Key: key}
	hash := h.m.hash()
	if old, ok := r.stored(h, key); !ok || old != hash {
		if seen.Record, err = h.m.record(r.s.id, key, hash); err != nil {
			r.skip(h, key, e.DN, err.Error())
			return nil
		}
	}
	r.out.Users = append(r.out.Users, seen)
	return nil
}

// indexNames remembers a person by what record takes the name from; without a name
// there is no record.
func (r *reading) indexNames(m *mapper, i ref) {
	if r.names == nil {
		return
	}
	list, err := m.names()
	if err != nil {
		return
	}
	for _, n := range list {
		k := r.hasher.name(string(n))
		if old, taken := r.names[k]; taken && old != i {
			i = ambiguous
		}
		r.names[k] = i
	}
}
