package identity

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A user of the directory, whom the HR system knows as well.
func linkedUser() *User {
	return &User{
		Record: Record{
			Source: "corp", Attributes: Attributes{"department": {"Sales"}, "team": {"red"}},
			Profile: map[string]string{DisplayName: "Ann", Email: "ann@corp.example"},
		},
		Linked: []Linked{{Record: Record{
			Source: "hr", Attributes: Attributes{"costcenter": {"4711"}, "department": {"Sales EMEA"}},
			Profile: map[string]string{DisplayName: "Ann Lee", Phone: "1"},
		}}},
		Local: LocalLayer{Attributes: Attributes{"department": {"Board"}, "floor": {"3"}}},
	}
}

func TestPrecedence(t *testing.T) {
	for _, tt := range []struct {
		name       string
		first      Precedence
		department []string
		shown      string
	}{
		{"the owning record goes first", nil, []string{"Board", "Sales"}, "Ann"},
		{"a declared order", Precedence{"department": {"hr", "corp"}}, []string{"Board", "Sales EMEA"}, "Ann"},
		{"an order for every key", Precedence{EveryKey: {"hr"}}, []string{"Board", "Sales EMEA"}, "Ann Lee"},
		{"a key's own order goes before that", Precedence{EveryKey: {"hr"}, "department": {"corp"}}, []string{"Board", "Sales"}, "Ann Lee"},
		{"local values that stand in the order override", Precedence{"department": {"local", "hr"}}, []string{"Board"}, "Ann"},
		{"local values that come after are shadowed", Precedence{"department": {"corp", "local"}}, []string{"Sales"}, "Ann"},
		{"a source without a value is passed over", Precedence{"department": {"okta"}}, []string{"Board", "Sales"}, "Ann"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := linkedUser()
			u.First = tt.first
			got := u.Attributes()
			want := Attributes{"department": tt.department, "team": {"red"}, "costcenter": {"4711"}, "floor": {"3"}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Attributes (-want +got):\n%s", diff)
			}
			if p := u.Profile(); p[DisplayName] != tt.shown || p[Phone] != "1" || p[Email] != "ann@corp.example" {
				t.Errorf("Profile = %v, want the name %q", p, tt.shown)
			}
		})
	}
}

func TestALinkedRecordThatIsMissingSaysNothing(t *testing.T) {
	u := linkedUser()
	u.First = Precedence{EveryKey: {"hr"}}
	u.Linked[0].Missing = time.Unix(1, 0)
	if got := u.Attributes(); !got.Equal(Attributes{"department": {"Board", "Sales"}, "team": {"red"}, "floor": {"3"}}) {
		t.Errorf("Attributes = %v", got)
	}
	if p := u.Profile(); p[Phone] != "" || p[DisplayName] != "Ann" {
		t.Errorf("Profile = %v", p)
	}
}

func TestWhoKeepsALinkedUserOut(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tt := range []struct {
		name string
		edit func(*User)
		want Reason
	}{
		{"nobody", func(*User) {}, Active},
		{"a linked source that may not", func(u *User) { u.Linked[0].Record.Disabled = ReasonDisabled }, Active},
		{"a linked source that may", func(u *User) { u.Linked[0].Bars, u.Linked[0].Record.Disabled = true, ReasonLocked }, ReasonLocked},
		{"one that lost him", func(u *User) { u.Linked[0].Bars, u.Linked[0].Missing = true, now }, ReasonMissing},
		{"its clock", func(u *User) { u.Linked[0].Bars, u.Linked[0].Record.Expires = true, now }, ReasonExpired},
		{"the clock of one that may not", func(u *User) { u.Linked[0].Record.Expires = now }, Active},
		{"a linked source lets nobody in whom the owner does not", func(u *User) { u.Record.Disabled = ReasonDisabled }, ReasonDisabled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := linkedUser()
			if tt.edit(u); u.Status(now) != tt.want {
				t.Errorf("Status = %q, want %q", u.Status(now), tt.want)
			}
		})
	}
}

// Of each attribute one source's values hold, all of them, beside local ones; and
// without linked records and orders everything is as it was before there were any.
func TestPrecedenceLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sources := []SourceID{"corp", "hr", "okta"}
		u := &User{Record: Record{Source: "corp", Attributes: drawAttributes(t, "corp").Normalize()}}
		for _, s := range sources[1:] {
			if rapid.Bool().Draw(t, string(s)) {
				u.Linked = append(u.Linked, Linked{Record: Record{Source: s, Attributes: drawAttributes(t, string(s)).Normalize()}})
			}
		}
		u.Local.Attributes = drawAttributes(t, "local").Normalize()
		alone := *u
		alone.Linked = nil
		if !alone.Attributes().Equal(u.Record.Attributes.Merge(u.Local.Attributes)) {
			t.Fatalf("a user of one source has %v", alone.Attributes())
		}
		u.First = Precedence{EveryKey: rapid.Permutation(sources).Draw(t, "order")}
		got := u.Attributes()
		for key, values := range got {
			said := u.Says(key)
			var winner []string
			if len(said) > 0 {
				winner = said[0].Values
			}
			want := Attributes{key: winner}.Merge(Attributes{key: u.Local.Attributes[key]}).Normalize()
			if !want.Equal(Attributes{key: values}) {
				t.Fatalf("%s = %v, want %v; said %v", key, values, want, said)
			}
		}
		for i := range u.Linked {
			for key := range u.Linked[i].Record.Attributes {
				if len(got[key]) == 0 {
					t.Fatalf("%s is said and lost", key)
				}
			}
		}
	})
}
