package ldapserver

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Exit codes of ldapsearch that are the client's own: it lost the server, or
// could not decode an answer.
const (
	serverDown = 255
)

func intercepted(t *testing.T, f func(*Search) Action) *Server {
	t.Helper()
	return start(t, many(t, 10), func(o *Options) { o.Intercept = f })
}

func always(a Action) func(*Search) Action { return func(*Search) Action { return a } }

func TestFaults(t *testing.T) {
	tests := []struct {
		name    string
		action  Action
		args    []string
		entries int
		code    int
		output  string
	}{
		{"none", Action{}, nil, 11, 0, ""},
		{"closed after three", Action{Ending: EndClose, After: 3}, nil, 3, serverDown, "Can't contact LDAP server"},
		{"closed before the end", Action{Ending: EndClose, After: 99}, nil, 11, serverDown, "Can't contact LDAP server"},
		{"closed inside an entry", Action{Ending: EndMidMessage, After: 2}, nil, 2, serverDown, "Can't contact LDAP server"},
		{"closed inside the end", Action{Ending: EndMidMessage, After: 99}, nil, 11, serverDown, "Can't contact LDAP server"},
		{"busy after four", Action{Ending: EndResult, After: 4, Result: &Error{Code: Busy, Message: "come back later"}}, nil, 4, int(Busy), "come back later"},
		{"an early success", Action{Ending: EndResult, After: 4}, nil, 4, 0, ""},
		{"no rights", Action{Hide: true}, nil, 0, 0, ""},
		{"a referral", Action{Referrals: []string{"ldap://elsewhere.example/dc=x"}}, nil, 11, 0, "ldap://elsewhere.example/dc=x"},
		{"asked elsewhere", Action{Ending: EndResult, Result: &Error{Code: Referral, Referrals: []string{"ldap://elsewhere.example/"}}}, nil, 0, int(Referral), "ldap://elsewhere.example/"},
		{"garbage", Action{Raw: []byte("HTTP/1.1 400 Bad Request\r\n"), Ending: EndClose, After: 2}, nil, 2, serverDown, ""},
		{"the paging control is lost", Action{Paging: PagingDropped}, []string{"-E", "pr=4/noprompt"}, 4, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := intercepted(t, always(tt.action))
			out, code := client(t, s.URL(), append([]string{"-b", suffix}, tt.args...)...)
			if got := len(names(out)); got != tt.entries || code != tt.code || !strings.Contains(out, tt.output) {
				t.Errorf("%d entries, exit %d, want %d, %d and %q in\n%s", got, code, tt.entries, tt.code, tt.output, out)
			}
		})
	}
}

func TestTheInterceptorIsToldTheSearch(t *testing.T) {
	seen := make(chan Search, 16)
	s := intercepted(t, func(s *Search) Action {
		seen <- *s
		return Action{}
	})
	_, code := client(t, s.URL(), "-b", suffix, "-z", "50", "-E", "pr=6/noprompt", `(&(uid=u*5)(!(cn~=\2a))(sn:dn:2.4.6:=a))`, "cn", "+")
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	want := Search{
		Conn: 1, Number: 1, Total: 1, Page: 1, PageSize: 6, Bound: readerDN, Base: suffix, Scope: ScopeSub,
		Filter: `(&(uid=u*5)(!(cn~=\2a))(sn:dn:2.4.6:=a))`, Attributes: []string{"cn", "+"}, SizeLimit: 50, Controls: []string{oidPaging},
	}
	if diff := cmp.Diff(want, <-seen); diff != "" {
		t.Errorf("the search (-want +got):\n%s", diff)
	}
}

func TestACookieThatRepeats(t *testing.T) {
	pages := 0
	s := start(t, many(t, 10), func(o *Options) {
		o.Intercept = func(*Search) Action {
			if pages++; pages <= 20 {
				return Action{Paging: PagingRepeats}
			}
			return Action{}
		}
	})
	out, code := client(t, s.URL(), "-b", suffix, "-E", "pr=4/noprompt", "1.1")
	// Twenty times the first page, then what a sound server says, from there on.
	if got := len(names(out)); got != 20*4+11 || code != 0 {
		t.Errorf("%d entries, exit %d; want 91, 0", got, code)
	}
}

