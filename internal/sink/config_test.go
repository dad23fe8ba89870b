package sink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/config"
)

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rollcall.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, p := DefaultConfig(), doc.Problems()
	doc.Known(p, "audit", "listen")
	doc.Decode("audit", &c, p)
	c.Validate(p.In("audit"))
	return c, p.Err()
}

func TestTheSectionIsRead(t *testing.T) {
	if c, err := load(t, "listen: ':0'\n"); err != nil || c.Retention != (Retention{DefaultAge, DefaultSize}) || len(c.Sinks) != 0 {
		t.Errorf("without the section: %+v, %v", c, err)
	}
	c, err := load(t, `
audit:
  retention: {age: 30d, size: 512MiB}
  sinks:
  - {name: disk, type: file, path: /var/log/rollcall/audit.ndjson, max_size: 10MiB, keep: 5}
  - {name: out, type: stdout, actions: [Permission*, SourceStale]}
  - name: siem
    type: webhook
    url: https://siem.example.com/in
    secret: {env: SIEM}
    timeout: 5s
    allow_networks: [10.0.0.0/8]
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Retention != (Retention{Age(30 * day), Size(512 << 20)}) || len(c.Sinks) != 3 || c.Sinks[0].MaxSize != 10<<20 ||
		c.Sinks[2].Timeout != 5*time.Second || c.Sinks[2].AllowNetworks[0].String() != "10.0.0.0/8" {
		t.Errorf("read %+v", c)
	}
	out := c.Sinks[1]
	got := map[string]bool{}
	for _, a := range []string{"PermissionGranted", "SourceStale", "SourceRecovered", "UserCreated"} {
		got[a] = out.wants(a)
	}
	if d := cmp.Diff(map[string]bool{"PermissionGranted": true, "SourceStale": true, "SourceRecovered": false, "UserCreated": false}, got); d != "" {
		t.Errorf("actions that are carried (-want +got):\n%s", d)
	}
	plain, err := config.Plain(c)
	if err != nil || plain["retention"].(map[string]any)["age"] != "30d" {
		t.Errorf("Plain = %v, %v; want the age as it was written", plain, err)
	}
}

func TestEverythingThatIsWrongIsSaid(t *testing.T) {
	_, err := load(t, `
audit:
  retention: {age: 1h, size: 5}
  sinks:
  - {name: Disk, type: file, path: audit.ndjson, keep: -1, url: x}
  - {name: a, type: webhook, url: "http://user:canary@example.com/canary"}
  - {name: a, type: webhook, url: "https://user:canary@example.com/", secret: {env: X}, timeout: 1h, path: /x}
  - {name: b, type: syslog}
  - {name: c, type: stdout, actions: ["*x"], proxy: {url: "http://p:1"}}
  - {name: d, type: webhook, url: "https://example.com/", secret: {env: X}, proxy: {url: "http://canary:canary@p:3128"}}
  - {name: e, type: webhook, url: "https://example.com/", secret: {env: X}, proxy: {url: "socks5://p:3128"}}
  - {name: f, type: webhook, url: "https://example.com/", secret: {env: X}, proxy: {networks: [10.0.0.0/8]}}
`)
	if err == nil {
		t.Fatal("no problem")
	}
	for _, want := range []string{
		"audit.retention.age", "audit.retention.size", "audit.sinks[0].name", "audit.sinks[0].path", "audit.sinks[0].keep", "audit.sinks[0].url",
		"audit.sinks[1].url", "audit.sinks[1].secret", "audit.sinks[2].name", "audit.sinks[2].url", "audit.sinks[2].timeout", "audit.sinks[2].path",
		"audit.sinks[3].type", "audit.sinks[4].actions[0]",
		"audit.sinks[4].proxy", "audit.sinks[5].proxy.url", "audit.sinks[6].proxy.url", "audit.sinks[7].proxy.url",
	} {
		if !strings.Contains(err.Error(), want+": ") {
			t.Errorf("nothing is said of %s:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret is repeated:\n%v", err)
	}
	for _, text := range []string{"x", "12", "-1d", "1.5d", "-3h"} {
		if a := new(Age); a.UnmarshalText([]byte(text)) == nil {
			t.Errorf("the age %q is read as %v", text, a)
		}
	}
	for _, text := range []string{"x", "1MB", "-1", "9999999999GiB", ""} {
		if s := new(Size); s.UnmarshalText([]byte(text)) == nil {
			t.Errorf("the size %q is read as %v", text, s)
		}
	}
}
