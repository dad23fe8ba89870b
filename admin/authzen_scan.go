package admin

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deeply a request may nest. Its own shape needs four.
const maxDepth = 64

// manyNames is how many names of one object are compared one by one. Beyond it a map
// finds a name that comes twice, so that a large object costs no more than its size.
const manyNames = 24

// scan walks over the JSON of one request (RFC 8259, and of RFC 7493 that a text is
// valid UTF-8 and no name comes twice in an object). It copies nothing: a text is a
// part of the input unless it has escapes. Once something is wrong it stays so, and
// every further step finds the end.
type scan struct {
	in    []byte
	at    int
	bad   string // what is wrong, for the caller
	depth int
	names [][]byte // of the objects that are open, the innermost last
	wide  map[wideName]struct{}
	texts []byte // those that had escapes
}

// wideName is a name of an object with many; base tells the open objects apart.
type wideName struct {
	base int
	name string
}

func (s *scan) reset(in []byte) {
	clear(s.wide)
	*s = scan{in: in, names: s.names[:0], wide: s.wide, texts: s.texts[:0]}
}

func (s *scan) fail(what string) {
	if s.bad == "" {
		s.bad = what
	}
	s.at = len(s.in)
}

// peek returns the first byte of what comes next, 0 at the end.
func (s *scan) peek() byte {
	for s.at < len(s.in) {
		switch c := s.in[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// end finds that nothing more comes.
func (s *scan) end() {
	if s.peek() != 0 || s.at < len(s.in) {
		s.fail("something follows the JSON value")
	}
}

// enter goes into an object, or an array, and returns what member needs.
func (s *scan) enter() int {
	s.at++
	if s.depth++; s.depth > maxDepth {
		s.fail("the body nests too deeply")
	}
	return len(s.names)
}

// member returns the name of the object's next member, whose value comes next, or
// nil after the last.
func (s *scan) member(base int) []byte {
	first := len(s.names) == base
	switch c := s.peek(); {
	case s.bad != "":
		return nil
	case c == '}':
		s.leave(base)
		return nil
	case !first && c == ',':
		s.at++
		c = s.peek()
		fallthrough
	case first:
		if c == '"' {
			return s.name(base)
		}
	}
	s.fail("the body is not valid JSON")
	return nil
}

func (s *scan) name(base int) []byte {
	n := s.text()
	if s.peek() != ':' {
		s.fail("the body is not valid JSON")
	}
	if s.bad != "" {
		return nil
	}
	s.at++
	if s.known(base, n) {
		s.fail("the body has the same name twice in an object")
		return nil
	}
	s.names = append(s.names, n)
	return n
}

// known reports whether the object has the name already.
func (s *scan) known(base int, n []byte) bool {
	seen := s.names[base:]
	if len(seen) < manyNames {
		for _, o := range seen {
			if bytes.Equal(o, n) {
				return true
			}
		}
		return false
	}
	if s.wide == nil {
		s.wide = map[wideName]struct{}{}
	}
	if len(seen) == manyNames {
		for _, o := range seen {
			s.wide[wideName{base, string(o)}] = struct{}{}
		}
	}
	k := wideName{base, string(n)}
	_, ok := s.wide[k]
	s.wide[k] = struct{}{}
	return ok
}

// leave goes out of an object.
func (s *scan) leave(base int) {
	s.at++
	s.depth--
	if seen := s.names[base:]; len(seen) > manyNames {
		for _, o := range seen {
			delete(s.wide, wideName{base, string(o)})
		}
	}
	s.names = s.names[:base]
}

// element reports whether the array has a further element, which comes next. n is how
// many came before.
func (s *scan) element(n int) bool {
	c := s.peek()
	switch {
	case s.bad != "":
		return false
	case c == ']':
		s.at++
		s.depth--
		return false
	case n == 0:
		return true
	case c == ',':
		s.at++
		if s.peek() != ']' {
			return true
		}
	}
	s.fail("the body is not valid JSON")
	return false
}

// text reads a string. What comes next must begin like one.
func (s *scan) text() []byte {
	from := s.at + 1
	ascii := true
	for i := from; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			s.at = i + 1
			t := s.in[from:i:i]
			if !ascii && !utf8.Valid(t) {
				s.fail("the body is not valid UTF-8")
				return nil
			}
			return t
		case c == '\\':
			return s.escaped(from, i)
		case c < ' ':
			s.fail("a text in the body has a control character")
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.fail("the body ends within a text")
	return nil
}

// escaped reads a string that began at from and has its first escape at i.
func (s *scan) escaped(from, i int) []byte {
	start := len(s.texts)
	s.texts = append(s.texts, s.in[from:i]...)
	for i < len(s.in) {
		c := s.in[i]
		switch {
		case c == '"':
			s.at = i + 1
			t := s.texts[start:len(s.texts):len(s.texts)]
			if !utf8.Valid(t) {
				s.fail("the body is not valid UTF-8")
				return nil
			}
			return t
		case c < ' ':
			s.fail("a text in the body has a control character")
			return nil
		case c != '\\':
			s.texts = append(s.texts, c)
			i++
			continue
		}
		n := s.escape(i)
		if n == 0 {
			s.fail("a text in the body has an escape that JSON does not know")
			return nil
		}
		i += n
	}
	s.fail("the body ends within a text")
	return nil
}

// escape takes in the escape at i and returns how long it is, or 0 if it is none.
func (s *scan) escape(i int) int {
	if i+1 >= len(s.in) {
		return 0
	}
	switch c := s.in[i+1]; c {
	case '"', '\\', '/':
		s.texts = append(s.texts, c)
	case 'b':
		s.texts = append(s.texts, '\b')
	case 'f':
		s.texts = append(s.texts, '\f')
	case 'n':
		s.texts = append(s.texts, '\n')
	case 'r':
		s.texts = append(s.texts, '\r')
	case 't':
		s.texts = append(s.texts, '\t')
	case 'u':
		return s.unicode(i)
	default:
		return 0
	}
	return 2
}

// unicode takes in a \u escape, or two that stand for one character. Half of such a
// pair stands for nothing.
func (s *scan) unicode(i int) int {
	r, ok := s.hex(i)
	if !ok {
		return 0
	}
	n := 6
	if utf16.IsSurrogate(r) {
		low, ok := s.hex(i + 6)
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return 0
		}
		n = 12
	}
	s.texts = utf8.AppendRune(s.texts, r)
	return n
}

func (s *scan) hex(i int) (r rune, ok bool) {
	if i+6 > len(s.in) || s.in[i] != '\\' || s.in[i+1] != 'u' {
		return 0, false
	}
	for _, c := range s.in[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number and returns it as it stands there.
func (s *scan) number() []byte {
	from := s.at
	if s.in[s.at] == '-' {
		s.at++
	}
	switch {
	case s.at < len(s.in) && s.in[s.at] == '0':
		s.at++
	case !s.digits():
		s.fail("the body is not valid JSON")
		return nil
	}
	if s.at < len(s.in) && s.in[s.at] == '.' {
		if s.at++; !s.digits() {
			s.fail("the body is not valid JSON")
			return nil
		}
	}
	if s.at < len(s.in) && s.in[s.at]|0x20 == 'e' {
		if s.at++; s.at < len(s.in) && (s.in[s.at] == '+' || s.in[s.at] == '-') {
			s.at++
		}
		if !s.digits() {
			s.fail("the body is not valid JSON")
			return nil
		}
	}
	return s.in[from:s.at]
}

func (s *scan) digits() bool {
	from := s.at
	for s.at < len(s.in) && '0' <= s.in[s.at] && s.in[s.at] <= '9' {
		s.at++
	}
	return s.at > from
}

// skip reads a value of any kind.
func (s *scan) skip() {
	switch c := s.peek(); {
	case c == '{':
		for base := s.enter(); s.member(base) != nil; {
			s.skip()
		}
	case c == '[':
		s.enter()
		for n := 0; s.element(n); n++ {
			s.skip()
		}
	case c == '"':
		s.text()
	case c == '-' || '0' <= c && c <= '9':
		s.number()
	case !s.word("true") && !s.word("false") && !s.word("null"):
		s.fail("the body is not valid JSON")
	}
}

func (s *scan) word(w string) bool {
	if len(s.in)-s.at < len(w) || string(s.in[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}
