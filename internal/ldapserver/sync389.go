package ldapserver

import (
	"fmt"
	"strconv"
	"strings"
)

// SyncRefreshRequired is the result for a cookie that leads nowhere any more (RFC
// 4533 §3.3.2). OpenLDAP does not send it, 389-ds does.
const SyncRefreshRequired ResultCode = 4096

// run389 is the refresh of 389-ds: all entries without a cookie; with one, what its
// changelog has since. Nothing in it is by RFC 4533 but the form.
func (r *refresh) run389() {
	cookie := r.cookie389(r.changes)
	if r.a.sync.cookie == "" {
		if r.send(func(*stored) bool { return true }) {
			r.end(refreshPresent, cookie)
		}
		return
	}
	since, ok := r.number389()
	if !ok {
		r.a.finish(failf(SyncRefreshRequired, "Invalid cookie"))
		return
	}
	if r.p.o.LosesChanges {
		r.end(refreshPresent, cookie)
		return
	}
	here := map[string]*stored{}
	for _, e := range r.a.matches(r.base, 0) {
		here[r.p.uuidOf(e)] = e
	}
	gone, changed := r.window389(since)
	if len(gone) > 0 {
		r.a.idSet(refreshDeletes, cookie, gone)
	}
	for _, id := range changed {
		if e := here[id]; e != nil && !r.sendEntry(e, stateAdd, "") {
			return
		}
	}
	r.end(refreshPresent, cookie)
}

// window389 returns what the changelog says was deleted since a change, and what
// was changed. What came and went in between is in neither. That an entry no longer
// matches nobody is told.
func (r *refresh) window389(since int) (gone, changed []string) {
	first, last := map[string]syncRecord{}, map[string]syncRecord{}
	var order []string
	for _, record := range r.log {
		if record.number <= since {
			continue
		}
		if _, seen := first[record.uuid]; !seen {
			first[record.uuid] = record
			order = append(order, record.uuid)
		}
		last[record.uuid] = record
	}
	for _, id := range order {
		switch {
		case last[id].after != nil:
			changed = append(changed, id)
		case first[id].before != nil:
			gone = append(gone, id)
		}
	}
	return gone, changed
}

// cookie389 names the server, the account, the search, and the last change.
func (r *refresh) cookie389(number int) string {
	return r.signature() + strconv.Itoa(number)
}

func (r *refresh) signature() string {
	host := strings.Replace(r.a.c.server.Addr(), "127.0.0.1", "localhost", 1)
	q := &r.a.query
	return fmt.Sprintf("%s#%s:%s:%s#", host, strings.ToLower(r.a.seen.Bound), strings.ToLower(q.base), q.filter.String())
}

// number389 returns the change that the consumer's cookie stands for. Another
// server, account or search makes it invalid, and so does what is no number, or
// one that is yet to come.
func (r *refresh) number389() (int, bool) {
	text, ok := strings.CutPrefix(r.a.sync.cookie, r.signature())
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= r.changes
}
