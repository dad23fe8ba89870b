package demo

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rollcall-id/rollcall/internal/ldapserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func clock() time.Time { return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC) }

func company(t *testing.T, o Options) *Company {
	t.Helper()
	o.Now = clock
	c, err := found(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// check reports everything that is wrong with the company's directory.
func check(t *testing.T, c *Company) {
	t.Helper()
	exists := map[string]bool{}
	logins := map[string]string{}
	mails := map[string]string{}
	for e := range c.dir.All() {
		exists[e.DN] = true
		if uid := e.First("uid"); uid != "" {
			if other, taken := logins[uid]; taken {
				t.Errorf("%s and %s share the login %s", other, e.DN, uid)
			}
			if other, taken := mails[e.First("mail")]; taken {
				t.Errorf("%s and %s share a mail address", other, e.DN)
			}
			logins[uid], mails[e.First("mail")] = e.DN, e.DN
		}
	}
	for e := range c.dir.All() {
		for _, m := range append(e.Values("member"), e.Values("manager")...) {
			if !exists[m] && m != Dangling {
				t.Errorf("%s names %s, who does not exist", e.DN, m)
			}
		}
	}
	checkGroups(t, c)
}

// checkGroups compares the groups with what they are of.
func checkGroups(t *testing.T, c *Company) {
	t.Helper()
	people := c.People()
	for _, d := range departments {
		want := namesOf(people, func(p Person) bool { return p.Department.Code == d.Code })
		checkMembers(t, c, d.Group, want)
		for _, dn := range want {
			if !strings.HasSuffix(dn, ",ou="+d.Name+","+PeopleBase) {
				t.Errorf("%s is of the department %s and in another unit", dn, d.Name)
			}
		}
	}
	for _, s := range sites {
		checkMembers(t, c, s.group, namesOf(people, func(p Person) bool { return p.Site == s.name }))
	}
	checkMembers(t, c, GroupAllStaff, namesOf(people, func(p Person) bool { return !p.Disabled }))
}

func checkMembers(t *testing.T, c *Company, group string, want []string) {
	t.Helper()
	got := members(t, c, group)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the members of %s (-want +got):\n%s", group, diff)
	}
}

func members(t *testing.T, c *Company, group string) []string {
	t.Helper()
	e, ok := c.dir.Lookup(groupDN(group))
	if !ok {
		t.Fatalf("there is no group %s", group)
	}
	return slices.Clone(e.Values("member"))
}

func TestTheCompanyIsAsDescribed(t *testing.T) {
	c := company(t, Options{})
	check(t, c)
	people := c.People()
	if len(people) != 2000 {
		t.Errorf("%d people, want 2000", len(people))
	}
	if n := len(members(t, c, GroupAllStaff)); n <= 1500 {
		t.Errorf("%s has %d members, want over 1500", GroupAllStaff, n)
	}
	if disabled := slices.DeleteFunc(slices.Clone(people), func(p Person) bool { return !p.Disabled }); len(disabled) < 20 {
		t.Errorf("%d people are disabled, want 20 at least", len(disabled))
	}
	if !slices.Contains(members(t, c, GroupBrass), groupDN(GroupGlass)) || !slices.Contains(members(t, c, GroupGlass), groupDN(GroupBrass)) {
		t.Error("the guilds do not hold each other")
	}
	if !slices.Contains(members(t, c, GroupHouse), groupDN(GroupMakers)) || !slices.Contains(members(t, c, GroupMakers), groupDN("workshop")) {
		t.Error("the whole house does not hold the workshop along the makers")
	}
	if got := members(t, c, projectGroup(projectDangles)); !slices.Contains(got, Dangling) {
		t.Error("nobody dangles")
	}
	if diff := cmp.Diff([]string{nobody}, members(t, c, GroupAlumni)); diff != "" {
		t.Errorf("the group without members (-want +got):\n%s", diff)
	}
	for _, dn := range []string{
		"uid=juergen.mueller,ou=Information Technology," + PeopleBase,
		`cn=Smith\, Anna,ou=Sales,` + PeopleBase,
	} {
		if _, ok := c.dir.Lookup(dn); !ok {
			t.Errorf("%s does not exist", dn)
		}
	}
	for _, login := range []string{LoginDirector, LoginIT, LoginSales, LoginSecurity, LoginServiceDesk} {
		if !slices.ContainsFunc(people, func(p Person) bool { return p.Login == login }) {
			t.Errorf("%s is not among the people", login)
		}
	}
	for _, p := range people {
		if !isLogin(p.Login) {
			t.Errorf("%s has the login %q", p.Name, p.Login)
		}
	}
}

func isLogin(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}

func TestEqualSeedsMakeEqualCompanies(t *testing.T) {
	live := func(seed uint64) ([]ldapserver.Entry, []string) {
		c := company(t, Options{Seed: seed, People: 200})
		var story []string
		for range 100 {
			e, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			story = append(story, e.Sentence)
		}
		return slices.Collect(c.dir.All()), story
	}
	first, story := live(7)
	second, again := live(7)
	if diff := cmp.Diff(story, again); diff != "" {
		t.Errorf("two histories of one seed (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two companies of one seed (-first +second):\n%s", diff)
	}
	if _, other := live(8); cmp.Equal(story, other) {
		t.Error("another seed makes the same history")
	}
}

func TestAThousandEventsKeepTheDirectoryWhole(t *testing.T) {
	c := company(t, Options{Seed: 3, People: 300})
	seen := map[EventKind]int{}
	before := snapshot(c)
	for n := range 1000 {
		e, err := c.Next()
		if err != nil {
			t.Fatalf("event %d: %v", n, err)
		}
		seen[e.Kind]++
		after := snapshot(c)
		if changed := changedPeople(before, after); changed != 1 {
			t.Fatalf("event %d (%s) changed %d people", n, e.Sentence, changed)
		}
		before = after
		if n%50 == 0 {
			check(t, c)
		}
	}
	check(t, c)
	for _, k := range kinds {
		if seen[k.kind] < 50 {
			t.Errorf("of 1000 events, %d were of the kind %q", seen[k.kind], k.kind)
		}
	}
	for _, m := range cast {
		if !slices.ContainsFunc(c.People(), func(p Person) bool { return p.Given == m.given && p.Sur == m.sur && p.Department.Name == m.department }) {
			t.Errorf("%s %s of the cast is gone", m.given, m.sur)
		}
	}
}

// snapshot maps every person's entryUUID to what identifies its state.
func snapshot(c *Company) map[string]string {
	out := map[string]string{}
	for e := range c.dir.All() {
		if e.First("uid") != "" {
			out[e.First("entryUUID")] = e.First("entryCSN")
		}
	}
	return out
}

func changedPeople(before, after map[string]string) int {
	n := 0
	for id, csn := range after {
		if before[id] != csn {
			n++
		}
	}
	for id := range before {
		if _, ok := after[id]; !ok {
			n++
		}
	}
	return n
}

func TestACompanyOfNobodyGrows(t *testing.T) {
	c := company(t, Options{People: 1})
	for range 30 {
		if _, err := c.Next(); err != nil {
			t.Fatal(err)
		}
	}
	check(t, c)
}

func TestLifeGoesOnAtEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var story []Event
		c, err := found(Options{People: 60, OnEvent: func(e Event) { story = append(story, e) }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute+time.Second)
		defer stop()
		if err := c.Live(ctx, time.Minute); err != nil {
			t.Errorf("Live() = %v", err)
		}
		if len(story) != 10 {
			t.Errorf("in ten minutes, %d things happened", len(story))
		}
	})
}

