package ldap

import (
	"strings"
	"testing"
)

// TestWhatIsWrongWithAnExpressionIsFoundAtLoad has one mistake at a time.
func TestWhatIsWrongWithAnExpressionIsFoundAtLoad(t *testing.T) {
	c, err := newCompiler()
	if err != nil {
		t.Fatal(err)
	}
	for expression, want := range map[string]string{
		`first(attr('cn')`:                     "1:17: syntax:",
		"first(\n  attr('cn')) +":              "2:",
		`upper('a')`:                           "1:6: undeclared reference to 'upper'",
		`mail`:                                 "1:1: undeclared reference to 'mail'",
		`first('a')`:                           "1:6: found no matching overload for 'first' applied to '(string)'",
		`first(attr('cn')) + 1`:                "found no matching overload for '_+_'",
		`attr(dn)`:                             "1:6: attr takes the name of an attribute in quotes",
		`attr('a' + 'b')`:                      "attr takes the name of an attribute in quotes",
		`attr()`:                               "attr takes the name of one attribute",
		`raw('a', 'b')`:                        "raw takes the name of one attribute",
		`attr('x y')`:                          `1:6: "x y" is no attribute name`,
		`attr('userPassword')`:                 "1:6: userPassword holds passwords or keys, which are never read",
		`string(first(raw('UNICODEPWD')))`:     "never read",
		`attr('*')`:                            "no attribute name",
		`attr('cn;lang-de')`:                   "no attribute name",
		`size(attr('cn'))`:                     "the expression gives int, and string or list(string) is needed here",
		`[1]`:                                  "the expression gives list(int)",
		`dyn(first(attr('cn')))`:               "a value of the type dyn",
		`['a', 1]`:                             "a value of the type list(dyn)",
		`null`:                                 "a value of the type null",
		`raw('cn')`:                            "the expression gives list(bytes)",
		`attr('cn').filter(v, v.matches(dn))`:  "matches takes regular expressions and replacements in quotes only",
		`regexReplace('a', dn, 'b')`:           "regexReplace takes regular expressions and replacements in quotes only",
		`regexReplace('a', 'b', dn)`:           "regexReplace takes regular expressions and replacements in quotes only",
		`regexReplace('a', '(', 'b')`:          "missing closing )",
		`attr('cn').filter(v, v.matches('['))`: "missing closing ]",
		`regexReplace('a', '(a{30}){30}', '')`: "is too large",
		`string(timestamp('2025-01-01T00:00:00Z').getHours('Europe/Berlin'))`:       "found no matching overload for 'getHours'",
		`attr('a').filter(x, attr('b').exists(y, attr('c').exists(z, x + y == z)))`: "could cost",
		`{'b': 1}.map(k, k)`:                                      "loops over map(string, int): only lists have an order",
		`dyn(attr('a')).map(k, 'x')`:                              "loops over dyn",
		`string([attr('a')].map(l, l + l) == [attr('a')])`:        "a value of the type list(list(string))",
		`[{'k': attr('a')}].map(m, m.k)[0]`:                       "a value of the type list(",
		`string(type(dn) == string)`:                              "a value of the type type",
		`string(now())`:                                           "undeclared reference to 'now'",
		strings.Repeat(`(`, 60) + `'a'` + strings.Repeat(`)`, 60): "recursion",
		`'` + strings.Repeat("x", 5000) + `'`:                     "the expression has 5002 bytes, more than the 4096 that are allowed",
		`"\@text mail"`:                                           "syntax",
	} {
		if e, err := c.compile("attributes.x", expression, anyTexts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("compile(%s) = %v, %v, want an error with %q", clip(expression, 80), e, err, want)
		}
	}
}

func TestTheUsualHasItsPrice(t *testing.T) {
	c, err := newCompiler()
	if err != nil {
		t.Fatal(err)
	}
	for _, expression := range []string{
		`attr('a').filter(x, x in attr('b'))`,
		`attr('a').map(x, lower(regexReplace(x, '^cn=([^,]*),.*$', '$1')))`,
		`attr('memberOf').map(v, first(dnPart(v, 'cn'))).filter(v, v.startsWith('team-')).map(v, regexReplace(v, '^team-', ''))`,
		`attr('a').filter(x, attr('b').exists(y, x == y + '-x'))`,
		`first(attr('a')).split(',').map(x, x.trim()).join(' ')`,
	} {
		if _, err := c.compile("attributes.x", expression, anyTexts); err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
}
