package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// deploy returns an example configuration, with the files that it names in a
// directory of this test.
func deploy(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := ServerTLS{CertFile: filepath.Join(dir, "corp-ca.pem"), KeyFile: filepath.Join(dir, "unused.key")}
	selfSigned(t, files, 1)
	text := strings.ReplaceAll(string(b), "/etc/rollcall/corp-ca.pem", files.CertFile)
	file := filepath.Join(dir, filepath.Base(name))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheExamplesAreValidAndShort(t *testing.T) {
	for _, name := range []string{"openldap.yaml", "active-directory.yaml", "scim.yaml", "compose/rollcall.yaml"} {
		t.Run(name, func(t *testing.T) {
			file := deploy(t, name)
			c, err := LoadConfig(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Sources) != 1 {
				t.Errorf("%d sources, want 1", len(c.Sources))
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(strings.TrimRight(string(b), "\n"), "\n") + 1; n > 25 {
				t.Errorf("%d lines, want at most 25", n)
			}
		})
	}
}

func TestEveryMistakeIsNamedWithItsLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	text := `listen: "8080"
health: nowhere
tls: {cert_file: /x.pem}
log: {format: xml, level: loud}
max_staleness: 1ms
storage: {dir: /x}
sources:
  - name: Corp AD
    type: ldap
    template: openldap
    schedule: "61 * * * *"
    urls: [ldap://one.example.com]
    users: {bases: ["dc=example"]}
  - name: local
    type: ldap
    urls: []
  - name: local
    type: rest
local_socket: run/rollcall.sock
public_url: http://rollcall.example.com
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadConfig(file, nil)
	if err == nil {
		t.Fatal("LoadConfig accepted it")
	}
	got := err.Error()
	for _, want := range []string{
		"bad.yaml:1: listen", "bad.yaml:2: health", "bad.yaml:3: tls", "bad.yaml:4: log.format", "bad.yaml:4: log.level",
		"bad.yaml:5: max_staleness", "bad.yaml:6: storage", "store", "bad.yaml:8: sources[0].name",
		"bad.yaml:11: sources[0].schedule", "bad.yaml:12: sources[0]", "bad.yaml:14: sources[1].name", "bad.yaml:18: sources[2].type",
		"bad.yaml:19: local_socket", "bad.yaml:20: public_url",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("nothing says %q in\n%s", want, got)
		}
	}
}

func TestARuleThatCannotHoldIsRefused(t *testing.T) {
	for link, want := range map[string]string{
		"link: {to: corp, by: employeeNumber}":                       "",
		"link: {to: corp, by: name}":                                 "",
		"link: {to: corp, by: badge}":                                "sources[0].link.by",
		"link: {to: corp, by: badge}, attributes: {badge: userName}": "",
		"link: {to: corp, by: email}":                                "sources[0].link.by",
		"link: {to: okta, by: employeeNumber}":                       "sources[0].link.to",
		"use: attributes":                                            "sources[0].use",
	} {
		file := filepath.Join(t.TempDir(), "rollcall.yaml")
		text := "store: {dir: /x}\nsources:\n  - {name: okta, type: scim, " + link + "}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(file, nil); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", link, err, want)
		}
	}
}

func TestPlainHTTPIsForThisMachineOnly(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:8080": true, "localhost:8080": true, "[::1]:8080": true, ":8080": false, "0.0.0.0:8080": false, "10.1.2.3:8080": false,
	} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		text := "listen: \"" + address + "\"\nstore: {dir: " + t.TempDir() + "}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(file, nil); (err == nil) != ok {
			t.Errorf("listen on %s without TLS: %v, want accepted = %v", address, err, ok)
		}
		if _, err := LoadConfig(file, []string{"ROLLCALL_ALLOW_PLAINTEXT=true"}); err != nil {
			t.Errorf("listen on %s with allow_plaintext: %v", address, err)
		}
	}
}
