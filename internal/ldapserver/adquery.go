package ldapserver

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Controls of Active Directory (MS-ADTS §3.1.1.3.4.1).
const (
	oidShowDeleted  = "1.2.840.113556.1.4.417"
	oidShowRecycled = "1.2.840.113556.1.4.2064"
	oidNotification = "1.2.840.113556.1.4.528"
	oidExtendedDN   = "1.2.840.113556.1.4.529"
	oidSDFlags      = "1.2.840.113556.1.4.801" // of security descriptors, which objects here have not
	oidDirSync      = "1.2.840.113556.1.4.841"
)

// adQuery is what a domain controller makes of a search.
type adQuery struct {
	ad          *AD
	showDeleted bool
	mayDeleted  bool // the account may read CN=Deleted Objects
	domainScope bool
	extended    *int // the format of extended names, if they are asked for
	notify      bool
	heard       uint64 // the last change before a notification was asked for
	sync        *dirSyncRequest
}

// control takes in one control and says whether it is known.
func (q *adQuery) control(ctl control) (known bool, err error) {
	switch ctl.oid {
	case oidShowDeleted, oidShowRecycled:
		q.showDeleted = true
	case oidNotification:
		q.notify = true
	case oidSDFlags:
	case oidExtendedDN:
		format := 0
		if len(ctl.value) > 0 {
			d := &decoder{rest: ctl.value}
			in := d.inside(tagSequence)
			format = int(in.integer(tagInteger))
			if err := errors.Join(d.err, in.err); err != nil {
				return true, failf(ProtocolError, "extended DN control: %v", err)
			}
		}
		q.extended = &format
	case oidDirSync:
		if q.sync, err = parseDirSync(ctl.value); err != nil {
			return true, failf(ProtocolError, "DirSync control: %v", err)
		}
	default:
		return false, nil
	}
	return true, nil
}

// check refuses what a controller does not do.
func (q *adQuery) check(a *answer) error {
	q.mayDeleted = q.ad.listed(q.ad.o.DeletedReaders, a.c.bound)
	switch {
	case q.sync != nil && a.paging != nil:
		return failf(OperationsError, "00000001: DirSync and paging exclude each other")
	case q.sync != nil:
		return q.ad.checkDirSync(q, a)
	case q.notify:
		return q.ad.checkNotification(q, a)
	}
	return nil
}

// run answers a search that is not a plain one, and says whether it did.
func (q *adQuery) run(a *answer) bool {
	switch {
	case q.sync != nil:
		q.ad.dirSync(q, a)
	case q.notify:
		q.ad.notify(q, a)
	default:
		return false
	}
	return true
}

// seesDeleted says whether tombstones are part of the answer. A nil query belongs
// to a directory that has none.
func (q *adQuery) seesDeleted() bool { return q != nil && q.showDeleted && q.mayDeleted }

// listed says whether the name is one of accounts.
func (ad *AD) listed(accounts []string, bound string) bool {
	name, err := parseDN(bound)
	if err != nil || bound == "" {
		return false
	}
	return slices.ContainsFunc(accounts, func(account string) bool {
		listed, err := parseDN(account)
		return err == nil && listed.folded == name.folded
	})
}

// base returns the object that a search begins at.
func (q *adQuery) base(base string) (*slot, error) {
	ad := q.ad
	ad.mu.RLock()
	defer ad.mu.RUnlock()
	if kind, value, ok := alternateName(base); ok {
		if o := ad.find(kind, value); o != nil && q.shows(o) {
			return o.view, nil
		}
		return nil, failf(NoSuchObject, "0000208D: NameErr: DSID-0C0907C7, problem 2001 (NO_OBJECT), data 0, best match of: ''")
	}
	name, err := parseDN(base)
	if err != nil {
		return nil, failf(InvalidDNSyntax, "0000208F: NameErr: %v", err)
	}
	if o, ok := ad.byName[name.folded]; ok && q.shows(o) {
		return o.view, nil
	}
	settings := ad.settings.entry.Load()
	switch {
	case name.folded == settings.name.folded:
		return ad.settings, nil
	case !name.below(ad.suffix.folded):
		return nil, &Error{
			Code: Referral, Message: "0000202B: RefErr: DSID-0310082F, data 0, 1 access points",
			Referrals: []string{"ldap://" + dnsName(name) + "/" + base},
		}
	}
	e := &Error{Code: NoSuchObject, Message: "0000208D: NameErr: DSID-0C0907C7, problem 2001 (NO_OBJECT), data 0"}
	for above, _ := name.parent(); above != ""; _, above, _ = strings.Cut(above, ",") {
		if o, ok := ad.byName[above]; ok && q.shows(o) {
			e.Matched = o.view.entry.Load().name.text
			break
		}
	}
	return nil, e
}

