package ldapserver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
)

// usual is what a reader asks DirSync for.
var usual = []string{"name", "parentGUID", "isDeleted", "objectGUID", "cn", "mail", "member", "primaryGroupID", "userAccountControl"}

const usualFilter = "(|(objectClass=user)(objectClass=group)(objectClass=organizationalUnit))"

// follower of a domain by DirSync.
type dirSyncReader struct {
	t      testing.TB
	conn   *ldap.Conn
	flags  int64
	limit  int64
	filter string
	attrs  []string
	cookie []byte
	rounds int
}

func (w *domain) reader(account string, flags int64) *dirSyncReader {
	return &dirSyncReader{t: w.t, conn: dial(w.t, w.server, account), flags: flags, filter: usualFilter, attrs: usual}
}

// round asks once and says whether there is more.
func (r *dirSyncReader) round() ([]*ldap.Entry, bool, error) {
	req := ldap.NewSearchRequest(adSuffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, r.filter, r.attrs, nil)
	res, err := r.conn.DirSync(req, r.flags, r.limit, r.cookie)
	if err != nil {
		return nil, false, err
	}
	c := ldap.FindControl(res.Controls, ldap.ControlTypeDirSync).(*ldap.ControlDirSync)
	r.cookie = c.Cookie
	r.rounds++
	return res.Entries, c.Flags != 0, nil
}

// delta asks until there is no more.
func (r *dirSyncReader) delta() []*ldap.Entry {
	r.t.Helper()
	var out []*ldap.Entry
	for {
		entries, more, err := r.round()
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, entries...)
		if !more {
			return out
		}
	}
}

