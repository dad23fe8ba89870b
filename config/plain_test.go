package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPlainShowsWhatTheFileWouldSayAndNoSecret(t *testing.T) {
	type inner struct {
		Bases []string `yaml:"bases"`
	}
	section := struct {
		Inner    inner         `yaml:"users"`
		Timeout  time.Duration `yaml:"timeout"`
		Password SecretRef     `yaml:"password"`
		Secret   Secret        `yaml:"secret"`
		Log      func()        `yaml:"-"`
	}{inner{[]string{"dc=example"}}, 90 * time.Second, SecretRef{Env: "LDAP_PASSWORD"}, NewSecret("hush"), nil}
	got, err := Plain(section)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"users": map[string]any{"bases": []any{"dc=example"}}, "timeout": "1m30s",
		"password": map[string]any{"env": "LDAP_PASSWORD"}, "secret": redacted,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Plain (-want +got):\n%s", diff)
	}
}