func TestEntriesAreRewritten(t *testing.T) {
	s := intercepted(t, always(Action{Rewrite: func(e Entry) Entry {
		e.Attributes = append(e.Attributes, Attr("description", "a\x00b", "\xff\xfe", strings.Repeat("x", 300_000)))
		return e
	}}))
	out, code := client(t, s.URL(), "-b", suffix, "-s", "base", "description")
	for _, want := range []string{"description:: YQBi", "description:: //4=", "description: " + strings.Repeat("x", 300_000)} {
		if !strings.Contains(out, want) {
			t.Errorf("exit %d, and the answer lacks %.40q", code, want)
		}
	}
	if e, _ := s.Directory().Lookup(suffix); len(e.Values("description")) > 0 {
		t.Error("the rewriting changed the directory")
	}
}

func TestAStallEndsWhenReleasedOrClosed(t *testing.T) {
	release, stalled := make(chan struct{}), make(chan struct{}, 2)
	s := intercepted(t, func(q *Search) Action {
		a := Action{Ending: EndStall, After: 2}
		if q.Total == 1 {
			a.Release = release
		}
		stalled <- struct{}{}
		return a
	})
	done := make(chan int)
	go func() {
		out, _ := client(t, s.URL(), "-b", suffix, "1.1")
		done <- len(names(out))
	}()
	<-stalled
	close(release)
	if got := <-done; got != 11 {
		t.Errorf("after the stall, %d entries came in all, want 11", got)
	}
	go func() {
		_, code := client(t, s.URL(), "-b", suffix, "1.1")
		done <- code
	}()
	<-stalled
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if got := <-done; got != serverDown {
		t.Errorf("closing the server during a stall: exit %d, want %d", got, serverDown)
	}
}

func TestAnAbandonedSearchGetsNoAnswer(t *testing.T) {
	stalled := make(chan struct{}, 1)
	s := start(t, many(t, 10), func(o *Options) {
		o.Anonymous = true
		o.Intercept = func(*Search) Action {
			stalled <- struct{}{}
			return Action{Ending: EndStall, After: 2}
		}
	})
	raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	send := func(p []byte) {
		if _, err := raw.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	send(searchMessage(1, suffix))
	<-stalled
	// Abandon the search, then bind, which waits until nothing is outstanding.
	send([]byte("\x30\x06\x02\x01\x02\x50\x01\x01"))
	send([]byte("\x30\x0c\x02\x01\x03\x60\x07\x02\x01\x03\x04\x00\x80\x00"))
	in := bufio.NewReader(raw)
	for {
		m, err := readMessage(in)
		if err != nil {
			t.Fatal(err)
		}
		if m.op == opSearchDone {
			t.Error("the abandoned search was answered")
		}
		if m.op == opBindResponse {
			return
		}
	}
}

// searchMessage is a search of everything below base.
func searchMessage(id int64, base string, controls ...control) []byte {
	var b builder
	whole := b.begin(tagSequence)
	b.integer(tagInteger, id)
	search := b.begin(opSearchRequest)
	b.octets(tagOctets, base)
	b.integer(tagEnumerated, int64(ScopeSub))
	b.integer(tagEnumerated, 0)
	b.integer(tagInteger, 0)
	b.integer(tagInteger, 0)
	b.octets(tagBoolean, "\x00")
	b.octets(filterPresent, "objectClass")
	b.end(b.begin(tagSequence))
	b.end(search)
	b.controls(controls)
	b.end(whole)
	return b.buf
}

func TestLimits(t *testing.T) {
	d := many(t, 30)
	var members []string
	for i := range 10 {
		members = append(members, fmt.Sprintf("uid=u%06d,%s", i, suffix))
	}
	if err := d.Put(Entry{DN: "cn=g," + suffix, Attributes: []Attribute{Attr("objectClass", "groupOfNames"), Attr("member", members...)}}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		change  func(*Options)
		args    []string
		entries int
		code    ResultCode
	}{
		{"a hard limit", func(o *Options) { o.SizeLimit = 7 }, nil, 7, SizeLimitExceeded},
		{"a hard limit counts over pages", func(o *Options) { o.SizeLimit = 7 }, []string{"-E", "pr=5/noprompt"}, 7, SizeLimitExceeded},
		{"a page too large", func(o *Options) { o.PageLimit = 5 }, []string{"-E", "pr=6/noprompt"}, 0, AdminLimitExceeded},
		{"pages are cut short", func(o *Options) { o.PageCap = 5 }, []string{"-E", "pr=1000/noprompt"}, 32, Success},
		{"unpaged answers are cut short", func(o *Options) { o.PageCap = 5 }, nil, 5, SizeLimitExceeded},
		{"clear text", func(o *Options) { o.TLS, o.RequireTLS = certificate(t), true }, nil, 0, ConfidentialityNeeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, d, tt.change)
			out, code := client(t, s.URL(), append([]string{"-b", suffix}, tt.args...)...)
			if got := len(names(out)); got != tt.entries || code != int(tt.code) {
				t.Errorf("%d entries, exit %d, want %d, %d\n%s", got, code, tt.entries, tt.code, out)
			}
		})
	}
}

