package ldap

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

func clanEntry(q question, name string, attributes ...[]byte) []byte {
	return q.entry("cn="+name+","+groupsBase, append(attributes, attribute("cn", name), attribute("entryUUID", "key-"+name))...)
}

// TestSomebodyRenamedDuringTheRead is listed by his new DN in a group, while he was
// read under his old one.
func TestSomebodyRenamedDuringTheRead(t *testing.T) {
	asked := 0
	src := scripted(t, func(q question) [][]byte {
		switch q.base {
		case peopleBase:
			return [][]byte{person(q, 0), person(q, 1), q.page("")}
		case groupsBase:
			return [][]byte{
				clanEntry(q, "g", attribute("member", "uid=p0,"+peopleBase, "uid=new,"+peopleBase, "uid=dead,"+peopleBase, "cn=far,dc=y")),
				q.page(""),
			}
		case "uid=new," + peopleBase:
			asked++
			return [][]byte{q.entry(q.base, attribute("entryUUID", "key-p1")), q.done(0)}
		}
		asked++
		return [][]byte{q.done(32)}
	}, nil)
	o, err := src.Pull(t.Context(), sync.PullRequest{})
	if err != nil {
		t.Fatal(err)
	}
	g := o.Groups[0]
	if !slices.Equal(g.Users, []identity.Key{"key-p0", "key-p1"}) || len(g.Record.Unresolved) != 2 || asked != 2 {
		t.Errorf("users %v, unresolved %q, asked %d; want both users, two unresolved, two questions", g.Users, g.Record.Unresolved, asked)
	}
	// What the roll has already is not asked for again.
	asked = 0
	o, err = src.Pull(t.Context(), sync.PullRequest{Known: has{key: g.Key, hash: g.Record.Hash - unresolvedHash(g.Record.Unresolved) +
		unresolvedHash([]string{"cn=far,dc=y", "uid=dead," + peopleBase, "uid=new," + peopleBase})}})
	if err != nil || asked != 0 {
		t.Errorf("Pull = %v, asked %d, want no question", err, asked)
	}
	_ = o
}

// has is a roll with one group.
type has struct {
	nothingStored
	key  identity.Key
	hash uint64
}

func (h has) Hash(_ bool, key identity.Key) (uint64, bool) { return h.hash, key == h.key }

func (h has) Present(bool) iter.Seq[identity.Key] { return func(func(identity.Key) bool) {} }

func TestMembersByName(t *testing.T) {
	src := scripted(t, func(q question) [][]byte {
		if q.base == groupsBase {
			return [][]byte{clanEntry(q, "g", attribute("memberUid", "P0", "twin", "nobody", "second")), q.page("")}
		}
		return [][]byte{
			person(q, 0),
			q.entry("cn=a,"+peopleBase, attribute("uid", "twin"), attribute("entryUUID", "key-a")),
			q.entry("cn=b,"+peopleBase, attribute("uid", "Twin"), attribute("entryUUID", "key-b")),
			q.entry("cn=c,"+peopleBase, attribute("uid", "first", "second"), attribute("entryUUID", "key-c")),
			q.page(""),
		}
	}, func(c *Config) { c.Groups.Members = []Members{{Attribute: "memberUid", By: byName}} })
	o, err := src.Pull(t.Context(), sync.PullRequest{})
	if err != nil {
		t.Fatal(err)
	}
	g := o.Groups[0]
	want := []string{"nobody", "twin (more than one person has this name)"}
	if !slices.Equal(g.Users, []identity.Key{"key-p0", "key-c"}) || !slices.Equal(g.Record.Unresolved, want) {
		t.Errorf("users %v, unresolved %q, want p0 and c, and %q", g.Users, g.Record.Unresolved, want)
	}
}

// TestACycleAndARepetition reads groups that list each other, and one who is listed
// twice in two spellings.
func TestACycleAndARepetition(t *testing.T) {
	src := scripted(t, func(q question) [][]byte {
		if q.base == peopleBase {
			return [][]byte{person(q, 0), q.page("")}
		}
		return [][]byte{
			clanEntry(q, "a", attribute("member", "cn=b,"+groupsBase, "cn=a,"+groupsBase, "UID=P0,"+peopleBase, `uid=\700,`+peopleBase)),
			clanEntry(q, "b", attribute("member", "CN=A,"+groupsBase)),
			q.page(""),
		}
	}, nil)
	o, err := src.Pull(t.Context(), sync.PullRequest{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := o.Groups[0], o.Groups[1]
	if !slices.Equal(a.Users, []identity.Key{"key-p0"}) || len(a.Groups) != 2 || !slices.Equal(b.Groups, []identity.Key{"key-a"}) {
		t.Errorf("a is %+v, b is %+v", a, b)
	}
}

// TestTooManyUnresolved keeps the list short and still notices when it changes.
func TestTooManyUnresolved(t *testing.T) {
	n := 5000
	src := scripted(t, func(q question) [][]byte {
		if q.base == peopleBase {
			return [][]byte{person(q, 0), q.page("")}
		}
		var dns []string
		for i := range n {
			dns = append(dns, fmt.Sprintf("cn=%d,dc=far", i))
		}
		return [][]byte{clanEntry(q, "g", attribute("member", dns...)), q.page("")}
	}, nil)
	pull := func() identity.Seen {
		o, err := src.Pull(t.Context(), sync.PullRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return o.Groups[0]
	}
	first := pull()
	list := first.Record.Unresolved
	if last := list[len(list)-1]; len(list) > 4000 || !strings.HasPrefix(last, "and ") {
		t.Errorf("%d unresolved, the last %q", len(list), last)
	}
	n++
	if pull().Record.Hash == first.Record.Hash {
		t.Error("one more unresolved member does not change the hash")
	}
}

func TestFamilies(t *testing.T) {
	for _, c := range []struct {
		root     root
		template string
		words    string
	}{
		{root{capabilities: []string{oidAD}}, TemplateAD, "supportedCapabilities"},
		{root{capabilities: []string{oidAD}, vendor: "Samba Team (https://www.samba.org)"}, TemplateAD, "Samba"},
		{root{classes: []string{"top", "OpenLDAProotDSE"}}, TemplateOpenLDAP, "OpenLDAP"},
		{root{vendor: "389 Project", version: "389-Directory/2.3.1"}, Template389, "389-Directory/2.3.1"},
		{root{vendor: "ForgeRock AS.", version: "7"}, TemplateCustom, "ForgeRock"},
		{root{}, TemplateCustom, "unknown"},
	} {
		template, words := c.root.family()
		if template != c.template || !strings.Contains(words, c.words) {
			t.Errorf("family(%+v) = %s, %q, want %s, %q", c.root, template, words, c.template, c.words)
		}
	}
}

func TestDisabledIn389(t *testing.T) {
	c := &Config{Template: Template389}
	l := userLayout(c.Expanded(), nil)
	for value, want := range map[string]identity.Reason{"true": identity.ReasonDisabled, "TRUE": identity.ReasonDisabled, "false": identity.Active} {
		m := loaded(&l, "uid=a", attr("uid", "a"), attr("nsaccountlock", value))
		if r, err := m.record("corp", "k", 0); err != nil || r.Disabled != want {
			t.Errorf("nsAccountLock %s: %+v, %v, want %q", value, r, err, want)
		}
	}
}
