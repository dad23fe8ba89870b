package ldapserver

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

var cookie389Pattern = regexp.MustCompile(`\S+#\S*( \S+)*:\S+:\(\S+#\d+`)

// without389 masks what differs by nature.
func without389(messages []string) []string {
	for i := range messages {
		messages[i] = cookie389Pattern.ReplaceAllString(messages[i], "COOKIE")
	}
	return messages
}

func TestSyncAs389ReallyDoes(t *testing.T) {
	theirs := dirtest.Start389(t, dirtest.DS389Options{MemberOf: true, RefInt: true})
	_, _, ours := provider(t, SyncOptions{Style: Sync389}, func(o *DirectoryOptions) { o.NSUniqueID, o.References = true, ReferencesChange })
	sides := []struct{ url, dn, password string }{{theirs.URL, theirs.Root.DN, theirs.Root.Password}, {ours.URL(), readerDN, readerPW}}
	var got [2][]string
	for i, s := range sides {
		c, w := newConsumer(t, s.url, s.dn, s.password), &writer{newConsumer(t, s.url, s.dn, s.password).conn}
		c.filter = "(&(objectClass=inetOrgPerson)(!(mail=hidden@x)))"
		for _, step := range syncHistory {
			if err := step.do(w); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			got[i] = append(got[i], "-- "+step.name)
			got[i] = append(got[i], without389(c.refresh())...)
		}
		for _, cookie := range []string{"garbage", c.cookie + "0", c.cookie[:strings.LastIndex(c.cookie, "#")+1] + "1"} {
			got[i] = append(got[i], without389(c.ask(cookie))...)
		}
		c.filter = "(uid=*)"
		got[i] = append(got[i], without389(c.ask(c.cookie))...)
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("refreshes (-389 +ours):\n%s", diff)
	}
	for i, s := range sides {
		got[i] = nil
		c, w := newConsumer(t, s.url, s.dn, s.password), &writer{newConsumer(t, s.url, s.dn, s.password).conn}
		c.filter = "(|(objectClass=groupOfNames)(objectClass=inetOrgPerson))"
		events := c.request(ldap.SyncRequestModeRefreshAndPersist, "")
		next := func() {
			if !events.Next() {
				t.Fatalf("no event: %v", events.Err())
			}
			got[i] = append(got[i], without389(c.message(events))...)
		}
		for len(got[i]) == 0 || !strings.HasPrefix(got[i][len(got[i])-1], "refresh") {
			next()
		}
		slices.Sort(got[i])
		group := ldap.NewAddRequest("cn=crew,ou=groups,"+suffix, nil)
		group.Attribute("objectClass", []string{"groupOfNames"})
		group.Attribute("cn", []string{"crew"})
		group.Attribute("member", []string{"uid=ann,ou=folk," + suffix})
		for _, err := range []error{
			w.person("ada", "folk"), w.conn.Add(group), w.rename("uid=ann,ou=folk", "uid=anna"), w.del("uid=ada,ou=folk"), w.set("uid=anna,ou=folk", "mail", "last@x"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for !strings.Contains(got[i][len(got[i])-1], "last@x") {
			next()
		}
	}
	// The plugins of 389-ds tell the same more than once.
	for i := range got {
		told := map[string]bool{}
		got[i] = slices.DeleteFunc(got[i], func(s string) bool {
			again := told[s]
			told[s] = true
			return again
		})
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("events (-389 +ours):\n%s", diff)
	}
}

func TestSyncAs389WithoutTargetIDsReallyDoes(t *testing.T) {
	theirs := dirtest.Start389(t, dirtest.DS389Options{NoTargetID: true})
	_, _, ours := provider(t, SyncOptions{Style: Sync389, LosesChanges: true}, func(o *DirectoryOptions) { o.NSUniqueID = true })
	var got [2][]string
	for i, s := range []struct{ url, dn, password string }{{theirs.URL, theirs.Root.DN, theirs.Root.Password}, {ours.URL(), readerDN, readerPW}} {
		c, w := newConsumer(t, s.url, s.dn, s.password), &writer{newConsumer(t, s.url, s.dn, s.password).conn}
		for _, step := range syncHistory[:8] {
			if err := step.do(w); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			before := c.cookie
			got[i] = append(got[i], "-- "+step.name)
			got[i] = append(got[i], without389(c.refresh())...)
			if moved := c.cookie != before; moved != (step.name != "nothing") {
				t.Errorf("%s: the cookie moved on: %t", step.name, moved)
			}
		}
		events := c.request(ldap.SyncRequestModeRefreshAndPersist, c.cookie)
		next := func() string {
			if !events.Next() {
				t.Fatalf("no event: %v", events.Err())
			}
			return c.message(events)[0]
		}
		next() // the end of the refresh
		if err := w.set("uid=ann,ou=people", "mail", "last@x"); err != nil {
			t.Fatal(err)
		}
		event := next()
		got[i] = append(got[i], event[strings.LastIndex(event, "#"):])
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("refreshes and an event (-389 +ours):\n%s", diff)
	}
}
