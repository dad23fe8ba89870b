package scim

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/state"
)

const (
	bulkRequestURN  = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	bulkResponseURN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

// bulkOp is one operation of a bulk request: RFC 7644, section 3.7.
type bulkOp struct {
	Method  string         `json:"method"`
	BulkID  string         `json:"bulkId"`
	Version string         `json:"version"`
	Path    string         `json:"path"`
	Data    jsontext.Value `json:"data"`

	needs []string // bulkIds of operations that come first
	of    string   // the id that the path names
	reply *reply
	done  bool
}

// bulk is what POST /Bulk does: operations in their order, but that one which refers to
// another by its bulkId comes after it.
func (c *call) bulk() (*reply, error) {
	ops, failOn, err := c.readBulk()
	if err != nil {
		return nil, err
	}
	order, circular := bulkOrder(ops)
	ids := map[string]string{} // by bulkId
	failures, spent := 0, 0
	for _, op := range order {
		if failOn > 0 && failures >= failOn {
			break
		}
		sub := c.subCall(op)
		sub.spent = &spent
		rep, err := sub.run(op, ids, circular[op])
		if err != nil {
			rep = c.server.failed(sub, err)
			failures++
		}
		c.notes = append(c.notes, sub.notes...)
		op.reply, op.done = rep, true
		if op.BulkID != "" && rep.status < http.StatusBadRequest {
			ids[op.BulkID] = rep.id
		}
	}
	return &reply{status: http.StatusOK, body: c.bulkBody(ops)}, nil
}

func (c *call) readBulk() ([]*bulkOp, int, error) {
	var in struct {
		Schemas    []string  `json:"schemas"`
		FailOn     int       `json:"failOnErrors"`
		Operations []*bulkOp `json:"Operations"`
	}
	if err := json.Unmarshal(c.body, &in, json.MatchCaseInsensitiveNames(true)); err != nil {
		return nil, 0, refuse(http.StatusBadRequest, "invalidSyntax", "the body is not a bulk request: "+wherein(err))
	}
	switch {
	case !slices.ContainsFunc(in.Schemas, func(s string) bool { return strings.EqualFold(s, bulkRequestURN) }):
		return nil, 0, refuse(http.StatusBadRequest, "invalidSyntax", "schemas does not name "+bulkRequestURN)
	case len(in.Operations) > maxOperations:
		return nil, 0, refuse(http.StatusRequestEntityTooLarge, "", "the request has more than "+itoa(maxOperations)+" operations")
	case in.FailOn < 0:
		return nil, 0, refuse(http.StatusBadRequest, "invalidValue", "failOnErrors is negative")
	}
	seen := map[string]bool{}
	for i, op := range in.Operations {
		if op == nil {
			return nil, 0, refuse(http.StatusBadRequest, "invalidSyntax", "operation "+itoa(i+1)+" is null")
		}
		op.Method = strings.ToUpper(op.Method)
		if op.BulkID != "" && seen[op.BulkID] {
			return nil, 0, refuse(http.StatusBadRequest, "invalidValue", "two operations have the bulkId "+clip(op.BulkID))
		}
		seen[op.BulkID] = true
		if len(op.Path) > maxURL {
			return nil, 0, refuse(http.StatusBadRequest, "invalidPath", "the path of operation "+itoa(i+1)+" is over the limit of "+itoa(maxURL)+" bytes")
		}
		op.needs = bulkRefs(op)
	}
	return in.Operations, in.FailOn, nil
}

// wherein says where a body is wrong without repeating any of it.
func wherein(err error) string {
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("it is not valid JSON at byte %d", s.ByteOffset)
	}
	if s, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Sprintf("a value is of the wrong type at byte %d", s.ByteOffset)
	}
	return "it cannot be read"
}

const bulkPrefix = "bulkId:"

// bulkRefs lists what an operation refers to by bulkId: in its path, and as any string
// of its data. Each is there once.
func bulkRefs(op *bulkOp) (refs []string) {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(op.Path, "/") {
		if id, ok := strings.CutPrefix(part, bulkPrefix); ok && !seen[id] {
			seen[id] = true
			refs = append(refs, id)
		}
	}
	_ = eachBulkRef(op.Data, func(id string) string {
		if !seen[id] {
			seen[id] = true
			refs = append(refs, id)
		}
		return ""
	})
	return refs
}

// eachBulkRef copies JSON with every string "bulkId:x" replaced by what is returned for
// x, if that is anything.
func eachBulkRef(data []byte, of func(id string) string) []byte {
	if !bytes.Contains(data, []byte(bulkPrefix)) {
		return data
	}
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out)
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
		}
		if tok.Kind() == '"' {
			if id, ok := strings.CutPrefix(tok.String(), bulkPrefix); ok {
				if to := of(id); to != "" {
					tok = jsontext.String(to)
				}
			}
		}
		if enc.WriteToken(tok) != nil {
			return data
		}
	}
}

// bulkOrder puts what is referred to first, and keeps the order otherwise. What refers
// to itself in a circle, or to what does, cannot be ordered.
func bulkOrder(ops []*bulkOp) (order []*bulkOp, circular map[*bulkOp]bool) {
	o := ordering{byID: map[string]*bulkOp{}, seen: map[*bulkOp]bool{}, circular: map[*bulkOp]bool{}}
	for _, op := range ops {
		if op.BulkID != "" {
			o.byID[op.BulkID] = op
		}
	}
	for _, op := range ops {
		o.place(op)
	}
	return o.order, o.circular
}

