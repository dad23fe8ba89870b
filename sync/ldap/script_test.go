package ldap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	goldap "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

// question is a search that a scripted server was asked.
type question struct {
	id     byte
	base   string
	filter string
	attrs  []string
	paged  bool
	cookie string
}

// entry, done and page are the messages of an answer.
func (q question) entry(dn string, attributes ...[]byte) []byte {
	return message(q.id, entryOp(dn, attributes...))
}

func (q question) done(code byte) []byte { return message(q.id, doneOp(code)) }

func (q question) page(cookie string) []byte {
	value := tlv(tagSequence, []byte{tagInteger, 1, 0}, octets(cookie))
	return message(q.id, doneOp(0), tlv(tagControls, tlv(tagSequence, octets(oidPaging), octets(string(value)))))
}

// script answers the questions below the two bases. Binds and the root entry are
// answered for it.
type script func(q question) [][]byte

// play starts a scripted server and returns its URL.
func play(t *testing.T, s script) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c, s)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "ldap://" + l.Addr().String()
}

// serve answers one connection until it ends.
func serve(c net.Conn, s script) {
	defer func() { _ = c.Close() }()
	for {
		p, err := ber.ReadPacket(c)
		if err != nil || len(p.Children) < 2 {
			return
		}
		id := byte(p.Children[0].Value.(int64))
		var answer [][]byte
		switch p.Children[1].Tag {
		case goldap.ApplicationBindRequest:
			answer = [][]byte{message(id, tlv(0x61, []byte{tagEnumerated, 1, 0}, octets(""), octets("")))}
		case goldap.ApplicationSearchRequest:
			if answer = ask(id, p, s); answer == nil {
				return
			}
		default:
			return
		}
		for _, m := range answer {
			if _, err := c.Write(m); err != nil {
				return
			}
		}
	}
}

func ask(id byte, p *ber.Packet, s script) [][]byte {
	op := p.Children[1].Children
	q := question{id: id, base: op[0].Value.(string)}
	if q.base == "" {
		return [][]byte{q.entry("", attribute("objectClass", "top"), attribute("vendorName", "Script")), q.done(0)}
	}
	q.filter, _ = goldap.DecompileFilter(op[6])
	for _, a := range op[7].Children {
		q.attrs = append(q.attrs, a.Value.(string))
	}
	if len(p.Children) > 2 {
		for _, c := range p.Children[2].Children {
			if x, err := goldap.DecodeControl(c); err == nil {
				if paging, ok := x.(*goldap.ControlPaging); ok {
					q.paged, q.cookie = true, string(paging.Cookie)
				}
			}
		}
	}
	return s(q)
}

const (
	peopleBase = "ou=people,dc=x"
	groupsBase = "ou=groups,dc=x"
)

