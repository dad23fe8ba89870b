package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
)

func TestParseEnd(t *testing.T) {
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 10, 20, 15, 0, 0, 0, vienna)
	for text, want := range map[string]time.Time{
		"":     {},
		"30d":  time.Date(2026, 11, 19, 15, 0, 0, 0, vienna), // over the change to winter time
		"2w":   time.Date(2026, 11, 3, 15, 0, 0, 0, vienna),
		"1y":   time.Date(2027, 10, 20, 15, 0, 0, 0, vienna),
		"12h":  time.Date(2026, 10, 21, 3, 0, 0, 0, vienna),
		"90m":  time.Date(2026, 10, 20, 16, 30, 0, 0, vienna),
		"1h1s": time.Date(2026, 10, 20, 16, 0, 1, 0, vienna),
		// A last day is included.
		"2026-10-20":                time.Date(2026, 10, 21, 0, 0, 0, 0, vienna),
		"2026-12-31":                time.Date(2027, 1, 1, 0, 0, 0, 0, vienna),
		"2026-12-31T18:00:00Z":      time.Date(2026, 12, 31, 18, 0, 0, 0, time.UTC),
		"2026-12-31T18:00:00+05:30": time.Date(2026, 12, 31, 12, 30, 0, 0, time.UTC),
	} {
		if got, err := parseEnd(text, now); err != nil || !got.Equal(want) {
			t.Errorf("parseEnd(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"0d", "-1d", "30", "d", "soon", "1.5d", "99999999999999d", "2026-02-30", "2026-10-19", "2020-01-01T00:00:00Z", "-5m", "30 d",
	} {
		if got, err := parseEnd(text, now); err == nil {
			t.Errorf("parseEnd(%q) = %v, want an error", text, got)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 119 * time.Minute: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 80 * 24 * time.Hour: "80d",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567", -5: "-5", -123456: "-123,456"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestTableAlignsWideAndCombiningNames(t *testing.T) {
	tab := newTable("NAME", "X")
	for _, name := range []string{"ann", "渡辺", "Mu\u0308ller", "김철수", "😀", "tab\tand\x1b[2J", ""} {
		tab.row(name, "x")
	}
	var b bytes.Buffer
	tab.write(&b)
	for line := range strings.Lines(b.String()) {
		name, _, _ := strings.Cut(strings.TrimRight(line, "\n"), "x")
		name, _, _ = strings.Cut(name, "X")
		if w := width(name); w != 13 {
			t.Errorf("the second column of %q begins at %d, want 13", line, w)
		}
		if strings.ContainsAny(line, "\t\x1b") {
			t.Errorf("%q holds control characters", line)
		}
	}
}

// TestTableIsAligned says that whatever is in the cells, every column begins at the
// same place in all rows, and that a row is a line.
func TestTableIsAligned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.String(), 2, 2), 1, 5).Draw(t, "rows")
		tab := newTable("A", "B")
		for _, r := range rows {
			tab.row(r[0], "|"+r[1])
		}
		var b bytes.Buffer
		tab.write(&b)
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != len(rows)+1 {
			t.Fatalf("%d lines for %d rows", len(lines), len(rows)+1)
		}
		for i, r := range rows {
			first := printable(r[0])
			if first == "" {
				first = "-"
			}
			rest := strings.TrimPrefix(lines[i+1], first)
			if at := width(first) + len(rest) - len(strings.TrimLeft(rest, " ")); !strings.HasPrefix(rest[at-width(first):], "|") || at != tab.width[0]+2 {
				t.Fatalf("line %q: the second column is at %d, want %d", lines[i+1], at, tab.width[0]+2)
			}
		}
	})
}

// TestLastColumnIsBroken shows a long text beside narrow columns.
func TestLastColumnIsBroken(t *testing.T) {
	tab := newTable("NAME", "WHAT")
	tab.columns = 6 + leastRoom
	tab.row("a", "one two three four five six seven eight nine ten")
	tab.row("b", strings.Repeat("x", 40))
	tab.row("c", "short")
	var b bytes.Buffer
	tab.write(&b)
	const want = `NAME  WHAT
a     one two three four five six
      seven eight nine ten
b     xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
c     short
`
	if b.String() != want {
		t.Errorf("table:\n%s\nwant:\n%s", &b, want)
	}
}

