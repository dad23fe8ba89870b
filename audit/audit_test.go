package audit

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/store"
)

func TestEventsBearTheNamesThatReadersKnow(t *testing.T) {
	got := Named([]Event{
		{Action: "UserDeactivated", Target: "user/1", Reason: "missing_from_source"},
		{Action: "UserReturned", Target: "user/1", Changes: []Change{{Field: "name"}}},
		{Action: "GroupMembersChanged", Target: "group/1", Changes: []Change{{Field: "members.corp", Before: []string{"u1"}, After: []string{"u2", "u3"}}}},
		{Action: "GroupMembersChanged", Target: "group/2", Changes: []Change{{Field: "members.local", After: []string{"u2"}}}},
		{Action: "PermissionGranted", Target: "user/1"},
	})
	want := []Event{
		{Action: "UserDisabled", Target: "user/1", Reason: "missing_from_source"},
		{Action: "UserEnabled", Target: "user/1", Reason: "returned_to_source", Changes: []Change{{Field: "name"}}},
		{Action: "GroupMemberRemoved", Target: "group/1", Changes: []Change{{Field: "members.corp", Before: []string{"u1"}}}},
		{Action: "GroupMemberAdded", Target: "group/1", Changes: []Change{{Field: "members.corp", After: []string{"u2", "u3"}}}},
		{Action: "GroupMemberAdded", Target: "group/2", Changes: []Change{{Field: "members.local", After: []string{"u2"}}}},
		{Action: "PermissionGranted", Target: "user/1"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Named (-want +got):\n%s", d)
	}
}

// The chain is part of what is stored, and of what others keep: it never changes.
func TestTheChainIsWhatItAlwaysWas(t *testing.T) {
	h := Head{}
	h = h.Add(7, Line(1, 7, 7, "a", []byte(`{"v":1}`)))
	h = h.Add(9, Line(2, 9, 12, "b", []byte("\x00\n")))
	const want = "d958cfcf3c1382943197e1064989dfd1b0dde6689846d5deeb88dd27334490fd"
	if h.Seq != 2 || h.Rev != 9 || h.Hash.String() != want {
		t.Errorf("head %+v, want %s", h, want)
	}
	var back Hash
	if err := back.UnmarshalText([]byte(h.Hash.String())); err != nil || back != h.Hash {
		t.Errorf("UnmarshalText = %v, %v", back, err)
	}
	for _, bad := range []string{"", "00", hex.EncodeToString(make([]byte, 31)) + "zz"} {
		if back.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is read as a hash", bad)
		}
	}
}

// Whatever was stored and however its key was named, a line is one line of JSON, and
// different entries have different lines.
func TestALineIsOneLineOfJSON(t *testing.T) {
	type entry struct {
		seq, rev uint64
		id       string
		stored   []byte
	}
	draw := rapid.Custom(func(t *rapid.T) entry {
		stored := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.SampledFrom([][]byte{[]byte(`{}`), []byte("{}\n"), []byte(`{"a":1}`), []byte(`"x"`)})).Draw(t, "stored")
		return entry{rapid.Uint64Range(1, 3).Draw(t, "seq"), rapid.Uint64Range(1, 3).Draw(t, "rev"), rapid.String().Draw(t, "id"), stored}
	})
	line := func(e entry) string {
		return string(Line(e.seq, store.Revision(e.rev), store.Revision(e.rev), e.id, e.stored))
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		if l := line(a); strings.ContainsAny(l, "\r\n") || !jsontext.Value(l).IsValid() {
			t.Fatalf("line %q", l)
		}
		if same := cmp.Equal(a, b, cmp.AllowUnexported(entry{}), cmp.Comparer(slices.Equal[[]byte])); same != (line(a) == line(b)) {
			t.Fatalf("%+v and %+v: equal %v, but lines %q and %q", a, b, same, line(a), line(b))
		}
	})
}

func TestAFilterSelects(t *testing.T) {
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	e := Entry{
		ID: "1", Seq: 1, Rev: 7, At: at, Actor: Actor{Kind: ActorUser, ID: "id1", Name: "ann", Request: "req-1"},
		Events: []Event{
			{Action: "PermissionGranted", Target: "user/2", Name: "bob", Reason: "Runs the Data office", Changes: []Change{{Field: "permission", After: []string{"GOVERNANCE"}}}},
			{Action: "GroupMemberAdded", Target: "group/1", Changes: []Change{{Field: "members.corp", After: []string{"u2", "u3"}}}},
		},
	}
	for _, c := range []struct {
		name   string
		f      Filter
		events int // 0: it is not selected
	}{
		{"nothing", Filter{}, 2},
		{"the actor's name", Filter{Actor: "ann"}, 2},
		{"the actor's kind and id", Filter{Actor: "user:id1"}, 2},
		{"another actor", Filter{Actor: "an"}, 0},
		{"an action", Filter{Action: "GroupMemberAdded"}, 2},
		{"another action", Filter{Action: "GroupMember"}, 0},
		{"a target", Filter{Target: "group/1"}, 2},
		{"another target", Filter{Target: "group/2"}, 0},
		{"from then", Filter{From: at}, 2},
		{"from later", Filter{From: at.Add(1)}, 0},
		{"until then", Filter{Until: at}, 0},
		{"until later", Filter{Until: at.Add(1)}, 2},
		{"text of a reason", Filter{Text: "dATA"}, 2},
		{"text of a value", Filter{Text: "govern"}, 2},
		{"text of the request", Filter{Text: "req-1"}, 2},
		{"other text", Filter{Text: "nobody"}, 0},
		{"about the actor", Filter{About: "user/id1"}, 2},
		{"about who was granted something and put into a group", Filter{About: "user/2"}, 2},
		{"about who was only put into a group", Filter{About: "user/3"}, 1},
		{"about somebody else", Filter{About: "user/4"}, 0},
		{"about somebody, with text about another", Filter{About: "user/3", Text: "bob"}, 0},
	} {
		got, ok := c.f.Apply(e)
		if ok != (c.events > 0) || ok && len(got.Events) != c.events {
			t.Errorf("%s: Apply = %+v, %v; want %d events", c.name, got.Events, ok, c.events)
		}
		if c.name == "about who was only put into a group" && !slices.Equal(got.Events[0].Changes[0].After, []string{"u3"}) {
			t.Errorf("who was put into a group with others sees them: %+v", got.Events)
		}
	}
	if len(e.Events[1].Changes[0].After) != 2 {
		t.Error("Apply changed the entry that it was given")
	}
}

func TestTheEnvelopeSaysWhereItComesFrom(t *testing.T) {
	e := Entry{Actor: Actor{Kind: ActorSync, ID: "corp/run7", Request: "run7"}, Events: []Event{{Action: "UserCreated", Target: "user/1"}, {Action: "UserCreated", Target: "user/2"}}}
	v := e.Envelope()
	if v.Origin != "corp" || v.RunID != "run7" || v.Actor.Type != "SYNC" || v.Status != "SUCCESS" || len(v.Actions) != 1 || len(v.Targets) != 2 {
		t.Errorf("envelope of a run %+v", v)
	}
	e = Entry{Actor: Actor{Kind: ActorKey, ID: "k"}, Events: []Event{{Action: Denied, Target: "operation/x"}}}
	if v := e.Envelope(); v.Status != "DENIED" || v.Origin != "local" || v.Actor.Type != "API_KEY" || v.Events[0].TargetType != "OPERATION" {
		t.Errorf("envelope of a refusal %+v", v)
	}
}
