package app

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
)

// bare is a configuration without sources.
func bare(t *testing.T, dir, extra string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rollcall.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\nhealth: 127.0.0.1:0\nstore: {dir: %s}\nlog: {format: json}\n%s\n", dir, extra)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// calls asks the admin API with a header, and returns the ETag of the answer.
func (d *running) calls(method, path, body, tag string, want int) (etag string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.URL()+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if tag != "" {
		req.Header.Set("If-Match", tag)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		d.t.Fatalf("%s %s = %d, want %d\nlog:\n%s", method, path, resp.StatusCode, want, d.log)
	}
	return resp.Header.Get("ETag")
}

// ran asks for a run over the API and waits for its end.
func (d *running) ran(source identity.SourceID) {
	d.t.Helper()
	run, _ := d.call("POST", "/v1/sources/"+string(source)+"/runs", "", 202)["run"].(string)
	r, err := d.runner.Wait(d.t.Context(), source, run)
	if err != nil || r.State != "succeeded" {
		d.t.Fatalf("run of %s: %+v (%v)\nlog:\n%s", source, r, err, d.log)
	}
}

func (d *running) userCount(source string) int {
	d.t.Helper()
	return d.db.View().Now().Counts()[identity.SourceID(source)].Users
}

// A source is made, tried, run, disabled, changed and run again over the API, by a daemon
// that keeps running; a daemon that is started again has it, too.
func TestASourceIsMadeAndRunOverTheAPI(t *testing.T) {
	c := company(t)
	o := c.Config()
	t.Setenv("ROLLCALL_SECRET_COMPANY", o.Password)
	dir := t.TempDir()
	file := bare(t, dir, "")
	d := start(t, file)
	d.bootstrapped()
	cfg := func(schedule, filter string) string {
		return fmt.Sprintf(`{"template":"openldap","schedule":%q,"urls":[%q],"allow_plaintext":true,
			"bind":{"dn":%q,"password":{"env":"ROLLCALL_SECRET_COMPANY"}},
			"users":{"bases":[%q],"filter":%q},"groups":{"bases":[%q]},"limits":{"first_run":"apply"}}`,
			schedule, o.URL, o.BindDN, o.UserBase, filter, o.GroupBase)
	}
	made := fmt.Sprintf(`{"id":"halyard","config":%s}`, cfg("manual", o.UserFilter))
	if out := d.call("POST", "/v1/sources/configuration/test", made, 200); out["ok"] != true {
		t.Fatalf("test of the configuration: %v", out)
	}
	d.call("POST", "/v1/sources?dryRun=true", made, 201)
	d.call("GET", "/v1/sources/halyard", "", 404)
	if out := d.call("POST", "/v1/sources", made, 201); out["declared"] != "api" {
		t.Errorf("created: %v", out)
	}
	d.call("POST", "/v1/sources", made, 409)
	d.ran("halyard")
	n := d.userCount("halyard")
	if n != len(c.People()) {
		t.Fatalf("%d users, want %d", n, len(c.People()))
	}

	d.call("PUT", "/v1/sources/halyard/disabled", "", 200)
	d.call("POST", "/v1/sources/halyard/runs", "", 409)
	if out := d.call("GET", "/v1/sources/halyard", "", 200); out["disabled"] != true {
		t.Errorf("disabled source: %v", out)
	}
	if got := d.userCount("halyard"); got != n {
		t.Errorf("a disabled source has %d users, want %d as before", got, n)
	}
	d.call("DELETE", "/v1/sources/halyard/disabled", "", 200)
	changed := fmt.Sprintf(`{"config":%s}`, cfg("@every 6h", o.UserFilter))
	d.calls("PUT", "/v1/sources/halyard", changed, "", 428)
	tag := d.calls("GET", "/v1/sources/halyard", "", "", 200)
	d.calls("PUT", "/v1/sources/halyard", changed, tag, 200)
	d.calls("PUT", "/v1/sources/halyard", changed, tag, 412)
	if out := d.call("GET", "/v1/sources/halyard", "", 200); out["schedule"] != "@every 6h" || out["nextRunTime"] == nil {
		t.Errorf("the changed schedule does not count: %v", out)
	}
	d.ran("halyard")

	d.call("PUT", "/v1/groups/it-admins/grants/AUDIT", `{"reason":"they look after the log","acknowledgeDirectory":true}`, 201)
	old, _ := d.call("GET", "/v1/sources/halyard/deletion", "", 200)["digest"].(string)
	d.call("PUT", "/v1/users/pia.sommer/attributes/desk", `{"values":["4711"]}`, 200)
	d.call("DELETE", "/v1/sources/halyard?digest="+old, "", 409)
	d.call("DELETE", "/v1/sources/halyard", "", 428)
	plan := d.call("DELETE", "/v1/sources/halyard?dryRun=true", "", 200)
	if plan["users"] != float64(n) || plan["grants"] != 1.0 || plan["attributes"] != 1.0 || len(plan["grantList"].([]any)) != 1 {
		t.Errorf("plan of the deletion: %v", plan)
	}
	digest, _ := plan["digest"].(string)
	d.call("DELETE", "/v1/sources/halyard?digest="+digest, "", 200)
	if out := d.call("POST", "/v1/check", `{"user":"juergen.mueller","permission":"AUDIT"}`, 200); out["allowed"] != false {
		t.Errorf("check after the deletion = %v, want no at once", out)
	}
	d.call("DELETE", "/v1/sources/halyard?digest="+digest, "", 409)
	for {
		changed := d.db.View().Changed()
		s := d.db.View().Now()
		if len(s.OwnedBy("halyard")) == 0 && len(s.Leaving()) == 0 {
			break
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("the source is never gone")
		}
	}
	d.call("GET", "/v1/sources/halyard", "", 404)
	d.call("DELETE", "/v1/sources/halyard?dryRun=true", "", 404)
	d.call("GET", "/v1/users/root", "", 200)
	d.call("POST", "/v1/sources", made, 201) // its name is free again
	if text := d.log.String(); strings.Contains(text, o.Password) {
		t.Error("the log holds the password")
	}
}

// A stored source that the file has, too, gives way to the file, which is said.
func TestTheFileWinsOverAStoredSource(t *testing.T) {
	c := company(t)
	o := c.Config()
	dir := t.TempDir()
	first := start(t, bare(t, dir, ""))
	first.bootstrapped()
	t.Setenv("ROLLCALL_SECRET_COMPANY", o.Password)
	first.call("POST", "/v1/sources", fmt.Sprintf(`{"id":"halyard","config":{"template":"openldap","urls":[%q],"allow_plaintext":true,
		"bind":{"dn":%q,"password":{"env":"ROLLCALL_SECRET_COMPANY"}},"users":{"bases":[%q]}}}`, o.URL, o.BindDN, o.UserBase), 201)
	next, err := LoadConfig(write(t, c, dir, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Reload(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	first.call("DELETE", "/v1/sources/halyard?dryRun=true", "", 409)
	list, _ := first.call("GET", "/v1/sources", "", 200)["sources"].([]any)
	if len(list) != 1 {
		t.Fatalf("sources: %v, want one", list)
	}
	if s, _ := list[0].(map[string]any); s["declared"] != "file" || s["hidesStored"] != true || s["schedule"] == "0 * * * *" {
		t.Errorf("source: %v, want that of the file, with its schedule", s)
	}
	if !strings.Contains(first.log.String(), "has the name of one in the file") {
		t.Error("the log does not say that a stored source is not used")
	}
	out := first.call("PUT", "/v1/sources/halyard/disabled", "", 409)
	if detail, _ := out["detail"].(string); out["code"] != "source_in_file" || !strings.Contains(detail, "rollcall.yaml") {
		t.Errorf("refusal: %v", out)
	}
}

func TestWhatTheAPIMayNotConfigure(t *testing.T) {
	const canary = "hunter2-canary"
	open := filepath.Join(t.TempDir(), "open")
	shut := filepath.Join(t.TempDir(), "shut")
	for _, dir := range []string{open, shut} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte(canary), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(shut, "ca.pem"), filepath.Join(open, "link")); err != nil {
		t.Fatal(err)
	}
	rules := Secrets{Dirs: []string{open}, EnvPrefix: "ROLLCALL_SECRET_"}
	good := map[string]string{
		"template": `"openldap"`, "urls": `["ldaps://ldap.example.org"]`, "users": `{"bases":["dc=x"]}`,
		"bind": `{"dn":"cn=x","password":{"env":"ROLLCALL_SECRET_X"}}`,
	}
	section := func(key, value string) []byte {
		var b strings.Builder
		sep := "{"
		for k, v := range good {
			if k != key {
				fmt.Fprintf(&b, "%s%q:%s", sep, k, v)
				sep = ","
			}
		}
		if key != "" {
			fmt.Fprintf(&b, "%s%q:%s", sep, key, value)
		}
		return []byte(b.String() + "}")
	}
	if _, err := readStored("corp", kindLDAP, section("", ""), &rules); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for name, tc := range map[string]struct{ key, value, path, words string }{
		"a literal":          {"bind", `{"dn":"cn=x","password":"` + canary + `"}`, "bind.password", "by reference"},
		"any variable":       {"bind", `{"dn":"cn=x","password":{"env":"HOME"}}`, "bind.password.env", "ROLLCALL_SECRET_"},
		"any file":           {"bind", `{"dn":"cn=x","password":{"file":"/etc/shadow"}}`, "bind.password.file", "no such file below"},
		"dots":               {"bind", `{"dn":"cn=x","password":{"file":"` + open + `/../shut/ca.pem"}}`, "bind.password.file", "no such file below"},
		"a link that leaves": {"bind", `{"dn":"cn=x","password":{"file":"` + open + `/link"}}`, "bind.password.file", "no such file below"},
		"a credential above": {"bind", `{"dn":"cn=x","password":{"credential":"../x"}}`, "bind.password.credential", "without a slash"},
		"a CA elsewhere":     {"tls", `{"ca":"` + shut + `/ca.pem"}`, "tls.ca", "no such file below"},
		"a CA that is none":  {"tls", `{"ca":"` + open + `/ca.pem"}`, "tls.ca", "no certificate"},
		"a key elsewhere":    {"tls", `{"cert":"` + open + `/ca.pem","key":"/etc/shadow"}`, "tls.key", "no such file below"},
		"Kerberos":           {"bind", `{"method":"gssapi","kerberos":{"principal":"a@B","keytab":"/etc/krb5.keytab"}}`, "bind.method", "the daemon's file"},
		"metadata":           {"urls", `["ldaps://169.254.169.254"]`, "urls[0]", "not of a directory"},
		"metadata, mapped":   {"urls", `["ldaps://[::ffff:169.254.169.254]:80"]`, "urls[0]", "not of a directory"},
		"a zone":             {"urls", `["ldaps://[fe80::1%25eth0]"]`, "urls[0]", "not of a directory"},
		"nowhere":            {"urls", `["ldaps://0.0.0.0"]`, "urls[0]", "not of a directory"},
		"a socket":           {"urls", `["ldapi://%2Frun%2Fdocker.sock"]`, "urls[0]", "the daemon's file"},
		"a name":             {"name", `"other"`, "name", "beside"},
		"a type":             {"type", `"scim"`, "type", "beside"},
		"an unknown key":     {"pagesize", `3`, "pagesize", "page_size"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := sourceEditor{&App{config: &Config{Secrets: rules}}}.Check("corp", kindLDAP, section(tc.key, tc.value))
			found := false
			for _, w := range wrong {
				found = found || w.Location == "body.config."+tc.path && strings.Contains(w.Message, tc.words)
				if strings.Contains(w.Message, canary) {
					t.Errorf("the refusal holds a secret: %v", w)
				}
			}
			if !found {
				t.Errorf("problems %v, want one of %s that says %q", wrong, tc.path, tc.words)
			}
		})
	}
	if _, err := outward().DialContext(t.Context(), "tcp", "169.254.169.254:80"); err == nil || !strings.Contains(err.Error(), "no address that a source") {
		t.Errorf("dialing what a name may lead to: %v, want it refused before anything is sent", err)
	}
}