// TestYAMLSaysWhatJSONSays writes texts that YAML would take for something else.
func TestYAMLSaysWhatJSONSays(t *testing.T) {
	type data struct {
		Text string            `json:"text"`
		More []string          `json:"more"`
		Map  map[string]string `json:"map"`
		N    int               `json:"n"`
	}
	check := func(t *rapid.T, want data) {
		var b bytes.Buffer
		if err := writeYAML(&b, want); err != nil {
			t.Fatalf("writeYAML(%+v): %v", want, err)
		}
		var got map[string]any
		if err := yaml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("read back %q: %v", &b, err)
		}
		back, err := json.Marshal(got, json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		var again data
		if err := json.Unmarshal(back, &again, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%s: %v", back, err)
		}
		if d := cmp.Diff(want, again, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("YAML %q (-want +got):\n%s", &b, d)
		}
	}
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "yes", "no", "null", "~", "1", "1e3", "0x1f", "2026-11-25", "2026-11-25T09:00:00Z", "12:30", "- a", "a: b", "# no", "'", "\"", "a\nb\n", "\n",
		" a", "a ", "\t", "%", "@a", "!!int 1", "&a", "*a", "<<", "{", "[", "|", ">", "?", "\x7f", "\u0085", "\ufeff", "\u2028", "\r\n", "\x1b[31m",
	}))
	rapid.Check(t, func(t *rapid.T) {
		check(t, data{
			Text: texts.Draw(t, "text"), More: rapid.SliceOf(texts).Draw(t, "more"),
			Map: rapid.MapOf(texts, texts).Draw(t, "map"), N: rapid.Int().Draw(t, "n"),
		})
	})
}

func TestExitCodes(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	served := func(kind error, status int) error {
		return &fault.Error{Kind: kind, Code: "x", Detail: "x", Cause: &client.Problem{Status: status, Code: "x"}}
	}
	for name, tc := range map[string]struct {
		ctx    context.Context
		early  bool
		err    error
		want   int
		stderr string
	}{
		"done":                        {want: exitOK},
		"no":                          {err: errNo, want: exitNo},
		"no, wrapped":                 {err: fmt.Errorf("so: %w", errNo), want: exitNo},
		"usage":                       {err: usage("say which"), want: exitUsage, stderr: "rollcall: say which\n"},
		"a flag":                      {early: true, err: errors.New("unknown flag: --x"), want: exitUsage, stderr: "rollcall: unknown flag: --x (rollcall --help)\n"},
		"configuration":               {err: &config.Error{Problems: []config.Problem{{File: "f", Line: 3, Text: "bad"}}}, want: exitUsage, stderr: "f:3: bad\n"},
		"wrong here":                  {err: fault.New(fault.Invalid, "bad_url", "no address"), want: exitUsage, stderr: "rollcall: no address (bad_url)\n"},
		"wrong there":                 {err: served(fault.Invalid, 422), want: exitRefused, stderr: "rollcall: x (x)\n"},
		"not allowed":                 {err: served(fault.Denied, 403), want: exitRefused, stderr: "rollcall: x (x)\n"},
		"not known":                   {err: served(fault.Unauthenticated, 401), want: exitRefused, stderr: "rollcall: x (x)\n"},
		"not there":                   {err: served(fault.NotFound, 404), want: exitRefused, stderr: "rollcall: x (x)\n"},
		"conflict":                    {err: served(fault.Conflict, 409), want: exitRefused, stderr: "rollcall: x (x)\n"},
		"stale":                       {err: served(fault.Stale, 412), want: exitRefused, stderr: "rollcall: x (x)\n"},
		"down":                        {err: served(fault.Unavailable, 503), want: exitUnavailable, stderr: "rollcall: x (x)\n"},
		"unreachable":                 {err: fault.New(fault.Unavailable, "unreachable", "nobody there"), want: exitUnavailable, stderr: "rollcall: nobody there (unreachable)\n"},
		"no kind":                     {err: errors.New("disk\nfull"), want: exitUnavailable, stderr: "rollcall: disk full\n"},
		"a run that failed":           {err: &failed{"run_failed"}, want: exitUnavailable},
		"interrupted":                 {ctx: ended, err: fmt.Errorf("read: %w", context.Canceled), want: exitInterrupted, stderr: "rollcall: interrupted\n"},
		"canceled by somebody else":   {err: context.Canceled, want: exitUnavailable, stderr: "rollcall: context canceled\n"},
		"an error that moves cursors": {err: errors.New("a\x1b[2Jb"), want: exitUnavailable, stderr: "rollcall: a\ufffd[2Jb\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			c := newCLI(nil, io.Discard, &stderr, nil)
			c.started = !tc.early
			ctx := tc.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			if got := c.conclude(ctx, rootCommand(c), tc.err); got != tc.want || stderr.String() != tc.stderr {
				t.Errorf("conclude(%v) = %d, %q, want %d, %q", tc.err, got, stderr.String(), tc.want, tc.stderr)
			}
		})
	}
}

