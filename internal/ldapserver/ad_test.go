package ldapserver

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	gocmp "github.com/google/go-cmp/cmp"
)

const (
	adSuffix = "DC=example,DC=org"
	syncDN   = "CN=svc-sync,CN=Users," + adSuffix
	blindDN  = "CN=svc-blind,CN=Users," + adSuffix
	plainDN  = "CN=svc-plain,CN=Users," + adSuffix
)

// domain is a controller with its directory and a connection of each account.
type domain struct {
	t testing.TB
	*Directory
	ad     *AD
	server *Server
}

// newDomain starts a controller over a directory of two users and a group.
func newDomain(t testing.TB, o ADOptions) *domain {
	t.Helper()
	now := clock()
	d, err := NewDirectory(DirectoryOptions{Suffixes: []string{adSuffix}, Seed: 3, References: ReferencesMend, Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := &domain{t: t, Directory: d}
	w.put(adSuffix, Attr("objectClass", "top", "domain", "domainDNS"))
	w.put("CN=Users,"+adSuffix, Attr("objectClass", "top", "container"))
	for _, dn := range []string{syncDN, blindDN, plainDN} {
		w.user(dn, Attr("userPassword", "secret"))
	}
	w.put("OU=Staff,"+adSuffix, Attr("objectClass", "top", "organizationalUnit"))
	w.put("CN=Domain Users,CN=Users,"+adSuffix, Attr("objectClass", "top", "group"), Attr("objectSid", SID(513)))
	w.user("CN=Ann,OU=Staff,"+adSuffix, Attr("mail", "ann@example.org"), Attr("userPrincipalName", "ann@example.org"), Attr("userPassword", "secret"))
	w.user("CN=Bob,OU=Staff,"+adSuffix, Attr("mail", "bob@example.org"))
	w.put("CN=Crew,OU=Staff,"+adSuffix, Attr("objectClass", "top", "group"), Attr("member", "CN=Ann,OU=Staff,"+adSuffix))
	o.Replicators = append(o.Replicators, syncDN, blindDN)
	o.DeletedReaders = append(o.DeletedReaders, syncDN)
	if w.ad, err = NewAD(d, o); err != nil {
		t.Fatal(err)
	}
	w.server = start(t, d, func(o *Options) { o.AD = w.ad })
	return w
}

func (w *domain) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *domain) put(dn string, attrs ...Attribute) {
	w.t.Helper()
	w.must(w.Put(Entry{DN: dn, Attributes: attrs}))
}

func (w *domain) user(dn string, attrs ...Attribute) {
	w.t.Helper()
	rdn, _ := splitRDN(dn)
	_, name, _ := strings.Cut(rdn, "=")
	w.put(dn, append([]Attribute{
		Attr("objectClass", "top", "person", "organizationalPerson", "user"), Attr("sAMAccountName", strings.ToLower(name)),
		Attr("userAccountControl", "512"), Attr("primaryGroupID", "513"),
	}, attrs...)...)
}

func (w *domain) set(dn, name string, values ...string) {
	w.t.Helper()
	w.must(w.Modify(dn, Change{ReplaceValues, name, values}))
}

// dial binds a client as the account.
func dial(t testing.TB, s *Server, account string) *ldap.Conn {
	t.Helper()
	c, err := ldap.DialURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Bind(account, "secret"); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask searches the whole domain.
func ask(t testing.TB, c *ldap.Conn, base, filter string, attrs []string, controls ...ldap.Control) *ldap.SearchResult {
	t.Helper()
	r, err := c.Search(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, attrs, controls))
	if err != nil {
		t.Fatalf("search of %s for %s: %v", base, filter, err)
	}
	return r
}

// code returns the result code of an error.
func code(err error) uint16 {
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		return e.ResultCode
	}
	return 0
}

// lines writes entries as "name: attribute=value value; ...", with the binary
// attributes left out that differ from run to run.
func lines(entries []*ldap.Entry) []string {
	var out []string
	for _, e := range entries {
		var parts []string
		for _, a := range e.Attributes {
			switch a.Name {
			case "objectGUID", "objectSid", "parentGUID":
				parts = append(parts, a.Name)
			default:
				parts = append(parts, strings.TrimSpace(a.Name+"="+strings.Join(a.Values, " ")))
			}
		}
		slices.Sort(parts)
		out = append(out, strings.ReplaceAll(e.DN+": "+strings.Join(parts, "; "), ","+adSuffix, ""))
	}
	return out
}

