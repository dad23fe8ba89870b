package app

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

var (
	soakRounds = flag.Int("rounds", 12, "how many rounds a soak has")
	soakSeed   = flag.Uint64("seed", 1, "what its accidents follow from")
)

// soak is a daemon that follows two servers, of which the second copies the first, while
// all of them restart, die, and are put back.
type soak struct {
	*victim
	*rand.Rand
	first, second *dirtest.Slapd
	people        []string // login names, of whom keeper never changes
	groups        map[string]map[string]bool
	made          int
	ldif          strings.Builder
	saved         *saved
	grants        []any
	diary         []string // of the round
	events        map[string]int
	changes       int
}

// saved is a backup, and what was in the directory as of then.
type saved struct {
	place  string
	people []string
	groups map[string]map[string]bool
	uuids  map[string]string
}

const (
	soakTop    = "dc=example,dc=org"
	soakKeeper = "keeper"
)

func userDN(name string) string  { return "uid=" + name + ",ou=people," + soakTop }
func groupDN(name string) string { return "cn=" + name + ",ou=groups," + soakTop }

// TestSoakOfADaemon changes a directory at random while a daemon follows it by its
// changes, and is killed, while the servers restart, die, fall behind, take each other's
// place, lose their session logs and are restored from a backup. At no time is anybody
// gone whom the directory has, no grant is ever touched, and after each round the roll is
// what ldapsearch says.
func TestSoakOfADaemon(t *testing.T) {
	t.Parallel()
	t.Logf("make soak ROUNDS=%d SEED=%d", *soakRounds, *soakSeed)
	s := &soak{Rand: rand.New(rand.NewPCG(*soakSeed, 7)), groups: map[string]map[string]bool{}, events: map[string]int{}}
	s.servers(t)
	s.daemon(t)
	for round := range *soakRounds {
		s.diary = nil
		if s.round(); round%25 == 24 {
			t.Logf("%d rounds, %d changes, %v", round+1, s.changes, s.events)
		}
		if t.Failed() {
			t.Fatalf("that was round %d:\n%s\n%s", round, strings.Join(s.diary, "\n"), tail(s.err.String()))
		}
	}
	t.Logf("%d changes, %v", s.changes, s.events)
	s.kill()
}

