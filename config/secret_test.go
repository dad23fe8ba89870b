package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/config"
)

const text = "hunter2"

func TestASecretDoesNotPrint(t *testing.T) {
	type holder struct {
		Open   config.Secret
		closed config.Secret
		Ptr    *config.Secret
	}
	s := config.NewSecret(text)
	h := holder{Open: s, closed: s, Ptr: &s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{s, &s, h, &h, []config.Secret{s}, map[string]config.Secret{"k": s}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	fmt.Fprintln(&out, s, h, fmt.Errorf("bind with %v: %w", s, os.ErrInvalid))
	for _, marshal := range []func(any) ([]byte, error){
		json.Marshal, func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
	} {
		b, err := marshal(struct{ S config.Secret }{s})
		if err != nil || string(b) != `{"S":"[redacted]"}` {
			t.Errorf("as JSON: %s, %v", b, err)
		}
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "s", s, "h", h, "g", slog.GroupValue(slog.Any("s", &s)))
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "s", s, "h", h)
	for _, leak := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the secret appears as %s in:\n%s", leak, out.String())
		}
	}
	b, err := s.MarshalText()
	y, errY := s.MarshalYAML()
	for _, printed := range []any{s.String(), s.GoString(), string(b), y, s.LogValue().String()} {
		if printed != "[redacted]" || err != nil || errY != nil {
			t.Errorf("printed as %v, want [redacted]", printed)
		}
	}
	if s.Reveal() != text || s.IsZero() || !s.Equal(config.NewSecret(text)) || s.Equal(config.Secret{}) {
		t.Error("Reveal, IsZero or Equal is wrong about a secret")
	}
	if zero := (config.Secret{}); !zero.IsZero() || zero.Reveal() != "" || !config.NewSecret("").IsZero() {
		t.Error("IsZero or Reveal is wrong about no secret")
	}
}

func TestSecretRefResolve(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // past the umask
			t.Fatal(err)
		}
		return path
	}
	file("cred", text+"\r\n", 0o444)
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	t.Setenv("LDAP_PASSWORD", text)
	t.Setenv("EMPTY", "")
	for _, tc := range []struct {
		name string
		ref  config.SecretRef
		want string
		err  string
	}{
		{name: "file", ref: config.SecretRef{File: file("ok", text+"\n", 0o640)}, want: text},
		{name: "only one line break is taken off", ref: config.SecretRef{File: file("nl", text+"\n\n", 0o400)}, want: text + "\n"},
		{name: "env", ref: config.SecretRef{Env: "LDAP_PASSWORD"}, want: text},
		{name: "credential, whatever its mode", ref: config.SecretRef{Credential: "cred"}, want: text},
		{name: "world-readable", ref: config.SecretRef{File: file("open", text, 0o644)}, err: "chmod o-rwx"},
		{name: "empty file", ref: config.SecretRef{File: file("empty", "\n", 0o600)}, err: "is empty"},
		{name: "large file", ref: config.SecretRef{File: file("large", strings.Repeat("x", 1<<17), 0o600)}, err: "right file"},
		{name: "directory", ref: config.SecretRef{File: dir}, err: "not a regular file"},
		{name: "no such file", ref: config.SecretRef{File: filepath.Join(dir, "none")}, err: "no such file"},
		{name: "env empty", ref: config.SecretRef{Env: "EMPTY"}, err: "environment variable EMPTY"},
		{name: "credential stays in its directory", ref: config.SecretRef{Credential: "../../etc/hostname"}, err: "no such file"},
		{name: "nothing", err: "no secret is referred to"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.ref.Resolve()
			if tc.err == "" && (err != nil || got.Reveal() != tc.want) {
				t.Errorf("Resolve(%v) = %q, %v, want %q", tc.ref, got.Reveal(), err, tc.want)
			}
			if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err) || !got.IsZero()) {
				t.Errorf("Resolve(%v) = %v, want an error with %q", tc.ref, err, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), text) {
				t.Errorf("Resolve(%v) prints the secret: %v", tc.ref, err)
			}
		})
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := (config.SecretRef{Credential: "cred"}).Resolve(); err == nil || !strings.Contains(err.Error(), "LoadCredential=cred:") {
		t.Errorf("Resolve without systemd = %v, want an error that says what to put into the unit", err)
	}
}
