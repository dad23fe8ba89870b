package ldapserver

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxIDSet is how many identifiers OpenLDAP puts into one message.
const maxIDSet = 256

// refresh is the first, or only, phase of a synchronization.
type refresh struct {
	p    *SyncProvider
	a    *answer
	base *slot

	context map[int]string // of the provider, when the refresh began
	log     []syncRecord
	lost    map[int]string
	changes int
	watcher *syncWatcher // set to persist
}

// run answers a synchronization.
func (p *SyncProvider) run(a *answer, base *slot) {
	r := &refresh{p: p, a: a, base: base}
	p.mu.Lock()
	r.context, r.log, r.lost, r.changes = maps.Clone(p.context), p.log, maps.Clone(p.lost), p.changes
	if a.sync.persist {
		r.watcher = newSyncWatcher()
		p.watchers[r.watcher] = struct{}{}
		defer p.forget(r.watcher)
	}
	p.mu.Unlock()
	if p.o.Style == Sync389 {
		r.run389()
		return
	}
	r.runOpenLDAP()
}

// runOpenLDAP is syncprov's: what it sends follows from how the consumer's CSNs
// stand to its own.
func (r *refresh) runOpenLDAP() {
	rid, known, ok := parseSyncCookie(r.a.sync.cookie)
	switch {
	case !ok:
		// What is no cookie is none at all, except that the consumer gets no other.
		r.everything(refreshDeletes, "")
	case known == nil:
		r.everything(refreshDeletes, r.p.cookie(rid, inOrder(r.context)...))
	default:
		r.since(rid, known)
	}
}

// since compares the consumer's state with the provider's.
func (r *refresh) since(rid string, known map[int]string) {
	maps.DeleteFunc(known, func(sid int, _ string) bool { return r.context[sid] == "" })
	cookie := r.p.cookie(rid, inOrder(r.context)...)
	if len(known) != len(r.context) {
		r.everything(refreshPresent, cookie)
		return
	}
	oldest, oldestSID := "", 0
	for sid, csn := range known {
		if csn > r.context[sid] && sid == cmp.Or(r.p.o.ServerID, 1) {
			r.a.finish(failf(UnwillingToPerform, "consumer state is newer than provider!"))
			return
		}
		if csn < r.context[sid] && (oldest == "" || csn < oldest) {
			oldest, oldestSID = csn, sid
		}
	}
	switch {
	case oldest == "":
		r.end(refreshDeletes, "")
	case len(r.log) > 0 && oldest >= r.lost[oldestSID]:
		if r.deletions(oldest, cookie) && r.changed(known) {
			r.end(refreshDeletes, cookie)
		}
	case !r.p.directory.has(func(e *stored) bool { return e.first("entrycsn") <= oldest }):
		// A state from before the oldest entry tells nothing.
		r.everything(refreshPresent, cookie)
	default:
		if r.present() && r.changed(known) {
			r.end(refreshPresent, cookie)
		}
	}
}

// has says whether some entry is as wanted.
func (d *Directory) has(want func(*stored) bool) bool {
	return slices.ContainsFunc(*d.order.Load(), func(s *slot) bool {
		e := s.entry.Load()
		return e != nil && want(e)
	})
}

// everything sends all entries.
func (r *refresh) everything(kind refreshKind, cookie string) {
	if r.send(func(*stored) bool { return true }) {
		r.end(kind, cookie)
	}
}

// changed sends the entries that are newer than the consumer's state. All of them
// are additions, whatever happened.
func (r *refresh) changed(known map[int]string) bool {
	return r.send(func(e *stored) bool { return isNewer(e, known) })
}

func isNewer(e *stored, known map[int]string) bool {
	csn := e.first("entrycsn")
	sid, _ := sidOf(csn)
	return csn > known[sid]
}

// send sends the entries that want accepts.
func (r *refresh) send(want func(*stored) bool) bool {
	limit := r.a.sizeLimit()
	for _, e := range r.a.matches(r.base, 0) {
		if !want(e) {
			continue
		}
		if limit > 0 && r.a.sent >= limit {
			r.a.finish(failf(SizeLimitExceeded, ""))
			return false
		}
		if !r.sendEntry(e, stateAdd, "") {
			return false
		}
	}
	return true
}

func (r *refresh) sendEntry(e *stored, state syncState, cookie string) bool {
	if state == stateDelete {
		return r.a.sendAs(e.name.text, nil, stateControl(state, r.p.uuidOf(e), cookie))
	}
	attrs, err := r.a.selected(e)
	if err != nil {
		r.a.finish(err)
		return false
	}
	return r.a.sendAs(e.name.text, attrs, stateControl(state, r.p.uuidOf(e), cookie))
}

// deletions names what the log says is gone, or does not match after a change;
// whether or not the consumer ever saw it.
func (r *refresh) deletions(since, cookie string) bool {
	now := map[string]bool{}
	for _, e := range r.a.matches(r.base, 0) {
		now[r.p.uuidOf(e)] = true
	}
	var uuids []string
	last := ""
	for _, record := range r.log {
		if record.csn <= since || record.before == nil || now[record.uuid] {
			continue
		}
		now[record.uuid] = true // named once
		uuids, last = append(uuids, record.uuid), record.csn
	}
	for part := range slices.Chunk(uuids, maxIDSet) {
		r.a.idSet(refreshDeletes, cookie+",delcsn="+last, part)
	}
	return !r.a.broken
}

// present names what is there, changed or not.
func (r *refresh) present() bool {
	if r.p.o.PresentSaysNothing {
		return true
	}
	var uuids []string
	for _, e := range r.a.matches(r.base, 0) {
		uuids = append(uuids, r.p.uuidOf(e))
	}
	for part := range slices.Chunk(uuids, maxIDSet) {
		r.a.idSet(refreshPresent, "", part)
	}
	return !r.a.broken
}

// end ends the refresh, and either the search or, to persist, only that phase.
func (r *refresh) end(kind refreshKind, cookie string) {
	if r.watcher == nil {
		r.a.finish(nil, doneControl(kind, cookie))
		return
	}
	if r.p.o.Style == Sync389 {
		kind = refreshDeletes // what follows is the opposite of what its refreshes say
	}
	r.a.refreshed(kind, cookie)
	r.a.flush()
	r.persist()
}

// parseSyncCookie reads "rid=000,csn=...;...": the consumer's own number and its
// CSN for each server id. A cookie without a CSN that can be read knows nothing, as
// the empty one does; one without a rid is no cookie.
func parseSyncCookie(cookie string) (rid string, known map[int]string, ok bool) {
	if cookie == "" {
		return "000", nil, true
	}
	for part := range strings.SplitSeq(cookie, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "rid":
			rid = value
		case "csn":
			for csn := range strings.SplitSeq(value, ";") {
				if sid, valid := sidOf(csn); valid {
					if known == nil {
						known = map[int]string{}
					}
					known[sid] = csn
				}
			}
		}
	}
	return rid, known, rid != ""
}

// cookie writes a cookie of the given CSNs. A provider that has a server id of its
// own names it.
func (p *SyncProvider) cookie(rid string, csns ...string) string {
	sid := ""
	if p.o.ServerID != 0 {
		sid = fmt.Sprintf(",sid=%03x", p.o.ServerID)
	}
	return "rid=" + rid + sid + ",csn=" + strings.Join(csns, ";")
}
