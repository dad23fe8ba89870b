package ldapserver

import (
	"context"
	"iter"
	"sort"
)

// Scope is how far below the base a search reaches.
type Scope int

// The scopes of RFC 4511 §4.5.1.2.
const (
	ScopeBase Scope = 0
	ScopeOne  Scope = 1
	ScopeSub  Scope = 2
)

// startSearch begins a search beside the reader.
func (c *conn) startSearch(m message) bool {
	c.searched++
	a := &answer{c: c, id: m.id}
	a.seen = Search{Conn: c.number, Number: c.searched, Total: int(c.server.searches.Add(1)), Bound: c.bound}
	if err := a.prepare(m); err != nil {
		return c.reply(m.id, opSearchDone, err)
	}
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return false
	}
	ctx, stop := context.WithCancel(c.ctx)
	a.ctx = ctx
	c.mu.Lock()
	c.running[m.id] = stop
	if a.endless() {
		c.endless[m.id] = true
	}
	c.mu.Unlock()
	c.inFlight.Go(func() {
		a.run()
		stop()
		c.mu.Lock()
		delete(c.running, m.id)
		delete(c.endless, m.id)
		c.mu.Unlock()
		<-c.slots
	})
	return true
}

// endless says whether the search goes on until it is abandoned.
func (a *answer) endless() bool {
	return a.domain != nil && a.domain.notify || a.sync != nil && a.sync.persist
}

// prepare reads the request and its controls.
func (a *answer) prepare(m message) error {
	var err error
	if a.query, err = parseSearch(m.body); err != nil {
		return failf(ProtocolError, "%v", err)
	}
	if !a.query.ofRoot() {
		if err := a.c.mayUse(); err != nil {
			return err
		}
	}
	o := &a.c.server.o
	a.pick = newSelection(a.query.attributes, o.ValueRange)
	if o.AD != nil {
		a.domain = &adQuery{ad: o.AD}
	}
	for _, ctl := range m.controls {
		a.seen.Controls = append(a.seen.Controls, ctl.oid)
		if err := a.control(ctl); err != nil {
			return err
		}
	}
	if a.paging != nil && o.PageLimit > 0 && a.paging.size > o.PageLimit {
		return failf(AdminLimitExceeded, "pages of at most %d", o.PageLimit)
	}
	if a.sync != nil && a.paging != nil {
		return failf(ProtocolError, "syncProv and pagedResults controls are mutually exclusive")
	}
	if a.domain != nil {
		return a.domain.check(a)
	}
	return nil
}

// control reads one control of the request.
func (a *answer) control(ctl control) error {
	var err error
	switch ctl.oid {
	case oidPaging:
		if a.paging, err = parsePaging(ctl.value); err != nil {
			return failf(ProtocolError, "paged results control: %v", err)
		}
		return nil
	case oidDomainScope:
		if a.domain != nil {
			a.domain.domainScope = true
		}
		return nil
	case oidManageDSAIT:
		return nil
	}
	known := false
	if ctl.oid == oidSyncRequest && a.c.server.o.Sync != nil {
		known = true
		if a.sync, err = parseSyncRequest(ctl.value); err != nil {
			return failf(ProtocolError, "sync request control: %v", err)
		}
	}
	if a.domain != nil {
		known, err = a.domain.control(ctl)
	}
	if !known && ctl.critical {
		return failf(UnavailableCritical, "critical control %s is not supported", ctl.oid)
	}
	return err
}

// run answers the search.
func (a *answer) run() {
	q := &a.query
	if q.ofRoot() {
		a.intercepted(nil)
		a.rootDSE()
		return
	}
	page, err := a.c.resume(a.paging)
	if err != nil {
		a.finish(asResult(err))
		return
	}
	a.intercepted(page)
	base, err := a.base()
	if err != nil {
		a.finish(asResult(err))
		return
	}
	switch {
	case a.sync != nil:
		a.c.server.o.Sync.run(a, base)
		return
	case a.domain != nil && a.domain.run(a):
		return
	}
	a.entries(base, page)
}

