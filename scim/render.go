package scim

import (
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/state"
)

// get is what GET of one resource does.
func (c *call) get() (*reply, error) {
	s := c.server.db.View().Now()
	p, err := c.find(s)
	if err != nil {
		return nil, err
	}
	tag := c.etag(s, c.kind, p)
	if none := c.header.Get("If-None-Match"); none != "" && etagIn(none, tag) {
		return &reply{status: http.StatusNotModified, etag: tag, at: c.base() + c.kind.typ.Endpoint + "/" + string(p.Key)}, nil
	}
	if want := c.header.Get("If-Match"); want != "" && !etagIn(want, tag) {
		return nil, refuse(http.StatusPreconditionFailed, "", "the resource has another version")
	}
	proj, err := c.projection(c.kind)
	if err != nil {
		return nil, err
	}
	v := c.viewOf(s, c.kind, proj)
	return &reply{status: http.StatusOK, etag: tag, at: v.location(p.Key), body: v.append(make([]byte, 0, len(p.Body)+512), p), id: c.id}, nil
}

// written returns the answer to a write: the resource as it is now.
func (c *call) written(key identity.Key, status int) (*reply, error) {
	s := c.server.db.View().Now()
	p, ok := c.endpoint.lookup(s, c.kind, key)
	if !ok || p.Gone {
		return nil, notFound(c.kind.typ.Name + " " + clip(string(key))) // taken away since
	}
	if c.spent != nil { // RFC 7644, section 3.7.3: the answer need not be in that of a bulk request
		return &reply{status: status, etag: c.etag(s, c.kind, p), id: string(key)}, nil
	}
	proj, err := c.projection(c.kind)
	if err != nil {
		return nil, err
	}
	v := c.viewOf(s, c.kind, proj)
	return &reply{status: status, etag: c.etag(s, c.kind, p), at: v.location(p.Key), body: v.append(make([]byte, 0, len(p.Body)+512), p), id: string(key)}, nil
}

// etag returns the version of a resource: RFC 7644, section 3.14. That of a user has a
// hash of the groups that his answer shows. The local layer does not move it.
func (c *call) etag(s *state.Snapshot, k *kind, p state.Pushed) string {
	b := append(make([]byte, 0, 40), `W/"`...)
	b = strconv.AppendInt(b, int64(p.Rev), 36)
	if k == c.endpoint.users {
		h := fnv.New32a()
		any := false
		for g := range s.OwnGroupsAt(c.endpoint.id, p.Handle) {
			q, _ := s.PushedGroupAt(c.endpoint.id, g)
			_, _ = h.Write([]byte(q.Key))
			_, _ = h.Write([]byte(q.Name))
			any = true
		}
		if any {
			b = append(b, '-')
			b = strconv.AppendUint(b, uint64(h.Sum32()), 36)
		}
	}
	return string(append(b, '"'))
}

// etagIn reports whether a list of versions, as If-Match has it, holds one.
func etagIn(list, tag string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	for one := range strings.SplitSeq(list, ",") {
		if opaque(one) == opaque(tag) {
			return true
		}
	}
	return false
}

// opaque is what of two versions is compared: all of ours are weak.
func opaque(tag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
}

// resourceView writes resources of one kind as answers show them.
type resourceView struct {
	c     *call
	s     *state.Snapshot
	kind  *kind
	proj  projection
	base  string // of locations, up to the id
	users string // as base, of users
	group string // as base, of groups
	value []byte // for a member that is projected
}

func (c *call) viewOf(s *state.Snapshot, k *kind, p projection) *resourceView {
	base := c.base()
	return &resourceView{c: c, s: s, kind: k, proj: p, base: base + k.typ.Endpoint + "/", users: base + "/Users/", group: base + "/Groups/"}
}

func (v *resourceView) location(key identity.Key) string { return v.base + string(key) }

