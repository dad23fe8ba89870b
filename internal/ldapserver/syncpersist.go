package ldapserver

import "sync"

// syncWatcher gathers changes for a search that persists. It takes any number, as
// the directory does not wait for a slow consumer.
type syncWatcher struct {
	mu      sync.Mutex // guards records
	records []syncRecord
	ready   chan struct{}
}

func newSyncWatcher() *syncWatcher { return &syncWatcher{ready: make(chan struct{}, 1)} }

func (w *syncWatcher) add(r syncRecord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, r)
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

func (w *syncWatcher) take() []syncRecord {
	w.mu.Lock()
	defer w.mu.Unlock()
	records := w.records
	w.records = nil
	return records
}

func (p *SyncProvider) forget(w *syncWatcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watchers, w)
}

// persist sends changes as they come, until the client abandons the search or
// leaves.
func (r *refresh) persist() {
	for {
		for _, record := range r.watcher.take() {
			if !r.event(record) {
				return
			}
		}
		r.a.flush()
		select {
		case <-r.watcher.ready:
		case <-r.a.ctx.Done():
			return
		}
	}
}

// event sends what a change means to this search.
func (r *refresh) event(record syncRecord) bool {
	was, is := r.holds(record.before), r.holds(record.after)
	cookie := r.eventCookie(record)
	switch {
	case was && is:
		return r.sendEntry(record.after, stateModify, cookie)
	case is:
		return r.sendEntry(record.after, stateAdd, cookie)
	case was:
		return r.sendEntry(record.before, stateDelete, cookie)
	}
	return true
}

// eventCookie holds the CSN of this change only, not those of other server ids.
func (r *refresh) eventCookie(record syncRecord) string {
	if r.p.o.Style == Sync389 {
		if r.p.o.LosesChanges {
			return r.cookie389(1<<32 - 1)
		}
		return r.cookie389(record.number)
	}
	rid, _, ok := parseSyncCookie(r.a.sync.cookie)
	if !ok {
		rid = "000"
	}
	return r.p.cookie(rid, record.csn)
}

// holds says whether an entry is part of the search.
func (r *refresh) holds(e *stored) bool {
	top := r.base.entry.Load()
	if e == nil || top == nil {
		return false
	}
	inside := r.a.query.scope == ScopeBase && e.name.folded == top.name.folded ||
		r.a.query.scope != ScopeBase && inScope(e, top, r.a.query.scope)
	return inside && r.a.query.filter.eval(e) == yes
}
