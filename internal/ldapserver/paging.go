package ldapserver

import (
	"encoding/binary"
	"errors"
	"math"
)

// Controls that a search may carry.
const (
	oidPaging      = "1.2.840.113556.1.4.319"  // RFC 2696
	oidManageDSAIT = "2.16.840.1.113730.3.4.2" // RFC 3296; there are no referral entries
	oidDomainScope = "1.2.840.113556.1.4.1339" // Active Directory: no referrals
)

// pageRequest is the value of the paging control in a request.
type pageRequest struct {
	size   int
	cookie string
}

func parsePaging(value []byte) (*pageRequest, error) {
	d := &decoder{rest: value}
	in := d.inside(tagSequence)
	size, cookie := in.integer(tagInteger), in.text()
	if err := errors.Join(d.err, in.err); err != nil {
		return nil, err
	}
	if size < 0 || size > math.MaxInt32 {
		return nil, errors.New("the page size is out of range")
	}
	return &pageRequest{size: int(size), cookie: cookie}, nil
}

// pagingControl is the control of a response. An empty cookie says that there
// are no more pages. The estimate may be 0: unknown.
func pagingControl(estimate int, cookie string) control {
	var b builder
	start := b.begin(tagSequence)
	b.integer(tagInteger, int64(estimate))
	b.octets(tagOctets, cookie)
	b.end(start)
	return control{oid: oidPaging, value: b.buf}
}

// pagedSearch is where a paged search stands between two pages. It belongs to
// its connection: a cookie means nothing on another one.
type pagedSearch struct {
	cookie string
	after  uint64 // the slot that the last page ended with
	sent   int    // entries of all pages so far
	number int    // of the page being answered, from 1
}

// resume returns the position that the client's cookie stands for; nil without
// the control.
func (c *conn) resume(r *pageRequest) (*pagedSearch, error) {
	if r == nil {
		return nil, nil
	}
	if r.cookie == "" {
		return &pagedSearch{number: 1}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pages[r.cookie]
	if !ok {
		return nil, failf(UnwillingToPerform, "paged results cookie is invalid or old")
	}
	delete(c.pages, r.cookie)
	return &pagedSearch{cookie: p.cookie, after: p.after, sent: p.sent, number: p.number + 1}, nil
}

// maxPagedSearches bounds the paged searches that a connection leaves open.
const maxPagedSearches = 64

// keep notes that a page ended at after and returns the control that leads on
// from there; with [PagingRepeats], back to where the page began.
func (c *conn) keep(page *pagedSearch, f PagingFault, after uint64, sent int) control {
	next := &pagedSearch{after: after, sent: sent, number: page.number}
	if f == PagingRepeats {
		next.cookie, next.after, next.sent = page.cookie, page.after, page.sent
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if next.cookie == "" {
		c.pageNext++
		next.cookie = string(binary.BigEndian.AppendUint64(nil, c.pageNext))
	}
	if len(c.pages) >= maxPagedSearches {
		clear(c.pages)
	}
	c.pages[next.cookie] = next
	return pagingControl(0, next.cookie)
}