func TestADShowsObjectsAsADomainDoes(t *testing.T) {
	w := newDomain(t, ADOptions{})
	c := dial(t, w.server, "ann@example.org")
	r := ask(t, c, adSuffix, "(cn=ann)", nil)
	want := []string{"CN=Ann,OU=Staff: CN=Ann; distinguishedName=CN=Ann,OU=Staff; instanceType=4; mail=ann@example.org; memberOf=CN=Crew,OU=Staff; " +
		"name=Ann; objectCategory=CN=Person,CN=Schema,CN=Configuration; objectClass=top person organizationalPerson user; objectGUID; objectSid; " +
		"primaryGroupID=513; sAMAccountName=ann; uSNChanged=1008; uSNCreated=1008; userAccountControl=512; userPrincipalName=ann@example.org; " +
		"whenChanged=20260301090019.0Z; whenCreated=20260301090019.0Z"}
	if diff := gocmp.Diff(want, lines(r.Entries)); diff != "" {
		t.Errorf("a user (-want +got):\n%s", diff)
	}
	if got := fmt.Sprint(r.Referrals); got != "[ldap://example.org/CN=Configuration,"+adSuffix+"]" {
		t.Errorf("referrals of a search of the domain = %s", got)
	}
	guid := r.Entries[0].GetRawAttributeValue("objectGUID")
	var escaped strings.Builder
	for _, b := range guid {
		fmt.Fprintf(&escaped, `\%02x`, b)
	}
	for _, q := range [][2]string{
		{fmt.Sprintf("<GUID=%x>", guid), "(objectClass=*)"},
		{"<GUID=" + guidText(string(guid)) + ">", "(objectClass=*)"},
		{fmt.Sprintf("<SID=%x>", r.Entries[0].GetRawAttributeValue("objectSid")), "(objectClass=*)"},
		{adSuffix, "(objectGUID=" + escaped.String() + ")"},
		{adSuffix, "(&(objectCategory=person)(objectClass=user)(sAMAccountName=ANN))"},
		{adSuffix, "(&(userAccountControl:1.2.840.113556.1.4.803:=512)(memberOf=cn=crew,ou=staff," + adSuffix + "))"},
		{adSuffix, "(uSNChanged=1008)"},
	} {
		if got := ask(t, c, q[0], q[1], []string{"1.1"}).Entries; len(got) != 1 || got[0].DN != "CN=Ann,OU=Staff,"+adSuffix {
			t.Errorf("%q found %d entries, want Ann", q, len(got))
		}
	}
}

