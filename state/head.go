package state

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
)

// objectHead is the part of a stored object that the view looks at.
type objectHead struct {
	V        int               `json:"v"`
	Source   identity.SourceID `json:"src"`
	Key      identity.Key      `json:"key"`
	Name     string            `json:"name"`
	Hash     hash64            `json:"hash"`
	Disabled identity.Reason   `json:"off"`
	Expires  time.Time         `json:"exp"`
	Missing  time.Time         `json:"gone"`
	Members  generation        `json:"mem"`
	Terms    []string          `json:"terms"`
	Size     int               `json:"size"`
}

// head reads what the view looks at; of what is gone there is nothing. Its texts share
// memory with raw, where they stand in it as they are.
func (e *editor) head(key, raw string) (objectHead, error) {
	if raw == "" {
		return objectHead{}, nil
	}
	head, ok := scanHead(raw)
	if !ok {
		head = objectHead{}
		if err := json.Unmarshal([]byte(raw), &head); err != nil {
			return head, fmt.Errorf("stored value of %s: %w", key, err)
		}
		head.Key = identity.Key(alias(raw, string(head.Key)))
		head.Name = alias(raw, head.Name)
	}
	if head.V > format {
		return head, newerValue(key, head.V)
	}
	head.Source = intern(e.names, head.Source)
	if !slices.Contains(e.owners, head.Source) {
		e.owners = append(slices.Clip(e.owners), head.Source)
	}
	head.Disabled = intern(e.reasons, head.Disabled)
	return head, nil
}

func newerValue(key string, v int) error {
	return fmt.Errorf("stored value of %s has format %d, this version knows up to %d", key, v, format)
}

// scanHead reads the head of an object in the form in which this version writes it,
// which is nearly every object there is: a tenth of the work of decoding it. It
// reports false for any other form, that is when a field of the head stands, or may
// stand, elsewhere. It does not look at whether the rest is JSON, which it was when it
// was written.
func scanHead(raw string) (h objectHead, ok bool) {
	s := scanner{raw: raw, ok: true}
	s.want(`{"v":`)
	h.V = int(s.number())
	s.want(`,"src":`)
	h.Source = identity.SourceID(s.text())
	s.want(`,"key":`)
	h.Key = identity.Key(s.text())
	s.want(`,"name":`)
	h.Name = s.text()
	if s.have(`,"hash":`) {
		s.unmarshal(&h.Hash)
	}
	if s.have(`,"off":`) {
		h.Disabled = identity.Reason(s.text())
	}
	if s.have(`,"exp":`) {
		s.unmarshal(&h.Expires)
	}
	if s.have(`,"gone":`) {
		s.unmarshal(&h.Missing)
	}
	if s.have(`,"mem":{"gen":`) {
		h.Members.Gen = s.number()
		s.want(`,"n":`)
		h.Members.Buckets = s.number()
		s.want(`}`)
	}
	if s.have(`,"terms":[`) {
		h.Terms = s.list()
	}
	if s.have(`,"size":`) {
		h.Size = int(s.number())
	}
	body, ok := bodyAt(raw, h.Size)
	s.ok = s.ok && ok && body >= s.at
	if !s.ok || !strings.HasSuffix(raw, "}") || !utf8.ValidString(raw) {
		return h, false
	}
	rest := raw[s.at:body]
	for _, name := range [...]string{`"v"`, `"src"`, `"key"`, `"name"`, `"hash"`, `"off"`, `"exp"`, `"gone"`, `"mem"`, `"terms"`, `"size"`, `\u`} {
		if strings.Contains(rest, name) {
			return h, false
		}
	}
	return h, true
}

// body returns the size of a body that stands where it is written, else 0.
func (h *objectHead) body(raw string) uint32 {
	if _, ok := bodyAt(raw, h.Size); !ok {
		return 0
	}
	return uint32(h.Size)
}

// termsOf returns the terms of a stored object.
func termsOf(raw string) []string {
	const name = `,"terms":[` // within a string its quotes would be escaped
	at := strings.Index(raw, name)
	if at < 0 {
		return nil
	}
	s := scanner{raw: raw, at: at + len(name), ok: true}
	if list := s.list(); s.ok {
		return list
	}
	var h objectHead
	if json.Unmarshal([]byte(raw), &h) != nil {
		return nil
	}
	return h.Terms
}

// bodyAt returns where the body of a push stands in its object, which is at the end:
// what it says is nobody's business here. Without a body it is the end itself.
func bodyAt(raw string, size int) (int, bool) {
	const name = `,"raw":`
	at := len(raw) - 1 - size
	if size == 0 {
		return max(at, 0), true
	}
	return at, at > len(name) && raw[at-len(name):at] == name
}

// scanner walks over JSON without white space. Once it is not ok it stays so.
type scanner struct {
	raw string
	at  int
	ok  bool
}

func (s *scanner) have(literal string) bool {
	if !s.ok || len(s.raw)-s.at < len(literal) || s.raw[s.at:s.at+len(literal)] != literal {
		return false
	}
	s.at += len(literal)
	return true
}

func (s *scanner) want(literal string) { s.ok = s.have(literal) }

func (s *scanner) number() uint32 {
	end := s.at
	for end < len(s.raw) && s.raw[end] >= '0' && s.raw[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(s.raw[s.at:end], 10, 32)
	s.at, s.ok = end, s.ok && err == nil
	return uint32(n)
}

// text reads a string that stands for itself.
func (s *scanner) text() string {
	if !s.have(`"`) {
		s.ok = false
		return ""
	}
	n := 0
	for s.at+n < len(s.raw) && s.raw[s.at+n] != '"' && s.raw[s.at+n] != '\\' && s.raw[s.at+n] >= ' ' {
		n++
	}
	t := s.raw[s.at : s.at+n]
	s.at += n
	s.want(`"`)
	return t
}

// list reads the rest of a list of strings that stand for themselves.
func (s *scanner) list() (list []string) {
	for s.ok && !s.have(`]`) {
		if len(list) > 0 {
			s.want(`,`)
		}
		list = append(list, s.text())
	}
	return list
}

func (s *scanner) unmarshal(to interface{ UnmarshalText([]byte) error }) {
	t := s.text()
	s.ok = s.ok && to.UnmarshalText([]byte(t)) == nil
}
