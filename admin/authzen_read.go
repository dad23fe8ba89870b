package admin

import (
	"strconv"

	"github.com/rollcall-id/rollcall/store"
)

// entity is a subject or a resource. A text that was not given is nil.
type entity struct {
	given    bool
	kind, id []byte
}

// authzenQuery is what is asked: all of it in a single evaluation, the default in a
// request with several, or one of those.
type authzenQuery struct {
	subject, resource entity
	acts              bool // an action was given
	action            []byte
	hasContext        bool
	minRevision       store.Revision
	wrong             string // the first thing with a wrong type
}

// The semantics of several evaluations.
type semantic uint8

const (
	executeAll semantic = iota
	denyOnFirstDeny
	permitOnFirstPermit
)

// page is how a search is asked for.
type authzenPage struct {
	token []byte
	limit int
}

// authzenRequest is a request to any of the endpoints. Its texts share memory with
// the body.
type authzenRequest struct {
	authzenQuery // the question, or what holds for all evaluations that do not say otherwise
	items        []authzenQuery
	semantic     semantic
	page         authzenPage
	// shape is where the members that make up a search stand in the body.
	shape [4]span
}

type span struct{ from, to int }

// maxEvaluations is how many evaluations one request may have.
const maxEvaluations = 1000

// read reads a request. What is no JSON, or has the same name twice, is said by the
// scan; what has a wrong type, by the question that has it.
func (q *authzenRequest) read(s *scan) {
	*q = authzenRequest{items: q.items[:0]}
	if s.peek() != '{' {
		if s.skip(); s.bad == "" {
			s.end()
		}
		s.fail("the body must be a JSON object")
		return
	}
	base := s.enter()
	for name := s.member(base); name != nil; name = s.member(base) {
		at := s.at
		switch string(name) {
		case "subject":
			q.readMember(s, name)
			q.shape[0] = span{at, s.at}
		case "action":
			q.readMember(s, name)
			q.shape[1] = span{at, s.at}
		case "resource":
			q.readMember(s, name)
			q.shape[2] = span{at, s.at}
		case "context":
			q.readMember(s, name)
			q.shape[3] = span{at, s.at}
		case "evaluations":
			q.readItems(s)
		case "options":
			q.readOptions(s)
		case "page":
			q.readPage(s)
		default:
			s.skip()
		}
	}
	s.end()
}

// blame remembers the first thing that is wrong.
func (q *authzenQuery) blame(what string) {
	if q.wrong == "" {
		q.wrong = what
	}
}

// readMember reads a member that both a request and one of its evaluations may have.
func (q *authzenQuery) readMember(s *scan, name []byte) {
	switch string(name) {
	case "subject":
		q.subject.given = true
		q.readEntity(s, &q.subject, "subject must be an object", "subject.type must be a string", "subject.id must be a string", "subject.properties must be an object")
	case "resource":
		q.resource.given = true
		q.readEntity(s, &q.resource, "resource must be an object", "resource.type must be a string", "resource.id must be a string", "resource.properties must be an object")
	case "action":
		q.acts = true
		q.readAction(s)
	case "context":
		q.hasContext = true
		q.readContext(s)
	default:
		s.skip()
	}
}

// object goes into an object; for anything else it says what is wrong and reads over it.
func (q *authzenQuery) object(s *scan, wrong string) (base int, ok bool) {
	if s.peek() != '{' {
		q.blame(wrong)
		s.skip()
		return 0, false
	}
	return s.enter(), true
}

func (q *authzenQuery) text(s *scan, wrong string) []byte {
	if s.peek() != '"' {
		q.blame(wrong)
		s.skip()
		return nil
	}
	return s.text()
}

// properties are read over: what a caller says about somebody gives nobody anything.
func (q *authzenQuery) properties(s *scan, wrong string) {
	if s.peek() != '{' {
		q.blame(wrong)
	}
	s.skip()
}

func (q *authzenQuery) readEntity(s *scan, e *entity, wrong, wrongType, wrongID, wrongProperties string) {
	base, ok := q.object(s, wrong)
	if !ok {
		return
	}
	for name := s.member(base); name != nil; name = s.member(base) {
		switch string(name) {
		case "type":
			e.kind = q.text(s, wrongType)
		case "id":
			e.id = q.text(s, wrongID)
		case "properties":
			q.properties(s, wrongProperties)
		default:
			s.skip()
		}
	}
}

