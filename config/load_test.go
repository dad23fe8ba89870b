package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// installation stands for what the packages above declare: each kind of value once.
type installation struct {
	Listen  string
	Store   storeSection
	Sources []sourceSection
	Log     logSection
}

type storeSection struct {
	Dir       string            `yaml:"dir"`
	Endpoints []string          `yaml:"endpoints"`
	Quota     uint64            `yaml:"quota"`
	Sync      *bool             `yaml:"sync"`
	Labels    map[string]string `yaml:"labels"`
}

type sourceSection struct {
	Name     string           `yaml:"name"`
	URLs     []string         `yaml:"urls"`
	StartTLS bool             `yaml:"starttls"`
	Password config.SecretRef `yaml:"password"`
	Timing   `yaml:",inline"`
	Map      map[string][]string `yaml:"map"`
	Extra    any                 `yaml:"extra"`
}

// Timing is embedded.
type Timing struct {
	Every time.Duration `yaml:"every"`
	Share float64       `yaml:"share"`
	Tries int           `yaml:"tries"`
}

type logSection struct {
	Level slog.Level `yaml:"level"`
}

// Validate is how a package judges its section.
func (s *sourceSection) Validate(p *config.Problems) {
	if s.Name == "" {
		p.Add("name", "is missing: give the source a name that stays")
	}
	for i, u := range s.URLs {
		if strings.HasPrefix(u, "ldap://") && !s.StartTLS {
			p.Add(fmt.Sprintf("urls[%d]", i), "ldap:// needs starttls or allow_plaintext")
		}
	}
}

// understand does what the caller of this package does.
func understand(name string, data []byte) (*installation, error) {
	var env []string
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "#env "); ok {
			env = append(env, strings.TrimSuffix(v, "\n"))
		}
	}
	d, err := config.Parse(name, data, env)
	if err != nil {
		return nil, err
	}
	p := d.Problems()
	in := &installation{Listen: "127.0.0.1:8080", Store: storeSection{Dir: "/var/lib/rollcall"}}
	d.Known(p, "listen", "store", "sources", "log")
	d.Decode("listen", &in.Listen, p)
	d.Decode("store", &in.Store, p)
	d.Decode("log", &in.Log, p)
	for i := range d.Len("sources") {
		at := fmt.Sprintf("sources[%d]", i)
		s := sourceSection{Timing: Timing{Every: time.Hour}}
		d.Decode(at, &s, p)
		s.Validate(p.In(at))
		in.Sources = append(in.Sources, s)
	}
	return in, p.Err()
}

func TestGoodFiles(t *testing.T) {
	eachFile(t, "testdata/good", func(t *testing.T, name string, data []byte) string {
		in, err := understand(name, data)
		if err != nil {
			t.Fatalf("understand(%s): %v", name, err)
		}
		out, err := json.MarshalIndent(in, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(out) + "\n"
	})
}

func TestBadFiles(t *testing.T) {
	eachFile(t, "testdata/bad", func(t *testing.T, name string, data []byte) string {
		_, err := understand(name, data)
		if _, ok := errors.AsType[*config.Error](err); !ok {
			t.Fatalf("understand(%s) = %v, want a *config.Error", name, err)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("understand(%s) prints a secret: %v", name, err)
		}
		return err.Error() + "\n"
	})
}

// eachFile compares what render says of each YAML file with the file beside it.
func eachFile(t *testing.T, dir string, render func(*testing.T, string, []byte) string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, golden := render(t, name, data), strings.TrimSuffix(file, ".yaml")+".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v (go test ./config -update writes it)", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs from %s (-want +got):\n%s", file, golden, diff)
			}
		})
	}
}

func TestLoadSaysWhichFileIsMissing(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), nil)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("Load(none.yaml) = %v, want an error that names the file", err)
	}
}

