package ldap

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/sync"
)

// tags are the values from one to another of an attribute with so many, as a server
// sends them that gives a piece at once.
func tags(from, piece, size int) []byte {
	to := min(from+piece, size)
	var values []string
	for i := from; i < to; i++ {
		values = append(values, fmt.Sprintf("tag %04d", i))
	}
	end := fmt.Sprint(to - 1)
	if to == size {
		end = "*"
	}
	return attribute(fmt.Sprintf("tags;range=%d-%s", from, end), values...)
}

// TestMappedValuesInPieces maps an attribute of people and of groups that the server
// sends in pieces: all of it, or the entry is left as it was and listed.
func TestMappedValuesInPieces(t *testing.T) {
	t.Parallel()
	const size, piece = 400, 150
	still := func(int) string { return "1" }
	rest := func(_ question, from int) []byte { return tags(from, piece, size) }
	for name, c := range map[string]struct {
		stamp  func(answer int) string
		hidden string // what groups.change_stamp is instead
		rest   func(q question, from int) []byte
		why    string
	}{
		"that stand still":            {still, "", rest, ""},
		"that change once":            {func(n int) string { return fmt.Sprint(min(n, 4)) }, "", rest, ""},
		"that never stand still":      {func(n int) string { return fmt.Sprint(n) }, "", rest, "3 times in a row"},
		"of which nothing tells":      {still, "none", rest, "groups.change_stamp"},
		"whose stamp is hidden":       {still, "hidden", rest, "groups.change_stamp"},
		"that come at once after all": {still, "", func(question, int) []byte { return attribute("tags", values(piece, size)...) }, ""},
		"that have become fewer":      {still, "", func(q question, from int) []byte { return attribute("tags") }, ""},
		"that come again":             {still, "", func(question, int) []byte { return tags(0, piece, size) }, "no values of tags after the first 150"},
		"whose pieces have no end":    {still, "", func(q question, from int) []byte { return attribute(fmt.Sprintf("tags;range=%d-x", from), "a") }, "cannot be told apart"},
		"that are too many":           {still, "", func(q question, from int) []byte { return tags(from, 8000, 1<<30) }, "more than 204800 bytes"},
		"that are refused":            {still, "", nil, "not all can be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := 0
			src := scripted(t, func(q question) [][]byte {
				answers++
				entry := func(dn, key string, tags []byte) []byte {
					return q.entry(dn, attribute("uid", key), attribute("cn", key), attribute("entryUUID", key), attribute("uSNChanged", c.stamp(answers)), tags)
				}
				var from int
				_, ranged := fmt.Sscanf(q.attrs[0], "tags;range=%d-*", &from)
				switch {
				case q.base == peopleBase:
					return [][]byte{person(q, 0), entry("uid=ann,"+peopleBase, "ann", tags(0, piece, size)), q.page("")}
				case q.base == groupsBase:
					return [][]byte{entry("cn=ops,"+groupsBase, "ops", tags(0, piece, size)), q.page("")}
				case ranged != nil:
					return [][]byte{entry(q.base, q.base[strings.Index(q.base, "=")+1:strings.Index(q.base, ",")], tags(0, piece, size)), q.done(0)}
				case c.rest == nil:
					return [][]byte{q.done(50)}
				}
				return [][]byte{q.entry(q.base, c.rest(q, from), attribute("uSNChanged", c.stamp(answers))), q.done(0)}
			}, func(cfg *Config) {
				cfg.Groups.ChangeStamp = "uSNChanged"
				switch c.hidden {
				case "none":
					cfg.Groups.ChangeStamp = ""
				case "hidden":
					cfg.Groups.ChangeStamp = "hidden"
				}
				cfg.Users.Attributes = map[string]Mapping{"tags": {Attribute: "tags"}}
				cfg.Groups.Attributes = map[string]Mapping{"tags": {Attribute: "tags"}}
			})
			o, err := src.Pull(t.Context(), sync.PullRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if !o.Proof.Users || !o.Proof.Groups {
				t.Errorf("nothing is proven: %s", o.Proof.Why)
			}
			if c.why != "" {
				if len(o.Skipped) != 2 || len(o.Users) != 1 || len(o.Groups) != 0 {
					t.Fatalf("%d users, %d groups, skipped %+v", len(o.Users), len(o.Groups), o.Skipped)
				}
				for _, s := range o.Skipped {
					if s.Key == "" || !strings.Contains(s.Reason, c.why) {
						t.Errorf("skipped %+v, want %q", s, c.why)
					}
				}
				return
			}
			if len(o.Users) != 2 || len(o.Groups) != 1 || len(o.Skipped) != 0 {
				t.Fatalf("%d users, %d groups, skipped %+v", len(o.Users), len(o.Groups), o.Skipped)
			}
			want := values(0, size)
			if name == "that have become fewer" {
				want = values(0, piece)
			}
			if got := o.Users[1].Record.Attributes["tags"]; !slices.Equal(got, want) {
				t.Errorf("the user has %d tags, want %d", len(got), len(want))
			}
			if got := o.Groups[0].Record.Attributes["tags"]; !slices.Equal(got, want) {
				t.Errorf("the group has %d tags, want %d", len(got), len(want))
			}
		})
	}
}

