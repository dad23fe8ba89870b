package admin

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// searchSubject lists the users who may do something.
func (a *API) searchSubject(c *accessCall) error {
	if wrong := c.q.lacks(partSubject | partAction | partResource | partResourceID); wrong != "" {
		return badRequest(wrong)
	}
	if !c.policy {
		return deciding.denied() // nobody searches among others in the name of himself
	}
	p, after, err := c.paged("subject")
	if err != nil {
		return err
	}
	var last identity.UserID
	if after != "" && last.UnmarshalText([]byte(after)) != nil {
		return badToken()
	}
	if kind := string(c.q.subject.kind); kind != kindUser && kind != kindService || string(c.q.resource.kind) != kindApplication {
		return c.results(p, nil, 0)
	}
	total := 0
	later := func(yield func(identity.UserID) bool) {
		for id := range c.who(permissions.Permission(c.q.action)) {
			if !c.is(id, c.q.subject.kind) {
				continue
			}
			if total++; id.Compare(last) > 0 {
				yield(id) // never says no: smallest wants all of them
			}
		}
	}
	found := smallest(later, p.limit+1, identity.UserID.Compare)
	return c.results(p, named(found, identity.UserID.String), total)
}

// who yields everybody who may do something.
func (d *decider) who(action permissions.Permission) iter.Seq[identity.UserID] {
	if action != actionSubscribe {
		return d.book.WhoCan(d.snap, action, d.now)
	}
	return func(yield func(identity.UserID) bool) {
		for row := range d.snap.Users(identity.UserID{}, d.now) {
			id, _ := row.Member.User()
			if d.check(id, action).Allowed && !yield(id) {
				return
			}
		}
	}
}

// searchAction lists what a user may do.
func (a *API) searchAction(c *accessCall) error {
	if wrong := c.q.lacks(partSubject | partSubjectID | partResource | partResourceID); wrong != "" {
		return badRequest(wrong)
	}
	if !c.mayAsk(&c.q.authzenQuery) {
		return deciding.denied()
	}
	p, after, err := c.paged("action")
	if err != nil {
		return err
	}
	var can []string
	if id, ok := c.asked(); ok && string(c.q.resource.kind) == kindApplication {
		can = c.actions(id)
	}
	return c.results(p, later(can, after, p.limit), len(can))
}

// asked returns the user that the question is about.
func (c *accessCall) asked() (identity.UserID, bool) {
	if kind := string(c.q.subject.kind); kind != kindUser && kind != kindService {
		return identity.UserID{}, false
	}
	id, reason := c.user(c.q.subject.id)
	return id, reason == "" && c.is(id, c.q.subject.kind)
}

// actions returns everything that a user may do, by name.
func (d *decider) actions(id identity.UserID) []string {
	e := d.book.Effective(d.snap, id, d.now)
	can := make([]string, 0, len(e.Held)+1)
	for _, p := range e.Permissions() {
		can = append(can, string(p))
	}
	if e.MaySubscribe {
		can = append(can, actionSubscribe)
	}
	slices.Sort(can)
	return can
}

// searchResource lists the applications in which a user may do something: all that
// are known here, or none, because permissions hold in every application.
func (a *API) searchResource(c *accessCall) error {
	if wrong := c.q.lacks(partSubject | partSubjectID | partAction | partResource); wrong != "" {
		return badRequest(wrong)
	}
	if !c.mayAsk(&c.q.authzenQuery) {
		return deciding.denied()
	}
	p, after, err := c.paged("resource")
	if err != nil {
		return err
	}
	var in []string
	if id, ok := c.asked(); ok && string(c.q.resource.kind) == kindApplication && c.check(id, permissions.Permission(c.q.action)).Allowed {
		in = c.applications()
	}
	return c.results(p, later(in, after, p.limit), len(in))
}

// applications returns the names of the applications that are known, sorted: those that
// ask here as a service.
func (d *decider) applications() []string {
	var names []string
	for row := range d.snap.Users(identity.UserID{}, d.now) {
		if id, _ := row.Member.User(); row.Source == identity.Local && row.Status == identity.Active && d.is(id, []byte(kindService)) {
			names = append(names, row.Name)
		}
	}
	slices.Sort(names)
	return names
}

// later returns the first results after a position, and one more than a page has if
// there are more. all is sorted.
func later(all []string, after string, limit int) []string {
	at, found := slices.BinarySearch(all, after)
	if found && after != "" {
		at++
	}
	return all[at:min(len(all), at+limit+1)]
}

func named[T any](all []T, name func(T) string) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = name(v)
	}
	return out
}

// searchPage is one page of a search.
type searchPage struct {
	kind  string // of result: subject, resource, action
	query string // what a token belongs to
	limit int
}

// paged reads the page of a search and returns the key after which it begins.
func (c *accessCall) paged(kind string) (searchPage, string, error) {
	p := searchPage{kind: kind, limit: c.q.page.limit, query: "access " + kind + "\x00" + c.shape()}
	if p.limit == 0 {
		p.limit = defaultPage
	}
	q := PageQuery{PageToken: string(c.q.page.token)}
	after, err := q.after(p.query)
	return p, after, err
}

// shape is everything that must be the same in the request for a further page,
// however it is written.
func (c *accessCall) shape() string {
	var all strings.Builder
	for _, at := range c.q.shape {
		v := jsontext.Value(slices.Clone(c.body.Bytes()[at.from:at.to]))
		if len(v) > 0 && v.Canonicalize() != nil {
			v = nil // cannot be: it was read
		}
		all.Write(v)
		all.WriteByte(0)
	}
	return all.String()
}

// results writes a page of results, which may have one too many. total counts all.
func (c *accessCall) results(p searchPage, found []string, total int) error {
	shown, next := cut(found, p.limit, p.query, func(s string) string { return s })
	b := append(c.out, `{"page":{"next_token":"`...)
	b = append(append(b, next...), `","count":`...)
	b = append(strconv.AppendInt(b, int64(len(shown)), 10), `,"total":`...)
	b = append(strconv.AppendInt(b, int64(total), 10), `},"context":{`...)
	b = append(c.appendRevision(b), `},"results":[`...)
	for i, s := range shown {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.appendResult(b, p.kind, s)
	}
	c.out = append(b, `]}`...)
	return nil
}

// appendResult writes one result. The names of services are chosen by people.
func (c *accessCall) appendResult(b []byte, kind, s string) []byte {
	switch kind {
	case "subject":
		b = append(append(b, `{"type":"`...), c.q.subject.kind...)
		b = append(b, `","id":`...)
	case "resource":
		b = append(b, `{"type":"application","id":`...)
	default:
		b = append(b, `{"name":`...)
	}
	b, _ = jsontext.AppendQuote(b, s) // fails only for what is not UTF-8, which no name is
	return append(b, '}')
}