func TestLoadFromTheEnvironmentAlone(t *testing.T) {
	d, err := config.Load("", []string{
		"ROLLCALL_SOURCES__1__NAME=b", "ROLLCALL_SOURCES__0__NAME=a", "ROLLCALL_SOURCES__0__URLS=[x, y]",
		"ROLLCALL_TOKEN=t", "ROLLCALL_PORT=tcp://10.0.0.1:80", "ROLLCALL_PORT_80_TCP_ADDR=10.0.0.1", "HOME=/root",
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sources"}, d.Sections()); diff != "" {
		t.Errorf("Sections (-want +got):\n%s", diff)
	}
	if n := d.Len("sources"); n != 2 {
		t.Errorf("Len(sources) = %d, want 2", n)
	}
	if d.Has("sources[0].starttls") || !d.Has("sources[1].name") {
		t.Error("Has is wrong about what the environment set")
	}
	var urls []string
	p := d.Problems()
	d.Decode("sources[0].urls", &urls, p)
	if diff := cmp.Diff([]string{"x", "y"}, urls); diff != "" || p.Err() != nil {
		t.Errorf("Decode(sources[0].urls): %v (-want +got):\n%s", p.Err(), diff)
	}
}

func TestProblemsWithoutADocument(t *testing.T) {
	var p config.Problems
	if err := p.Err(); err != nil {
		t.Errorf("Err of no problems = %v", err)
	}
	s := p.In("sources[1]")
	s.Add("urls[0]", "is %s", "wrong")
	s.In("tls").Add("ca_file", "is missing")
	s.Add("", "is odd")
	want := "sources[1]: is odd\nsources[1].tls.ca_file: is missing\nsources[1].urls[0]: is wrong"
	if err := p.Err(); err == nil || err.Error() != want {
		t.Errorf("Err = %v, want\n%s", err, want)
	}
}

func TestProblemsKnowTheirLines(t *testing.T) {
	const file = `listen: a
store:
  labels:
    a.b: x
    "q\"]": y
sources:
  - name: a
    urls:
      - one
      - two
`
	name := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := config.Load(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path string
		line int
	}{
		{"", 1},
		{"listen", 1},
		{`store.labels["a.b"]`, 4},
		{`store.labels["q\"]"]`, 5},
		{"store.labels.none", 3},
		{"sources[0]", 7},
		{"sources[0].urls", 8},
		{"sources[0].urls[1]", 10},
		{"sources[0].urls[7]", 8},
		{"sources[x", 6},
		{"sources[0].urls[1].deeper", 10},
		{"none.of.this", 1},
	} {
		p := d.Problems()
		p.Add(tc.path, "is wrong")
		e, ok := errors.AsType[*config.Error](p.Err())
		if !ok || e.Problems[0].Line != tc.line || e.Problems[0].File != d.Name() {
			t.Errorf("Add(%q) = %v, want line %d", tc.path, p.Err(), tc.line)
		}
	}
	if d.Len("sources") != 1 || d.Len("store") != 0 || d.Len("none") != 0 {
		t.Error("Len is wrong")
	}
}

func TestEmbeddedStructsWithOneKey(t *testing.T) {
	type a struct {
		Limit int `yaml:"limit"`
	}
	type b struct {
		Limit int `yaml:"limit"`
	}
	d, err := config.Parse("f.yaml", []byte("limit: 3"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var hidden struct {
		Limit int `yaml:"limit"`
		A     a   `yaml:",inline"`
	}
	d.Decode("", &hidden, d.Problems())
	if hidden.Limit != 3 || hidden.A.Limit != 0 {
		t.Errorf("Decode = %+v, want the outer field filled", hidden)
	}
	defer func() {
		if recover() == nil {
			t.Error("Decode filled one of two fields with one key, want a panic")
		}
	}()
	var both struct {
		A a `yaml:",inline"`
		B b `yaml:",inline"`
	}
	d.Decode("", &both, d.Problems())
}

// FuzzLoad looks for input that panics, hangs, or is refused without a problem.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "STORE__DIR", "/x")
	}
	f.Add([]byte("a: &a [*a]"), "SOURCES__0", "{a: b}")
	f.Fuzz(func(t *testing.T, data []byte, key, value string) {
		d, err := config.Parse("f.yaml", data, []string{"ROLLCALL_" + key + "=" + value})
		if e, ok := errors.AsType[*config.Error](err); err != nil && (!ok || len(e.Problems) == 0) {
			t.Fatalf("Parse = %v, want a list of problems", err)
		}
		if err != nil {
			return
		}
		p := d.Problems()
		d.Known(p, "listen", "store", "sources", "log")
		var in installation
		d.Decode("", &in, p)
		_ = p.Err()
	})
}
