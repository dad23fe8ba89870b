package ldap_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

const withExpressions = `
type: ldap
template: openldap
urls: [ldaps://ldap.example.org]
bind: {dn: "cn=reader,dc=example,dc=org", password: {env: LDAP_PASSWORD}}
users:
  bases: ["ou=people,dc=example,dc=org"]
  name: {cel: "lower(first(attr('uid')))"}
  profile:
    displayName: {cel: "first(attr('displayName')) != '' ? first(attr('displayName')) : first(attr('cn'))"}
    email: mail
  attributes:
    Team: {cel: "attr('ou').map(v, lower(v))"}
  disabled: [{cel: "'off' in attr('employeeType')"}, {attribute: nsAccountLock, is: ["TRUE"]}]
  locked: []
  expires: [{cel: "gentime(first(attr('pwdEndTime')))"}]
groups: {bases: ["ou=groups,dc=example,dc=org"], name: {cel: "lower(first(attr('ou')))"}}
`

// TestExpressionsGoThroughFileAndAPI writes a configuration as the API shows it, reads
// that as the API takes it, and gets the same.
func TestExpressionsGoThroughFileAndAPI(t *testing.T) {
	c, problems := decode(t, withExpressions)
	if len(problems) > 0 {
		t.Fatalf("problems %v, want none", problems)
	}
	plain, err := config.Plain(c.Expanded())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"source": plain})
	if err != nil {
		t.Fatal(err)
	}
	wantWords(t, string(text), `"name":{"cel":"lower(first(attr('uid')))"}`, `"email":"mail"`, `"disabled":[{"cel":"'off' in attr('employeeType')"}`)
	doc, err := config.Parse("api.json", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	var again ldap.Config
	p := doc.Problems()
	doc.Decode("source", &again, p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c.Expanded(), again.Expanded(), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("through the API (-file +API):\n%s", d)
	}
	if d := cmp.Diff(c.Expanded(), c.Expanded().Expanded()); d != "" {
		t.Errorf("expanding twice differs:\n%s", d)
	}
}

func TestExpressionsAreExplainedByTheirText(t *testing.T) {
	c, _ := decode(t, strings.Replace(withExpressions, `"attr('ou').map(v, lower(v))"`, `"attr('ou')\n  .map(v, lower(v))"`, 1))
	m := c.Expanded().Mapped()
	for entry, want := range map[string][]string{
		"users.name":            {"lower(first(attr('uid')))"},
		"users.profile.email":   {"mail"},
		"users.attributes.team": {"attr('ou') .map(v, lower(v))"},
		"users.disabled":        {"'off' in attr('employeeType')", "nsAccountLock = TRUE"},
		"users.expires":         {"gentime(first(attr('pwdEndTime')))"},
	} {
		if !slices.Equal(m[entry], want) {
			t.Errorf("%s is explained by %q, want %q; there are %v", entry, m[entry], want, slices.Sorted(maps.Keys(m)))
		}
	}
}

// TestAWrongExpressionIsNamedWithItsLine counts lines of the file that decode makes.
func TestAWrongExpressionIsNamedWithItsLine(t *testing.T) {
	for _, c := range []struct {
		old, new, path string
		line           int
		words          string
	}{
		{"lower(first(attr('uid')))", "lower(attr('uid'))", "users.name.cel", 10, "no matching overload for 'lower'"},
		{"first(attr('cn'))", "attr('cn')", "users.profile.displayName.cel", 12, "no matching overload"},
		{"attr('ou').", "attr('userPassword').", "users.attributes.team.cel", 15, "never read"},
		{"'off' in attr('employeeType')", "first(attr('employeeType'))", "users.disabled[0].cel", 16, "gives string, and bool is needed"},
		{`{cel: "'off'`, `{attribute: x, cel: "'off'`, "users.disabled[0]", 16, "give cel alone"},
		{`{cel: "'off'`, `{bits: 2, cel: "'off'`, "users.disabled[0]", 16, "exactly one"},
		{"gentime(first(attr('pwdEndTime')))", "first(attr('pwdEndTime'))", "users.expires[0].cel", 18, "gives string, and timestamp is needed"},
		{`{cel: "gentime`, `{format: days, cel: "gentime`, "users.expires[0]", 18, "give cel alone"},
		{"lower(first(attr('ou')))", "lower(first(attr('krbExtraData')))", "groups.name.cel", 19, "never read"},
		{`{cel: "lower(`, `{sel: "lower(`, "users.name.sel", 10, "did you mean cel"},
	} {
		if !strings.Contains(withExpressions, c.old) {
			t.Fatalf("there is no %q", c.old)
		}
		_, problems := decode(t, strings.Replace(withExpressions, c.old, c.new, 1))
		found := slices.ContainsFunc(problems, func(p config.Problem) bool {
			return p.Path == "source."+c.path && p.Line == c.line && strings.Contains(p.Text, c.words)
		})
		if !found {
			t.Errorf("%s: problems %v, want one of %s in line %d that says %q", c.new, problems, c.path, c.line, c.words)
		}
	}
}

func TestNewRefusesAWrongExpression(t *testing.T) {
	c, _ := decode(t, strings.Replace(withExpressions, "attr('ou').map", "attr('ou.map", 1))
	_, err := ldap.New(ldap.Options{Source: "corp", Config: c})
	if _, ok := errors.AsType[*config.Error](err); !ok || !strings.Contains(err.Error(), "users.attributes.team.cel: the expression cannot be used: 1:6: syntax:") {
		t.Errorf("New = %v, want a *config.Error of the expression", err)
	}
}
