package ldapserver

import (
	"slices"
	"sort"
)

// checkNotification refuses what LDAP_SERVER_NOTIFICATION_OID does not do (MS-ADTS
// §3.1.1.3.4.1.9): a filter, and the subtree of anything but the domain.
func (ad *AD) checkNotification(q *adQuery, a *answer) error {
	if f, ok := a.query.filter.(*presentFilter); !ok || f.key != "objectclass" {
		return failf(UnwillingToPerform, "00002077: the filter of a notification is (objectClass=*)")
	}
	base, err := parseDN(a.query.base)
	if a.query.scope == ScopeSub && (err != nil || base.folded != ad.suffix.folded) {
		return failf(UnwillingToPerform, "00002077: a notification of a subtree is one of the whole domain, %s", ad.suffix.text)
	}
	q.heard = ad.HighestUSN()
	return nil
}

// notify sends every object in scope that changes after the request came, until the client
// abandons the search or leaves. What changes twice before it is sent comes once.
func (ad *AD) notify(q *adQuery, a *answer) {
	base, err := q.base(a.query.base)
	if err != nil {
		a.finish(asResult(err))
		return
	}
	last := q.heard
	for {
		objects, next, changed := ad.since(last)
		last = next
		for _, e := range objects {
			top := base.entry.Load()
			if e.deleted && !q.seesDeleted() || top == nil || !inScope(e, top, a.query.scope) {
				continue
			}
			if !a.send(e) {
				return
			}
		}
		a.flush()
		select {
		case <-changed:
		case <-a.ctx.Done():
			return
		}
	}
}

// since returns the objects that changed after the given number, the number of
// the last change, and what is closed at the next.
func (ad *AD) since(usn uint64) (objects []*stored, last uint64, changed <-chan struct{}) {
	ad.mu.RLock()
	defer ad.mu.RUnlock()
	begin := sort.Search(len(ad.journal), func(i int) bool { return ad.journal[i].usn > usn })
	for _, r := range ad.journal[begin:] {
		if r.object.usn == r.usn {
			objects = append(objects, r.object.view.entry.Load())
		}
	}
	return slices.Clip(objects), ad.usn, ad.changed
}
