package ldapserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// org is a directory that random writes go to: people and groups in two units, some
// of them deleted for now.
type org struct {
	*Directory
	suffix  string
	classes map[string]string // of the directory's kind: person, group, unit
	deleted []Entry
	count   int
	keeps   bool // what comes again may do so under its old identifier
}

// names returns the names of the entries of a kind.
func (o *org) names(kind string) []string {
	var out []string
	for e := range o.All() {
		if slices.Contains(e.Values("objectClass"), o.classes[kind]) && e.First("mark") == "x" {
			out = append(out, e.DN)
		}
	}
	return out
}

// write does one random write, if there is something to do it to.
func (o *org) write(t *rapid.T) {
	pick := func(kind string) string {
		if names := o.names(kind); len(names) > 0 {
			return rapid.SampledFrom(names).Draw(t, kind)
		}
		return ""
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	fresh := func() string {
		o.count++
		return fmt.Sprintf("n%d", o.count)
	}
	kind := rapid.SampledFrom([]string{"person", "person", "group"}).Draw(t, "kind")
	name := pick(kind)
	what := rapid.SampledFrom([]string{"add", "add", "mail", "clear", "join", "join", "leave", "rename", "move", "unit", "delete", "again"}).Draw(t, "what")
	switch {
	case what == "unit":
		must(o.Rename(pick("unit"), "OU="+fresh(), ""))
	case what == "add" || name == "":
		must(o.Add(Entry{DN: "CN=" + fresh() + "," + pick("unit"), Attributes: []Attribute{Attr("objectClass", o.classes[kind]), Attr("mark", "x"), Attr("mail", "a")}}))
	case what == "mail" || what == "clear":
		c := Change{Kind: ReplaceValues, Name: "mail"}
		if what == "mail" {
			c.Values = []string{fresh()}
		}
		must(o.Modify(name, c))
	case what == "join" || what == "leave":
		o.member(t, what, pick("group"), pick("person"))
	case what == "rename":
		must(o.Rename(name, "CN="+fresh(), ""))
	case what == "move":
		rdn, _ := splitRDN(name)
		if err := o.Rename(name, rdn, pick("unit")); err != nil && asResult(err).Code != EntryAlreadyExists {
			t.Fatal(err)
		}
	case what == "delete":
		e, _ := o.Lookup(name)
		o.deleted = append(o.deleted, e)
		must(o.Delete(name))
	case what == "again" && len(o.deleted) > 0:
		o.revive(t, pick("unit"))
	}
}

// member lets a person join or leave a group, unless it is so already.
func (o *org) member(t *rapid.T, what, group, person string) {
	c := Change{Kind: AddValues, Name: "member", Values: []string{person}}
	if what == "leave" {
		c.Kind = DeleteValues
	}
	if group == "" || person == "" {
		return
	}
	if err := o.Modify(group, c); err != nil {
		if code := asResult(err).Code; code != TypeOrValueExists && code != NoSuchAttribute {
			t.Fatal(err)
		}
	}
}

// revive adds a deleted entry again: itself, or another one under its name.
func (o *org) revive(t *rapid.T, unit string) {
	e := o.deleted[len(o.deleted)-1]
	o.deleted = o.deleted[:len(o.deleted)-1]
	rdn, _ := splitRDN(e.DN)
	e.DN = rdn + "," + unit
	same := o.keeps && rapid.Bool().Draw(t, "the same")
	e.Attributes = slices.DeleteFunc(e.Attributes, func(a Attribute) bool {
		return a.Name == "member" || isOperational(typeKey(a.Name)) && (!same || a.Name != "entryUUID")
	})
	if _, taken := o.Lookup(e.DN); taken {
		return
	}
	if err := o.Add(e); err != nil {
		t.Fatal(err)
	}
}

// newOrg returns a directory of two units.
func newOrg(t *rapid.T, suffix string, o DirectoryOptions, classes map[string]string) *org {
	o.Suffixes, o.Seed = []string{suffix}, 1
	d, err := NewDirectory(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Entry{
		{DN: suffix, Attributes: []Attribute{Attr("objectClass", "domain")}},
		{DN: "OU=a," + suffix, Attributes: []Attribute{Attr("objectClass", "organizationalUnit"), Attr("mark", "x")}},
		{DN: "OU=b," + suffix, Attributes: []Attribute{Attr("objectClass", "organizationalUnit"), Attr("mark", "x")}},
	} {
		if err := d.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	return &org{Directory: d, suffix: suffix, classes: classes}
}

// seen is what a reader knows of an entry.
type seen struct {
	Name, Parent, Mail string
	Members            map[string]bool
}

// roll is what a reader of DirSync knows, by objectGUID.
type roll map[string]*seen

// patch takes in one entry of a round.
func (r roll) patch(e *ldap.Entry) {
	guid := string(e.GetRawAttributeValue("objectGUID"))
	if e.GetAttributeValue("isDeleted") == "TRUE" {
		delete(r, guid)
		for _, s := range r { // the groups of a deleted user get no event
			delete(s.Members, guid)
		}
		return
	}
	if r[guid] == nil {
		r[guid] = &seen{Members: map[string]bool{}}
	}
	s := r[guid]
	for _, a := range e.Attributes {
		switch a.Name {
		case "name":
			s.Name = a.Values[0]
		case "parentGUID":
			s.Parent = string(a.ByteValues[0])
		case "mail":
			s.Mail = strings.Join(a.Values, "")
		case "member;range=1-1":
			for _, v := range a.Values {
				s.Members[guidIn(v)] = true
			}
		case "member;range=0-0":
			for _, v := range a.Values {
				delete(s.Members, guidIn(v))
			}
		}
	}
}

// guidIn returns the GUID of an extended name; a member that is no object any more
// has none.
func guidIn(name string) string {
	head, _, _ := strings.Cut(name, ";")
	_, value, _ := alternateName(head)
	return value
}

// truth is what the controller holds.
func truth(ad *AD) roll {
	out := roll{}
	for _, s := range *ad.slots.Load() {
		e := s.entry.Load()
		if e == nil || e.deleted || e.first("mark") != "x" {
			continue
		}
		is := &seen{Name: e.first("name"), Parent: e.first("parentguid"), Mail: e.first("mail"), Members: map[string]bool{}}
		for folded := range targets(e, "member") {
			is.Members[ad.byName[folded].guid] = true
		}
		out[e.first("objectguid")] = is
	}
	return out
}

// Whatever is written, between whichever rounds: who patches what it knows with
// what DirSync sends knows at the end what the directory holds. Not told is only of
// one who was deleted and undeleted between two rounds that the groups have lost it.
func TestWhoFollowsByDirSyncKnowsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOrg(t, adSuffix, DirectoryOptions{References: ReferencesMend}, map[string]string{"person": "user", "group": "group", "unit": "organizationalUnit"})
		ad, err := NewAD(o.Directory, ADOptions{
			Replicators: []string{readerDN}, DeletedReaders: []string{readerDN},
			RoundObjects: rapid.IntRange(0, 4).Draw(t, "objects a round"), RoundValues: rapid.IntRange(0, 2).Draw(t, "values a round"),
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Start(t.Context(), Options{Directory: o.Directory, AD: ad, Accounts: map[string]string{readerDN: "secret"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		c, err := ldap.DialURL(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if err := c.Bind(readerDN, "secret"); err != nil {
			t.Fatal(err)
		}
		flags := int64(dirSyncIncremental)
		if rapid.Bool().Draw(t, "ancestors first") {
			flags |= dirSyncAncestorsFirst
		}
		known, cookie := roll{}, []byte(nil)
		round := func() (more bool) {
			req := ldap.NewSearchRequest(adSuffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(|(mark=x)(isDeleted=TRUE))",
				[]string{"name", "parentGUID", "isDeleted", "mail", "member"}, []ldap.Control{ldap.NewControlString(oidExtendedDN, true, "")})
			res, err := c.DirSync(req, flags, 0, cookie)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range res.Entries {
				known.patch(e)
			}
			ctl := ldap.FindControl(res.Controls, ldap.ControlTypeDirSync).(*ldap.ControlDirSync)
			cookie = ctl.Cookie
			return ctl.Flags != 0
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "read") == 0 {
				round()
				continue
			}
			o.write(t)
		}
		for round() {
		}
		if diff := gocmp.Diff(truth(ad), known); diff != "" {
			t.Fatalf("what is known (-directory +reader):\n%s", diff)
		}
	})
}

// Whatever is written, whatever a provider forgets: who follows RFC 4533 knows at
// the end what the directory holds. That is not so where several providers write:
// if such a one loses its log or is restored, it looks at one server id only.
func TestWhoFollowsBySyncKnowsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOrg(t, suffix, DirectoryOptions{References: ReferencesMend}, map[string]string{"person": "inetOrgPerson", "group": "groupOfNames", "unit": "organizationalUnit"})
		several, log := rapid.Bool().Draw(t, "several providers"), rapid.IntRange(0, 6).Draw(t, "log")
		if several {
			log = 1000
		}
		p := NewSyncProvider(o.Directory, SyncOptions{SessionLog: log})
		s, err := Start(t.Context(), Options{Directory: o.Directory, Sync: p, Accounts: map[string]string{readerDN: "secret"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		c, err := ldap.DialURL(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if err := c.Bind(readerDN, "secret"); err != nil {
			t.Fatal(err)
		}
		o.keeps = true
		known, cookie := map[string]string{}, ""
		read := func() {
			req := ldap.NewSearchRequest(suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(&(objectClass=inetOrgPerson)(mail=*))", []string{"mail"}, nil)
			events := c.Syncrepl(t.Context(), req, 8, ldap.SyncRequestModeRefreshOnly, []byte(cookie), false)
			named, ended := map[string]bool{}, false
			for events.Next() {
				for _, ctl := range events.Controls() {
					switch ctl := ctl.(type) {
					case *ldap.ControlSyncState:
						known[ctl.EntryUUID.String()] = events.Entry().GetAttributeValue("mail")
						named[ctl.EntryUUID.String()] = true
					case *ldap.ControlSyncInfo:
						for _, id := range ctl.SyncIdSet.SyncUUIDs {
							if named[id.String()] = true; ctl.SyncIdSet.RefreshDeletes {
								delete(known, id.String())
							}
						}
					case *ldap.ControlSyncDone:
						ended = true
						if !ctl.RefreshDeletes {
							maps.DeleteFunc(known, func(id, _ string) bool { return !named[id] })
						}
						if len(ctl.Cookie) > 0 {
							cookie = string(ctl.Cookie)
						}
					}
				}
			}
			if code(events.Err()) == ldap.LDAPResultUnwillingToPerform { // a restored backup
				clear(known)
				cookie = ""
			} else if !ended {
				t.Fatalf("a refresh from %q: %v", cookie, events.Err())
			}
		}
		backup := o.Backup()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch step := rapid.IntRange(0, 20).Draw(t, "step"); {
			case step == 0 && !several:
				p.Restart()
			case step == 1 && several:
				o.WriteAs(rapid.IntRange(1, 3).Draw(t, "server"))
			case step == 2:
				backup = o.Backup()
			case step == 3 && !several:
				o.Restore(backup)
				o.deleted = nil
				// A consumer that asks only after further changes may never learn of it.
				read()
			case step < 8:
				read()
			default:
				o.write(t)
			}
		}
		read()
		read()
		want := map[string]string{}
		for e := range o.All() {
			if slices.Contains(e.Values("objectClass"), "inetOrgPerson") && e.First("mail") != "" {
				want[e.First("entryUUID")] = e.First("mail")
			}
		}
		if diff := gocmp.Diff(want, known); diff != "" {
			t.Fatalf("what is known (-directory +reader):\n%s", diff)
		}
	})
}