func TestOpenLDAPWouldHoldTheCompany(t *testing.T) {
	c := company(t, Options{Seed: 4})
	for range 200 {
		if _, err := c.Next(); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "slapd.conf")
	err := os.WriteFile(conf, []byte(strings.Join([]string{
		"include /etc/ldap/schema/core.schema", "include /etc/ldap/schema/cosine.schema", "include /etc/ldap/schema/inetorgperson.schema",
		"modulepath /usr/lib/ldap", "moduleload back_mdb", "moduleload ppolicy",
		"database mdb", "suffix " + Suffix, "directory " + dir, "maxsize 268435456", "overlay ppolicy",
	}, "\n")), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	slapadd, err := exec.LookPath("/usr/sbin/slapadd")
	if err != nil {
		t.Fatal("slapadd is not installed: apt-get install slapd")
	}
	add := exec.CommandContext(t.Context(), slapadd, "-u", "-f", conf)
	add.Stdin = strings.NewReader(ldif(c))
	if out, err := add.CombinedOutput(); err != nil {
		t.Errorf("slapadd: %v\n%s", err, out)
	}
}

// ldif writes the directory with every name and value in base 64.
func ldif(c *Company) string {
	var b strings.Builder
	line := func(name, value string) {
		fmt.Fprintf(&b, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	for e := range c.dir.All() {
		line("dn", e.DN)
		for _, a := range e.Attributes {
			for _, v := range a.Values {
				line(a.Name, v)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestTheDirectoryIsOpen(t *testing.T) {
	c, err := Start(t.Context(), Options{People: 1800})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}()
	path, err := exec.LookPath("ldapsearch")
	if err != nil {
		t.Fatal("ldapsearch is not installed: apt-get install ldap-utils")
	}
	o := c.Config()
	out, err := exec.CommandContext(t.Context(), path, "-H", o.URL, "-x", "-D", o.BindDN, "-w", o.Password, "-LLL",
		"-o", "ldif-wrap=no", "-E", "pr=500/noprompt", "-b", o.UserBase, o.UserFilter, "uid", "entryUUID").CombinedOutput()
	if err != nil {
		t.Fatalf("ldapsearch: %v\n%s", err, out)
	}
	if got := strings.Count(string(out), "\nentryUUID: "); got != 1800 {
		t.Errorf("ldapsearch found %d people, want 1800", got)
	}
	name, password := c.Admin()
	modify := exec.CommandContext(t.Context(), "ldapmodify", "-H", o.URL, "-x", "-D", name, "-w", password)
	modify.Stdin = strings.NewReader("dn: cn=Smith\\, Anna,ou=Sales," + PeopleBase + "\nchangetype: modify\nreplace: title\ntitle: Admiral\n")
	if out, err := modify.CombinedOutput(); err != nil {
		t.Fatalf("ldapmodify: %v\n%s", err, out)
	}
	if e, _ := c.Directory().Lookup(`cn=Smith\, Anna,ou=Sales,` + PeopleBase); e.First("title") != "Admiral" {
		t.Errorf("the administrator's change left the title %q", e.First("title"))
	}
}