// want compares a delta.
func (r *dirSyncReader) want(what string, want ...string) {
	r.t.Helper()
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], ","+adSuffix, "")
	}
	if diff := cmp.Diff(want, lines(byName(r.delta()))); diff != "" {
		r.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const (
	annDN  = "CN=Ann,OU=Staff," + adSuffix
	bobDN  = "CN=Bob,OU=Staff," + adSuffix
	crewDN = "CN=Crew,OU=Staff," + adSuffix
)

func TestDirSyncSendsWhatChanged(t *testing.T) {
	w := newDomain(t, ADOptions{})
	r := w.reader(syncDN, dirSyncIncremental)
	r.filter = "(|(cn=ann)(objectClass=group)(isDeleted=TRUE)(ou=*))"
	r.want("the first answer",
		"CN=Ann,OU=Staff: instanceType=4; mail=ann@example.org; name=Ann; objectGUID; parentGUID; primaryGroupID=513; userAccountControl=512",
		"CN=Crew,OU=Staff: instanceType=4; member;range=1-1=CN=Ann,OU=Staff,"+adSuffix+"; name=Crew; objectGUID; parentGUID",
		"CN=Deleted Objects: instanceType=4; isDeleted=TRUE; name=Deleted Objects; objectGUID",
		"CN=Domain Users,CN=Users: instanceType=4; name=Domain Users; objectGUID; parentGUID",
		"OU=Staff: instanceType=4; name=Staff; objectGUID; parentGUID")
	r.filter = usualFilter
	r.want("nothing changed")

	w.set(annDN, "mail", "ann@example.com")
	w.set(annDN, "description", "not asked for")
	w.set(bobDN, "mail")
	w.set(bobDN, "userAccountControl", "514")
	r.want("a change and a cleared attribute",
		"CN=Ann,OU=Staff: instanceType=4; mail=ann@example.com; objectGUID",
		"CN=Bob,OU=Staff: instanceType=4; mail=; objectGUID; userAccountControl=514")
	w.set(annDN, "description", "again")
	r.want("a change of what is not asked for")

	w.set(crewDN, "member", bobDN)
	r.want("a member for another", "CN=Crew,OU=Staff: instanceType=4; member;range=0-0="+annDN+"; member;range=1-1="+bobDN+"; objectGUID")
	w.must(w.Modify(crewDN, Change{AddValues, "member", []string{annDN}}))
	w.must(w.Modify(crewDN, Change{DeleteValues, "member", []string{annDN}}))
	r.want("a member that came and went", "CN=Crew,OU=Staff: instanceType=4; member;range=0-0="+annDN+"; objectGUID")

	w.must(w.Rename(bobDN, "CN=Rob", ""))
	r.want("a rename", "CN=Rob,OU=Staff: instanceType=4; name=Rob; objectGUID; parentGUID")
	w.must(w.Rename("CN=Rob,OU=Staff,"+adSuffix, "CN=Rob", "CN=Users,"+adSuffix))
	r.want("a move", "CN=Rob,CN=Users: instanceType=4; name=Rob; objectGUID; parentGUID")
	w.must(w.Rename("OU=Staff,"+adSuffix, "OU=Folk", ""))
	r.want("a unit's rename", "OU=Folk: instanceType=4; name=Folk; objectGUID; parentGUID")
	if e, _ := w.ad.lookup("CN=Crew,OU=Folk," + adSuffix); e.first("member") != "CN=Rob,CN=Users,"+adSuffix || e.first("parentguid") == "" {
		t.Errorf("after the renames the group has member %q, parentGUID %x", e.first("member"), e.first("parentguid"))
	}

	r.attrs = []string{"cn", "mail", "objectGUID"} // nothing of which a name is part of
	w.must(w.Rename("CN=Rob,CN=Users,"+adSuffix, "CN=Robert", ""))
	r.want("a rename without name and parentGUID")
	r.attrs = usual

	rob, _ := w.ad.lookup("CN=Robert,CN=Users," + adSuffix)
	mark := "DEL:" + guidText(rob.first("objectguid"))
	kept, _ := w.Lookup("CN=Robert,CN=Users," + adSuffix)
	w.must(w.Delete("CN=Robert,CN=Users," + adSuffix))
	tombstone := `CN=Robert\0A` + mark + ",CN=Deleted Objects: "
	r.want("a deletion", tombstone+"instanceType=4; isDeleted=TRUE; name=Robert\n"+mark+"; objectGUID; parentGUID")
	w.must(w.Add(kept))
	again := r.delta()
	if len(again) != 1 || string(again[0].GetRawAttributeValue("objectGUID")) != rob.first("objectguid") || again[0].GetAttributeValue("isDeleted") != "" {
		t.Errorf("undeleted: %v", lines(again))
	}
}

func TestDirSyncInOneGo(t *testing.T) {
	w := newDomain(t, ADOptions{})
	r := w.reader(syncDN, 0)
	r.delta()
	w.must(w.Modify(crewDN, Change{AddValues, "member", []string{bobDN}}))
	r.want("members without increments", "CN=Crew,OU=Staff: instanceType=4; member="+annDN+" "+bobDN+"; objectGUID")
}

func TestDirSyncTakesRounds(t *testing.T) {
	w := newDomain(t, ADOptions{RoundObjects: 3, RoundValues: 4})
	var members []string
	for i := range 10 {
		w.user(fmt.Sprintf("CN=u%d,OU=Staff,%s", i, adSuffix), Attr("mail", "x"))
		members = append(members, fmt.Sprintf("CN=u%d,OU=Staff,%s", i, adSuffix))
	}
	w.set(crewDN, "member", members...)
	r := w.reader(syncDN, dirSyncIncremental)
	r.filter = "(sAMAccountName=u*)"
	first, more, err := r.round()
	if len(first) != 0 || !more || err != nil {
		t.Errorf("a round whose objects the filter hides: %d entries, more %t, %v; want 0, true", len(first), more, err)
	}
	// Changed between two rounds, an object moves behind the others.
	w.set(members[0], "mail", "y")
	got := r.delta()
	if len(got) != 10 || got[9].GetAttributeValue("name") != "u0" || r.rounds != 7 {
		t.Errorf("%d entries in %d rounds: %v", len(got), r.rounds, lines(got))
	}
	r = w.reader(syncDN, dirSyncIncremental)
	r.filter = "(cn=Crew)"
	seen := map[string]bool{}
	entries := r.delta()
	for _, e := range entries {
		for _, v := range e.GetAttributeValues("member;range=1-1") {
			seen[v] = true
		}
	}
	if len(entries) != 3 || len(seen) != 10 {
		t.Errorf("a group of 10 members came in %d entries with %d members; want 3, 10", len(entries), len(seen))
	}
}

func TestDirSyncKeepsTheClientsLimit(t *testing.T) {
	w := newDomain(t, ADOptions{RoundBytes: 300})
	r := w.reader(syncDN, 0)
	all := r.delta()
	small := r.rounds
	r = w.reader(syncDN, 0)
	r.limit = 1000
	if got := r.delta(); len(got) != len(all) || r.rounds >= small || r.rounds < 2 {
		t.Errorf("%d entries in %d rounds of 1000 octets; %d in %d of 300", len(got), r.rounds, len(all), small)
	}
}

func TestDirSyncSendsAncestorsFirst(t *testing.T) {
	w := newDomain(t, ADOptions{})
	r := w.reader(syncDN, dirSyncAncestorsFirst)
	r.delta()
	w.set(annDN, "mail", "x")
	w.must(w.Rename("OU=Staff,"+adSuffix, "OU=Folk", ""))
	got := lines(r.delta())
	if len(got) != 2 || !strings.HasPrefix(got[0], "OU=Folk:") || !strings.HasPrefix(got[1], "CN=Ann,OU=Folk:") {
		t.Errorf("parent and child came as %q", got)
	}
}

func TestDirSyncRefuses(t *testing.T) {
	for _, refusal := range []ResultCode{0, UnwillingToPerform} {
		w := newDomain(t, ADOptions{CookieRefusal: refusal})
		want := uint16(12)
		if refusal != 0 {
			want = uint16(refusal)
		}
		search := func(account, base string, scope int, flags int64, cookie string, more ...ldap.Control) uint16 {
			t.Helper()
			controls := append(more, ldap.NewRequestControlDirSync(flags, 0, []byte(cookie)))
			_, err := dial(t, w.server, account).Search(ldap.NewSearchRequest(base, scope, 0, 0, 0, false, "(objectClass=*)", nil, controls))
			return code(err)
		}
		for _, row := range []struct {
			name      string
			got, want uint16
		}{
			{"an account without the right", search(plainDN, adSuffix, 2, 0, ""), 50},
			{"the same with object security", search(plainDN, adSuffix, 2, 1, ""), 0},
			{"a base that is no naming context", search(syncDN, "OU=Staff,"+adSuffix, 2, 0, ""), 50},
			{"one level", search(syncDN, adSuffix, 1, 0, ""), 53},
			{"a garbage cookie", search(syncDN, adSuffix, 2, 0, "garbage"), want},
			{"paging besides", search(syncDN, adSuffix, 2, 0, "", ldap.NewControlPaging(10)), 1},
		} {
			if row.got != row.want {
				t.Errorf("%s: result %d, want %d", row.name, row.got, row.want)
			}
		}
	}
}

func TestDirSyncHidesTombstonesFromTheBlind(t *testing.T) {
	for _, row := range []struct {
		account string
		flags   int64
		byRight bool
		want    int
	}{
		{syncDN, 0, false, 1},
		{syncDN, 1, false, 1},
		{blindDN, 0, false, 0},
		{blindDN, 0, true, 1},
		{blindDN, 1, true, 0},
		{plainDN, 1, false, 0},
		{plainDN, 1, true, 0},
	} {
		w := newDomain(t, ADOptions{DeletedByRight: row.byRight})
		r := w.reader(row.account, row.flags)
		r.delta()
		before := string(r.cookie)
		w.must(w.Delete(annDN))
		if got := r.delta(); len(got) != row.want || string(r.cookie) == before {
			t.Errorf("%+v: %d entries, cookie moved on: %t", row, len(got), string(r.cookie) != before)
		}
	}
}

func TestDirSyncMovesPrimaryGroups(t *testing.T) {
	w := newDomain(t, ADOptions{})
	r := w.reader(syncDN, dirSyncIncremental)
	r.delta()
	w.must(w.ad.SetPrimaryGroup(annDN, crewDN))
	crew, _ := w.ad.lookup(crewDN)
	r.want("another primary group",
		"CN=Ann,OU=Staff: instanceType=4; objectGUID; primaryGroupID="+crew.first("primarygrouptoken"),
		"CN=Crew,OU=Staff: instanceType=4; member;range=0-0="+annDN+"; objectGUID",
		"CN=Domain Users,CN=Users: instanceType=4; member;range=1-1="+annDN+"; objectGUID")
}

func TestDirSyncAfterFaults(t *testing.T) {
	w := newDomain(t, ADOptions{})
	r := w.reader(syncDN, 0)
	everything := len(r.delta())
	w.must(w.Delete(annDN))
	w.ad.DropTombstones()
	r.want("a tombstone that was lost")

	other, err := NewAD(w.Directory, ADOptions{Host: "dc2", FirstUSN: 5000, Replicators: []string{syncDN}, DeletedReaders: []string{syncDN}})
	w.must(err)
	second := start(t, w.Directory, func(o *Options) { o.AD = other })
	r.conn = dial(t, second, syncDN)
	if got := len(r.delta()); got != everything-1 {
		t.Errorf("another controller sent %d entries for a foreign cookie, want all %d", got, everything-1)
	}
	r.want("its own cookie from then on")

	r.conn = dial(t, w.server, syncDN)
	r.delta()
	saved := w.Backup()
	w.set(bobDN, "mail", "before the restore")
	w.user("CN=Cid,OU=Staff," + adSuffix)
	r.delta()
	high := w.ad.HighestUSN()
	w.Restore(saved)
	if got := w.ad.HighestUSN(); got >= high {
		t.Errorf("after the restore, the highest USN is %d and was %d", got, high)
	}
	w.set(bobDN, "mail", "lost")
	r.want("after a USN rollback")
	w.Restore(saved)
	w.ad.NewInvocation()
	if got := len(r.delta()); got != everything-1 {
		t.Errorf("after a restore that was noticed, %d entries, want all %d", got, everything-1)
	}
	w.set(bobDN, "mail", "seen")
	r.want("a change after it", "CN=Bob,OU=Staff: instanceType=4; mail=seen; objectGUID")
}

func TestNotificationsComeAtOnce(t *testing.T) {
	w := newDomain(t, ADOptions{})
	c := dial(t, w.server, syncDN)
	ask := func(base string, scope int, filter string) ldap.Response {
		return c.SearchAsync(t.Context(), ldap.NewSearchRequest(base, scope, 0, 0, 0, false, filter, []string{"mail", "isDeleted"},
			[]ldap.Control{ldap.NewControlMicrosoftNotification(), ldap.NewControlMicrosoftShowDeleted()}), 8)
	}
	for _, r := range []ldap.Response{ask(adSuffix, 2, "(cn=*)"), ask("OU=Staff,"+adSuffix, 2, "(objectClass=*)")} {
		for r.Next() {
			t.Errorf("an entry: %v", r.Entry())
		}
		if code(r.Err()) != ldap.LDAPResultUnwillingToPerform {
			t.Errorf("a filter, or a subtree: %v, want result 53", r.Err())
		}
	}
	events := ask(adSuffix, 2, "(objectClass=*)")
	var began bool
	for deadline := time.Now().Add(10 * time.Second); !began && time.Now().Before(deadline); {
		w.server.mu.Lock()
		for conn := range w.server.conns {
			conn.mu.Lock()
			began = began || len(conn.endless) > 0
			conn.mu.Unlock()
		}
		w.server.mu.Unlock()
	}
	if !began {
		t.Fatal("the search did not begin")
	}
	next := func() string {
		t.Helper()
		if !events.Next() {
			t.Fatalf("no event: %v", events.Err())
		}
		return lines([]*ldap.Entry{events.Entry()})[0]
	}
	w.set(annDN, "mail", "new")
	if got := next(); got != "CN=Ann,OU=Staff: mail=new" {
		t.Errorf("a change: %s", got)
	}
	w.must(w.Delete(bobDN))
	if got := next(); !strings.HasSuffix(got, "CN=Deleted Objects: isDeleted=TRUE") {
		t.Errorf("a deletion: %s", got)
	}
	w.must(c.Bind(syncDN, "secret")) // abandons it
	w.set(annDN, "mail", "newer")
}