func TestRangesOfValues(t *testing.T) {
	d := many(t, 0)
	members := []string{"cn=a", "cn=b", "cn=c", "cn=d", "cn=e"}
	if err := d.Put(Entry{DN: "cn=g," + suffix, Attributes: []Attribute{Attr("objectClass", "groupOfNames"), Attr("member", members...)}}); err != nil {
		t.Fatal(err)
	}
	limited := start(t, d, func(o *Options) { o.ValueRange = 2 })
	tests := []struct {
		url, ask, want string
	}{
		{limited.URL(), "member", "member;range=0-1: cn=a\nmember;range=0-1: cn=b"},
		{limited.URL(), "member;range=2-*", "member;range=2-3: cn=c\nmember;range=2-3: cn=d"},
		{limited.URL(), "Member;Range=4-*", "member;range=4-*: cn=e"},
		{limited.URL(), "member;range=1-1", "member;range=1-1: cn=b"},
		{limited.URL(), "member;range=9-*", ""},
		{start(t, d).URL(), "member", "member: cn=a\nmember: cn=b\nmember: cn=c\nmember: cn=d\nmember: cn=e"},
		{start(t, d).URL(), "member;range=2-*", ""},
	}
	for _, tt := range tests {
		out, _ := client(t, tt.url, "-b", "cn=g,"+suffix, "-s", "base", "(objectClass=*)", tt.ask)
		_, got, _ := strings.Cut(strings.TrimSpace(out), "\n")
		if got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.ask, got, tt.want)
		}
	}
}

func TestAPageCookieBelongsToItsConnection(t *testing.T) {
	c := &conn{pages: map[string]*pagedSearch{}}
	page, err := c.resume(&pageRequest{size: 5})
	if err != nil {
		t.Fatal(err)
	}
	c.keep(page, PagingAsUsual, 17, 5)
	other := &conn{pages: map[string]*pagedSearch{}}
	cookie := "\x00\x00\x00\x00\x00\x00\x00\x01"
	if _, err := other.resume(&pageRequest{size: 5, cookie: cookie}); asResult(err).Code != UnwillingToPerform {
		t.Errorf("another connection's cookie: %v, want result 53", err)
	}
	got, err := c.resume(&pageRequest{size: 5, cookie: cookie})
	if err != nil || got.after != 17 || got.sent != 5 || got.number != 2 {
		t.Errorf("resume = %+v, %v", got, err)
	}
	if _, err := c.resume(&pageRequest{size: 5, cookie: cookie}); err == nil {
		t.Error("a cookie was good twice")
	}
}

func TestNonsenseEndsTheConnection(t *testing.T) {
	s := start(t, small(t))
	for _, sent := range []string{
		"GET / HTTP/1.1\r\n\r\n",
		"\x30\x84\xff\xff\xff\xff",
		"\x30\x80\x00\x00",
		"\x30\x05\x02\x01\x01\x63\x7f",
		"\x30\x05\x02\x01\x01\x7e\x00",
		"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00" + "\x30\x05\x02\x01\x02\x5f\x00",
	} {
		raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(raw)
		if err == nil && !bytes.Contains(got, []byte(oidNoticeOff)) {
			t.Errorf("%q: the server answered %q, want a notice of disconnection", sent, got)
		}
		_ = raw.Close()
	}
	if _, code := client(t, s.URL(), "-b", suffix); code != 0 {
		t.Errorf("the next client: exit %d", code)
	}
}

func TestCloseDoesNotWaitForClients(t *testing.T) {
	s := start(t, many(t, 20_000))
	// A client that never reads: the answer fills the socket's buffers.
	path := tool(t, "ldapsearch")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	cmd := exec.CommandContext(ctx, path, "-H", s.URL(), "-x", "-D", readerDN, "-w", readerPW, "-b", suffix)
	cmd.Stdout, cmd.WaitDelay = w, time.Millisecond
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	stop()
	_ = r.Close()
	_ = cmd.Wait()
}
