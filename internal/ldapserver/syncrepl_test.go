package ldapserver

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// consumer follows a provider by content synchronization.
type consumer struct {
	t      testing.TB
	conn   *ldap.Conn
	filter string
	cookie string
	names  map[string]string // by entryUUID: what the entry was first called
}

func newConsumer(t testing.TB, url, dn, password string) *consumer {
	t.Helper()
	c, err := ldap.DialURL(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Bind(dn, password); err != nil {
		t.Fatal(err)
	}
	return &consumer{t: t, conn: c, filter: "(objectClass=inetOrgPerson)", names: map[string]string{}}
}

func (c *consumer) request(mode ldap.ControlSyncRequestMode, cookie string, more ...ldap.Control) ldap.Response {
	req := ldap.NewSearchRequest(suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, c.filter, []string{"cn", "mail"}, more)
	return c.conn.Syncrepl(c.t.Context(), req, 64, mode, []byte(cookie), false)
}

// refresh returns the messages of one refresh, and keeps the cookie that ended it.
func (c *consumer) refresh() []string {
	c.t.Helper()
	out := c.ask(c.cookie)
	return out
}

func (c *consumer) ask(cookie string) []string {
	c.t.Helper()
	r := c.request(ldap.SyncRequestModeRefreshOnly, cookie)
	var out []string
	for r.Next() {
		out = append(out, c.message(r)...)
	}
	if r.Err() != nil {
		out = append(out, fmt.Sprintf("result %d", code(r.Err())))
	}
	// Neither entries nor the members of a set have an order.
	end := slices.IndexFunc(out, func(s string) bool { return strings.HasPrefix(s, "done") })
	slices.Sort(out[:max(0, end)])
	return out
}

var csnPattern = regexp.MustCompile(`\d{14}\.\d{6}Z#[0-9a-f]{6}#([0-9a-f]{3})#[0-9a-f]{6}`)

func (c *consumer) message(r ldap.Response) []string {
	var out []string
	var state *ldap.ControlSyncState
	for _, ctl := range r.Controls() {
		switch ctl := ctl.(type) {
		case *ldap.ControlSyncState:
			state = ctl
		case *ldap.ControlSyncDone:
			out = append(out, fmt.Sprintf("done deletes=%t %s", ctl.RefreshDeletes, ctl.Cookie))
			if len(ctl.Cookie) > 0 {
				c.cookie = string(ctl.Cookie)
			}
		case *ldap.ControlSyncInfo:
			out = append(out, c.info(ctl))
		}
	}
	if e := r.Entry(); e != nil && state != nil {
		id := state.EntryUUID.String()
		if _, known := c.names[id]; !known {
			c.names[id] = e.DN
		}
		kind := []string{"present", "add", "modify", "delete"}[state.State]
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s was %s mail=%s %s", kind, e.DN, c.names[id], e.GetAttributeValue("mail"), state.Cookie)))
	}
	for i := range out {
		out[i] = csnPattern.ReplaceAllString(out[i], "CSN$1")
	}
	return out
}

func (c *consumer) info(ctl *ldap.ControlSyncInfo) string {
	switch ctl.Value {
	case ldap.SyncInfoRefreshDelete:
		return fmt.Sprintf("refreshDelete done=%t %s", ctl.RefreshDelete.RefreshDone, ctl.RefreshDelete.Cookie)
	case ldap.SyncInfoRefreshPresent:
		return fmt.Sprintf("refreshPresent done=%t %s", ctl.RefreshPresent.RefreshDone, ctl.RefreshPresent.Cookie)
	case ldap.SyncInfoSyncIdSet:
		var ids []string
		for _, id := range ctl.SyncIdSet.SyncUUIDs {
			name := c.names[id.String()]
			if name == "" {
				name = "one never seen"
			}
			ids = append(ids, name)
		}
		slices.Sort(ids)
		return fmt.Sprintf("set deletes=%t %s: %s", ctl.SyncIdSet.RefreshDeletes, ctl.SyncIdSet.Cookie, strings.Join(ids, " "))
	}
	return fmt.Sprintf("newCookie %s", ctl.NewCookie.Cookie)
}

// writer writes as the root account.
type writer struct{ conn *ldap.Conn }

func (w *writer) person(uid string, ou string) error {
	r := ldap.NewAddRequest("uid="+uid+",ou="+ou+","+suffix, nil)
	for name, value := range map[string]string{"objectClass": "inetOrgPerson", "cn": uid, "sn": uid, "mail": uid + "@x"} {
		r.Attribute(name, []string{value})
	}
	return w.conn.Add(r)
}

func (w *writer) set(dn, name, value string) error {
	r := ldap.NewModifyRequest(dn+","+suffix, nil)
	r.Replace(name, []string{value})
	return w.conn.Modify(r)
}

func (w *writer) rename(dn, rdn string) error {
	return w.conn.ModifyDN(ldap.NewModifyDNRequest(dn+","+suffix, rdn, true, ""))
}

func (w *writer) del(dn string) error { return w.conn.Del(ldap.NewDelRequest(dn+","+suffix, nil)) }

// all does steps until one fails.
func all(steps ...error) error {
	for _, err := range steps {
		if err != nil {
			return err
		}
	}
	return nil
}

var syncHistory = []struct {
	name string
	do   func(w *writer) error
}{
	{"first", func(w *writer) error {
		return all(w.person("ann", "people"), w.person("bob", "people"), w.person("cid", "people"))
	}},
	{"nothing", func(*writer) error { return nil }},
	{"add", func(w *writer) error { return w.person("dot", "people") }},
	{"modify", func(w *writer) error { return w.set("uid=ann,ou=people", "mail", "new@x") }},
	{"rename", func(w *writer) error { return w.rename("uid=bob,ou=people", "uid=rob") }},
	{"delete", func(w *writer) error { return w.del("uid=cid,ou=people") }},
	{"delete and add again", func(w *writer) error { return all(w.del("uid=dot,ou=people"), w.person("dot", "people")) }},
	{"add and delete", func(w *writer) error { return all(w.person("eve", "people"), w.del("uid=eve,ou=people")) }},
	{"out of the filter", func(w *writer) error { return w.set("uid=dot,ou=people", "mail", "hidden@x") }},
	{"still out of the filter", func(w *writer) error { return w.set("uid=dot,ou=people", "sn", "dot2") }},
	{"of no concern", func(w *writer) error { return w.set("ou=people", "description", "people") }},
	{"an addition of no concern", func(w *writer) error {
		r := ldap.NewAddRequest("ou=x,"+suffix, nil)
		r.Attribute("objectClass", []string{"organizationalUnit"})
		r.Attribute("ou", []string{"x"})
		return w.conn.Add(r)
	}},
	{"a deletion of no concern", func(w *writer) error { return w.del("ou=x") }},
	{"into the filter", func(w *writer) error { return w.set("uid=dot,ou=people", "mail", "dot@x") }},
	{"rename of the unit", func(w *writer) error { return w.rename("ou=people", "ou=folk") }},
	{"more than the log holds", func(w *writer) error {
		for i := range 12 {
			if err := w.set("uid=ann,ou=folk", "mail", fmt.Sprintf("ann%d@x", i)); err != nil {
				return err
			}
		}
		return w.del("uid=rob,ou=folk")
	}},
	{"many adds", func(w *writer) error {
		for i := range 12 {
			if err := w.person(fmt.Sprintf("p%02d", i), "folk"); err != nil {
				return err
			}
		}
		return nil
	}},
}

// provider is a directory of ours with two units, and its server.
func provider(t testing.TB, o SyncOptions, change ...func(*DirectoryOptions)) (*Directory, *SyncProvider, *Server) {
	t.Helper()
	do := DirectoryOptions{Suffixes: []string{suffix}, Seed: 1}
	for _, c := range change {
		c(&do)
	}
	d, err := NewDirectory(do)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Entry{
		{DN: suffix, Attributes: []Attribute{Attr("objectClass", "organization", "dcObject"), Attr("o", "x")}},
		{DN: "ou=people," + suffix, Attributes: []Attribute{Attr("objectClass", "organizationalUnit")}},
		{DN: "ou=groups," + suffix, Attributes: []Attribute{Attr("objectClass", "organizationalUnit")}},
	} {
		if err := d.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	p := NewSyncProvider(d, o)
	return d, p, start(t, d, func(so *Options) { so.Sync, so.Writers = p, []string{readerDN} })
}

func TestSyncAsOpenLDAPDoes(t *testing.T) {
	theirs := dirtest.StartSlapd(t, dirtest.SlapdOptions{Provider: true, SessionLog: 10, ServerID: 1})
	_, _, ours := provider(t, SyncOptions{SessionLog: 10, ServerID: 1})
	readers := []*consumer{newConsumer(t, theirs.URL, theirs.Root.DN, theirs.Root.Password), newConsumer(t, ours.URL(), readerDN, readerPW)}
	writers := []*writer{
		{newConsumer(t, theirs.URL, theirs.Root.DN, theirs.Root.Password).conn}, {newConsumer(t, ours.URL(), readerDN, readerPW).conn},
	}
	compare := func(name string, ask func(c *consumer) []string) {
		t.Helper()
		if diff := cmp.Diff(ask(readers[0]), ask(readers[1])); diff != "" {
			t.Errorf("%s (-OpenLDAP +ours):\n%s", name, diff)
		}
	}
	for _, r := range readers {
		r.filter = "(&(objectClass=inetOrgPerson)(!(mail=hidden@x)))"
	}
	first := make([]string, len(readers))
	for _, step := range syncHistory {
		for i, w := range writers {
			if err := step.do(w); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if first[i] == "" {
				first[i] = readers[i].cookie
			}
		}
		compare(step.name, (*consumer).refresh)
	}
	csn := csnPattern.FindString(readers[0].cookie)
	for _, cookie := range []string{
		"garbage", "csn=" + csn, "rid=000", "rid=000,csn=garbage", "rid=007," + "csn=20200101000000.000000Z#000000#001#000000",
		"rid=000,csn=20990101000000.000000Z#000000#001#000000", "rid=000,csn=" + strings.Replace(csn, "#001#", "#002#", 1),
	} {
		compare(cookie, func(c *consumer) []string { return c.ask(cookie) })
	}
}

// persisted compares the events of searches that persist.
func TestSyncPersistsAsOpenLDAPDoes(t *testing.T) {
	theirs := dirtest.StartSlapd(t, dirtest.SlapdOptions{Provider: true, SessionLog: 10, ServerID: 1, MemberOf: true, RefInt: true})
	_, _, ours := provider(t, SyncOptions{SessionLog: 10, ServerID: 1}, func(o *DirectoryOptions) { o.References = ReferencesMend })
	var seen [2][]string
	for i, s := range []struct{ url, dn, password string }{{theirs.URL, theirs.Root.DN, theirs.Root.Password}, {ours.URL(), readerDN, readerPW}} {
		c, w := newConsumer(t, s.url, s.dn, s.password), &writer{newConsumer(t, s.url, s.dn, s.password).conn}
		c.filter = "(|(objectClass=groupOfNames)(ou=*)(&(objectClass=inetOrgPerson)(!(mail=hidden@x))))"
		events := c.request(ldap.SyncRequestModeRefreshAndPersist, "")
		next := func() {
			if !events.Next() {
				t.Fatalf("no event: %v", events.Err())
			}
			seen[i] = append(seen[i], c.message(events)...)
		}
		for len(seen[i]) == 0 || !strings.HasPrefix(seen[i][len(seen[i])-1], "refresh") {
			next()
		}
		// An entry is there by one server's data and not by the other's.
		seen[i] = slices.DeleteFunc(seen[i], func(s string) bool { return strings.HasPrefix(s, "add") })
		group := ldap.NewAddRequest("cn=crew,ou=groups,"+suffix, nil)
		group.Attribute("objectClass", []string{"groupOfNames"})
		group.Attribute("cn", []string{"crew"})
		group.Attribute("member", []string{"uid=ann,ou=people," + suffix, "uid=bob,ou=people," + suffix})
		for _, err := range []error{
			w.person("ann", "people"), w.person("bob", "people"), w.conn.Add(group), w.set("uid=ann,ou=people", "mail", "new@x"),
			w.rename("uid=ann,ou=people", "uid=anna"), w.rename("ou=people", "ou=folk"), w.set("uid=bob,ou=folk", "mail", "hidden@x"),
			w.set("uid=bob,ou=folk", "mail", "bob@x"), w.del("uid=bob,ou=folk"), w.set("uid=anna,ou=folk", "mail", "last@x"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for !strings.Contains(seen[i][len(seen[i])-1], "last@x") {
			next()
		}
	}
	if diff := cmp.Diff(seen[0], seen[1]); diff != "" {
		t.Errorf("events (-OpenLDAP +ours):\n%s", diff)
	}
}
