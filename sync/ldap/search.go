package ldap

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	goldap "github.com/go-ldap/ldap/v3"
)

// search runs one search and gives its entries to h.
func (c *session) search(ctx context.Context, r *goldap.SearchRequest, h *handler) (*goldap.SearchResult, error) {
	if err := c.pace.begin(ctx); err != nil {
		return nil, err
	}
	begun, before := time.Now(), c.conn.taken()
	c.conn.arm(h)
	defer c.conn.disarm()
	res, err := c.ldap.Search(r)
	c.pace.took(begun, c.conn.taken()-before)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if own := c.conn.err(); own != nil {
		return nil, own
	}
	if goldap.IsErrorAnyOf(err, goldap.LDAPResultBusy, goldap.LDAPResultUnavailable) {
		c.busy = err
	}
	return res, err
}

// region is one base of a search, with all that repeats in its requests.
type region struct {
	base   string
	scope  int
	filter string
	attrs  []string
	// with are controls of every request.
	with []goldap.Control
}

func (w *Where) regions(attrs []string) []region {
	scope := map[string]int{
		"base": goldap.ScopeBaseObject, "one": goldap.ScopeSingleLevel, "subtree": goldap.ScopeWholeSubtree,
	}[w.Scope]
	out := make([]region, len(w.Bases))
	for i, base := range w.Bases {
		out[i] = region{base: base, scope: scope, filter: w.Filter, attrs: attrs}
	}
	return out
}

func (g region) request(controls ...goldap.Control) *goldap.SearchRequest {
	controls = append(controls, g.with...)
	return goldap.NewSearchRequest(g.base, g.scope, goldap.NeverDerefAliases, 0, 0, false, g.filter, g.attrs, controls)
}

// ending is how a search ended that the server did not break off.
type ending struct {
	pages int
	// partial says why the answer is not the whole; empty: it is, and proven so.
	partial string
}

// tally counts what one sweep has brought.
type tally struct {
	received int
	fresh    int // that this sweep had not brought before
}

const (
	// stalled is how many empty pages in a row are believed to lead anywhere: Active
	// Directory sends some while it skips what the account may not see.
	stalled = 10_000
	// repeated is how many pages may bring nothing but what earlier ones brought.
	repeated = 3
)

// sweep reads a region page by page (RFC 2696); h keeps count in t. An error means
// that the read broke. Page is called after each page but the last.
func (s *Source) sweep(ctx context.Context, c *session, g region, h *handler, t *tally, page func()) (ending, error) {
	var end ending
	paging := goldap.NewControlPaging(uint32(s.cfg.PageSize))
	controls := []goldap.Control{paging}
	if slices.Contains(c.root.controls, oidDomainScope) {
		// MS-ADTS 3.1.1.3.4.1.4: no continuations to the parts that other servers hold.
		controls = append(controls, goldap.NewControlString(oidDomainScope, true, ""))
	}
	var referrals []string
	var empty, again int
	var last, print uint64 // prints of the page before and of this one
	printed := *h
	printed.entry = func(e *Entry) error {
		print += mix(xxhash.Sum64(e.DN))
		return h.entry(e)
	}
	for {
		before := *t
		last, print = print, 0
		res, err := c.search(ctx, g.request(controls...), &printed)
		if err != nil {
			return s.brokenOff(g, end, err)
		}
		end.pages++
		referrals = append(referrals, res.Referrals...)
		answer, ok := goldap.FindControl(res.Controls, oidPaging).(*goldap.ControlPaging)
		if !ok {
			end.partial = fmt.Sprintf("below %s the server answers without pages, so nothing shows that the answer is whole", g.base)
			return end, nil
		}
		if len(answer.Cookie) == 0 {
			break
		}
		switch {
		case t.received == before.received:
			empty++
		case t.fresh == before.fresh || print == last:
			again++
		default:
			empty, again = 0, 0
		}
		if empty > stalled || again >= repeated {
			return end, fmt.Errorf("below %s the server sends the same page again and again: its paging cannot be relied on", g.base)
		}
		page()
		paging.SetCookie(answer.Cookie)
	}
	end.partial = s.unfollowed(g, referrals)
	return end, nil
}

// brokenOff tells an answer that the server cut short from a read that failed.
func (s *Source) brokenOff(g region, end ending, err error) (ending, error) {
	le, ok := errors.AsType[*goldap.Error](err)
	if !ok {
		return end, fmt.Errorf("read %s: %w", g.base, err)
	}
	switch le.ResultCode {
	case goldap.LDAPResultSizeLimitExceeded:
		end.partial = fmt.Sprintf("below %s the server stopped at its size limit for this account; raise that limit", g.base)
	case goldap.LDAPResultTimeLimitExceeded:
		end.partial = fmt.Sprintf("below %s the server stopped at its time limit; raise it, or have the attributes of the filter indexed", g.base)
	case goldap.LDAPResultAdminLimitExceeded:
		end.partial = fmt.Sprintf("below %s the server stopped at an administrative limit; raise it, or make page_size smaller", g.base)
	case goldap.LDAPResultReferral:
		end.partial = fmt.Sprintf("%s lies on another server (referral); name that server in urls", g.base)
	case goldap.LDAPResultNoSuchObject:
		return end, fmt.Errorf("read %s: there is no such entry, or the account may not see it: check bases and the account's rights: %w", g.base, err)
	case goldap.LDAPResultUnavailableCriticalExtension:
		return end, fmt.Errorf("read %s: the server does not support what is needed to read it: %w", g.base, err)
	case goldap.LDAPResultInsufficientAccessRights, goldap.LDAPResultOperationsError:
		return end, fmt.Errorf("read %s: the account may not search there: %w", g.base, err)
	default:
		return end, fmt.Errorf("read %s: %w", g.base, err)
	}
	return end, nil
}

// unfollowed says what referrals mean: those that lead to other parts of what was
// asked for are holes in the answer. None is ever followed.
func (s *Source) unfollowed(g region, referrals []string) string {
	if s.cfg.Referrals == referralsIgnore {
		return ""
	}
	base, err := canonicalDN(nil, []byte(g.base))
	if err != nil {
		return ""
	}
	for _, r := range referrals {
		if dn, ok := referralDN(r); ok && !withinDN(dn, base) {
			continue
		}
		return fmt.Sprintf("below %s a part lies on another server (%s) and was not read; name it as a source of its own, or set referrals: ignore",
			g.base, clip(r, 200))
	}
	return ""
}

// referralDN returns the canonical DN of an LDAP URL (RFC 4516), if it has one.
func referralDN(ref string) ([]byte, bool) {
	_, rest, ok := strings.Cut(ref, "://")
	if !ok {
		return nil, false
	}
	_, dn, ok := strings.Cut(rest, "/")
	if !ok {
		return nil, false
	}
	dn, _, _ = strings.Cut(dn, "?")
	plain, err := url.PathUnescape(dn)
	if err != nil || plain == "" {
		return nil, false
	}
	out, err := canonicalDN(nil, []byte(plain))
	return out, err == nil
}
