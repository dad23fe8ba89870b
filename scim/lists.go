package scim

import (
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/filter"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// lists is what a source's lists are answered from: for each kind, who is there in the
// order of ids, and the columns that filters are evaluated on.
type lists struct {
	server *Server
	e      *endpoint

	mu  sync.Mutex
	now map[*kind]*listed // guarded by mu
}

// listed is the state of a kind as of a revision. It does not change.
type listed struct {
	rev    store.Revision
	roster []uint32 // handles, in the order of ids
	table  *filter.Table
	moved  bool // ids of users may have come to other handles since, or may yet
}

func newLists(s *Server, e *endpoint) *lists {
	return &lists{server: s, e: e, now: map[*kind]*listed{}}
}

// mostChanges is how many changes are taken over one by one; after more, everything is
// looked at again.
const mostChanges = 20_000

// at returns the lists of a kind as of a snapshot, or a newer one.
func (l *lists) at(k *kind, s *state.Snapshot) *listed {
	l.mu.Lock()
	defer l.mu.Unlock()
	have := l.now[k]
	if have != nil && have.rev >= s.Rev() {
		return have
	}
	next := &listed{rev: s.Rev()}
	if have != nil && k.own && s.OthersRev() <= have.rev {
		next.roster, next.table = have.roster, have.table
		l.now[k] = next
		return next
	}
	touched, ok := l.touched(k, have, s)
	if !ok {
		next.roster, next.table = l.roster(k, s), filter.NewTable(l.rows(k, s, nil))
		next.moved = l.moved(k, s, next.roster)
		l.now[k] = next
		return next
	}
	next.roster = have.roster
	next.moved = have.moved || l.moved(k, s, touched)
	if next.moved || slices.ContainsFunc(touched, func(h uint32) bool { return l.present(k, s, h) != l.e.inRoster(k, s, have.roster, h) }) {
		next.roster = l.roster(k, s)
	}
	next.table = have.table.With(l.rows(k, s, touched), l.rows(k, s, nil))
	l.now[k] = next
	return next
}

// touched returns the handles of a kind that may have changed since.
func (l *lists) touched(k *kind, have *listed, s *state.Snapshot) ([]uint32, bool) {
	if have == nil || k.own {
		return nil, false
	}
	changes, _, ok := l.server.db.View().Changes(have.rev, mostChanges)
	if !ok || len(changes) >= mostChanges {
		return nil, false
	}
	var handles []uint32
	for _, c := range changes {
		if c.Rev > s.Rev() {
			break
		}
		if c.Kind != state.UserChange && c.Kind != state.GroupChange && c.Kind != state.MembershipChange || c.Member.IsGroup() != k.group {
			continue
		}
		if h, ok := s.HandleOf(c.Member); ok {
			handles = append(handles, h)
		}
	}
	slices.Sort(handles)
	return slices.Compact(handles), true
}

func (l *lists) roster(k *kind, s *state.Snapshot) []uint32 {
	return slices.Collect(l.e.everyone(s, k))
}

// moved reports whether any of some handles has, or had, a record that may come to
// another user, and keeps its id then.
func (l *lists) moved(k *kind, s *state.Snapshot, handles []uint32) bool {
	return k == l.e.users && slices.ContainsFunc(handles, func(h uint32) bool {
		_, ok := s.PushedUserAt(l.e.id, h)
		return ok && s.Moved(l.e.id, h)
	})
}

func (l *lists) present(k *kind, s *state.Snapshot, h uint32) bool {
	p, ok := l.e.pushedAt(s, k, h)
	return ok && !p.Gone
}

func (e *endpoint) inRoster(k *kind, s *state.Snapshot, roster []uint32, h uint32) bool {
	at := e.rosterAfter(k, s, roster, e.idAt(s, k, h), true)
	return at < len(roster) && roster[at] == h
}

// rosterAfter returns the place of the first whose id is after m's, or m's own.
func (e *endpoint) rosterAfter(k *kind, s *state.Snapshot, roster []uint32, m identity.Member, self bool) int {
	at, found := slices.BinarySearchFunc(roster, m, func(h uint32, m identity.Member) int {
		return e.idAt(s, k, h).Compare(m)
	})
	if found && !self {
		at++
	}
	return at
}

// rows yields what filters are evaluated on: of these handles, or of all for nil. What
// is gone is nil.
func (l *lists) rows(k *kind, s *state.Snapshot, only []uint32) iter.Seq2[uint32, filter.Values] {
	return func(yield func(uint32, filter.Values) bool) {
		if only == nil {
			for _, h := range l.roster(k, s) {
				if p, ok := l.e.pushedAt(s, k, h); ok && !yield(h, l.values(k, s, p)) {
					return
				}
			}
			return
		}
		for _, h := range only {
			var v filter.Values
			if p, ok := l.e.pushedAt(s, k, h); ok && !p.Gone {
				v = l.values(k, s, p)
			}
			if !yield(h, v) {
				return
			}
		}
	}
}

// resource is a stored resource as filters see it. It is decoded when it must be.
type resource struct {
	l    *lists
	kind *kind
	s    *state.Snapshot
	p    state.Pushed
}

func (l *lists) values(k *kind, s *state.Snapshot, p state.Pushed) filter.Values {
	return &resource{l: l, kind: k, s: s, p: p}
}

// Value implements filter.Values.
func (r *resource) Value(name string) any {
	switch name {
	case "id":
		return string(r.p.Key)
	case "userName":
		if !r.kind.group && !r.kind.own {
			return r.p.Name
		}
	case "meta":
		return schema.Object{"resourceType": r.kind.typ.Name, "created": r.p.Created, "lastModified": r.p.Modified}
	case "groups":
		if !r.kind.group && !r.kind.own {
			return r.groups()
		}
	case "members":
		if r.kind.group {
			return r.members()
		}
	}
	return schema.Raw{Type: r.kind.typ, JSON: []byte(r.p.Body)}.Value(name)
}

func (r *resource) groups() any {
	var list []any
	for h := range r.s.OwnGroupsAt(r.l.e.id, r.p.Handle) {
		if g, ok := r.s.PushedGroupAt(r.l.e.id, h); ok && !g.Gone {
			list = append(list, schema.Object{"value": string(g.Key), "display": g.Name, "type": "direct"})
		}
	}
	if list == nil {
		return nil
	}
	return list
}

func (r *resource) members() any {
	var list []any
	for m, key := range r.s.OwnMembers(r.p.Handle) {
		kind := "User"
		if m.IsGroup() {
			kind = "Group"
		}
		list = append(list, schema.Object{"value": string(key), "type": kind})
	}
	for _, id := range r.p.Loose() {
		list = append(list, schema.Object{"value": id})
	}
	if list == nil {
		return nil
	}
	return list
}

// page is the part of a result that an answer shows.
type page struct {
	total int
	start int // from 1
	next  string
	paged bool // by cursor
	items []item
}

// item is one resource of a page.
type item struct {
	kind *kind
	p    state.Pushed
}

// list is what GET of an endpoint does.
func (c *call) list() (*reply, error) {
	q, err := queryOf(c.query)
	if err != nil {
		return nil, err
	}
	return c.answer(q)
}

// search is what POST .search does: RFC 7644, section 3.4.3.
func (c *call) search() (*reply, error) {
	q, err := searchOf(c.body)
	if err != nil {
		return nil, err
	}
	return c.answer(q)
}

func (c *call) answer(q *query) (*reply, error) {
	s := c.server.db.View().Now()
	kinds := c.endpoint.kinds
	if c.kind != nil {
		kinds = []*kind{c.kind}
	}
	pg, err := c.page(s, kinds, q)
	if err != nil {
		return nil, err
	}
	views := map[*kind]*resourceView{}
	for _, k := range kinds {
		proj, err := newProjection(k, q.attributes, q.excluded)
		if err != nil {
			return nil, err
		}
		views[k] = c.viewOf(s, k, proj)
	}
	return &reply{status: http.StatusOK, stream: func(w http.ResponseWriter) error { return pg.write(w, views) }}, nil
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, flushAt+16<<10); return &b }}