// scripted returns a source that reads from a script.
func scripted(t *testing.T, s script, change func(*Config)) *Source {
	t.Helper()
	c := Config{Template: TemplateCustom, URLs: []string{play(t, s)}, AllowPlaintext: true, PageSize: 2, Bind: Bind{Method: methodAnonymous}}
	c.Users.Where = Where{Bases: []string{peopleBase}, Filter: "(objectClass=person)", Key: "entryUUID", Name: Mapping{Attribute: "uid"}}
	c.Groups.Where = Where{Bases: []string{groupsBase}, Filter: "(objectClass=group)", Key: "entryUUID", Name: Mapping{Attribute: "cn"}}
	c.Groups.Members = []Members{{Attribute: "member", By: byDN}}
	c.Groups.ChangeStamp = "uSNChanged"
	c.Timeouts.Idle = 20 * time.Second
	if change != nil {
		change(&c)
	}
	src, err := New(Options{Source: "corp", Config: c})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func person(q question, n int) []byte {
	name := fmt.Sprintf("p%d", n)
	return q.entry("uid="+name+","+peopleBase, attribute("uid", name), attribute("entryUUID", "key-"+name))
}

// people answers with n people in pages of two, and with no groups.
func people(n int) script {
	return func(q question) [][]byte {
		if q.base != peopleBase {
			return [][]byte{q.page("")}
		}
		var at int
		_, _ = fmt.Sscan(q.cookie, &at)
		var out [][]byte
		for i := at; i < min(at+2, n); i++ {
			out = append(out, person(q, i))
		}
		if at+2 < n {
			return append(out, q.page(fmt.Sprint(at+2)))
		}
		return append(out, q.page(""))
	}
}

// nothingStored is the part of a roll that only reads of changes ask for.
type nothingStored struct{}

func (nothingStored) Stored(bool, identity.Key) *identity.Record { return nil }

func (nothingStored) GroupsWith(bool, identity.Key) iter.Seq[identity.Key] {
	return func(func(identity.Key) bool) {}
}

// knows is a roll that has these keys.
type knows struct {
	nothingStored
	users, groups []identity.Key
}

func (k knows) Hash(group bool, key identity.Key) (uint64, bool) {
	return 0, slices.Contains(slices.Collect(k.Present(group)), key)
}

func (k knows) Present(group bool) iter.Seq[identity.Key] {
	if group {
		return slices.Values(k.groups)
	}
	return slices.Values(k.users)
}

func TestScriptedPagesAreWhole(t *testing.T) {
	o, err := scripted(t, people(5), nil).Pull(t.Context(), sync.PullRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Users) != 5 || !o.Proof.Users || !o.Proof.Groups || o.Proof.Pages != 4 || o.Proof.Entries != 5 {
		t.Errorf("%d users, proof %+v", len(o.Users), o.Proof)
	}
}

// TestUnproven goes through the answers of a server that says, or shows, that there
// is more than it sent.
func TestUnproven(t *testing.T) {
	for name, c := range map[string]struct {
		last func(q question) [][]byte // the answer to the second page of people
		why  string
	}{
		"time limit":        {func(q question) [][]byte { return [][]byte{person(q, 2), q.done(3)} }, "time limit"},
		"size limit":        {func(q question) [][]byte { return [][]byte{person(q, 2), q.done(4)} }, "size limit"},
		"admin limit":       {func(q question) [][]byte { return [][]byte{q.done(11)} }, "administrative limit"},
		"referral":          {func(q question) [][]byte { return [][]byte{q.done(10)} }, "lies on another server"},
		"no paging control": {func(q question) [][]byte { return [][]byte{person(q, 2), q.done(0)} }, "without pages"},
		"continuation": {func(q question) [][]byte {
			return [][]byte{person(q, 2), message(q.id, tlv(tagReference, octets("ldap://b/ou=far,ou=people,dc=x??sub"))), q.page("")}
		}, "ou=far"},
		"no key": {func(q question) [][]byte {
			return [][]byte{q.entry("uid=z,"+peopleBase, attribute("uid", "z")), q.page("")}
		}, "could not be told apart"},
	} {
		t.Run(name, func(t *testing.T) {
			src := scripted(t, func(q question) [][]byte {
				if q.base == peopleBase && q.cookie != "" {
					return c.last(q)
				}
				return people(5)(q)
			}, nil)
			o, err := src.Pull(t.Context(), sync.PullRequest{Known: knows{users: []identity.Key{"key-p4"}}})
			if err != nil {
				t.Fatal(err)
			}
			if o.Proof.Users || o.Proof.Groups || !strings.Contains(o.Proof.Why, c.why) {
				t.Errorf("proof %+v, want none because of %q", o.Proof, c.why)
			}
			if len(o.Users) < 2 {
				t.Errorf("%d users, want those that came", len(o.Users))
			}
		})
	}
}

func TestContinuationsElsewhereDoNotCount(t *testing.T) {
	src := scripted(t, func(q question) [][]byte {
		if q.base == peopleBase {
			return [][]byte{person(q, 1), message(q.id, tlv(tagReference, octets("ldap://b/CN=Configuration,dc=x"))), q.page("")}
		}
		return [][]byte{q.page("")}
	}, nil)
	o, err := src.Pull(t.Context(), sync.PullRequest{})
	if err != nil || !o.Proof.Users {
		t.Errorf("Pull = %+v, %v, want it proven", o, err)
	}
}

// TestNothingLearnt goes through the ways in which a read breaks.
func TestNothingLearnt(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(q question) [][]byte
		why    string
	}{
		"the connection ends between pages": {func(question) [][]byte { return nil }, "closed the connection"},
		"the connection ends in an entry":   {func(q question) [][]byte { return [][]byte{person(q, 2)[:20], nil} }, ""},
		"the cookie is ignored":             {func(q question) [][]byte { return [][]byte{person(q, 0), person(q, 1), q.page("2")} }, "the same page again"},
		"busy":                              {func(q question) [][]byte { return [][]byte{q.done(51)} }, "Busy"},
		"the base is gone":                  {func(q question) [][]byte { return [][]byte{q.done(32)} }, "no such entry"},
		"an answer to another question":     {func(q question) [][]byte { q.id++; return [][]byte{person(q, 9)} }, "not the one it was asked"},
		"the server says good bye": {func(question) [][]byte {
			return [][]byte{message(0, tlv(tagExtended, []byte{tagEnumerated, 1, 52}, octets(""), octets("maintenance")))}
		}, "maintenance"},
	} {
		t.Run(name, func(t *testing.T) {
			src := scripted(t, func(q question) [][]byte {
				if q.base == peopleBase && q.cookie != "" {
					return c.answer(q)
				}
				return people(5)(q)
			}, func(c *Config) { c.Timeouts.Idle = 300 * time.Millisecond })
			o, err := src.Pull(t.Context(), sync.PullRequest{})
			if err == nil {
				t.Fatalf("Pull = %+v, want an error", o)
			}
			if !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), "ldap://127.0.0.1:") {
				t.Errorf("Pull = %v, want the server and %q", err, c.why)
			}
		})
	}
}