func (q *authzenQuery) readAction(s *scan) {
	base, ok := q.object(s, "action must be an object")
	if !ok {
		return
	}
	for name := s.member(base); name != nil; name = s.member(base) {
		switch string(name) {
		case "name":
			q.action = q.text(s, "action.name must be a string")
		case "properties":
			q.properties(s, "action.properties must be an object")
		default:
			s.skip()
		}
	}
}

func (q *authzenQuery) readContext(s *scan) {
	base, ok := q.object(s, "context must be an object")
	if !ok {
		return
	}
	for name := s.member(base); name != nil; name = s.member(base) {
		if string(name) != "min_revision" {
			s.skip()
			continue
		}
		n, ok := q.whole(s)
		if !ok {
			q.blame("context.min_revision must be a whole number of 0 or more")
		}
		q.minRevision = store.Revision(n)
	}
}

// whole reads a number of 0 or more without a fraction.
func (q *authzenQuery) whole(s *scan) (int64, bool) {
	if c := s.peek(); c < '0' || c > '9' {
		s.skip()
		return 0, false
	}
	n, err := strconv.ParseInt(string(s.number()), 10, 64)
	if err != nil {
		return 0, false
	}
	return n, true
}

func (q *authzenRequest) readItems(s *scan) {
	if s.peek() != '[' {
		q.blame("evaluations must be an array")
		s.skip()
		return
	}
	s.enter()
	for n := 0; s.element(n); n++ {
		if n == maxEvaluations {
			s.fail("a request may have 1000 evaluations")
			return
		}
		q.items = append(q.items, authzenQuery{})
		q.items[n].readItem(s)
	}
}

func (q *authzenQuery) readItem(s *scan) {
	base, ok := q.object(s, "an evaluation must be an object")
	if !ok {
		return
	}
	for name := s.member(base); name != nil; name = s.member(base) {
		q.readMember(s, name)
	}
}

func (q *authzenRequest) readOptions(s *scan) {
	base, ok := q.object(s, "options must be an object")
	if !ok {
		return
	}
	for name := s.member(base); name != nil; name = s.member(base) {
		if string(name) != "evaluations_semantic" {
			s.skip()
			continue
		}
		switch string(q.text(s, "")) {
		case "execute_all":
			q.semantic = executeAll
		case "deny_on_first_deny":
			q.semantic = denyOnFirstDeny
		case "permit_on_first_permit":
			q.semantic = permitOnFirstPermit
		default:
			q.blame("options.evaluations_semantic must be execute_all, deny_on_first_deny or permit_on_first_permit")
		}
	}
}

func (q *authzenRequest) readPage(s *scan) {
	base, ok := q.object(s, "page must be an object")
	if !ok {
		return
	}
	for name := s.member(base); name != nil; name = s.member(base) {
		switch string(name) {
		case "token":
			q.page.token = q.text(s, "page.token must be a string")
		case "limit":
			n, ok := q.whole(s)
			if !ok || n == 0 {
				q.blame("page.limit must be a whole number of 1 or more")
			}
			q.page.limit = int(min(n, largestPage))
		case "properties":
			q.properties(s, "page.properties must be an object")
		default:
			s.skip()
		}
	}
}

// under fills what was not given from the defaults. An entity is taken whole: its
// parts are not put together from both.
func (q *authzenQuery) under(d *authzenQuery) {
	if !q.subject.given {
		q.subject = d.subject
	}
	if !q.resource.given {
		q.resource = d.resource
	}
	if !q.acts {
		q.acts, q.action = d.acts, d.action
	}
	if !q.hasContext {
		q.minRevision = d.minRevision
	}
}

// part is a part of a question that must be there.
type part uint8

const (
	partSubject part = 1 << iota
	partSubjectID
	partAction
	partResource
	partResourceID
)

const wholeQuestion = partSubject | partSubjectID | partAction | partResource | partResourceID

// lacks says what is wrong with the question or missing from it; "" for nothing.
func (q *authzenQuery) lacks(needed part) string {
	if q.wrong != "" {
		return q.wrong
	}
	for _, m := range [...]struct {
		part  part
		there bool
		what  string
	}{
		{partSubject, q.subject.given, "subject is required"},
		{partSubject, q.subject.kind != nil, "subject.type is required"},
		{partSubjectID, q.subject.id != nil, "subject.id is required"},
		{partAction, q.acts, "action is required"},
		{partAction, q.action != nil, "action.name is required"},
		{partResource, q.resource.given, "resource is required"},
		{partResource, q.resource.kind != nil, "resource.type is required"},
		{partResourceID, q.resource.id != nil, "resource.id is required"},
	} {
		if needed&m.part != 0 && !m.there {
			return m.what
		}
	}
	return ""
}