// flushAt is from how many bytes on a page is sent before it is whole. Nearly every page
// is smaller, and goes with its length and in one piece.
const flushAt = 256 << 10

func (pg *page) write(w http.ResponseWriter, views map[*kind]*resourceView) error {
	buf, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	flushed := false
	b := append((*buf)[:0], `{"schemas":["`+listURN+`"],"totalResults":`...)
	b = append(b, itoa(pg.total)...)
	b = append(append(b, `,"itemsPerPage":`...), itoa(len(pg.items))...)
	if pg.paged {
		if pg.next != "" {
			b = schema.AppendString(append(b, `,"nextCursor":`...), pg.next)
		}
	} else {
		b = append(append(b, `,"startIndex":`...), itoa(pg.start)...)
	}
	b = append(b, `,"Resources":[`...)
	for i, it := range pg.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = views[it.kind].append(b, it.p)
		if len(b) >= flushAt {
			flushed = true
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	b = append(b, `]}`...)
	if !flushed {
		w.Header()["Content-Length"] = []string{itoa(len(b))}
	}
	_, err := w.Write(b)
	*buf = b
	return err
}

// page selects, orders and cuts what a query asks for.
func (c *call) page(s *state.Snapshot, kinds []*kind, q *query) (*page, error) {
	var all []found
	matched := false
	for _, k := range kinds {
		f, err := c.compile(k, q)
		if err != nil {
			if len(kinds) > 1 {
				continue // at the root a filter need not be one of every kind
			}
			return nil, err
		}
		matched = true
		sel, err := c.selected(s, k, f, q)
		if err != nil {
			return nil, err
		}
		all = append(all, sel)
	}
	if !matched && q.filter != "" {
		return nil, refuse(http.StatusBadRequest, "invalidFilter", "no resource type has what the filter asks for")
	}
	if q.cursored {
		return c.cut(s, all, q)
	}
	return c.pageOf(s, all, q), nil
}

// found is what of a kind was selected, in order.
type found struct {
	kind    *kind
	handles []uint32
}

func (c *call) compile(k *kind, q *query) (*filter.Filter, error) {
	if q.filter == "" {
		return nil, nil //nolint:nilnil // no filter
	}
	o := filter.Options{Type: k.typ, Lenient: c.endpoint.knobs.LenientLiterals}
	e, err := filter.Parse(q.filter, o)
	if err != nil {
		return nil, err
	}
	q.expr = e
	return filter.Compile(e, k.typ, o)
}

// selected returns the handles of a kind that a filter selects, in the order of ids or
// as they are to be sorted.
func (c *call) selected(s *state.Snapshot, k *kind, f *filter.Filter, q *query) (found, error) {
	var handles []uint32
	if f != nil {
		if few, ok := c.byIndex(s, k, q.expr); ok && q.sortBy == "" {
			for _, p := range few {
				if !p.Gone && f.MatchValues(c.endpoint.lists.values(k, s, p)) {
					handles = append(handles, p.Handle)
				}
			}
			slices.SortFunc(handles, func(a, b uint32) int { return c.endpoint.idAt(s, k, a).Compare(c.endpoint.idAt(s, k, b)) })
			return found{k, slices.Compact(handles)}, nil
		}
	}
	l := c.endpoint.lists.at(k, s)
	handles = l.roster
	if f != nil {
		rows := f.Select(l.table)
		handles = make([]uint32, 0, rows.Count())
		for _, h := range l.roster {
			if rows.Has(h) {
				handles = append(handles, h)
			}
		}
	}
	if q.sortBy == "" {
		return found{k, handles}, nil
	}
	handles, err := c.sorted(k, l, handles, q)
	return found{k, handles}, err
}

// byIndex returns all that can match a filter, where one of the terms that must hold
// names it: by id, by name, by a term, or as the groups of a member.
func (c *call) byIndex(s *state.Snapshot, k *kind, e filter.Expr) ([]state.Pushed, bool) {
	switch e := e.(type) {
	case filter.And:
		for _, t := range e.Terms {
			if few, ok := c.byIndex(s, k, t); ok {
				return few, true
			}
		}
	case filter.ValuePath:
		if e.Path.URN != "" && !strings.EqualFold(e.Path.URN, k.typ.Core.ID) {
			return nil, false
		}
		return c.byValue(s, k, e.Path.Attr, e.Filter)
	case filter.Compare:
		text, ok := e.Value.(string)
		if !ok || e.Op != filter.Equal || e.Path.URN != "" && !strings.EqualFold(e.Path.URN, k.typ.Core.ID) {
			return nil, false
		}
		return c.byTerm(s, k, strings.ToLower(e.Path.Attr), strings.ToLower(e.Path.Sub), text)
	}
	return nil, false
}

// byValue is byIndex for emails[value eq "x" and ...].
func (c *call) byValue(s *state.Snapshot, k *kind, attr string, e filter.Expr) ([]state.Pushed, bool) {
	terms := []filter.Expr{e}
	if all, ok := e.(filter.And); ok {
		terms = all.Terms
	}
	for _, t := range terms {
		cmp, ok := t.(filter.Compare)
		if !ok || cmp.Op != filter.Equal || !strings.EqualFold(cmp.Path.Attr, "value") {
			continue
		}
		if text, ok := cmp.Value.(string); ok {
			return c.byTerm(s, k, strings.ToLower(attr), "value", text)
		}
	}
	return nil, false
}

func (c *call) byTerm(s *state.Snapshot, k *kind, attr, sub, text string) ([]state.Pushed, bool) {
	switch {
	case sub != "" && sub != "value":
		return nil, false
	case attr == "id" && sub == "":
		p, ok := c.endpoint.lookup(s, k, identity.Key(text))
		if !ok {
			return nil, true
		}
		return []state.Pushed{p}, true
	case attr == "externalid" && sub == "":
		return slices.Collect(c.endpoint.byTerm(s, k, externalTerm(text))), true
	case k.own:
		return nil, false
	case k.group:
		return c.groupsBy(s, attr, sub, text)
	}
	return c.usersBy(s, attr, sub, text)
}

func (c *call) groupsBy(s *state.Snapshot, attr, sub, text string) ([]state.Pushed, bool) {
	switch {
	case attr == "displayname" && sub == "":
		return slices.Collect(s.GroupsNamed(c.endpoint.id, text)), true
	case attr == "members":
		return c.groupsOf(s, text)
	}
	return nil, false
}

func (c *call) usersBy(s *state.Snapshot, attr, sub, text string) ([]state.Pushed, bool) {
	switch {
	case attr == "username" && sub == "":
		return slices.Collect(s.UsersNamed(c.endpoint.id, text)), true
	case attr == "displayname" && sub == "":
		return slices.Collect(s.UsersByTerm(c.endpoint.id, shownTerm(text))), true
	case attr == "emails":
		return slices.Collect(s.UsersByTerm(c.endpoint.id, emailTerm(text))), true
	}
	return nil, false
}

// groupsOf returns the groups that a user or group of the source is directly in. Who is
// nobody may wait to be a member of any.
func (c *call) groupsOf(s *state.Snapshot, id string) ([]state.Pushed, bool) {
	p, ok := s.PushedUser(c.endpoint.id, identity.Key(id))
	if !ok {
		p, ok = s.PushedGroup(c.endpoint.id, identity.Key(id))
	}
	if !ok || p.Gone {
		return nil, false
	}
	var all []state.Pushed
	for h := range s.OwnGroups(c.endpoint.id, p.Member) {
		if g, ok := s.PushedGroupAt(c.endpoint.id, h); ok {
			all = append(all, g)
		}
	}
	return all, true
}

// pageOf cuts a page by index: RFC 7644, section 3.4.2.4.
func (c *call) pageOf(s *state.Snapshot, all []found, q *query) *page {
	pg := &page{start: max(q.start, 1)}
	for _, f := range all {
		pg.total += len(f.handles)
	}
	skip := pg.start - 1
	for _, f := range all {
		if skip >= len(f.handles) {
			skip -= len(f.handles)
			continue
		}
		for _, h := range f.handles[skip:] {
			if len(pg.items) == q.count {
				break
			}
			if p, ok := c.endpoint.pushedAt(s, f.kind, h); ok && !p.Gone {
				pg.items = append(pg.items, item{f.kind, p})
			}
		}
		skip = 0
	}
	return pg
}

// sorted orders what was selected: RFC 7644, section 3.4.2.3.
func (c *call) sorted(k *kind, l *listed, handles []uint32, q *query) ([]uint32, error) {
	o := filter.Options{Type: k.typ}
	p, err := filter.ParsePath(q.sortBy, o)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "invalidPath", "sortBy: "+err.Error())
	}
	by, err := filter.CompileSort(p, k.typ)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "invalidPath", "sortBy: "+err.Error())
	}
	order := filter.Ascending
	if q.descending {
		order = filter.Descending
	}
	handles = slices.Clone(handles)
	by.Rows(l.table, handles, order)
	return handles, nil
}