// append adds a resource to an answer. What was stored is copied as it is, or what the
// projection leaves of it.
func (v *resourceView) append(b []byte, p state.Pushed) []byte {
	start := len(b)
	if v.proj.All() {
		b = append(b, p.Body...)
	} else {
		b = v.proj.Project(b, []byte(p.Body))
	}
	b = b[:len(b)-1]
	b = v.member(b, start, "id", func(b []byte) []byte { return schema.AppendString(b, string(p.Key)) })
	switch {
	case v.kind.own:
	case v.kind.group:
		b = v.member(b, start, "members", func(b []byte) []byte { return v.appendMembers(b, p) })
	default:
		b = v.member(b, start, "groups", func(b []byte) []byte { return v.appendGroups(b, p) })
	}
	b = v.member(b, start, "meta", func(b []byte) []byte { return v.appendMeta(b, p) })
	return append(b, '}')
}

// member adds what is not in the stored JSON, if it is wanted and there is any.
func (v *resourceView) member(b []byte, start int, name string, value func([]byte) []byte) []byte {
	if !v.proj.Wants(name) {
		return b
	}
	if v.proj.All() {
		end := len(b)
		b = append(append(append(b, `,"`...), name...), `":`...)
		named := len(b)
		if b = value(b); len(b) == named {
			return b[:end]
		}
		return b
	}
	v.value = value(v.value[:0])
	if len(v.value) == 0 {
		return b
	}
	return append(b[:start], v.proj.AppendMember(b[start:], name, v.value)...)
}

func (v *resourceView) appendMeta(b []byte, p state.Pushed) []byte {
	b = append(b, `{"resourceType":"`...)
	b = append(b, v.kind.typ.Name...)
	b = append(b, `","created":"`...)
	b = append(b, p.Created...)
	b = append(b, `","lastModified":"`...)
	b = append(b, p.Modified...)
	b = append(b, `","location":`...)
	b = v.appendURL(b, p.Key)
	b = append(b, `,"version":`...)
	b = schema.AppendString(b, v.c.etag(v.s, v.kind, p))
	return append(b, '}')
}

// appendURL adds where a resource is. Neither part needs an escape.
func (v *resourceView) appendURL(b []byte, key identity.Key) []byte {
	b = append(append(b, '"'), v.base...)
	return append(append(b, key...), '"')
}

// between adds a comma between the values of a list, or begins it.
func between(b []byte, first *bool) []byte {
	if *first {
		*first = false
		return append(b, '[')
	}
	return append(b, ',')
}

// appendMembers adds the members of a group: of each what identifies him, and his name
// where it may have been asked for, which the projection knows.
func (v *resourceView) appendMembers(b []byte, p state.Pushed) []byte {
	first := true
	named := v.proj.Projection != v.kind.plain
	for m, key := range v.s.OwnMembers(p.Handle) {
		kind, at := "User", v.users
		if m.IsGroup() {
			kind, at = "Group", v.group
		}
		b = append(append(between(b, &first), `{"value":"`...), key...)
		b = append(append(append(b, `","$ref":"`...), at...), key...)
		b = append(append(append(b, `","type":"`...), kind...), '"')
		if named {
			name := v.s.NameIn(v.c.endpoint.id, m)
			b = schema.AppendString(append(b, `,"display":`...), name)
		}
		b = append(b, '}')
	}
	for _, id := range p.Loose() {
		b = append(schema.AppendString(append(between(b, &first), `{"value":`...), id), '}')
	}
	if first {
		return b
	}
	return append(b, ']')
}

func (v *resourceView) appendGroups(b []byte, p state.Pushed) []byte {
	first := true
	for h := range v.s.OwnGroupsAt(v.c.endpoint.id, p.Handle) {
		g, ok := v.s.PushedGroupAt(v.c.endpoint.id, h)
		if !ok || g.Gone {
			continue
		}
		b = append(append(between(b, &first), `{"value":"`...), g.Key...)
		b = append(append(append(b, `","$ref":"`...), v.group...), g.Key...)
		b = schema.AppendString(append(b, `","display":`...), g.Name)
		b = append(b, `,"type":"direct"}`...)
	}
	if first {
		return b
	}
	return append(b, ']')
}
