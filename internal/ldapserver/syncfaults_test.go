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

var sidPattern = regexp.MustCompile(`sid=\d+,`)

// refreshed connects anew and refreshes from the cookie of c, since a restart ends
// connections. The server's own id is left out of cookies.
func refreshed(c *consumer, url, dn, password string) []string {
	c.t.Helper()
	next := newConsumer(c.t, url, dn, password)
	c.conn = next.conn
	out := c.refresh()
	for i := range out {
		out[i] = sidPattern.ReplaceAllString(out[i], "")
	}
	return out
}

// A provider that restarts, that takes in the changes of another one, and that is
// restored from a backup, next to a real one to which the same happens.
func TestSyncOverRestartsAsOpenLDAPDoes(t *testing.T) {
	theirs := dirtest.StartSlapd(t, dirtest.SlapdOptions{Provider: true, SessionLog: 10, ServerID: 1})
	d, p, ours := provider(t, SyncOptions{SessionLog: 10, ServerID: 1})
	a := newConsumer(t, theirs.URL, theirs.Root.DN, theirs.Root.Password)
	b := newConsumer(t, ours.URL(), readerDN, readerPW)
	var backup string
	var saved *Backup
	write := func(steps ...func(w *writer) error) func() {
		return func() {
			for _, w := range []*writer{
				{newConsumer(t, theirs.URL, theirs.Root.DN, theirs.Root.Password).conn}, {newConsumer(t, ours.URL(), readerDN, readerPW).conn},
			} {
				for _, step := range steps {
					if err := step(w); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	mail := func(value string) func(w *writer) error {
		return func(w *writer) error { return w.set("uid=ann,ou=people", "mail", value) }
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"first", write(func(w *writer) error { return w.person("ann", "people") }, func(w *writer) error { return w.person("bob", "people") })},
		{"restart of one who is up to date", func() { theirs.SetServerID(1); p.Restart() }},
		{"a change after it", write(mail("1@x"))},
		{"changes before a restart", func() {
			write(mail("2@x"), func(w *writer) error { return w.del("uid=bob,ou=people") })()
			theirs.SetServerID(1)
			p.Restart()
		}},
		{"another provider's change", func() {
			theirs.SetServerID(2)
			d.WriteAs(2)
			p.Restart()
			write(mail("3@x"))()
		}},
		{"another change of that one", write(mail("4@x"))},
		{"a change of the first one", func() {
			theirs.SetServerID(1)
			d.WriteAs(1)
			p.Restart()
			write(func(w *writer) error { return w.person("cid", "people") })()
		}},
		{"nothing", func() {}},
		// OpenLDAP looks only at the log of the server id whose CSN is the oldest, and
		// takes it for whole: this deletion it never tells.
		{"two of another provider's changes", func() {
			theirs.SetServerID(2)
			d.WriteAs(2)
			p.Restart()
			write(func(w *writer) error { return w.person("dot", "people") }, func(w *writer) error { return w.person("eve", "people") })()
		}},
		{"a deletion of that one that the log has lost", func() {
			write(func(w *writer) error { return w.del("uid=dot,ou=people") })()
			theirs.SetServerID(1)
			d.WriteAs(1)
			p.Restart()
			write(mail("6@x"))()
		}},
		{"a backup", func() {
			backup = theirs.Backup()
			saved = d.Backup()
			write(mail("5@x"))()
		}},
		{"the backup restored", func() {
			theirs.Restore(backup)
			d.Restore(saved)
		}},
	} {
		step.do()
		want := refreshed(a, theirs.URL, theirs.Root.DN, theirs.Root.Password)
		if diff := cmp.Diff(want, refreshed(b, ours.URL(), readerDN, readerPW)); diff != "" {
			t.Errorf("%s (-OpenLDAP +ours):\n%s", step.name, diff)
		}
	}
}

func TestSyncListsWhatIsPresentInSeveralSets(t *testing.T) {
	d, _, s := provider(t, SyncOptions{})
	for i := range 600 {
		if err := d.Put(Entry{DN: fmt.Sprintf("uid=u%03d,ou=people,%s", i, suffix), Attributes: []Attribute{Attr("objectClass", "inetOrgPerson")}}); err != nil {
			t.Fatal(err)
		}
	}
	c := newConsumer(t, s.URL(), readerDN, readerPW)
	c.refresh()
	if err := d.Delete("uid=u000,ou=people," + suffix); err != nil {
		t.Fatal(err)
	}
	got := c.refresh()
	var sizes []int
	for _, line := range got[:len(got)-1] {
		sizes = append(sizes, strings.Count(line, "uid="))
	}
	slices.Sort(sizes)
	if diff := cmp.Diff([]int{87, 256, 256}, sizes); diff != "" || !strings.HasPrefix(got[len(got)-1], "done deletes=false") {
		t.Errorf("sizes of the sets (-want +got):\n%s%s", diff, got[len(got)-1])
	}
}

func TestSyncKeepsLimitsAndRefusesPaging(t *testing.T) {
	d, p, _ := provider(t, SyncOptions{SessionLog: 10})
	s := start(t, d, func(o *Options) { o.Sync, o.Writers, o.SizeLimit = p, []string{readerDN}, 2 })
	c := newConsumer(t, s.URL(), readerDN, readerPW)
	w := &writer{c.conn}
	for _, uid := range []string{"ann", "bob", "cid"} {
		if err := w.person(uid, "people"); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.refresh(); len(got) != 3 || got[2] != "result 4" || c.cookie != "" {
		t.Errorf("over the limit: %q, cookie %q; want two entries, result 4, none", got, c.cookie)
	}
	r := c.request(ldap.SyncRequestModeRefreshOnly, "", ldap.NewControlPaging(10))
	for r.Next() {
		t.Errorf("an entry: %v", r.Entry())
	}
	if code(r.Err()) != ldap.LDAPResultProtocolError {
		t.Errorf("with paging: %v, want result 2", r.Err())
	}
	res, err := c.conn.Search(ldap.NewSearchRequest(suffix, 0, 0, 0, 0, false, "(objectClass=*)", []string{"contextCSN"}, nil))
	if err != nil || !slices.Equal(res.Entries[0].GetAttributeValues("contextCSN"), p.ContextCSN()) {
		t.Errorf("contextCSN = %v, %v; want %v", lines(res.Entries), err, p.ContextCSN())
	}
}

// provider389 is a directory in the style of 389-ds with three people.
func provider389(t *testing.T, o SyncOptions) (*Server, *consumer, *writer) {
	t.Helper()
	o.Style = Sync389
	_, _, s := provider(t, o, func(o *DirectoryOptions) { o.NSUniqueID, o.References = true, ReferencesChange })
	c := newConsumer(t, s.URL(), readerDN, readerPW)
	w := &writer{c.conn}
	for _, uid := range []string{"ann", "bob", "cid"} {
		if err := w.person(uid, "people"); err != nil {
			t.Fatal(err)
		}
	}
	return s, c, w
}

func TestSyncAs389Does(t *testing.T) {
	s, c, w := provider389(t, SyncOptions{})
	c.refresh()
	prefix := strings.Replace(s.Addr(), "127.0.0.1", "localhost", 1) + "#" + readerDN + ":" + suffix + ":(objectClass=inetOrgPerson)#"
	if c.cookie != prefix+"6" {
		t.Errorf("the first cookie = %s, want %s6", c.cookie, prefix)
	}
	for id, name := range c.names {
		e, _ := s.Directory().Lookup(name)
		if e.First("nsUniqueId") != nsUniqueID(id) || e.First("entryUUID") == id {
			t.Errorf("%s goes by %s; its nsUniqueId is %s", name, id, e.First("nsUniqueId"))
		}
	}
	step := func(name string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		got := c.refresh()
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], ","+suffix, "")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	done := func(n int) string {
		return strings.ReplaceAll(fmt.Sprintf("done deletes=false %s%d", prefix, n), ","+suffix, "")
	}
	step("nothing", nil, done(6))
	step("a change", w.set("uid=ann,ou=people", "mail", "new@x"), "add uid=ann,ou=people was uid=ann,ou=people mail=new@x", done(7))
	step("a deletion", w.del("uid=bob,ou=people"), "set deletes=true "+strings.TrimPrefix(done(8), "done deletes=false ")+": uid=bob,ou=people", done(8))
	group := ldap.NewAddRequest("cn=Crew,ou=groups,"+suffix, nil)
	group.Attribute("objectClass", []string{"groupOfNames"})
	group.Attribute("member", []string{"uid=Ann,ou=people," + suffix})
	step("memberOf is a change of the user", c.conn.Add(group), "add uid=ann,ou=people was uid=ann,ou=people mail=new@x", done(10))
	step("and a rename one of the group", w.rename("uid=ann,ou=people", "uid=Anna"), "add uid=Anna,ou=people was uid=ann,ou=people mail=new@x", done(12))
	if e, _ := s.Directory().Lookup("cn=crew,ou=groups," + suffix); e.First("member") != "uid=anna,ou=people,"+suffix {
		t.Errorf("the mended member is %q, want it in lower case", e.First("member"))
	}
	for _, cookie := range []string{"garbage", c.cookie + "0", strings.Replace(c.cookie, "inetorg", "x", 1), "x" + c.cookie} {
		if got := c.ask(cookie); len(got) != 1 || cookie != c.cookie && got[0] != "result 4096" {
			t.Errorf("cookie %s: %q, want result 4096", cookie, got)
		}
	}
	c.filter = "(uid=*)"
	if got := c.ask(c.cookie); len(got) != 1 || got[0] != "result 4096" {
		t.Errorf("another filter: %q, want result 4096", got)
	}
}

func TestSyncAs389LosesChanges(t *testing.T) {
	_, c, w := provider389(t, SyncOptions{LosesChanges: true})
	c.refresh()
	before := c.cookie
	if err := all(w.set("uid=ann,ou=people", "mail", "new@x"), w.del("uid=bob,ou=people")); err != nil {
		t.Fatal(err)
	}
	if got := c.refresh(); len(got) != 1 || !strings.HasPrefix(got[0], "done deletes=false") || c.cookie == before {
		t.Errorf("a delta of two changes = %q, cookie %s after %s; want none, and another cookie", got, c.cookie, before)
	}
	events := c.request(ldap.SyncRequestModeRefreshAndPersist, c.cookie)
	if !events.Next() || !strings.HasPrefix(c.message(events)[0], "refreshDelete done=true") {
		t.Fatalf("the end of the refresh: %v", events.Err())
	}
	if err := w.set("uid=ann,ou=people", "mail", "newer@x"); err != nil {
		t.Fatal(err)
	}
	if !events.Next() {
		t.Fatal(events.Err())
	}
	if got := c.message(events)[0]; !strings.HasPrefix(got, "modify uid=ann") || !strings.HasSuffix(got, "#4294967295") {
		t.Errorf("an event: %s", got)
	}
}

func TestSyncEndsAPresentPhaseWithoutAWord(t *testing.T) {
	_, _, s := provider(t, SyncOptions{PresentSaysNothing: true})
	c := newConsumer(t, s.URL(), readerDN, readerPW)
	w := &writer{c.conn}
	if err := all(w.person("ann", "people"), w.person("bob", "people")); err != nil {
		t.Fatal(err)
	}
	c.refresh()
	if err := w.set("uid=ann,ou=people", "mail", "new@x"); err != nil {
		t.Fatal(err)
	}
	if got := c.refresh(); len(got) != 2 || !strings.HasPrefix(got[0], "add uid=ann") || !strings.HasPrefix(got[1], "done deletes=false") {
		t.Errorf("a refresh = %q, want Ann, and by the end that Bob is gone", got)
	}
}