// tail is the end of what a daemon has logged.
func tail(log string) string {
	lines := strings.Split(log, "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// servers starts a directory of sixty people and a copy of it.
func (s *soak) servers(t *testing.T) {
	t.Helper()
	s.newcomer(soakKeeper)
	for range 60 {
		s.newcomer(s.name("u"))
	}
	for range 8 {
		s.newGroup()
	}
	start := strings.ReplaceAll(s.ldif.String(), "changetype: add\n", "")
	s.ldif.Reset()
	s.first = dirtest.StartSlapd(t, dirtest.SlapdOptions{Provider: true, SessionLog: 200, ServerID: 1, LDIF: func(w io.Writer) error {
		_, err := io.WriteString(w, start)
		return err
	}})
	copied := s.first.Backup()
	s.second = dirtest.StartSlapd(t, dirtest.SlapdOptions{Provider: true, SessionLog: 200, ServerID: 2, Database: fmt.Sprintf(
		`syncrepl rid=001 provider=%s type=refreshAndPersist retry="1 +" searchbase=%q bindmethod=simple binddn=%q credentials=%s`+"\nupdateref %[1]s",
		s.first.URL, soakTop, s.first.Root.DN, s.first.Root.Password)})
	s.second.Restore(copied)
}

// daemon starts the daemon, has it read everything, and grants some permissions.
func (s *soak) daemon(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rollcall.yaml")
	open := "{share: 100, at_least: 10000}"
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
health: 127.0.0.1:0
store: {dir: %s}
sources:
  - name: halyard
    type: ldap
    template: openldap
    schedule: manual
    follow: %t
    urls: [%s, %s]
    allow_plaintext: true
    bind: {dn: %q, password: {file: %s}}
    users: {bases: [%q]}
    groups: {bases: [%q]}
    limits: {deactivations: %s, groups_removed: %[9]s, members_removed: %[9]s, members_of_one_group: {share: 100}, field_changed: %[9]s, names_changed: %[9]s}
`, t.TempDir(), s.in(2), s.first.URL, s.second.URL, s.first.Reader.DN, s.first.Reader.PasswordFile, "ou=people,"+soakTop, "ou=groups,"+soakTop, open)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.victim = &victim{t: t, file: file}
	s.start()
	s.enroll()
	s.syncOnce()
	for i, name := range s.people[:6] {
		s.grant("users/"+name, []string{"AUDIT", "GOVERNANCE"}[i%2], `{"reason":"soak"}`)
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups))[:3] {
		s.grant("groups/"+name, "CREATE_PROJECT", `{"reason":"soak","acknowledgeDirectory":true}`)
	}
	s.grants = s.granted()
	if len(s.grants) < 9 {
		t.Fatalf("%d grants, want nine and those of root", len(s.grants))
	}
}

func (s *soak) grant(to, permission, body string) {
	s.t.Helper()
	if got := s.ask("PUT", "/v1/"+to+"/grants/"+permission, body, nil); got != 201 && got != 200 {
		s.t.Fatalf("grant %s to %s = %d", permission, to, got)
	}
}

// granted are all grants as they are shown, but for what they come to.
func (s *soak) granted() []any {
	s.t.Helper()
	var page struct {
		Grants []map[string]any `json:"grants"`
	}
	if got := s.ask("GET", "/v1/grants?pageSize=1000", "", &page); got != 200 {
		s.t.Fatalf("grants = %d", got)
	}
	var all []any
	for _, g := range page.Grants {
		delete(g, "state")
		if subject, ok := g["subject"].(map[string]any); ok { // a name is the directory's to change
			g["subject"] = subject["id"]
		}
		all = append(all, g)
	}
	return all
}

func (s *soak) in(n int) bool { return s.IntN(n) == 0 }

func (s *soak) happens(event string) {
	s.events[event]++
	s.diary = append(s.diary, "# "+event)
}

func (s *soak) name(prefix string) string {
	s.made++
	return fmt.Sprintf("%s%d", prefix, s.made)
}

// round is some changes, accidents, and runs, and then one more in peace.
func (s *soak) round() {
	before := s.known()
	s.change(1 + s.IntN(10))
	peace := true
	for _, a := range []struct {
		odds  int
		name  string
		do    func()
		calms bool // the next read is as good as any
	}{
		{4, "the daemon is killed in a run", s.killInARun, true},
		{6, "the daemon restarts in a run", s.restartInARun, true},
		{3, "changes during a run", s.meanwhile, true},
		{6, "the server restarts", func() { s.first.Stop(); s.first.Start() }, false},
		{8, "the server is killed", func() { s.first.Kill(); s.first.Start() }, false},
		{6, "the other server takes over", s.failover, false},
		{8, "the other server takes over, and is behind", s.late, false},
	} {
		if s.in(a.odds) {
			s.happens(a.name)
			a.do()
			s.nobodyLost(before)
			peace = peace && a.calms
			before = s.known()
			s.change(s.IntN(4))
		}
	}
	switch {
	case s.in(6):
		s.save()
		peace = false
	case s.saved != nil && s.in(5):
		s.happens("a backup is put back")
		before = s.restore(before)
		peace = false
	}
	s.settle(before, peace)
}

// settle reads until nothing is withheld any more, and compares.
func (s *soak) settle(before map[string]string, peace bool) {
	s.t.Helper()
	s.caughtUp()
	s.syncOnce()
	s.nobodyLost(before)
	if !peace || s.in(10) {
		s.prove()
		s.nobodyLost(before)
		s.prove()
	}
	if diff := cmp.Diff(everybodyOf(s.first), s.roll()); diff != "" {
		s.t.Errorf("the roll is not the directory (-directory +roll):\n%s", diff)
	}
	if diff := cmp.Diff(s.grants, s.granted()); diff != "" {
		s.t.Errorf("grants were touched (-before +after):\n%s", diff)
	}
	if s.in(4) { // of the newest, who may have some
		s.grant("users/"+s.people[len(s.people)-1], s.pick("AUDIT", "CREATE_FILTER", "PROJECT_MANAGEMENT"), fmt.Sprintf(`{"reason":%q}`, s.name("soak ")))
		s.grants = s.granted()
	}
}

// killInARun starts a run and kills the daemon before it may have ended.
func (s *soak) killInARun() {
	s.ask("POST", "/v1/sources/halyard/runs", "", nil)
	time.Sleep(time.Duration(s.IntN(30)) * time.Millisecond)
	s.kill()
	s.start()
}

// restartInARun is killInARun in good order.
func (s *soak) restartInARun() {
	s.ask("POST", "/v1/sources/halyard/runs", "", nil)
	s.quit()
	s.start()
}

// meanwhile changes the directory while it is read.
func (s *soak) meanwhile() {
	s.ask("POST", "/v1/sources/halyard/runs", "", nil)
	s.change(6)
	s.syncOnce()
}

func (s *soak) pick(of ...string) string { return of[s.IntN(len(of))] }

// failover has the second server, which knows everything, be read once.
func (s *soak) failover() {
	s.caughtUp()
	s.first.Stop()
	s.syncOnce()
	s.first.Start()
}

// late has the second server be read once while it does not know of the last changes.
func (s *soak) late() {
	s.caughtUp()
	s.second.Stop()
	s.change(3)
	s.syncOnce()
	before := s.known() // the newest among them, of whom the second server knows nothing
	s.first.Stop()
	s.second.Start()
	s.syncOnce()
	s.first.Start()
	s.nobodyLost(before)
}

func (s *soak) save() {
	s.happens("a backup is made")
	s.saved = &saved{place: s.first.Backup(), people: slices.Clone(s.people), groups: twin(s.groups), uuids: s.known()}
}

// restore puts both servers back, and returns who has been there all the time.
func (s *soak) restore(before map[string]string) map[string]string {
	old := s.saved
	s.saved = nil
	s.first.Restore(old.place)
	s.second.Restore(old.place)
	s.people, s.groups = old.people, old.groups
	stayed := map[string]string{}
	for id, name := range old.uuids {
		if _, ok := before[id]; ok {
			stayed[id] = name
		}
	}
	return stayed
}

func twin(groups map[string]map[string]bool) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for name, members := range groups {
		out[name] = maps.Clone(members)
	}
	return out
}

// caughtUp waits until the second server knows what the first one does. One that does not
// get there, as it happens to slapd when the first was killed or put back, is made anew.
func (s *soak) caughtUp() {
	s.t.Helper()
	const patience = 2 * time.Second
	for range 3 {
		for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			if cmp.Equal(entriesOf(s.first), entriesOf(s.second)) {
				return
			}
		}
		s.happens("the second server is made anew")
		s.second.Restore(s.first.Backup())
	}
	s.t.Fatalf("the second server is not the first:\n%s", cmp.Diff(entriesOf(s.first), entriesOf(s.second)))
}

// entriesOf are all entries of a server, with their keys and stamps.
func entriesOf(d *dirtest.Slapd) map[string]string {
	all := map[string]string{}
	for _, e := range d.Dump(soakTop, "(objectClass=*)", "entryUUID", "entryCSN") {
		all[e.DN] = e.Get("entryUUID")[0] + " " + e.Get("entryCSN")[0]
	}
	return all
}

// prove has the daemon compare everything.
func (s *soak) prove() {
	s.t.Helper()
	s.happens("everything is compared")
	s.runs("/v1/sources/halyard/runs?prove=true")
}

// change tells the first server of n changes.
func (s *soak) change(n int) {
	s.t.Helper()
	for range n {
		s.one()
		s.changes++
	}
	if s.ldif.Len() > 0 {
		s.diary = append(s.diary, s.ldif.String())
		s.first.Apply(s.ldif.String())
		s.ldif.Reset()
	}
}

func (s *soak) newcomer(name string) {
	s.people = append(s.people, name)
	fmt.Fprintf(&s.ldif, "dn: %s\nchangetype: add\nobjectClass: inetOrgPerson\nuid: %s\ncn: Name of %[2]s\nsn: Soak\nmail: %[2]s@example.org\n\n", userDN(name), name)
}

func (s *soak) newGroup() {
	name := s.name("g")
	s.groups[name] = map[string]bool{soakKeeper: true}
	fmt.Fprintf(&s.ldif, "dn: %s\nchangetype: add\nobjectClass: groupOfNames\ncn: %s\nmember: %s\n\n", groupDN(name), name, userDN(soakKeeper))
}

func (s *soak) member(how, group, name string) {
	fmt.Fprintf(&s.ldif, "dn: %s\nchangetype: modify\n%s: member\nmember: %s\n-\n\n", groupDN(group), how, userDN(name))
}

// out takes somebody out of all groups, as a directory without referential integrity
// has to be told, and returns which they were.
func (s *soak) out(name string) (were []string) {
	for _, g := range slices.Sorted(maps.Keys(s.groups)) {
		if s.groups[g][name] {
			s.member("delete", g, name)
			delete(s.groups[g], name)
			were = append(were, g)
		}
	}
	return were
}

func (s *soak) one() {
	at := 1 + s.IntN(len(s.people)-1)
	somebody := s.people[at]
	groups := slices.Sorted(maps.Keys(s.groups))
	group := groups[s.IntN(len(groups))]
	switch n := s.IntN(100); {
	case (n < 20 || len(s.people) < 30) && len(s.people) < 400:
		s.newcomer(s.name("u"))
	case n < 40:
		fmt.Fprintf(&s.ldif, "dn: %s\nchangetype: modify\nreplace: cn\ncn: %s\n-\n\n", userDN(somebody), s.name("Name "))
	case n < 52:
		name := s.name("r")
		fmt.Fprintf(&s.ldif, "dn: %s\nchangetype: modrdn\nnewrdn: uid=%s\ndeleteoldrdn: 1\n\n", userDN(somebody), name)
		for _, g := range s.out(somebody) {
			s.member("add", g, name)
			s.groups[g][name] = true
		}
		s.people[at] = name
	case n < 64:
		s.out(somebody)
		fmt.Fprintf(&s.ldif, "dn: %s\nchangetype: delete\n\n", userDN(somebody))
		s.people = slices.Delete(s.people, at, at+1)
	case n < 84:
		if !s.groups[group][somebody] {
			s.member("add", group, somebody)
			s.groups[group][somebody] = true
		}
	case n < 92:
		if s.groups[group][somebody] {
			s.member("delete", group, somebody)
			delete(s.groups[group], somebody)
		}
	case n < 96:
		s.newGroup()
	case len(groups) > 5:
		delete(s.groups, group)
		fmt.Fprintf(&s.ldif, "dn: %s\nchangetype: delete\n\n", groupDN(group))
	}
}

// known are the people and groups that the first server and the roll have, their names by
// key. An e-mail address never changes.
func (s *soak) known() map[string]string {
	s.t.Helper()
	has := map[string]bool{}
	for _, u := range s.active() {
		has[u.Email] = true
	}
	all := map[string]string{}
	for _, e := range s.first.Dump("ou=people,"+soakTop, "(objectClass=inetOrgPerson)", "entryUUID", "uid", "mail") {
		if has[e.Get("mail")[0]] {
			all[e.Get("entryUUID")[0]] = e.Get("uid")[0]
		}
	}
	there := map[string]bool{}
	for _, g := range s.activeGroups() {
		there[g.Name] = true // which never changes
	}
	for _, e := range s.first.Dump("ou=groups,"+soakTop, "(objectClass=groupOfNames)", "entryUUID", "cn") {
		if there[e.Get("cn")[0]] {
			all[e.Get("entryUUID")[0]] = e.Get("cn")[0]
		}
	}
	return all
}

// nobodyLost looks for everybody who was known before and whom the directory has.
func (s *soak) nobodyLost(before map[string]string) {
	s.t.Helper()
	now := s.known()
	for _, e := range s.first.Dump(soakTop, "(|(objectClass=inetOrgPerson)(objectClass=groupOfNames))", "entryUUID") {
		id := e.Get("entryUUID")[0]
		if name, was := before[id]; was && now[id] == "" {
			s.t.Errorf("%s was removed, and the directory has had it all the time", name)
		}
	}
}

// everybodyOf is what a server says of everybody.
func everybodyOf(d *dirtest.Slapd) []string {
	var lines []string
	names := map[string]string{}
	for _, e := range d.Dump("ou=people,"+soakTop, "(objectClass=inetOrgPerson)", "uid", "cn", "mail") {
		names[e.DN] = e.Get("uid")[0]
		lines = append(lines, fmt.Sprintf("user %s %s %s", e.Get("uid")[0], e.Get("cn")[0], e.Get("mail")[0]))
	}
	for _, e := range d.Dump("ou=groups,"+soakTop, "(objectClass=groupOfNames)", "cn", "member") {
		var members []string
		for _, dn := range e.Get("member") {
			members = append(members, names[dn])
		}
		slices.Sort(members)
		lines = append(lines, fmt.Sprintf("group %s %v", e.Get("cn")[0], members))
	}
	slices.Sort(lines)
	return lines
}

type activeUser struct {
	UserName    string `json:"userName"`
	DisplayName string `json:"displayName"`
	Email       string `json:"email"`
}

func (s *soak) active() []activeUser {
	s.t.Helper()
	var page struct {
		Users []activeUser `json:"users"`
	}
	if got := s.ask("GET", "/v1/users?pageSize=1000&source=halyard&status=active", "", &page); got != 200 {
		s.t.Fatalf("users = %d", got)
	}
	return page.Users
}

type activeGroup struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (s *soak) activeGroups() []activeGroup {
	s.t.Helper()
	var page struct {
		Groups []activeGroup `json:"groups"`
	}
	if got := s.ask("GET", "/v1/groups?pageSize=1000&source=halyard&status=active", "", &page); got != 200 {
		s.t.Fatalf("groups = %d", got)
	}
	return page.Groups
}

// roll is what the daemon says of everybody.
func (s *soak) roll() []string {
	s.t.Helper()
	var lines []string
	there := map[string]bool{}
	for _, u := range s.active() {
		there[u.UserName] = true
		lines = append(lines, fmt.Sprintf("user %s %s %s", u.UserName, u.DisplayName, u.Email))
	}
	for _, g := range s.activeGroups() {
		var page struct {
			Members []struct {
				Name string `json:"name"`
			} `json:"members"`
		}
		if got := s.ask("GET", "/v1/groups/"+g.ID+"/members?pageSize=1000", "", &page); got != 200 {
			s.t.Fatalf("members = %d", got)
		}
		var members []string
		for _, m := range page.Members {
			if there[m.Name] { // whom the directory has no more keeps his place until he is back
				members = append(members, m.Name)
			}
		}
		slices.Sort(members)
		lines = append(lines, fmt.Sprintf("group %s %v", g.Name, members))
	}
	slices.Sort(lines)
	return lines
}