func TestADRootEntry(t *testing.T) {
	w := newDomain(t, ADOptions{Host: "dc7"})
	c := dial(t, w.server, plainDN)
	read := func(base string, attrs ...string) *ldap.Entry {
		t.Helper()
		r, err := c.Search(ldap.NewSearchRequest(base, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", attrs, nil))
		if err != nil || len(r.Entries) != 1 {
			t.Fatalf("read %q: %v", base, err)
		}
		return r.Entries[0]
	}
	root := read("")
	for name, want := range map[string]string{
		"dnsHostName": "dc7.example.org", "defaultNamingContext": adSuffix, "highestCommittedUSN": "1010",
		"dsServiceName": "CN=NTDS Settings,CN=DC7,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration," + adSuffix,
	} {
		if got := root.GetAttributeValue(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if !slices.Contains(root.GetAttributeValues("supportedCapabilities"), "1.2.840.113556.1.4.800") || root.GetAttributeValue("vendorName") != "" {
		t.Errorf("the root entry is not that of Active Directory: %v", lines([]*ldap.Entry{root}))
	}
	settings := root.GetAttributeValue("dsServiceName")
	before := string(read(settings, "invocationId").GetRawAttributeValue("invocationId"))
	if len(before) != 16 || before != w.ad.InvocationID() {
		t.Errorf("invocationId = %x, want %x", before, w.ad.InvocationID())
	}
	w.ad.NewInvocation()
	if after := string(read(settings, "invocationId").GetRawAttributeValue("invocationId")); len(after) != 16 || after == before {
		t.Errorf("after a restore the invocationId is %x, and was %x", after, before)
	}
}

func TestADCapsPagesAndValues(t *testing.T) {
	w := newDomain(t, ADOptions{})
	var members []string
	for i := range 3007 {
		dn := fmt.Sprintf("CN=u%04d,OU=Staff,%s", i, adSuffix)
		w.user(dn)
		members = append(members, dn)
	}
	w.set("CN=Crew,OU=Staff,"+adSuffix, "member", members...)
	c := dial(t, w.server, plainDN)
	search := func(controls ...ldap.Control) (*ldap.SearchResult, error) {
		return c.Search(ldap.NewSearchRequest(adSuffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(sAMAccountName=u*)", []string{"cn"}, controls))
	}
	if r, err := search(); code(err) != ldap.LDAPResultSizeLimitExceeded || len(r.Entries) != 1000 {
		t.Errorf("unpaged: %d entries, %v; want 1000 and result 4", len(r.Entries), err)
	}
	paging, pages := ldap.NewControlPaging(5000), []int{}
	for {
		r, err := search(paging)
		w.must(err)
		pages = append(pages, len(r.Entries))
		cookie := ldap.FindControl(r.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging).Cookie
		if wantRef := len(cookie) == 0; wantRef != (len(r.Referrals) == 1) {
			t.Errorf("page %d has %d referrals", len(pages), len(r.Referrals))
		}
		if len(cookie) == 0 {
			break
		}
		paging.SetCookie(cookie)
	}
	if diff := gocmp.Diff([]int{1000, 1000, 1000, 7}, pages); diff != "" {
		t.Errorf("pages of 5000 (-want +got):\n%s", diff)
	}
	for _, row := range []struct {
		attr string
		want string
		code uint16
	}{
		{"member", "member=0 member;range=0-1499=1500", 0},
		{"member;range=1500-*", "member;range=1500-2999=1500", 0},
		{"member;range=3000-*", "member;range=3000-*=7", 0},
		{"member;range=0-9", "member;range=0-9=10", 0},
		{"member;range=3007-*", "", ldap.LDAPResultOperationsError},
	} {
		r, err := c.Search(ldap.NewSearchRequest("CN=Crew,OU=Staff,"+adSuffix, 0, 0, 0, 0, false, "(objectClass=*)", []string{row.attr}, nil))
		var got []string
		if err == nil {
			for _, a := range r.Entries[0].Attributes {
				got = append(got, fmt.Sprintf("%s=%d", a.Name, len(a.Values)))
			}
		}
		if code(err) != row.code || strings.Join(got, " ") != row.want {
			t.Errorf("%s: %v, %v; want %s and result %d", row.attr, got, err, row.want, row.code)
		}
	}
}

func TestADKeepsTombstones(t *testing.T) {
	w := newDomain(t, ADOptions{})
	ann, _ := w.ad.lookup("CN=Ann,OU=Staff," + adSuffix)
	guid := guidText(ann.first("objectguid"))
	w.must(w.Delete("CN=Ann,OU=Staff," + adSuffix))
	deleted := func(account string, controls ...ldap.Control) []*ldap.Entry {
		t.Helper()
		return ask(t, dial(t, w.server, account), adSuffix, "(isDeleted=TRUE)", []string{"*", "parentGUID"}, controls...).Entries
	}
	show := ldap.NewControlMicrosoftShowDeleted()
	want := []string{
		"CN=Deleted Objects: cn=Deleted Objects; distinguishedName=CN=Deleted Objects; instanceType=4; isCriticalSystemObject=TRUE; isDeleted=TRUE; " +
			"name=Deleted Objects; objectClass=top container; objectGUID; uSNChanged=1000; uSNCreated=1000; whenChanged=20260301090011.0Z; whenCreated=20260301090011.0Z",
		`CN=Ann\0ADEL:` + guid + ",CN=Deleted Objects: CN=Ann\nDEL:" + guid + `; distinguishedName=CN=Ann\0ADEL:` + guid + ",CN=Deleted Objects; instanceType=4; " +
			"isDeleted=TRUE; isRecycled=TRUE; lastKnownParent=OU=Staff; name=Ann\nDEL:" + guid + "; objectClass=top person organizationalPerson user; objectGUID; objectSid; " +
			"parentGUID; primaryGroupID=513; sAMAccountName=ann; uSNChanged=1011; uSNCreated=1008; userAccountControl=512; whenChanged=20260301090023.0Z; whenCreated=20260301090019.0Z",
	}
	if diff := gocmp.Diff(want, lines(deleted(syncDN, show))); diff != "" {
		t.Errorf("deleted objects (-want +got):\n%s", diff)
	}
	for account, controls := range map[string][]ldap.Control{syncDN: nil, plainDN: {show}, blindDN: {show}} {
		if got := deleted(account, controls...); len(got) != 0 {
			t.Errorf("%s sees %v", account, lines(got))
		}
	}
	for _, base := range []string{"CN=Deleted Objects," + adSuffix, "<WKGUID=18E2EA80684F11D2B9AA00C04F79F805," + adSuffix + ">"} {
		request := ldap.NewSearchRequest(base, 0, 0, 0, 0, false, "(objectClass=*)", nil, []ldap.Control{show})
		if _, err := dial(t, w.server, syncDN).Search(request); err != nil {
			t.Errorf("%s: %v", base, err)
		}
		if _, err := dial(t, w.server, blindDN).Search(request); code(err) != ldap.LDAPResultNoSuchObject {
			t.Errorf("%s without the right: %v, want result 32", base, err)
		}
	}
	if crew, _ := w.ad.lookup("CN=Crew,OU=Staff," + adSuffix); crew.first("member") != "" || crew.first("usnchanged") != "1010" {
		t.Errorf("the group of a deleted user has member %q and uSNChanged %s; want none and 1010", crew.first("member"), crew.first("usnchanged"))
	}
	w.ad.DropTombstones()
	if got := deleted(syncDN, show); len(got) != 1 {
		t.Errorf("after the tombstones were dropped: %v", lines(got))
	}
}

func TestADRefusesAsADomainDoes(t *testing.T) {
	w := newDomain(t, ADOptions{})
	w.user("CN=Off,OU=Staff,"+adSuffix, Attr("userPassword", "secret"), Attr("userAccountControl", "514"))
	w.set("CN=Off,OU=Staff,"+adSuffix, "userAccountControl", "514")
	c, err := ldap.DialURL(w.server.URL())
	w.must(err)
	defer func() { _ = c.Close() }()
	_, err = c.Search(ldap.NewSearchRequest(adSuffix, 0, 0, 0, 0, false, "(objectClass=*)", nil, nil))
	if code(err) != ldap.LDAPResultOperationsError {
		t.Errorf("an anonymous search: %v, want result 1", err)
	}
	for account, data := range map[string]string{"ann@example.org": "data 52e", "CN=Nobody," + adSuffix: "data 52e", `EXAMPLE\ann`: "data 52e"} {
		if err := c.Bind(account, "wrong"); code(err) != ldap.LDAPResultInvalidCredentials || !strings.Contains(err.Error(), data) {
			t.Errorf("Bind(%s) = %v, want result 49 and %s", account, err, data)
		}
	}
	if err := c.Bind("CN=Off,OU=Staff,"+adSuffix, "secret"); !strings.Contains(fmt.Sprint(err), "data 533") {
		t.Errorf("Bind(disabled) = %v, want data 533", err)
	}
	w.must(c.Bind(`EXAMPLE\ann`, "secret"))
	_, err = c.Search(ldap.NewSearchRequest("DC=other,DC=test", 0, 0, 0, 0, false, "(objectClass=*)", nil, nil))
	if code(err) != ldap.LDAPResultReferral {
		t.Errorf("a search of another domain: %v, want result 10", err)
	}
}

func TestADNamesMembersByGUID(t *testing.T) {
	w := newDomain(t, ADOptions{})
	c := dial(t, w.server, plainDN)
	r := ask(t, c, adSuffix, "(cn=Crew)", []string{"member"}, ldap.NewControlString(oidExtendedDN, true, "\x30\x03\x02\x01\x01"))
	ann, _ := w.ad.lookup("CN=Ann,OU=Staff," + adSuffix)
	want := "<GUID=" + guidText(ann.first("objectguid")) + ">;<SID=S-1-5-21-1000-2000-3000-" + fmt.Sprint(ridOf(ann.first("objectsid"))) + ">;CN=Ann,OU=Staff," + adSuffix
	if got := r.Entries[0].GetAttributeValue("member"); got != want || !strings.HasPrefix(r.Entries[0].DN, "<GUID=") {
		t.Errorf("%s has member %s, want %s", r.Entries[0].DN, got, want)
	}
}

// byName sorts entries.
func byName(entries []*ldap.Entry) []*ldap.Entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b *ldap.Entry) int { return cmp.Compare(a.DN, b.DN) })
}