// TestWhatSeemsGoneIsAskedFor lets a server forget a person in its pages.
func TestWhatSeemsGoneIsAskedFor(t *testing.T) {
	for _, singly := range []int{1000, 1} {
		t.Run(fmt.Sprint(singly), func(t *testing.T) {
			var asked []string
			src := scripted(t, func(q question) [][]byte {
				switch {
				case q.base != peopleBase:
					return [][]byte{q.page("")}
				case strings.Contains(q.filter, "key-p7"):
					asked = append(asked, q.filter)
					return [][]byte{person(q, 7), q.done(0)}
				case len(q.attrs) == 1: // the second sweep
					return [][]byte{person(q, 7), person(q, 0), q.page("")}
				}
				return people(3)(q)
			}, func(c *Config) { c.VerifySingly = singly })
			o, err := src.Pull(t.Context(), sync.PullRequest{Known: knows{users: []identity.Key{"key-p1", "key-p7", "key-p8"}}})
			if err != nil {
				t.Fatal(err)
			}
			if o.Proof.Users || o.Proof.Groups || !strings.Contains(o.Proof.Why, "1 users were not in the answer") || o.Proof.Verified != 1 {
				t.Errorf("proof %+v, want none, and one that is really gone", o.Proof)
			}
			if len(o.Users) != 4 {
				t.Errorf("%d users, want the forgotten one as well", len(o.Users))
			}
			if len(asked) != 1 || !strings.HasPrefix(asked[0], "(&(objectClass=person)(|") {
				t.Errorf("asked %q, want one question with the filter and the key", asked)
			}
		})
	}
}

