package ldap

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

// follower reads what changed in one family of directories.
type follower interface {
	// name is how the family's way is called in configuration and cursors.
	name() string
	// begin returns where changes begin that are made from now on. An error says why
	// this server does not tell them to this account; it is no failure of the read.
	begin(ctx context.Context, r *reading) (position, error)
	// changes gives r what changed since the position: entries to the handlers of its
	// halves, who is gone to lose, and keys that have to be read whole to want. It
	// returns where the next read begins. A *wholeRead says that it cannot be done.
	changes(ctx context.Context, r *reading, since position) (position, error)
	// ended returns what the position of begin is at the end of a full read.
	ended(r *reading, begun position) position
	// removals reports whether changes name who is gone. Where they do not, only a
	// comparison of everything finds that.
	removals() bool
}

// position is where a family's account of its changes was read up to. What its parts
// mean is the family's business.
type position []string

// cursor is what [identity.Cursor] holds for this package.
type cursor struct {
	V      int      `json:"v"`
	Way    string   `json:"way"`
	Server string   `json:"server"` // which one it was read from, as in urls
	Scope  string   `json:"scope"`  // hash of bases, filters and what is read
	N      int      `json:"n"`      // counts reads, so that no two cursors are equal
	At     position `json:"at"`
	// First says that nothing was removed on the read that made it, because the server
	// may have known less than the one before: the next read compares everything.
	First bool `json:"first,omitzero"`
	// Unsettled are to be read again although nothing may say that they changed.
	Unsettled []identity.Gone `json:"unsettled,omitempty"`
	// Late is with how many more reads groups among them are read that the directory may
	// be about to put right.
	Late int `json:"late,omitzero"`
}

func (c *cursor) encode() identity.Cursor {
	b, _ := json.Marshal(c) // cannot fail: text and numbers
	return identity.Cursor(b)
}

// scope is a hash of which entries are read and how they are mapped.
func (s *Source) scope() string {
	h := xxhash.New()
	for _, w := range []*Where{&s.cfg.Users.Where, &s.cfg.Groups.Where} {
		fmt.Fprintf(h, "%q %q %q %q\n", w.Bases, w.Scope, w.Filter, w.Key)
	}
	return fmt.Sprintf("%x", h.Sum64()^s.people.salt^mix(s.clans.salt))
}

// ways lists how changes may be read from the server, the best first.
func (r *reading) ways() []follower {
	family, _ := r.c.root.family()
	var all []follower
	switch family {
	case TemplateOpenLDAP:
		all = append(all, syncrepl{})
	case Template389:
		if !r.s.isBroken(r.c.url) {
			all = append(all, syncrepl{of389: true})
		}
	case TemplateAD:
		all = append(all, &dirSync{}, &usn{})
	}
	all = append(all, timestamps{})
	switch want := r.s.cfg.Changes; want {
	case changesAuto:
		return all
	case changesNone:
		return nil
	default:
		return slices.DeleteFunc(all, func(f follower) bool { return f.name() != want })
	}
}

// way returns the way of a cursor, or nil.
func (r *reading) way(name string) follower {
	for _, f := range r.ways() {
		if f.name() == name {
			return f
		}
	}
	return nil
}

// chosen is the way in which changes will be read.
type chosen struct {
	way follower // nil: in none
	at  position // where changes begin
	// caveats are what an administrator should know of the way, and not why the better ones,
	// or all, are not taken.
	caveats, not []string
}

// choose finds the best way that the server offers to this account.
func (r *reading) choose(ctx context.Context) chosen {
	var out chosen
	for _, way := range r.ways() {
		at, err := way.begin(ctx, r)
		if err != nil {
			out.not = append(out.not, fmt.Sprintf("not by %s: %s", way.name(), clip(err.Error(), 300)))
			continue
		}
		out.way, out.at = way, at
		if c, ok := way.(interface{ caveats() []string }); ok {
			out.caveats = c.caveats()
		}
		return out
	}
	switch {
	case r.s.cfg.Changes == changesNone:
		out.not = []string{"changes: none is configured"}
	case len(out.not) == 0:
		out.not = []string{fmt.Sprintf("changes: %s is configured, and there is no such way with this directory", r.s.cfg.Changes)}
	}
	return out
}

