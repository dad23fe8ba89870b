package scim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/filter"
	"github.com/rollcall-id/rollcall/state"
)

const searchURN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

// query is what a list or a search asks for.
type query struct {
	filter     string
	expr       filter.Expr // of filter, once it is read
	start      int
	count      int
	cursor     string
	cursored   bool
	sortBy     string
	descending bool
	attributes []string
	excluded   []string
}

func queryOf(v url.Values) (*query, error) {
	q := &query{filter: v.Get("filter"), start: 1, count: defaultPage, cursor: v.Get("cursor"), cursored: v.Has("cursor"), sortBy: v.Get("sortBy")}
	var err error
	if q.start, err = number(v, "startIndex", 1); err != nil {
		return nil, err
	}
	if q.count, err = number(v, "count", defaultPage); err != nil {
		return nil, err
	}
	q.attributes, q.excluded = names(v["attributes"]), names(v["excludedAttributes"])
	return q, q.check(v.Get("sortOrder"))
}

// readQuery reads the query of a URL. Parameters are found in any case: a filter that was
// passed over for its spelling would be answered with everybody.
func readQuery(raw string) (url.Values, error) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "invalidValue", "the query of the URL cannot be read: "+err.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if known := parameter(name); known != name {
			v[known] = append(v[known], v[name]...)
			delete(v, name)
		}
	}
	return v, nil
}

// parameter returns how the RFCs spell a parameter: 7644, section 3.4.2, and 9865,
// section 2. One that they do not know stays as it is.
func parameter(name string) string {
	for _, known := range [...]string{"filter", "sortBy", "sortOrder", "startIndex", "count", "attributes", "excludedAttributes", "cursor"} {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	return name
}

// number reads a number of a query. One that is too large for us is the largest.
func number(v url.Values, name string, without int) (int, error) {
	text := v.Get(name)
	if text == "" {
		return without, nil
	}
	n, err := strconv.Atoi(text) // what is out of range is the nearest that is not
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, refuse(http.StatusBadRequest, "invalidValue", name+" is not a number")
	}
	return n, nil
}

func names(lists []string) (all []string) {
	for _, l := range lists {
		for n := range strings.SplitSeq(l, ",") {
			if n = strings.TrimSpace(n); n != "" {
				all = append(all, n)
			}
		}
	}
	return all
}

// check brings numbers within their bounds and refuses what does not go together.
func (q *query) check(order string) error {
	switch strings.ToLower(order) {
	case "", "ascending":
	case "descending":
		q.descending = true
	default:
		return refuse(http.StatusBadRequest, "invalidValue", "sortOrder is ascending or descending")
	}
	q.start = max(q.start, 1)
	switch {
	case q.cursored && q.count < 0:
		return refuse(http.StatusBadRequest, "invalidCount", "count is negative")
	case q.cursored && q.sortBy != "":
		return refuse(http.StatusBadRequest, "invalidValue", "pages by cursor are in the order of ids: leave sortBy out, or page by startIndex")
	case len(q.attributes) > 0 && len(q.excluded) > 0:
		return refuse(http.StatusBadRequest, "invalidValue", "attributes and excludedAttributes exclude each other")
	}
	q.count = min(max(q.count, 0), maxPage)
	return nil
}

func searchOf(body []byte) (*query, error) {
	var in struct {
		Schemas    []string `json:"schemas"`
		Attributes []string `json:"attributes"`
		Excluded   []string `json:"excludedAttributes"`
		Filter     string   `json:"filter"`
		SortBy     string   `json:"sortBy"`
		SortOrder  string   `json:"sortOrder"`
		Start      *int     `json:"startIndex"`
		Count      *int     `json:"count"`
		Cursor     *string  `json:"cursor"`
	}
	if err := json.Unmarshal(body, &in, json.MatchCaseInsensitiveNames(true)); err != nil {
		return nil, refuse(http.StatusBadRequest, "invalidSyntax", "the body is not a search request: "+wherein(err))
	}
	if !slices.ContainsFunc(in.Schemas, func(s string) bool { return strings.EqualFold(s, searchURN) }) {
		return nil, refuse(http.StatusBadRequest, "invalidSyntax", "schemas does not name "+searchURN)
	}
	q := &query{filter: in.Filter, start: 1, count: defaultPage, sortBy: in.SortBy, attributes: in.Attributes, excluded: in.Excluded}
	if in.Start != nil {
		q.start = *in.Start
	}
	if in.Count != nil {
		q.count = *in.Count
	}
	if in.Cursor != nil {
		q.cursor, q.cursored = *in.Cursor, true
	}
	return q, q.check(in.SortOrder)
}

