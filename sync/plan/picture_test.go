package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

var update = flag.Bool("update", false, "write the plans that are computed into the pictures")

// TestPictures draws what the roll has and what a read saw, and compares the text of
// the plan. Lines are "user KEY field=value..." and "group KEY ...": name, dn,
// profile fields, disabled, expires, attr.<key>=a|b, members=u1|g:g1, and the marks
// missing, unchanged, members-unknown. "seen" is followed by what is proven.
func TestPictures(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("pictures: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pictures := cut(string(text))
			have, seen := newRoll(), &identity.Observation{}
			want := ""
			for _, f := range pictures {
				switch kind, rest, _ := strings.Cut(f.name, " "); kind {
				case "have":
					have = drawnRoll(t, f.text)
				case "seen":
					seen = drawnObservation(t, rest, f.text)
				case "want":
					want = f.text
				default:
					t.Fatalf("unknown picture %q", f.name)
				}
			}
			got := planText(t, have, seen)
			if *update {
				head, _, _ := strings.Cut(string(text), "-- want --\n")
				if err := os.WriteFile(file, []byte(head+"-- want --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the plan differs (-want +got), rewrite with -update:\n%s", diff)
			}
		})
	}
}

// picture is one part of a file, below its line "-- name --".
type picture struct{ name, text string }

// cut takes a file of pictures apart, in the format that is known as txtar.
func cut(file string) []picture {
	var ps []picture
	for line := range strings.Lines(file) {
		name, starts := strings.CutPrefix(line, "-- ")
		name, ends := strings.CutSuffix(name, " --\n")
		switch {
		case starts && ends:
			ps = append(ps, picture{name: name})
		case len(ps) > 0:
			ps[len(ps)-1].text += line
		}
	}
	return ps
}

func planText(t *testing.T, have *roll, seen *identity.Observation) string {
	t.Helper()
	p := mustCompute(t, have, seen)
	limits := plan.DefaultLimits()
	var b strings.Builder
	if err := p.Text(&b, plan.View{Limits: &limits, Steps: true}); err != nil {
		t.Fatal(err)
	}
	if err := have.clone().apply(p.Steps); err != nil {
		t.Errorf("the plan does not apply: %v", err)
	}
	return b.String()
}

func drawnRoll(t *testing.T, text string) *roll {
	r := newRoll()
	for line := range strings.Lines(text) {
		e := parseLine(t, line)
		o := &object{record: e.record, missing: e.marks["missing"], members: map[plan.MemberKey]bool{}}
		if e.kind == "group" {
			o.kind = plan.Group
			for _, k := range e.users {
				o.members[plan.MemberKey{Key: k}] = true
			}
			for _, k := range e.groups {
				o.members[plan.MemberKey{Group: true, Key: k}] = true
			}
			r.groups[e.record.Key] = o
			continue
		}
		r.users[e.record.Key] = o
	}
	return r
}

func drawnObservation(t *testing.T, proof, text string) *identity.Observation {
	o := &identity.Observation{Source: corp, Server: "ldap://dc1"}
	what, why, _ := strings.Cut(proof, ": ")
	o.Proof = identity.Proof{
		Users:  what == "complete" || what == "users",
		Groups: what == "complete" || what == "groups",
		Why:    why,
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "skipped "); ok {
			f := strings.SplitN(strings.TrimSpace(rest), " ", 3)
			o.Skipped = append(o.Skipped, identity.Skipped{
				Key: identity.Key(strings.Trim(f[1], "-")), Group: f[0] == "group", DN: "cn=odd", Reason: f[2],
			})
			continue
		}
		e := parseLine(t, line)
		s := identity.Seen{Key: e.record.Key, Users: e.users, Groups: e.groups, Record: e.record}
		if e.marks["unchanged"] {
			s.Record = nil
		}
		if e.marks["members-unknown"] {
			s.MembersUnknown = "it changed while it was read"
		}
		if e.kind == "group" {
			o.Groups = append(o.Groups, s)
		} else {
			o.Users = append(o.Users, s)
		}
	}
	return o
}

// drawnEntry is one line of a picture.
type drawnEntry struct {
	kind          string
	record        *identity.Record
	users, groups []identity.Key
	marks         map[string]bool
}

func parseLine(t *testing.T, line string) drawnEntry {
	t.Helper()
	f := strings.Fields(line)
	if len(f) < 2 || f[0] != "user" && f[0] != "group" {
		t.Fatalf("not an entry: %q", line)
	}
	e := drawnEntry{kind: f[0], marks: map[string]bool{}, record: &identity.Record{
		Source: corp, Key: identity.Key(f[1]), Profile: map[string]string{}, Attributes: identity.Attributes{},
	}}
	for _, field := range f[2:] {
		k, v, isField := strings.Cut(field, "=")
		if !isField {
			e.marks[k] = true
			continue
		}
		if err := e.set(k, v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	return e
}

func (e *drawnEntry) set(k, v string) error {
	r := e.record
	attribute, isAttribute := strings.CutPrefix(k, "attr.")
	switch {
	case isAttribute:
		r.Attributes[attribute] = strings.Split(v, "|")
	case k == "name":
		r.Name = strings.ReplaceAll(v, "_", " ")
	case k == "dn":
		r.DN = v
	case k == "disabled":
		r.Disabled = identity.Reason(v)
	case k == "expires":
		return r.Expires.UnmarshalText([]byte(v))
	case k == "members":
		for m := range strings.SplitSeq(v, "|") {
			if g, ok := strings.CutPrefix(m, "g:"); ok {
				e.groups = append(e.groups, identity.Key(g))
			} else {
				e.users = append(e.users, identity.Key(m))
			}
		}
	case k == "unresolved":
		r.Unresolved = strings.Split(v, "|")
	default:
		if r.Profile[k] != "" {
			return fmt.Errorf("%s twice", k)
		}
		r.Profile[k] = strings.ReplaceAll(v, "_", " ")
	}
	return nil
}
