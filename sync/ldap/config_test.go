package ldap_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// decode reads a section as the daemon does, and returns its problems.
func decode(t *testing.T, text string) (ldap.Config, []config.Problem) {
	t.Helper()
	doc, err := config.Parse("test.yaml", []byte("source:\n"+strings.ReplaceAll("\n"+text, "\n", "\n  ")+"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var c ldap.Config
	p := doc.Problems()
	doc.Decode("source", &c, p)
	c.Validate(p.In("source"))
	if err := p.Err(); err != nil {
		e, _ := errors.AsType[*config.Error](err)
		return c, e.Problems
	}
	return c, nil
}

const smallest = `
type: ldap
template: openldap
urls: [ldaps://ldap.example.org]
bind: {dn: "cn=reader,dc=example,dc=org", password: {env: LDAP_PASSWORD}}
users: {bases: ["ou=people,dc=example,dc=org"]}
`

func TestTheSmallestConfiguration(t *testing.T) {
	c, problems := decode(t, smallest)
	if len(problems) > 0 {
		t.Fatalf("problems %v, want none", problems)
	}
	e := c.Expanded()
	if e.Users.Key != "entryUUID" || e.Users.Profile[identity.Email].Attribute != "mail" || e.PageSize != 1000 || e.Users.Scope != "subtree" ||
		e.TLS.MinVersion != "1.2" || len(e.Groups.Members) != 3 || e.Referrals != "hold" || e.MaxMessageBytes != 64<<20 {
		t.Errorf("Expanded = %+v", e)
	}
	if !cmp.Equal(e, e.Expanded()) {
		t.Errorf("expanding twice differs:\n%s", cmp.Diff(e, e.Expanded()))
	}
}

func TestWhatIsGivenStandsOverTheTemplate(t *testing.T) {
	c, problems := decode(t, `
template: active_directory
urls: [ldaps://dc1.example.org:636, "ldapi://%2Frun%2Fldapi"]
bind: {dn: svc@example.org, password: {credential: ad}}
users:
  bases: ["dc=example,dc=org"]
  name: userPrincipalName
  profile: {phone: mobile, description: ""}
  attributes: {Department: department}
  locked: []
groups:
  bases: ["dc=example,dc=org"]
  filter: (groupType:1.2.840.113556.1.4.803:=2147483648)
`)
	if len(problems) > 0 {
		t.Fatalf("problems %v, want none", problems)
	}
	e := c.Expanded()
	if e.Users.Name.Attribute != "userPrincipalName" || e.Users.Profile[identity.Phone].Attribute != "mobile" || e.Users.Profile[identity.Email].Attribute != "mail" {
		t.Errorf("users are %+v", e.Users)
	}
	if _, ok := e.Users.Profile[identity.Description]; ok || len(e.Users.Locked) != 0 || len(e.Users.Disabled) != 1 {
		t.Errorf("what was taken out is still there: %+v", e.Users)
	}
	if e.Users.Attributes["department"].Attribute != "department" || !strings.HasPrefix(e.Groups.Filter, "(groupType") {
		t.Errorf("%+v %+v", e.Users.Attributes, e.Groups)
	}
}

// TestEveryMistakeIsNamed gives one mistake at a time to a good section.
func TestEveryMistakeIsNamed(t *testing.T) {
	for name, c := range map[string]struct{ text, path, words string }{
		"no template":        {"template: ''", "template", "one of openldap, active_directory, 389ds, custom"},
		"another type":       {"type: nis", "type", "neither ldap nor scim"},
		"unknown key":        {"pagesize: 3", "pagesize", "page_size"},
		"no servers":         {"urls: []", "urls", "at least one"},
		"no URL":             {"urls: [ldap.example.org]", "urls[0]", "ldaps://host"},
		"another scheme":     {"urls: [https://ldap.example.org]", "urls[0]", "ldaps://host"},
		"a base in the URL":  {"urls: ['ldaps://h/dc=x']", "urls[0]", "the server only"},
		"twice":              {"urls: [ldaps://h, ldaps://h]", "urls[1]", "the same"},
		"plain text":         {"urls: [ldap://h]", "urls[0]", "starttls: true"},
		"no socket":          {"urls: ['ldapi://']", "urls[0]", "socket"},
		"starttls for ldaps": {"starttls: true", "starttls", "encrypted already"},
		"global catalog":     {"template: active_directory\nurls: [ldaps://dc:3269]", "urls[0]", "global catalog"},
		"a cert alone":       {"tls: {cert: /x}", "tls.cert", "go together"},
		"no CA file":         {"tls: {ca: /nonexistent/ca.pem}", "tls.ca", "read the CA"},
		"an empty CA file":   {"tls: {ca: /dev/null}", "tls.ca", "no certificate"},
		"no key file":        {"tls: {cert: /dev/null, key: /dev/null}", "tls.cert", "client certificate"},
		"old TLS":            {"tls: {min_version: '1.1'}", "tls.min_version", "1.2, 1.3"},
		"no dn":              {"bind: {password: {env: X}}", "bind.dn", "account"},
		"no password":        {"bind: {dn: cn=x}", "bind.password", "{file: /path}"},
		"a literal password": {"bind: {dn: cn=x, password: geheim}", "bind.password", "by reference"},
		"external, no cert":  {"bind: {method: external}", "bind.method", "tls.cert"},
		"anonymous with dn":  {"bind: {method: anonymous, dn: cn=x}", "bind.method", "no dn"},
		"unknown method":     {"bind: {method: ntlm}", "bind.method", "simple, external, gssapi, anonymous"},
		"page size":          {"page_size: -1", "page_size", "between"},
		"referrals":          {"referrals: chase", "referrals", "hold, ignore"},
		"no bases":           {"users: {}", "users.bases", "ou=people"},
		"no base":            {"users: {bases: [people]}", "users.bases[0]", "distinguished name"},
		"scope":              {"users: {bases: [dc=x], scope: sub}", "users.scope", "subtree"},
		"filter":             {"users: {bases: [dc=x], filter: '(uid=*'}", "users.filter", "no LDAP filter"},
		"bare filter":        {"users: {bases: [dc=x], filter: 'uid=*'}", "users.filter", "no LDAP filter"},
		"profile field":      {"users: {bases: [dc=x], profile: {nickname: cn}}", "users.profile.nickname", "displayName"},
		"attribute name":     {"users: {bases: [dc=x], attributes: {a: 'x y'}}", "users.attributes.a", "no attribute name"},
		"our own key":        {"users: {bases: [dc=x], attributes: {'  ': mail}}", "users.attributes.", "1 to 128"},
		"everything":         {"users: {bases: [dc=x], attributes: {a: '*'}}", "users.attributes.a", "no attribute name"},
		"a password":         {"users: {bases: [dc=x], attributes: {a: userPassword}}", "users.attributes.a", "never read"},
		"a password as name": {"users: {bases: [dc=x], name: UNICODEPWD}", "users.name", "never read"},
		"a password in rule": {"users: {bases: [dc=x], locked: [{attribute: krbPrincipalKey, is: [x]}]}", "users.locked[0].attribute", "never read"},
		"a rule without":     {"users: {bases: [dc=x], disabled: [{attribute: x}]}", "users.disabled[0]", "exactly one"},
		"a rule with two":    {"users: {bases: [dc=x], disabled: [{attribute: x, bits: 2, is: [x]}]}", "users.disabled[0]", "exactly one"},
		"expiry":             {"users: {bases: [dc=x], expires: [{attribute: x, format: unix}]}", "users.expires[0].format", "filetime"},
		"members":            {"groups: {bases: [dc=x], members: [{attribute: member, by: sid}]}", "groups.members[0].by", "dn, name"},
		"timeout":            {"timeouts: {idle: -1s}", "timeouts.idle", "positive"},
		"message size":       {"max_message_bytes: 10", "max_message_bytes", "between"},
		"custom":             {"template: custom", "users.key", "name an attribute"},
	} {
		t.Run(name, func(t *testing.T) {
			key, _, _ := strings.Cut(c.text, ":")
			var kept []string
			for line := range strings.Lines(smallest) {
				if !strings.HasPrefix(line, key+":") && (!strings.Contains(c.text, "\nurls") || !strings.HasPrefix(line, "urls")) {
					kept = append(kept, line)
				}
			}
			_, problems := decode(t, strings.Join(kept, "")+c.text)
			for _, p := range problems {
				if p.Path == "source."+c.path && strings.Contains(p.Text, c.words) && p.Line > 0 {
					if strings.Contains(p.Text, "geheim") {
						t.Errorf("the problem holds the secret: %v", p)
					}
					return
				}
			}
			t.Errorf("problems %v, want one of %s that says %q", problems, c.path, c.words)
		})
	}
}

func TestSecretAttributesAreNeverAskedFor(t *testing.T) {
	for _, a := range []string{
		"userPassword", "USERPASSWORD", "unicodePwd", "krbPrincipalKey", "krbExtraData", "ms-Mcs-AdmPwd", "msLAPS-Password",
		"msLAPS-EncryptedPassword", "sambaNTPassword", "sambaLMPassword", "ipaNTHash", "supplementalCredentials", "pwdHistory",
		"dBCSPwd", "authPassword", "msDS-ManagedPassword", "2.5.4.35", "olcRootPW", "msFVE-RecoveryPassword",
	} {
		_, problems := decode(t, smallest+"groups: {bases: [dc=x], attributes: {x: '"+a+"'}}")
		if len(problems) != 1 || problems[0].Path != "source.groups.attributes.x" {
			t.Errorf("mapping %s: problems %v, want one", a, problems)
		}
	}
	for _, a := range []string{"pwdLastSet", "badPwdCount", "mail", "msDS-UserPasswordExpiryTimeComputed"} {
		if _, problems := decode(t, smallest+"groups: {bases: [dc=x], attributes: {x: '"+a+"'}}"); len(problems) > 0 {
			t.Errorf("mapping %s: problems %v, want none", a, problems)
		}
	}
}

func TestNewRefusesWhatIsWrong(t *testing.T) {
	if _, err := ldap.New(ldap.Options{Source: "corp"}); err == nil || !strings.Contains(err.Error(), "template") {
		t.Errorf("New = %v, want the problems", err)
	}
	if _, err := ldap.New(ldap.Options{}); err == nil || !strings.Contains(err.Error(), "Source") {
		t.Errorf("New = %v, want that Source is missing", err)
	}
	c, _ := decode(t, smallest)
	c.TLS = ldap.TLS{CA: dirtest.WriteFile(t, "ca.pem", "nothing")}
	if _, err := ldap.New(ldap.Options{Source: "corp", Config: c}); err == nil || !strings.Contains(err.Error(), "tls.ca") {
		t.Errorf("New = %v, want tls.ca", err)
	}
}
