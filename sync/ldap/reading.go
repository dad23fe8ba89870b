package ldap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

// reading is one Pull.
type reading struct {
	s     *Source
	c     *session
	known sync.Known // may be nil
	again []identity.Gone
	// because says why everything is read although changes could have been.
	because string
	waySaid string   // how changes will be read, or why not
	notes   []string // what an administrator should know of a read of changes
	behind  string   // why the server may know less than what was read before
	suspect string   // why the server's account of its changes has to be proven
	newest  []byte   // the largest change stamp
	tellf   func(sync.Progress)
	stage   string
	pages   int
	out     *identity.Observation

	users, groups half
	dns           map[dnKey]ref // of people and groups
	base          *mirror       // of a read of changes: who was where before; else nil
	hasher        *dnHasher
	names         map[dnKey]ref // of people, when members are listed by name
	primary       map[string][]ref
	clans         []clan
	locked        []identity.Key // people whose lock ends by the clock
	late          []identity.Key // groups that the directory may be about to put right
	lateLeft      int            // with how many more reads they are read
	links         *links         // of a read of changes where the directory keeps members right; else nil
}

// half is what is read of one kind: people or groups.
type half struct {
	group    bool
	where    *Where
	m        *mapper
	stage    string
	keys     []identity.Key
	byKey    map[identity.Key]int32
	sweepOf  []int32 // the sweep in which each key was met last; 0: it was not
	sweep    int32
	met      int      // how many were
	placed   []bool   // whether the DN is known of this read
	stamps   []uint64 // where change stamps are read
	t        tally
	broken   []brokenEntry
	torn     map[identity.Key][]byte // DNs of entries that came in pieces
	left     map[identity.Key]bool   // skipped, but known by key
	gone     map[identity.Key]bool   // named as gone
	wants    map[identity.Key]bool   // to be read whole
	why      []string                // why the read is not complete
	keyless  int                     // entries without a readable key
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
		s: s, known: p.Known, again: p.Again, tellf: p.Progress,
		out:     &identity.Observation{Source: s.id},
		dns:     map[dnKey]ref{},
		hasher:  newDNHasher(),
		primary: map[string][]ref{},
		users:   half{where: &s.cfg.Users.Where, m: s.people.mapper(), stage: "users", byKey: map[identity.Key]int32{}, left: map[identity.Key]bool{}, gone: map[identity.Key]bool{}},
		groups:  half{group: true, where: &s.cfg.Groups.Where, m: s.clans.mapper(), stage: "groups", byKey: map[identity.Key]int32{}, left: map[identity.Key]bool{}, gone: map[identity.Key]bool{}},
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
			Stage: stage, Server: r.out.Server, Users: r.users.met, Groups: r.groups.met, Pages: r.pages,
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

// identify asks for the entries that came in pieces, and for nothing but the keys of
// those that could not be read: one with a key is merely left as it was.
func (r *reading) identify(ctx context.Context, h *half) error {
	broken := h.broken
	h.broken = nil
	for _, b := range broken {
		key, err := r.keyAt(ctx, h, string(b.dn))
		if err != nil {
			return err
		}
		r.leave(h, key, b.dn, b.reason)
	}
	return r.mend(ctx, h)
}

// leave leaves an entry as it was, which is there all the same.
func (r *reading) leave(h *half, key identity.Key, dn []byte, reason string) {
	r.skip(h, key, dn, reason)
	if key == "" {
		return
	}
	if i, first := h.meet(key); first {
		r.dns[r.hasher.key(dn)] = h.ref(i)
		h.placed[i] = true
	}
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
	i = h.know(key)
	if first = h.sweepOf[i] == 0; first {
		h.met++
	}
	if h.sweepOf[i] != h.sweep {
		h.sweepOf[i] = h.sweep
		h.t.fresh++
	}
	return i, first
}

// know returns the number of a key that need not be met.
func (h *half) know(key identity.Key) int32 {
	i, old := h.byKey[key]
	if !old {
		i = int32(len(h.keys))
		h.byKey[key] = i
		h.keys = append(h.keys, key)
		h.sweepOf, h.placed, h.stamps = append(h.sweepOf, 0), append(h.placed, false), append(h.stamps, 0)
	}
	return i
}

// has reports whether a key was met.
func (h *half) has(key identity.Key) bool {
	i, ok := h.byKey[key]
	return ok && h.sweepOf[i] != 0
}

func (h *half) ref(i int32) ref {
	if h.group {
		return groupRef(i)
	}
	return ref(i)
}

func (r *reading) index(h *half, i int32, dn []byte) {
	k := r.hasher.key(dn)
	r.dns[k] = h.ref(i)
	h.placed[i] = true
	if v := h.m.stampValue(); v != nil {
		if bytes.Compare(v, r.newest) > 0 {
			r.newest = append(r.newest[:0], v...)
		}
		h.stamps[i] = stampOf(r.hasher.seeds[0], v)
	}
}

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
	if torn, err := h.tear(key, e); torn {
		return err
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
	if h.m.lockEnds() {
		r.locked = append(r.locked, key)
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