// cursorLife is how long a cursor may be used.
const cursorLife = 10 * time.Minute

// A cursor is, in base64url: when it ends (8 bytes), the kind of resource by its place
// (1), the last id that was shown (16), the last id that was there when the walk began
// (16), and a signature (16) that binds all of it to the query and to the token.
const cursorBytes = 8 + 1 + 16 + 16

type cursor struct {
	ends  time.Time
	place int
	last  [16]byte
	until [16]byte // of the kind at place
}

func (c *call) sign(b []byte, q *query) []byte {
	mac := hmac.New(sha256.New, []byte(c.token.Hash))
	for _, part := range []string{"cursor", string(c.endpoint.id), c.path, q.filter, strings.Join(q.attributes, ","), strings.Join(q.excluded, ",")} {
		_, _ = mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		_, _ = mac.Write([]byte(part))
	}
	_, _ = mac.Write(b)
	return mac.Sum(nil)[:16]
}

func (c *call) writeCursor(k cursor, q *query) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, cursorBytes+16), uint64(k.ends.Unix()))
	b = append(b, byte(k.place))
	b = append(append(b, k.last[:]...), k.until[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, c.sign(b, q)...))
}

func (c *call) readCursor(q *query) (cursor, error) {
	invalid := refuse(http.StatusBadRequest, "invalidCursor", "the cursor is not one that was given out for this query and this token")
	b, err := base64.RawURLEncoding.DecodeString(q.cursor)
	if err != nil || len(b) != cursorBytes+16 || !hmac.Equal(b[cursorBytes:], c.sign(b[:cursorBytes], q)) {
		return cursor{}, invalid
	}
	k := cursor{ends: time.Unix(int64(binary.BigEndian.Uint64(b)), 0), place: int(b[8])}
	copy(k.last[:], b[9:])
	copy(k.until[:], b[25:])
	if !c.server.now().Before(k.ends) {
		return cursor{}, refuse(http.StatusBadRequest, "expiredCursor", "the cursor is too old: begin anew with an empty one")
	}
	return k, nil
}

// cut cuts a page by cursor: RFC 9865. Its walk shows, in the order of ids, what was
// there when it began, and of what comes later nothing: what is there all the time is
// shown once.
func (c *call) cut(s *state.Snapshot, all []found, q *query) (*page, error) {
	pg := &page{paged: true}
	for _, f := range all {
		pg.total += len(f.handles)
	}
	at := cursor{ends: c.server.now().Add(cursorLife)}
	at.until = c.endpoint.lastOf(s, all, 0)
	if q.cursor != "" {
		given, err := c.readCursor(q)
		if err != nil {
			return nil, err
		}
		at.place, at.last, at.until = given.place, given.last, given.until
	}
	for ; at.place < len(all); at.place++ {
		f := all[at.place]
		from := c.endpoint.rosterAfter(f.kind, s, f.handles, memberOf(f.kind, at.last), false)
		for _, h := range f.handles[from:] {
			m := c.endpoint.idAt(s, f.kind, h)
			if m.Compare(memberOf(f.kind, at.until)) > 0 {
				break
			}
			if len(pg.items) == q.count {
				pg.next = c.writeCursor(at, q)
				return pg, nil
			}
			if p, ok := c.endpoint.pushedAt(s, f.kind, h); ok && !p.Gone {
				pg.items = append(pg.items, item{f.kind, p})
			}
			at.last = m.Bytes()
		}
		at.last, at.until = [16]byte{}, c.endpoint.lastOf(s, all, at.place+1)
	}
	return pg, nil
}

func (e *endpoint) lastOf(s *state.Snapshot, all []found, place int) (id [16]byte) {
	if place < len(all) {
		if n := len(all[place].handles); n > 0 {
			return e.idAt(s, all[place].kind, all[place].handles[n-1]).Bytes()
		}
	}
	return id
}

func memberOf(k *kind, id [16]byte) identity.Member { return identity.MemberOf(k.group, id) }
