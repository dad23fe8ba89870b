package filter

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// Parse reads a filter. Its error is an [*Error].
func Parse(text string, o Options) (Expr, error) {
	p, err := newParser(text, o)
	if err != nil {
		return nil, err
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.lenient {
		p.skip()
	}
	if p.pos < len(text) {
		return nil, p.unexpected("and, or, or the end")
	}
	return e, nil
}

// ParsePath reads a path of PATCH. Its error is an [*Error].
func ParsePath(text string, o Options) (Path, error) {
	p, err := newParser(text, o)
	if err != nil {
		return Path{}, err
	}
	start := p.pos
	path, err := p.path()
	if err != nil {
		return Path{}, err
	}
	if p.take('[') {
		if path.Attr == "" || path.Sub != "" {
			return Path{}, p.fail(start, "the filter in brackets belongs behind an attribute, not a schema or a sub-attribute")
		}
		if path.Filter, err = p.bracket(); err != nil {
			return Path{}, err
		}
		if path.Sub, err = p.subOfValues(); err != nil {
			return Path{}, err
		}
	}
	if p.lenient {
		p.skip()
	}
	if p.pos < len(text) {
		return Path{}, p.unexpected("the end of the path")
	}
	return path, nil
}

// parser reads by recursive descent. Only a parenthesis or a bracket makes it recurse,
// and those are counted.
type parser struct {
	lexer
	o      Options
	depth  int
	terms  int
	inside bool // brackets
}

func newParser(text string, o Options) (*parser, error) {
	o = o.withDefaults()
	p := &parser{lexer: lexer{text: text, lenient: o.Lenient}, o: o}
	if len(text) > o.MaxLength {
		return nil, p.fail(o.MaxLength, "it is longer than %d bytes", o.MaxLength)
	}
	if !utf8.ValidString(text) {
		return nil, &Error{Text: "it is not UTF-8"}
	}
	if p.lenient {
		p.skip()
	}
	if p.pos == len(text) {
		return nil, p.fail(0, "it is empty")
	}
	return p, nil
}

func (p *parser) unexpected(want string) error {
	if p.pos == len(p.text) {
		return p.fail(p.pos, "it ends where %s is expected", want)
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	return p.fail(p.pos, "%q stands where %s is expected", r, want)
}

// or reads terms with or between them: FILTER of the RFC, by precedence.
func (p *parser) or() (Expr, error) {
	var terms []Expr
	for {
		e, err := p.and()
		if err != nil {
			return nil, err
		}
		if in, ok := e.(Or); ok {
			terms = append(terms, in.Terms...)
		} else {
			terms = append(terms, e)
		}
		if !p.keyword("or") {
			break
		}
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return Or{terms}, nil
}

// and reads terms with and between them.
func (p *parser) and() (Expr, error) {
	var terms []Expr
	for {
		e, err := p.term()
		if err != nil {
			return nil, err
		}
		if in, ok := e.(And); ok {
			terms = append(terms, in.Terms...)
		} else {
			terms = append(terms, e)
		}
		if !p.keyword("and") {
			break
		}
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return And{terms}, nil
}

// keyword takes blanks and the word, in any case, and the blanks behind it. It takes
// nothing if something else comes next.
func (p *parser) keyword(want string) bool {
	start := p.pos
	p.skip()
	if w := p.word(); len(w) == len(want) && strings.EqualFold(w, want) {
		p.skip()
		return true
	}
	p.pos = start
	return false
}

// term reads what and and or stand between.
func (p *parser) term() (Expr, error) {
	start := p.pos
	if p.take('(') {
		return p.group(start)
	}
	if p.keyword("not") {
		if open := p.pos; p.take('(') {
			e, err := p.group(open)
			return Not{e}, err
		}
		p.pos = start // an attribute may be called not
	}
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	if !p.take('[') {
		return p.comparison(start, path)
	}
	if path.Attr == "" || path.Sub != "" {
		return nil, p.fail(start, "the filter in brackets belongs behind an attribute, not a schema or a sub-attribute")
	}
	return p.valuePath(path)
}

// group reads the rest of what began with a parenthesis.
func (p *parser) group(open int) (Expr, error) {
	if err := p.deeper(open); err != nil {
		return nil, err
	}
	p.skip()
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	p.skip()
	if !p.take(')') {
		return nil, p.unexpected("and, or, or a closing parenthesis")
	}
	p.depth--
	return e, nil
}

func (p *parser) deeper(at int) error {
	if p.depth++; p.depth > p.o.MaxDepth {
		return p.fail(at, "it is nested deeper than %d levels", p.o.MaxDepth)
	}
	return nil
}

// bracket reads the filter in brackets, and the closing one.
func (p *parser) bracket() (Expr, error) {
	if p.inside {
		return nil, p.fail(p.pos-1, "brackets cannot stand within brackets")
	}
	if err := p.deeper(p.pos - 1); err != nil {
		return nil, err
	}
	p.inside = true
	p.skip()
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	p.skip()
	if !p.take(']') {
		return nil, p.unexpected("and, or, or a closing bracket")
	}
	p.inside = false
	p.depth--
	return e, nil
}

// valuePath reads the rest of emails[…], and the comparison that may follow .value.
func (p *parser) valuePath(path Path) (Expr, error) {
	e, err := p.bracket()
	if err != nil {
		return nil, err
	}
	dot := p.pos
	sub, err := p.subOfValues()
	if err != nil || sub == "" {
		return ValuePath{path, e}, err
	}
	last, err := p.comparison(dot, Path{Attr: sub})
	if err != nil {
		return nil, err
	}
	terms := []Expr{e}
	if all, ok := e.(And); ok {
		terms = slices.Clip(all.Terms)
	}
	return ValuePath{path, And{append(terms, last)}}, nil
}

// subOfValues reads .value behind brackets, if it is there.
func (p *parser) subOfValues() (string, error) {
	if !p.take('.') {
		return "", nil
	}
	at := p.pos
	sub := p.word()
	if !schema.IsName(sub) {
		return "", p.fail(at, "%q is not the name of a sub-attribute", sub)
	}
	return sub, nil
}

// comparison reads an operator and, but for pr, a literal.
func (p *parser) comparison(start int, path Path) (Expr, error) {
	if p.terms++; p.terms > p.o.MaxTerms {
		return nil, p.fail(start, "it has more than %d comparisons", p.o.MaxTerms)
	}
	if !p.blank(p.peek()) {
		return nil, p.unexpected("a blank and an operator")
	}
	p.skip()
	at := p.pos
	word := p.word()
	if len(word) == 2 && strings.EqualFold(word, "pr") {
		return Present{path}, nil
	}
	op := slices.IndexFunc(ops[:], func(o string) bool { return len(word) == 2 && strings.EqualFold(o, word) })
	if op < 0 {
		return nil, p.fail(at, "%q is none of the operators eq, ne, co, sw, ew, gt, ge, lt, le and pr", word)
	}
	if path.Attr == "" {
		path = p.attributeOf(path)
	}
	if p.pos < len(p.text) && !p.blank(p.peek()) {
		return nil, p.unexpected("a blank and a value")
	}
	p.skip()
	v, err := p.literal()
	if err != nil {
		return nil, err
	}
	return Compare{path, Op(op), v}, nil
}

// attributeOf takes the last part of what looked like a schema for an attribute: only
// attributes are compared.
func (p *parser) attributeOf(path Path) Path {
	if t := p.o.Type; t != nil {
		if _, known := t.Resolve(path.URN, "", ""); known {
			return path
		}
	}
	i := strings.LastIndexByte(path.URN, ':')
	if name := path.URN[i+1:]; schema.IsName(name) {
		return Path{URN: path.URN[:i], Attr: name}
	}
	return path
}

// path reads [URN:]attribute[.sub-attribute], or a URN alone.
func (p *parser) path() (Path, error) {
	start := p.pos
	word := p.word()
	if word == "" {
		return Path{}, p.unexpected("the name of an attribute")
	}
	split := schema.SplitURN
	if p.o.Type != nil {
		split = p.o.Type.SplitURN
	}
	urn, rest := split(word)
	if strings.HasSuffix(word, ":") || urn != "" && !strings.Contains(urn, ":") {
		return Path{}, p.fail(start, "%q is neither an attribute nor a URN", word)
	}
	if p.peek() == '[' && rest == "" {
		return p.attributeOf(Path{URN: urn}), nil
	}
	if rest == "" && urn != "" {
		return Path{URN: urn}, nil
	}
	attr, sub, dotted := strings.Cut(rest, ".")
	if urn == "" && word[0] == ':' || !schema.IsName(attr) || dotted && !schema.IsName(sub) {
		return Path{}, p.fail(start, "%q is not the name of an attribute", word)
	}
	return Path{URN: urn, Attr: attr, Sub: sub}, nil
}