func (q *adQuery) shows(o *adObject) bool { return !o.dead || q.seesDeleted() }

// find returns the object of an alternate name. The caller holds the lock.
func (ad *AD) find(kind, value string) *adObject {
	switch kind {
	case "GUID":
		return ad.byGUID[value]
	case "WKGUID":
		if value == deletedObjects {
			return ad.bin
		}
	case "SID":
		for _, o := range ad.byGUID {
			if o.sid == value && value != "" && !o.dead {
				return o
			}
		}
	}
	return nil
}

// referrals are what a search of the whole domain ends with: the naming contexts
// below it are held apart.
func (q *adQuery) referrals(a *answer) []string {
	if q.domainScope || q.sync != nil || q.notify || a.query.scope != ScopeSub || a.query.ofRoot() {
		return nil
	}
	// A paged search has them on its last page.
	if a.paging != nil && a.more {
		return nil
	}
	base, err := parseDN(a.query.base)
	if err != nil || base.folded != q.ad.suffix.folded {
		return nil
	}
	return []string{"ldap://" + dnsName(q.ad.suffix) + "/CN=Configuration," + q.ad.suffix.text}
}

// selected returns what a search returns of an object.
func (q *adQuery) selected(pick *selection, e *stored) ([]Attribute, *Error) {
	out := make([]Attribute, 0, len(e.attrs))
	for _, attr := range e.attrs {
		if r, asked := pick.ranges[attr.key]; asked && r.low > 0 && r.low >= len(attr.values) {
			return nil, failf(OperationsError, "00002121: SvcErr: DSID-031400A4, problem 5012 (DIR_ERROR), data 0: %s has %d values", attr.name, len(attr.values))
		}
		if pick.wants(attr, isConstructed(attr.key)) {
			out = pick.appendTo(out, q.extend(attr))
		}
	}
	return out, nil
}

// name returns an object's name in the form asked for.
func (q *adQuery) name(e *stored) string {
	if q == nil || q.extended == nil {
		return e.name.text
	}
	return q.extendedName(e.name.text, e)
}

// extend gives the names that an attribute holds the form asked for.
func (q *adQuery) extend(a storedAttr) storedAttr {
	q.ad.mu.RLock()
	defer q.ad.mu.RUnlock()
	return q.extendLocked(a)
}

func (q *adQuery) extendLocked(a storedAttr) storedAttr {
	if q.extended == nil || syntaxOf(a.key) != syntaxName {
		return a
	}
	values := make([]string, len(a.values))
	for i, v := range a.values {
		values[i] = v
		if o, ok := q.ad.byName[foldValue(a.key, v)]; ok {
			values[i] = q.extendedName(v, o.view.entry.Load())
		}
	}
	a.values = values
	return a
}

// principal returns the account that a bind names.
func (ad *AD) principal(name string) (*stored, bool) {
	if e, ok := ad.lookup(name); ok {
		return e, true
	}
	key, value := "userprincipalname", name
	if _, account, ok := strings.Cut(name, `\`); ok {
		key, value = "samaccountname", account
	} else if !strings.Contains(name, "@") {
		return nil, false
	}
	for _, s := range *ad.slots.Load() {
		if e := s.entry.Load(); e != nil && !e.deleted && e.first(key) != "" && strings.EqualFold(e.first(key), value) {
			return e, true
		}
	}
	return nil, false
}

// accountDisabled is ACCOUNTDISABLE in userAccountControl.
const accountDisabled = 0x2

func (s *stored) disabled() bool {
	n, err := strconv.ParseInt(s.first("useraccountcontrol"), 10, 64)
	return err == nil && n&accountDisabled != 0
}
