package ldapserver

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// usnReader follows a controller by uSNChanged, and by tombstones for what is gone.
type usnReader struct {
	t    testing.TB
	conn *ldap.Conn
	next uint64
}

// poll returns what changed since the last poll.
func (r *usnReader) poll() []string {
	r.t.Helper()
	root, err := r.conn.Search(ldap.NewSearchRequest("", 0, 0, 0, 0, false, "(objectClass=*)", []string{"highestCommittedUSN"}, nil))
	if err != nil {
		r.t.Fatal(err)
	}
	filter := fmt.Sprintf("(uSNChanged>=%d)", r.next)
	live := ask(r.t, r.conn, adSuffix, filter, []string{"mail"})
	gone := ask(r.t, r.conn, adSuffix, "(&(isDeleted=TRUE)"+filter+")", []string{"sAMAccountName"}, ldap.NewControlMicrosoftShowDeleted())
	highest, err := strconv.ParseUint(root.Entries[0].GetAttributeValue("highestCommittedUSN"), 10, 64)
	if err != nil {
		r.t.Fatal(err)
	}
	r.next = highest + 1
	return lines(byName(append(live.Entries, gone.Entries...)))
}

// dns returns the names of entries, without the domain.
func dns(entries []*ldap.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.DN, ","+adSuffix))
	}
	return out
}

func TestADCountsChanges(t *testing.T) {
	w := newDomain(t, ADOptions{})
	for account, tombstones := range map[string]int{syncDN: 1, plainDN: 0} {
		r := &usnReader{t: t, conn: dial(t, w.server, account)}
		r.poll()
		w.user("CN=Tim,OU=Staff," + adSuffix)
		w.set(annDN, "mail", fmt.Sprint(tombstones))
		w.must(w.Delete("CN=Tim,OU=Staff," + adSuffix))
		got := r.poll()
		if seen := strings.Join(got, "\n"); strings.Count(seen, "DEL:") != tombstones || got[0] != fmt.Sprintf("CN=Ann,OU=Staff: mail=%d", tombstones) {
			t.Errorf("%s sees %q, want Ann and %d tombstones", account, got, tombstones)
		}
	}
}

func TestADLagsBehind(t *testing.T) {
	w := newDomain(t, ADOptions{})
	behind, err := NewAD(w.Directory, ADOptions{Host: "dc2", Replicators: []string{syncDN}, DeletedReaders: []string{syncDN}})
	w.must(err)
	second := start(t, w.Directory, func(o *Options) { o.AD = behind })
	behind.Hold()
	w.user("CN=New,OU=Staff," + adSuffix)
	w.must(w.Delete(bobDN))
	w.must(w.Rename("OU=Staff,"+adSuffix, "OU=Folk", ""))
	c := dial(t, second, syncDN)
	find := func() string {
		return strings.Join(dns(byName(ask(t, c, adSuffix, "(|(cn=New)(cn=Bob)(cn=Ann))", []string{"1.1"}).Entries)), " ")
	}
	if got := find(); got != "CN=Ann,OU=Staff CN=Bob,OU=Staff" {
		t.Errorf("a controller that is behind shows %q", got)
	}
	behind.CatchUp()
	if got := find(); got != "CN=Ann,OU=Folk CN=New,OU=Folk" {
		t.Errorf("one that has caught up shows %q", got)
	}
}

// An account that was deleted and undeleted between two rounds is nobody's member
// any more, and no round says so.
func TestUndeletingHidesWhatTheGroupsLost(t *testing.T) {
	w := newDomain(t, ADOptions{})
	r := w.reader(syncDN, dirSyncIncremental)
	r.delta()
	kept, _ := w.Lookup(annDN)
	w.must(w.Delete(annDN))
	w.must(w.Add(kept))
	for _, e := range r.delta() {
		if e.GetAttributeValue("name") == "Crew" || len(e.GetAttributeValues("member;range=0-0")) > 0 {
			t.Errorf("a round tells of %s", lines([]*ldap.Entry{e}))
		}
	}
	if crew, _ := w.ad.lookup(crewDN); crew.first("member") != "" {
		t.Errorf("the group has %s", crew.first("member"))
	}
}

// The faults of single answers hit those who follow changes, too.
func TestFaultsHitDeltas(t *testing.T) {
	w := newDomain(t, ADOptions{})
	p := NewSyncProvider(w.Directory, SyncOptions{})
	for name, row := range map[string]struct {
		action Action
		err    string
		ended  bool
	}{
		"sound":           {Action{}, "", true},
		"no control":      {Action{Paging: PagingDropped}, "", false},
		"busy":            {Action{Ending: EndResult, After: 2, Result: failf(Busy, "wait")}, "Busy", false},
		"cut in an entry": {Action{Ending: EndMidMessage, After: 3}, "EOF", false},
		"cut at the end":  {Action{Ending: EndClose, After: 1000}, "EOF", false},
	} {
		failsAs := func(err error) bool {
			return (err == nil) == (row.err == "") && strings.Contains(fmt.Sprint(err), row.err)
		}
		dirSync := start(t, w.Directory, func(o *Options) { o.AD, o.Intercept = w.ad, always(row.action) })
		req := ldap.NewSearchRequest(adSuffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(objectClass=*)", nil, []ldap.Control{ldap.NewRequestControlDirSync(0, 0, nil)})
		res, err := dial(t, dirSync, syncDN).Search(req)
		if ended := res != nil && ldap.FindControl(res.Controls, ldap.ControlTypeDirSync) != nil; !failsAs(err) || ended != row.ended {
			t.Errorf("DirSync, %s: %v, control %t; want %q, %t", name, err, ended, row.err, row.ended)
		}
		sync := start(t, w.Directory, func(o *Options) { o.Sync, o.Intercept = p, always(row.action) })
		c := newConsumer(t, sync.URL(), readerDN, readerPW)
		r, ended := c.request(ldap.SyncRequestModeRefreshOnly, ""), false
		for r.Next() {
			ended = ended || ldap.FindControl(r.Controls(), ldap.ControlTypeSyncDone) != nil
		}
		if !failsAs(r.Err()) || ended != row.ended {
			t.Errorf("Sync, %s: %v, control %t; want %q, %t", name, r.Err(), ended, row.err, row.ended)
		}
	}
}

func TestTheRecycleBinKeepsAttributes(t *testing.T) {
	w := newDomain(t, ADOptions{RecycleBin: true})
	r := w.reader(syncDN, dirSyncIncremental)
	r.delta()
	w.must(w.Delete(annDN))
	got := r.delta()
	if len(got) != 1 || got[0].GetAttributeValue("isDeleted") != "TRUE" {
		t.Fatalf("a deletion: %v", lines(got))
	}
	// What did not change is not sent; a search finds it.
	if slices.ContainsFunc(got[0].Attributes, func(a *ldap.EntryAttribute) bool { return a.Name == "mail" }) {
		t.Errorf("the deletion clears mail: %v", lines(got))
	}
	found := ask(t, r.conn, adSuffix, "(mail=ann@example.org)", []string{"isDeleted", "isRecycled", "mail", "memberOf"}, ldap.NewControlMicrosoftShowDeleted()).Entries
	if len(found) != 1 || !strings.HasSuffix(lines(found)[0], ": isDeleted=TRUE; mail=ann@example.org") {
		t.Errorf("in the recycle bin: %v", lines(found))
	}
}
