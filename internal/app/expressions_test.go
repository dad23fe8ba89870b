package app

import (
	"fmt"
	"strings"
	"testing"
)

// A source with expressions is made over the API, runs, is shown as it was sent, and what
// it maps is explained by the expression; one that is wrong is named and not stored.
func TestExpressionsOverTheAPI(t *testing.T) {
	c := company(t)
	o := c.Config()
	t.Setenv("ROLLCALL_SECRET_COMPANY", o.Password)
	d := start(t, bare(t, t.TempDir(), ""))
	d.bootstrapped()
	const team = `attr('departmentNumber').map(v, 'team-' + lower(v))`
	section := func(expression string) string {
		return fmt.Sprintf(`{"id":"halyard","config":{"template":"openldap","schedule":"manual","urls":[%q],"allow_plaintext":true,
			"bind":{"dn":%q,"password":{"env":"ROLLCALL_SECRET_COMPANY"}},
			"users":{"bases":[%q],"filter":%q,"attributes":{"team":{"cel":%q}},"profile":{"email":{"cel":"lower(first(attr('mail')))"}}},
			"groups":{"bases":[%q]},"limits":{"first_run":"apply"}}}`,
			o.URL, o.BindDN, o.UserBase, o.UserFilter, expression, o.GroupBase)
	}
	for expression, words := range map[string]string{
		`attr('userPassword')`: "never read", `size(attr('ou'))`: "list(string) is needed here", `nobody(dn)`: "undeclared reference",
	} {
		out := d.call("POST", "/v1/sources", section(expression), 400)
		if text := fmt.Sprint(out["errors"]); !strings.Contains(text, "body.config.users.attributes.team.cel") || !strings.Contains(text, words) {
			t.Errorf("%s: %v, want the place and %q", expression, out, words)
		}
	}
	if out := d.call("POST", "/v1/sources/configuration/test", section(team), 200); out["ok"] != true || !strings.Contains(fmt.Sprint(out), "attribute team: team-") {
		t.Errorf("test of the configuration: %v, want a mapped entry", out)
	}
	d.call("POST", "/v1/sources", section(team), 201)
	d.ran("halyard")

	if out := fmt.Sprint(d.call("GET", "/v1/sources/halyard", "", 200)["config"]); !strings.Contains(out, "team:map[cel:"+team+"]") {
		t.Errorf("the source is shown as %s", out)
	}
	out := fmt.Sprint(d.call("GET", "/v1/users/pia.sommer/attributes/team/explanation", "", 200))
	if !strings.Contains(out, "raw:["+team+"]") || !strings.Contains(out, "users.attributes.team") || !strings.Contains(out, "value:team-") {
		t.Errorf("the attribute is explained by %s", out)
	}
}