type ordering struct {
	byID     map[string]*bulkOp
	seen     map[*bulkOp]bool // true: and placed
	order    []*bulkOp
	circular map[*bulkOp]bool
}

// place places an operation behind those that it refers to. It goes as deep as there
// are operations.
func (o *ordering) place(op *bulkOp) {
	if _, seen := o.seen[op]; seen {
		return
	}
	o.seen[op] = false
	for _, id := range op.needs {
		first := o.byID[id]
		if first == nil {
			continue
		}
		o.place(first)
		if !o.seen[first] || o.circular[first] {
			o.circular[op] = true
		}
	}
	o.seen[op] = true
	o.order = append(o.order, op)
}

// subCall is the call that one operation makes.
func (c *call) subCall(op *bulkOp) *call {
	sub := &call{
		server: c.server, endpoint: c.endpoint, r: c.r, began: c.began, request: c.request, token: c.token,
		method: op.Method, query: url.Values{}, header: http.Header{}, body: op.Data,
	}
	if op.Version != "" {
		sub.header.Set("If-Match", op.Version)
	}
	return sub
}

// maxSpent bounds what the operations of one bulk request look at: those of PATCHes,
// times bytes of the resource.
const maxSpent = 64 << 20

// spend counts what an operation of a bulk request looks at. A PATCH by itself is
// counted where it is applied.
func (c *call) spend(p state.Pushed) error {
	if c.spent == nil {
		return nil
	}
	n := 1
	if in, ok := c.input.(*dialect.Patch); ok {
		n = len(in.Ops) + 1000*len(in.Members.Matching)
	}
	if *c.spent += n * len(p.Body); *c.spent > maxSpent {
		return refuse(http.StatusRequestEntityTooLarge, "tooMany", "this operation and those before it look at too much: send it in another request")
	}
	return nil
}

// run carries an operation out.
func (c *call) run(op *bulkOp, ids map[string]string, circular bool) (*reply, error) {
	if circular {
		return nil, refuse(http.StatusConflict, "", "the operation refers by bulkId to one that refers to it: create one of them first and add the other by PATCH")
	}
	for _, id := range op.needs {
		if ids[id] == "" {
			return nil, refuse(http.StatusConflict, "", "the operation refers to bulkId "+clip(id)+", which no operation has created")
		}
	}
	c.body = eachBulkRef(op.Data, func(id string) string { return ids[id] })
	parts := strings.Split(op.Path, "/")
	for i, p := range parts {
		if id, ok := strings.CutPrefix(p, bulkPrefix); ok {
			parts[i] = ids[id]
		}
	}
	path := strings.Join(parts, "/")
	if err := c.locate(path); err != nil {
		return nil, err
	}
	op.of = c.id
	switch {
	case !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, op.Method):
		return nil, refuse(http.StatusBadRequest, "invalidValue", "the method of an operation is POST, PUT, PATCH or DELETE")
	case c.kind == nil || strings.HasSuffix(c.path, "/.search"):
		return nil, refuse(http.StatusBadRequest, "invalidPath", "the path of an operation is that of a resource, such as /Users")
	case op.Method == http.MethodPost && op.BulkID == "":
		return nil, refuse(http.StatusBadRequest, "invalidValue", "an operation that creates needs a bulkId")
	case op.Method != http.MethodDelete && len(op.Data) == 0:
		return nil, refuse(http.StatusBadRequest, "invalidSyntax", "the operation has no data")
	}
	return c.do()
}

// bulkBody writes the answer: RFC 7644, section 3.7.3. What was not tried is not in it.
func (c *call) bulkBody(ops []*bulkOp) []byte {
	b := []byte(`{"schemas":["` + bulkResponseURN + `"],"Operations":[`)
	first := true
	for _, op := range ops {
		if !op.done {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = schema.AppendString(append(b, `{"method":`...), op.Method)
		if op.BulkID != "" {
			b = schema.AppendString(append(b, `,"bulkId":`...), op.BulkID)
		}
		if op.reply.etag != "" {
			b = schema.AppendString(append(b, `,"version":`...), op.reply.etag)
		}
		if at := c.bulkLocation(op); at != "" {
			b = schema.AppendString(append(b, `,"location":`...), at)
		}
		b = append(append(b, `,"status":"`...), itoa(op.reply.status)...)
		b = append(b, '"')
		if op.reply.status >= http.StatusBadRequest {
			b = append(append(b, `,"response":`...), op.reply.body...)
		}
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

// bulkLocation says where the resource of an operation is. Only a failed POST has none:
// RFC 7644, section 3.7.
func (c *call) bulkLocation(op *bulkOp) string {
	name, _, _ := strings.Cut(strings.Trim(op.Path, "/"), "/")
	k, id := c.endpoint.kindAt(name), cmp.Or(op.reply.id, op.of)
	if k == nil || id == "" {
		return ""
	}
	return c.base() + k.typ.Endpoint + "/" + id
}