// words says what was chosen.
func (c *chosen) words() string {
	if c.way == nil {
		return "every read is of everything"
	}
	return "changes are read by " + c.way.name()
}

// begin returns the cursor of a full read that is about to begin, and the way in which
// changes will be read; nil where the server offers none to this account.
func (r *reading) begin(ctx context.Context) (*cursor, follower) {
	c := r.choose(ctx)
	if c.way == nil {
		r.waySaid = c.words() + ": " + strings.Join(c.not, "; ")
		return nil, nil
	}
	r.waySaid = strings.Join(slices.Concat([]string{c.words()}, c.caveats, c.not), "; ")
	return &cursor{V: 1, Way: c.way.name(), Server: r.c.url, Scope: r.s.scope(), At: c.at}, c.way
}

// isBroken reports whether a server was caught telling no changes where there were
// some.
func (s *Source) isBroken(url string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken[url]
}

func (s *Source) caught(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = map[string]bool{}
	}
	s.broken[url] = true
}

// resume reads a cursor, and finds the way in which to go on from it.
func (r *reading) resume(since identity.Cursor) (from cursor, way follower, err error) {
	if err := json.Unmarshal([]byte(since), &from); err != nil || from.V != 1 {
		return from, nil, readAll("the cursor was written by another version")
	}
	if from.Server != r.c.url {
		r.behind = fmt.Sprintf("another server answers (%s) than the one that was read before (%s), and may not have heard of everything yet"+stillGone, r.c.url, from.Server)
	}
	way = r.way(from.Way)
	switch {
	case way == nil:
		return from, nil, readAll("changes were read by %s, and are not any more", from.Way)
	case from.Scope != r.s.scope():
		return from, nil, readAll("what is read of the directory was changed")
	}
	return from, way, nil
}

// since reads what changed, or returns a *wholeRead.
func (r *reading) since(ctx context.Context, p sync.PullRequest) error {
	if p.Since == "" || r.known == nil {
		return &wholeRead{}
	}
	from, way, err := r.resume(p.Since)
	if err != nil {
		return err
	}
	r.base = r.s.recall(p.Since, r)
	if d, ok := way.(interface{ resume(at position) }); ok {
		d.resume(from.At)
	}
	// Who left must not stay because a directory does not say so, unless that was chosen.
	prove := p.Prove || from.First || r.behind != "" || !way.removals() && r.s.cfg.Changes == changesAuto
	if prove && !r.base.stamped {
		return readAll("everything is to be compared, and the change stamps of the last read are not known any more")
	}
	if err := r.follow(ctx, way, from, prove); err != nil {
		return err
	}
	from.N++
	from.Server = r.c.url
	var few bool
	if from.Unsettled, few = r.unsettled(); !few {
		return readAll("the members of %d groups could not be read whole", len(from.Unsettled))
	}
	from.First, from.Late = r.behind != "", r.lateLeft
	r.out.Cursor = from.encode()
	if from.First { // what is not there must be missed again
		return nil
	}
	r.base.next, r.base.nextCursor = r.news(), r.out.Cursor
	r.s.remember(r.base)
	return nil
}

