package scim

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
)

var update = flag.Bool("update", false, "rewrite the rolls at the end of testdata/corpus")

// TestCorpus plays what identity providers send in the life of a user and of a group,
// and looks at the answers and at what the roll holds in the end. A file is a preset
// and exchanges:
//
//	preset entra
//
//	== what happens
//	POST /Users?x=y z
//	Header: value
//
//	body
//	< 201
//	path/to/member = JSON      or: absent
//	id -> ann                  from then on <ann> stands for it
//	header Location = text
//
//	== roll
//	...
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			preamble, rest, _ := strings.Cut(string(text), "\n== ")
			p := &player{t: t, vars: map[string]string{}}
			p.w = newWorld(t, mem.New(), presetOf("okta", field(preamble, "preset ")))
			p.vars["base"] = p.w.url + Prefix + "okta"
			var before strings.Builder
			for section := range strings.SplitSeq(rest, "\n== ") {
				title, body, _ := strings.Cut(section, "\n")
				if title != "roll" {
					before.WriteString("\n== " + section)
					p.exchange(title, body)
					continue
				}
				got := p.named(rollOf(p.w.db.View().Now()))
				if *update {
					if err := os.WriteFile(file, []byte(preamble+before.String()+"\n== roll\n"+got), 0o600); err != nil {
						t.Fatal(err)
					}
				} else if diff := cmp.Diff(body, got); diff != "" {
					t.Errorf("the roll is not what it should be (-want +got):\n%s", diff)
				}
				return
			}
			t.Error("the file does not end with a roll")
		})
	}
}

// field is the rest of the line that begins so.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// player plays the exchanges of one file.
type player struct {
	t    *testing.T
	w    *world
	vars map[string]string
}

func (p *player) fill(text string) string {
	for name, value := range p.vars {
		text = strings.ReplaceAll(text, "<"+name+">", value)
	}
	return text
}

// named puts the names of ids back into a text.
func (p *player) named(text string) string {
	for name, value := range p.vars {
		text = strings.ReplaceAll(text, value, "<"+name+">")
	}
	return text
}

func (p *player) exchange(title, text string) {
	p.t.Helper()
	request, answer, ok := strings.Cut("\n"+text, "\n< ")
	if !ok {
		p.t.Fatalf("%s: no answer is expected", title)
	}
	head, body, _ := strings.Cut(strings.TrimPrefix(request, "\n"), "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	method, path, _ := strings.Cut(p.fill(lines[0]), " ")
	path, query, asks := strings.Cut(path, "?")
	if asks {
		path += "?" + strings.NewReplacer(" ", "%20", `"`, "%22", "[", "%5B", "]", "%5D", "+", "%2B", "#", "%23").Replace(query)
	}
	var headers []string
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		headers = append(headers, name, value)
	}
	a := p.w.call(method, path, strings.TrimSpace(p.fill(body)), headers...)
	expected := strings.Split(strings.TrimSpace(answer), "\n")
	if want := strings.TrimSpace(expected[0]); strconv.Itoa(a.status) != want {
		p.t.Fatalf("%s: status %d, want %s: %s", title, a.status, want, a.body)
	}
	if got := a.header.Get("Content-Type"); a.body != "" && got != mediaType {
		p.t.Errorf("%s: Content-Type %q", title, got)
	}
	for _, line := range expected[1:] {
		p.expect(title, a, line)
	}
}

func (p *player) expect(title string, a *answer, line string) {
	p.t.Helper()
	if path, name, ok := strings.Cut(line, " -> "); ok {
		value, _ := at(a.json, path).(string)
		if value == "" {
			p.t.Fatalf("%s: no %s in %s", title, path, a.body)
		}
		p.vars[name] = value
		return
	}
	path, want, ok := strings.Cut(p.fill(line), " = ")
	if !ok {
		p.t.Fatalf("%s: %q is no expectation", title, line)
	}
	if name, isHeader := strings.CutPrefix(path, "header "); isHeader {
		if got := a.header.Get(name); got != want {
			p.t.Errorf("%s: header %s is %q, want %q", title, name, got, want)
		}
		return
	}
	got := at(a.json, path)
	var value any
	if want != "absent" {
		if err := json.Unmarshal([]byte(want), &value); err != nil {
			p.t.Fatalf("%s: %q is no JSON: %v", title, want, err)
		}
	}
	if diff := cmp.Diff(value, got); diff != "" {
		p.t.Errorf("%s: %s (-want +got):\n%s%s", title, path, diff, a.body)
	}
}

// rollOf tells what the roll holds, in the order of names.
func rollOf(s *state.Snapshot) string {
	var users, groups []string
	for row := range s.Users(identity.UserID{}, time.Now()) {
		id, _ := row.Member.User()
		u, _, _ := s.User(id)
		status := string(row.Status)
		if row.Status == identity.Active {
			status = "active"
		}
		line := fmt.Sprintf("user %s %s external=%s", u.Record.Name, status, u.Record.Pushed.External)
		for _, name := range slices.Sorted(maps.Keys(u.Record.Profile)) {
			line += fmt.Sprintf(" %s=%q", name, u.Record.Profile[name])
		}
		for _, name := range slices.Sorted(maps.Keys(u.Record.Attributes)) {
			line += fmt.Sprintf(" %s=%q", name, u.Record.Attributes[name])
		}
		users = append(users, line)
	}
	for row := range s.Groups(identity.GroupID{}) {
		id, _ := row.Member.Group()
		g, _, _ := s.Group(id)
		line := fmt.Sprintf("group %s external=%s", g.Record.Name, g.Record.Pushed.External)
		if row.Status != identity.Active {
			line += " " + string(row.Status)
		}
		var members []string
		for m := range s.Members(id) {
			name, _ := s.Name(m.Member)
			members = append(members, name)
		}
		slices.Sort(members)
		groups = append(groups, line+" members="+strings.Join(members, ",")+" waiting="+strings.Join(g.Record.Unresolved, ","))
	}
	slices.Sort(users)
	slices.Sort(groups)
	return strings.Join(append(users, groups...), "\n") + "\n"
}