// base returns the entry that the search begins at.
func (a *answer) base() (*slot, error) {
	if a.domain != nil {
		return a.domain.base(a.query.base)
	}
	d := a.c.server.o.Directory
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.find(a.query.base)
}

// slots returns what the search walks.
func (a *answer) slots() []*slot {
	if a.domain != nil {
		return *a.domain.ad.slots.Load()
	}
	return *a.c.server.o.Directory.order.Load()
}

// intercepted asks the interceptor, if there is one.
func (a *answer) intercepted(page *pagedSearch) {
	intercept := a.c.server.o.Intercept
	if intercept == nil {
		return
	}
	s := &a.seen
	s.Base, s.Scope, s.SizeLimit = a.query.base, a.query.scope, a.query.sizeLimit
	s.Filter, s.Attributes = a.query.filter.String(), a.query.attributes
	if page != nil {
		s.Page, s.PageSize = page.number, a.paging.size
	}
	a.action = intercept(s)
}

// entries sends what matches, from where the page begins to where it or a limit
// ends.
func (a *answer) entries(base *slot, page *pagedSearch) {
	limit, pageSize, from, before := a.sizeLimit(), 0, uint64(0), 0
	if page != nil {
		pageSize, from, before = a.pageSize(), page.after, page.sent
		if a.paging.size == 0 { // RFC 2696 §3: the client wants no more
			a.finish(nil, pagingControl(0, ""))
			return
		}
	}
	last := from
	for s, e := range a.matches(base, from) {
		if limit > 0 && before+a.sent >= limit {
			a.finish(failf(SizeLimitExceeded, ""))
			return
		}
		if pageSize > 0 && a.sent >= pageSize {
			a.more = true
			a.finish(nil, a.c.keep(page, a.action.Paging, last, before+a.sent))
			return
		}
		if !a.send(e) {
			return
		}
		last = s.id
	}
	switch {
	case page == nil:
		a.finish(nil)
	case a.action.Paging == PagingRepeats:
		a.finish(nil, a.c.keep(page, PagingRepeats, last, before))
	default:
		a.finish(nil, pagingControl(0, ""))
	}
}

// sizeLimit combines the client's limit and the server's, 0 for none.
func (a *answer) sizeLimit() int {
	limits := []int{a.query.sizeLimit, a.c.server.o.SizeLimit}
	if a.paging == nil {
		limits = append(limits, a.c.server.o.PageCap)
	}
	least := 0
	for _, n := range limits {
		if n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

func (a *answer) pageSize() int {
	if limit := a.c.server.o.PageCap; limit > 0 {
		return min(limit, a.paging.size)
	}
	return a.paging.size
}

// matches yields the entries in scope that the filter accepts, those created
// after the given one.
func (a *answer) matches(base *slot, after uint64) iter.Seq2[*slot, *stored] {
	return func(yield func(*slot, *stored) bool) {
		top := base.entry.Load()
		if top == nil || a.action.Hide {
			return
		}
		candidates := a.slots()
		if a.query.scope == ScopeBase {
			candidates = []*slot{base}
		}
		begin := sort.Search(len(candidates), func(i int) bool { return candidates[i].id > after })
		for i, s := range candidates[begin:] {
			if i%1024 == 1023 && a.ctx.Err() != nil {
				return
			}
			e := s.entry.Load()
			if e != nil && (!e.deleted || a.domain.seesDeleted()) && inScope(e, top, a.query.scope) && a.query.filter.eval(e) == yes && !yield(s, e) {
				return
			}
		}
	}
}

func inScope(e, top *stored, scope Scope) bool {
	switch scope {
	case ScopeBase:
		return e == top
	case ScopeOne:
		return e.parent == top.name.folded
	}
	return e.name.below(top.name.folded)
}
