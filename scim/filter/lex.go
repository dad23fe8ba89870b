package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// lexer walks over the text. Its methods leave pos behind what they took.
type lexer struct {
	text    string
	pos     int
	lenient bool
}

func (l *lexer) fail(at int, format string, args ...any) error {
	return &Error{At: at + 1, Text: fmt.Sprintf(format, args...)}
}

// peek returns the next byte, or 0 at the end. No text that is read has a zero byte
// outside of a string: it would not be a name.
func (l *lexer) peek() byte {
	if l.pos < len(l.text) {
		return l.text[l.pos]
	}
	return 0
}

func (l *lexer) blank(c byte) bool {
	return c == ' ' || l.lenient && (c == '\t' || c == '\r' || c == '\n')
}

// skip passes over blanks.
func (l *lexer) skip() {
	for l.pos < len(l.text) && l.blank(l.text[l.pos]) {
		l.pos++
	}
}

// word takes what stands up to a blank, a parenthesis, a bracket or a quote.
func (l *lexer) word() string {
	start := l.pos
	for l.pos < len(l.text) && !l.blank(l.text[l.pos]) && !strings.ContainsRune(`()[]"'`, rune(l.text[l.pos])) {
		l.pos++
	}
	return l.text[start:l.pos]
}

// bare takes a literal without quotes. Quotes within it are a part of it: O'Neil.
func (l *lexer) bare() string {
	start := l.pos
	for l.pos < len(l.text) && !l.blank(l.text[l.pos]) && !strings.ContainsRune(`()[]`, rune(l.text[l.pos])) {
		l.pos++
	}
	return l.text[start:l.pos]
}

// take takes c if it comes next.
func (l *lexer) take(c byte) bool {
	if l.peek() == c && l.pos < len(l.text) {
		l.pos++
		return true
	}
	return false
}

// literal takes the value of a comparison: RFC 7644 has those of JSON.
func (l *lexer) literal() (any, error) {
	start := l.pos
	switch c := l.peek(); {
	case l.pos == len(l.text):
		return nil, l.fail(start, "the value is missing")
	case c == '"' || c == '\'' && l.lenient:
		return l.quoted(c)
	}
	switch w := l.bare(); {
	case w == "true":
		return true, nil
	case w == "false":
		return false, nil
	case w == "null":
		return nil, nil
	case isNumber(w):
		return Number(w), nil
	case l.lenient && w != "":
		return w, nil
	default:
		return nil, l.fail(start, "the value has to be a string in double quotes, a number, true, false or null")
	}
}

// quoted takes a string of JSON, and undoes its escapes.
func (l *lexer) quoted(quote byte) (any, error) {
	start := l.pos
	l.pos++
	var b []byte
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		switch {
		case c == quote:
			l.pos++
			if next := l.peek(); l.pos < len(l.text) && !l.blank(next) && next != ')' && next != ']' {
				return nil, l.fail(l.pos, "a blank is missing behind the string")
			}
			return string(b), nil
		case c == '\\':
			var err error
			if b, err = l.escape(b, quote); err != nil {
				return nil, err
			}
			continue
		case c < ' ' && !l.lenient:
			return nil, l.fail(l.pos, "a control character has to be escaped")
		}
		b = append(b, c)
		l.pos++
	}
	return nil, l.fail(start, "the string does not end")
}

// escape undoes one escape: RFC 8259, section 7.
func (l *lexer) escape(b []byte, quote byte) ([]byte, error) {
	start := l.pos
	l.pos++
	c := l.peek()
	l.pos++
	switch c {
	case '"', '\\', '/':
		return append(b, c), nil
	case 'b':
		return append(b, '\b'), nil
	case 'f':
		return append(b, '\f'), nil
	case 'n':
		return append(b, '\n'), nil
	case 'r':
		return append(b, '\r'), nil
	case 't':
		return append(b, '\t'), nil
	case 'u':
		r, ok := l.hex()
		if ok && utf16.IsSurrogate(r) {
			low := rune(-1)
			if strings.HasPrefix(l.text[l.pos:], `\u`) {
				l.pos += 2
				low, ok = l.hex()
			}
			r = utf16.DecodeRune(r, low)
			ok = ok && r != utf8.RuneError
		}
		if ok {
			return utf8.AppendRune(b, r), nil
		}
	case '\'':
		if quote == '\'' {
			return append(b, c), nil
		}
	}
	return nil, l.fail(start, "this is not an escape of JSON")
}

func (l *lexer) hex() (rune, bool) {
	if l.pos+4 > len(l.text) {
		return 0, false
	}
	n, err := strconv.ParseUint(l.text[l.pos:l.pos+4], 16, 16)
	l.pos += 4
	return rune(n), err == nil
}

// isNumber reports whether s is a number of JSON: RFC 8259, section 6.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	rest := strings.TrimLeft(s, "0123456789")
	whole := s[:len(s)-len(rest)]
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	if after, ok := strings.CutPrefix(rest, "."); ok {
		rest = strings.TrimLeft(after, "0123456789")
		if len(rest) == len(after) {
			return false
		}
	}
	if rest == "" {
		return true
	}
	if rest[0]|0x20 != 'e' {
		return false
	}
	rest = rest[1:]
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		rest = rest[1:]
	}
	return rest != "" && strings.TrimLeft(rest, "0123456789") == ""
}