// TestInterruptedRunIsNotFollowed shows that Ctrl-C ends the following only.
func TestInterruptedRunIsNotFollowed(t *testing.T) {
	w := testWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	var stdout bytes.Buffer
	stderr := &watcher{until: "1,200 users", then: cancel}
	c := newCLI(nil, &stdout, stderr, []string{"ROLLCALL_URL=" + w.server.URL, "ROLLCALL_TOKEN=" + w.key})
	if code := c.run(ctx, []string{"sync", "run", "corp"}); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	if text := stderr.String(); !strings.Contains(text, "The run goes on") || stdout.Len() > 0 {
		t.Errorf("stderr %q, stdout %q, want it said that the run goes on", text, stdout.String())
	}
}

// watcher does something once a text was written.
type watcher struct {
	bytes.Buffer
	until string
	then  func()
}

func (w *watcher) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.until) {
		defer w.then()
	}
	return w.Buffer.Write(p)
}

// TestShapesAreTheAPIs compares the fields of the client that are written by hand with
// those of the API, by name, order and kind: what the API shows is not to get lost on the
// way. The others are generated.
func TestShapesAreTheAPIs(t *testing.T) {
	for name, pair := range map[string][2]reflect.Type{
		"problem": {reflect.TypeFor[admin.Problem](), reflect.TypeFor[client.Problem]()},
	} {
		t.Run(name, func(t *testing.T) {
			want, got := fields(pair[0], "", pair[1]), fields(pair[1], "", pair[1])
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("fields (-admin +client):\n%s", d)
			}
		})
	}
}

// fields lists the JSON fields of a type. Where like has raw JSON it looks no deeper.
func fields(t reflect.Type, at string, like reflect.Type) []string {
	t, like = element(t), element(like)
	if like == reflect.TypeFor[any]() || like.Name() == "Value" && strings.HasSuffix(like.PkgPath(), "jsontext") {
		return []string{at + " raw"}
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() || hasText(t) {
		return []string{at}
	}
	var out []string
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && name == "":
			inner := like
			if g, ok := like.FieldByName(f.Name); ok {
				inner = g.Type
			}
			out = append(out, fields(f.Type, at, inner)...)
		case !f.IsExported() || name == "-" || strings.Contains(tag, "embed"):
		default:
			inner := f.Type
			for g := range like.Fields() {
				if n, _, _ := strings.Cut(g.Tag.Get("json"), ","); n == name {
					inner = g.Type
				}
			}
			out = append(out, fields(f.Type, at+"."+name, inner)...)
		}
	}
	slices.Sort(out)
	return out
}

func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// hasText reports whether a type writes itself as a text.
func hasText(t reflect.Type) bool {
	_, ok := t.MethodByName("MarshalText")
	return ok
}