// TestFindPutsPiecesTogether looks for one whose values come in pieces.
func TestFindPutsPiecesTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stamp, problem string
	}{
		"that stands still":      {"uSNChanged", ""},
		"of which nothing tells": {"", "nothing shows whether it changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := scripted(t, func(q question) [][]byte {
				if q.base != peopleBase && !strings.HasPrefix(q.base, "uid=ann") {
					return [][]byte{q.done(0)}
				}
				from := 0
				_, _ = fmt.Sscanf(q.attrs[0], "tags;range=%d-*", &from)
				return [][]byte{
					q.entry("uid=ann,"+peopleBase, attribute("uid", "ann"), attribute("entryUUID", "ann"), attribute("uSNChanged", "1"), tags(from, 150, 400)),
					q.done(0),
				}
			}, func(cfg *Config) {
				cfg.Groups.ChangeStamp = c.stamp
				cfg.Users.Attributes = map[string]Mapping{"tags": {Attribute: "tags"}}
			})
			found, err := src.Find(t.Context(), sync.FindRequest{User: "ann"})
			if err != nil || len(found.Entries) != 1 {
				t.Fatalf("found %+v, %v", found, err)
			}
			e := found.Entries[0]
			if !strings.Contains(e.Problem, c.problem) || (e.Problem == "") != (c.problem == "") {
				t.Errorf("problem %q, want %q", e.Problem, c.problem)
			}
			if c.problem == "" && len(e.Record.Attributes["tags"]) != 400 {
				t.Errorf("%d tags, want 400", len(e.Record.Attributes["tags"]))
			}
		})
	}
}

func values(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("tag %04d", i))
	}
	return out
}

// TestMembersOfTwoAttributesInPieces has a group whose members come in pieces of a kind
// that was not met: none of them counts as gone.
func TestMembersOfTwoAttributesInPieces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attributes [][]byte
		want       string
	}{
		"of two attributes":     {[][]byte{attribute("member;range=0-1", "uid=p0,"+peopleBase), attribute("uniqueMember;range=0-1", "uid=p1,"+peopleBase)}, "more than one attribute"},
		"with a range of words": {[][]byte{attribute("member;range=0-many", "uid=p0,"+peopleBase)}, "cannot be told apart"},
		"after a last one":      {[][]byte{attribute("uniqueMember;range=0-*", "uid=p1,"+peopleBase), attribute("member;range=0-1", "uid=p0,"+peopleBase)}, "could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := scripted(t, func(q question) [][]byte {
				switch q.base {
				case peopleBase:
					return [][]byte{person(q, 0), person(q, 1), q.page("")}
				case groupsBase:
					return [][]byte{
						q.entry("cn=g,"+groupsBase, append(c.attributes, attribute("cn", "g"), attribute("entryUUID", "key-g"), attribute("uSNChanged", "1"))...),
						q.page(""),
					}
				}
				return [][]byte{q.done(50)}
			}, func(cfg *Config) {
				cfg.Groups.ChangeStamp = "uSNChanged"
				cfg.Groups.Members = []Members{{Attribute: "member", By: byDN}, {Attribute: "uniqueMember", By: byDN}}
			})
			o, err := src.Pull(t.Context(), sync.PullRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if len(o.Groups) != 1 || !strings.Contains(o.Groups[0].MembersUnknown, c.want) {
				t.Errorf("groups %+v, want %q", o.Groups, c.want)
			}
		})
	}
}