func TestFaultsOfOneEntry(t *testing.T) {
	bad := func(q question, dn string, attributes ...[]byte) []byte {
		return q.entry("cn="+dn+","+peopleBase, append(attributes, attribute("entryUUID", "key-"+dn))...)
	}
	src := scripted(t, func(q question) [][]byte {
		switch {
		case q.base == "cn=broken,"+peopleBase && len(q.attrs) == 1: // its key alone
			return [][]byte{bad(q, "broken"), q.done(0)}
		case q.base != peopleBase:
			return [][]byte{q.page("")}
		}
		return [][]byte{
			person(q, 0),
			bad(q, "nul", attribute("uid", "a\x00b")),
			bad(q, "tab", attribute("uid", "a\tb")),
			bad(q, "none"),
			bad(q, "empty", attribute("uid", "")),
			bad(q, "latin1", attribute("uid", "m\xfcller")),
			bad(q, "mail", attribute("uid", "ok"), attribute("mail", "\xff")),
			bad(q, "date", attribute("uid", "ok"), attribute("pwdEndTime", "tomorrow")),
			bad(q, "flags", attribute("uid", "ok"), attribute("flags", "many")),
			bad(q, "large", attribute("uid", "ok"), attribute("mail", strings.Repeat("x", 300<<10))),
			message(q.id, tlv(tagEntry, octets("cn=broken,"+peopleBase), tlv(tagSequence, tlv(tagSet)))),
			person(q, 1),
			q.page(""),
		}
	}, func(c *Config) {
		c.Users.Profile = map[string]Mapping{identity.Email: {Attribute: "mail"}}
		c.Users.Expires = []Expiry{{Attribute: "pwdEndTime", Format: formatGeneralized}}
		c.Users.Disabled = []Rule{{Attribute: "flags", Bits: 2}}
	})
	o, err := src.Pull(t.Context(), sync.PullRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Users) != 2 || !o.Proof.Users {
		t.Errorf("%d users, proof %+v, want the two good ones and a proof", len(o.Users), o.Proof)
	}
	got := map[string]string{}
	for _, s := range o.Skipped {
		if s.DN != "cn="+strings.TrimPrefix(string(s.Key), "key-")+","+peopleBase {
			t.Errorf("skipped %+v, want key and DN of one entry", s)
		}
		got[string(s.Key)] = s.Reason
	}
	want := map[string]string{
		"key-nul": "has a NUL character in its name", "key-tab": "has a control character (U+0009) in its name",
		"key-none": "has no name", "key-empty": "has no name", "key-latin1": "has a name that is not text in UTF-8",
		"key-mail":   "has a value of mail that is not text in UTF-8",
		"key-date":   "has a value of pwdEndTime that is no generalized time",
		"key-flags":  "has a value of flags that is no number",
		"key-large":  "has 307231 bytes of mapped values, more than the 204800 that are kept of one entry",
		"key-broken": `cannot be decoded: an attribute: a BER element of an unexpected kind`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}

// TestRanges reads a group that the server gives in pieces of 1,500.
func TestRanges(t *testing.T) {
	const size, piece = 4000, 1500
	for name, c := range map[string]struct {
		moves int // how many answers it takes until the group stands still
		stamp string
		want  string
	}{
		"a group that stands still":        {0, "uSNChanged", ""},
		"one that changes in between":      {2, "uSNChanged", ""},
		"one that never stands still":      {1 << 30, "uSNChanged", "3 times in a row"},
		"one of which nothing tells":       {0, "", "change_stamp"},
		"one whose stamp the server hides": {0, "hidden", "change_stamp"},
	} {
		t.Run(name, func(t *testing.T) {
			answers := 0
			src := scripted(t, func(q question) [][]byte {
				answers++
				stamp := attribute("uSNChanged", fmt.Sprint(min(answers, c.moves)))
				switch q.base {
				case peopleBase:
					var out [][]byte
					for i := range size {
						out = append(out, person(q, i))
					}
					return append(out, q.page(""))
				case groupsBase:
					return [][]byte{
						q.entry("cn=g,"+groupsBase, attribute("cn", "g"), attribute("entryUUID", "key-g"), stamp,
							attribute("member"), pieceOf(0, piece, size)),
						q.page(""),
					}
				}
				var from int
				_, _ = fmt.Sscanf(q.attrs[0], "member;range=%d-*", &from)
				return [][]byte{q.entry(q.base, pieceOf(from, piece, size), stamp), q.done(0)}
			}, func(cfg *Config) { cfg.Groups.ChangeStamp = c.stamp })
			o, err := src.Pull(t.Context(), sync.PullRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if len(o.Groups) != 1 {
				t.Fatalf("%d groups, want 1", len(o.Groups))
			}
			g := o.Groups[0]
			if c.want != "" {
				if !strings.Contains(g.MembersUnknown, c.want) {
					t.Errorf("MembersUnknown = %q, want %q", g.MembersUnknown, c.want)
				}
				return
			}
			if g.MembersUnknown != "" || len(g.Users) != size || len(g.Record.Unresolved) != 0 {
				t.Errorf("%d members, unknown %q, unresolved %d, want %d", len(g.Users), g.MembersUnknown, len(g.Record.Unresolved), size)
			}
		})
	}
}

func pieceOf(from, piece, size int) []byte {
	to := min(from+piece, size)
	var values []string
	for i := from; i < to; i++ {
		values = append(values, fmt.Sprintf("uid=p%d,%s", i, peopleBase))
	}
	end := fmt.Sprint(to - 1)
	if to == size {
		end = "*"
	}
	return attribute(fmt.Sprintf("member;range=%d-%s", from, end), values...)
}

// TestAGroupKeepsItsRecordWhenPeopleAreMissing shows that members which could not be
// read are not taken for strangers.
func TestAGroupKeepsItsRecordWhenPeopleAreMissing(t *testing.T) {
	src := scripted(t, func(q question) [][]byte {
		if q.base == peopleBase {
			return [][]byte{person(q, 0), q.done(4)}
		}
		return [][]byte{
			q.entry("cn=g,"+groupsBase, attribute("cn", "g"), attribute("entryUUID", "key-g"),
				attribute("member", "uid=p0,"+peopleBase, "uid=p1,"+peopleBase)),
			q.page(""),
		}
	}, nil)
	o, err := src.Pull(t.Context(), sync.PullRequest{Known: knows{groups: []identity.Key{"key-g"}}})
	if err != nil {
		t.Fatal(err)
	}
	g := o.Groups[0]
	if g.Record != nil || g.MembersUnknown == "" || len(g.Users) != 1 {
		t.Errorf("the group is %+v, want it unchanged with one member and the rest unknown", g)
	}
}

// TestASilentServer shows that a server that stalls is given up, and a context that
// ends is obeyed.
func TestASilentServer(t *testing.T) {
	silent := func(q question) [][]byte {
		if q.base == peopleBase {
			return [][]byte{person(q, 0)} // and never a result
		}
		return [][]byte{q.page("")}
	}
	src := scripted(t, silent, func(c *Config) { c.Timeouts.Idle = 50 * time.Millisecond })
	if _, err := src.Pull(t.Context(), sync.PullRequest{}); err == nil || !strings.Contains(err.Error(), "sent nothing for 50ms") {
		t.Errorf("Pull = %v, want that the server sent nothing", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("the daemon stops")
	src = scripted(t, func(q question) [][]byte {
		if q.base == peopleBase {
			cancel(enough)
		}
		return silent(q)
	}, nil)
	if _, err := src.Pull(ctx, sync.PullRequest{}); !errors.Is(err, enough) {
		t.Errorf("Pull = %v, want %v", err, enough)
	}
}

// TestStartTLSAnswers feeds the answers that servers give to a request for StartTLS.
func TestStartTLSAnswers(t *testing.T) {
	answer := func(code byte) []byte {
		return message(1, tlv(tagExtended, []byte{tagEnumerated, 1, code}, octets(""), octets("no")))
	}
	long := []byte{tagSequence, 0x84}
	long = append(binary.BigEndian.AppendUint32(long, uint32(len(answer(0))-2)), answer(0)[2:]...)
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"yes":               {answer(0), ""},
		"yes, in long form": {long, ""},
		"no":                {answer(2), "refuses StartTLS"},
		"not LDAP":          {[]byte("HTTP/1.1 400"), "answer to StartTLS"},
		"cut":               {answer(0)[:5], "answer to StartTLS"},
		"endless":           {[]byte{tagSequence, 0x84, 0x7f, 0, 0, 0}, "answer to StartTLS"},
	} {
		err := startTLS(&wire{in: io.MultiReader(strings.NewReader(string(c.bytes)))})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: startTLS = %v, want %q", name, err, c.want)
		}
	}
}

func ldapError(code uint16, text string) error { return goldap.NewError(code, errors.New(text)) }
