package scim

import (
	"bytes"
	"slices"
	"sync"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// verdicts remember what the library has let pass, by its shape. Whether the library
// takes a canonical body rests on which names stand in it, on what kind of value each of
// them has, on its schemas, on what operations do to what, and on the text of numbers,
// instants and binary values: of every other text it only asks whether it is one. So one user is like another to it, and asking again
// would cost as much as all else that is done with the body. It is asked about every
// shape that it has not let pass yet, and whenever there is an instant or a binary value;
// what it refuses is never remembered.
type verdicts struct {
	judged [][]byte // names of attributes whose text the library looks at, too

	mu     sync.RWMutex
	passed map[string]struct{} // guarded by mu
}

// Bounds of what is remembered of one resource type: half a megabyte. A provider has a
// few dozen shapes, and who makes up more of them only has the library asked.
const (
	maxShape  = 2 << 10
	maxShapes = 256
)

func newVerdicts(t *schema.ResourceType) *verdicts {
	v := &verdicts{passed: map[string]struct{}{}}
	lists := [][]*schema.Attribute{t.Core.Attributes}
	for _, x := range t.Extensions {
		lists = append(lists, x.Schema.Attributes)
	}
	for _, list := range lists {
		for _, a := range list {
			if isJudged(a) || slices.ContainsFunc(a.Sub, isJudged) {
				v.judged = append(v.judged, []byte(a.Name))
			}
		}
	}
	return v
}

func isJudged(a *schema.Attribute) bool { return a.Type == schema.DateTime || a.Type == schema.Binary }

// hasPassed reports whether the library has let a shape pass.
func (v *verdicts) hasPassed(shape []byte) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	_, ok := v.passed[string(shape)]
	return ok && shape != nil
}

// pass remembers that the library has let a shape pass; nil: there is none.
func (v *verdicts) pass(shape []byte) {
	if shape == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.passed) >= maxShapes {
		clear(v.passed)
	}
	v.passed[string(shape)] = struct{}{}
}

// shape returns a body, as schema.Encode or [dialect.Patch.Body] wrote it, without the
// texts that no verdict rests on; nil: the library has to see it.
func (v *verdicts) shape(method string, body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	s := shaper{shape: append(make([]byte, 0, 1<<10), method...)}
	for i := 0; i < len(body); i++ {
		if body[i] != '"' {
			s.sign(body[i])
			continue
		}
		end := i + schema.TextLen(body[i:])
		text := body[i:end]
		name := end < len(body) && body[end] == ':'
		if (name || s.told) && v.names(text) {
			return nil
		}
		if s.text(text, name); len(s.shape) > maxShape {
			return nil
		}
		i = end - 1
	}
	if len(s.shape) > maxShape {
		return nil
	}
	return s.shape
}

// shaper leaves texts out of a body.
type shaper struct {
	shape []byte
	told  bool // what comes next bears on the verdict
	list  bool // and so does all of the list that it stands in
}

func (s *shaper) sign(c byte) {
	s.list = s.list && c != ']' || s.told && c == '['
	s.told = s.told && c == ':' || s.list
	s.shape = append(s.shape, c)
}

func (s *shaper) text(text []byte, name bool) {
	if name || s.told {
		s.shape = append(s.shape, text...)
		s.told = name && bears(text) || s.list
		return
	}
	s.shape = append(s.shape, '"')
}

// bears reports whether the text of a member bears on the verdict: what a resource says
// it is, and what an operation does to what.
func bears(name []byte) bool {
	return string(name) == `"schemas"` || string(name) == `"op"` || string(name) == `"path"`
}

// names reports whether a name, or a path, may be one whose text the library looks at.
func (v *verdicts) names(text []byte) bool {
	return slices.ContainsFunc(v.judged, func(name []byte) bool { return bytes.Contains(text, name) })
}