// follow reads what changed since a cursor, which it moves, and all that has to be
// read because of it.
func (r *reading) follow(ctx context.Context, way follower, from cursor, prove bool) error {
	r.hasher, r.out.Reach = r.base.hasher, identity.ReachChanges
	var swept *sweep
	if prove {
		r.out.Reach = identity.ReachSweep
		var err error
		if swept, err = r.sweepAll(ctx); err != nil {
			return err
		}
	}
	r.tell("changes")
	for _, x := range from.Unsettled {
		r.side(x.Group).want(x.Key)
	}
	at, err := way.changes(ctx, r, from.At)
	if err != nil {
		return err
	}
	copy(from.At, at)
	if r.suspect != "" && swept == nil {
		return &wholeRead{because: "the server's account of its changes cannot be trusted: " + r.suspect, suspect: true}
	}
	if err := r.wanted(ctx); err != nil {
		return err
	}
	if swept != nil {
		found, err := r.missed(ctx, swept)
		if err != nil {
			return err
		}
		if way.removals() { // else nobody has promised to bring them
			r.out.Found = found
		}
	}
	for _, step := range []func(context.Context) error{r.sentinels, r.carry, r.ranges, r.strays} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if why := slices.Concat(r.users.why, r.groups.why); len(why) > 0 {
		return readAll("the answer was not whole: %s", why[0])
	}
	r.lateLeft = r.overtaken(&from)
	r.join()
	r.links.patch(r)
	r.told()
	r.out.Blind = !way.removals()
	r.concludeChanges(swept, way)
	return nil
}

// news is what the mirror learns of this read.
func (r *reading) news() *news {
	n := &news{lost: map[identity.Key][]dnKey{}}
	for _, h := range []*half{&r.users, &r.groups} {
		for key := range h.gone {
			if old := r.known.Stored(h.group, key); old != nil {
				n.moved = append(n.moved, move{dn: r.hasher.key([]byte(old.DN))})
				n.unnamed = append(n.unnamed, r.hasher.name(old.Name))
			}
		}
	}
	names := map[ref][]dnKey{}
	for name, i := range r.names {
		if i != ambiguous {
			names[i] = append(names[i], name)
		}
	}
	for dn, i := range r.dns {
		p := r.placeOf(i)
		if old := r.known.Stored(p.group, p.key); old != nil {
			if was := r.hasher.key([]byte(old.DN)); was != dn {
				n.moved = append(n.moved, move{dn: was})
			}
			n.unnamed = append(n.unnamed, r.hasher.name(old.Name))
		}
		n.moved = append(n.moved, move{dn: dn, names: names[i], place: p})
	}
	for i := range r.out.Groups {
		r.noteLost(func(g identity.Key, keys []dnKey) { n.lost[g] = keys }, &r.out.Groups[i])
	}
	return n
}

// recall returns the mirror as of a cursor, and takes it: no other read has it
// meanwhile.
func (s *Source) recall(at identity.Cursor, r *reading) *mirror {
	s.mu.Lock()
	m := s.mirror
	s.mirror = nil
	s.mu.Unlock()
	switch {
	case m == nil || m.rivals:
	case m.next != nil && m.nextCursor == at:
		m.learn(m.next, at)
		m.next, m.fromRoll = nil, false
		return m
	case m.cursor == at && m.next.isEmpty():
		m.next = nil
		return m
	}
	return mirrorOf(r.known, at, r.names != nil)
}

// remember keeps a mirror for the next read.
func (s *Source) remember(m *mirror) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mirror = m
}

func (r *reading) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// concludeChanges writes the proof of a read of changes.
func (r *reading) concludeChanges(swept *sweep, way follower) {
	p := &r.out.Proof
	p.Users, p.Groups = r.users.keyless == 0, r.users.keyless+r.groups.keyless == 0
	p.Pages, p.Entries, p.At = r.pages, r.users.t.received+r.groups.t.received, r.s.now()
	p.Verified = r.users.verified + r.groups.verified
	why := slices.Clone(r.notes)
	if n := r.users.keyless + r.groups.keyless; n > 0 {
		why = append(why, fmt.Sprintf("%d entries could not be told apart: may the account read their %s?", n, r.users.where.Key))
	}
	if swept != nil {
		why = append(why, fmt.Sprintf("the key and the change stamp of all %d users and %d groups were compared", swept.users.seen, swept.groups.seen))
	} else if way.removals() {
		why = append(why, "the server accounted for all changes since the last read")
	} else {
		why = append(why, "what was added and changed since the last read was read; who is gone will be found when everything is compared")
	}
	p.Why = strings.Join(why, "; ")
}

// orServer is a server's words for an error, shortened.
func orServer(err error) string { return clip(cmp.Or(err.Error(), "no reason given"), 200) }
