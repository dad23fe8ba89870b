package permissions

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

func TestTheSettingsOfAFreshStore(t *testing.T) {
	want := Settings{
		AdminGovernorExclusive: false,
		AdminsMaySubscribe:     true,
		GovernorsMaySubscribe:  true,
		ForbidSelfGrant:        false,
		GrantRule:              "user_admin",
	}
	if got := NewBook().Settings(); got != want {
		t.Errorf("NewBook().Settings() = %+v, want %+v", got, want)
	}
	if err := want.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
	for _, rule := range []GrantRule{"", "USER_ADMIN", "four_eyes"} {
		if err := (Settings{GrantRule: rule}).Validate(); !errors.Is(err, fault.Invalid) || fault.Code(err) != "bad_grant_rule" {
			t.Errorf("Validate(%q) = %v, want bad_grant_rule", rule, err)
		}
	}
}

func TestSettingsBelongToOneVersion(t *testing.T) {
	b := NewBook()
	e := b.Edit()
	e.SetSettings(Settings{GrantRule: GrantRuleHeld})
	next := e.Book()
	e.Put(grant("g", Audit, user(0)))
	if b.Settings() != DefaultSettings() || next.Settings().GrantRule != GrantRuleHeld || e.Book().Edit().Book().Settings() != next.Settings() {
		t.Errorf("settings: %+v, then %+v, then %+v", b.Settings(), next.Settings(), e.Book().Settings())
	}
}

// switched is a town in which ann governs by a group, administers users, registers
// data sources, and had AUDIT once; dan governs; cat was given data sources by default.
func switched(s Settings) *Book {
	e := NewBook().Edit()
	e.Put(grant("g", Governance, group(1)))
	e.Put(grant("u", UserAdmin, user(0)))
	e.Put(grant("c", CreateDataSource, user(0)))
	gone := grant("p", CreateDataSourceInProject, user(0))
	gone.Expires = at(5)
	e.Put(gone)
	e.Put(grant("d", Governance, user(3)))
	e.Put(grant("e", CreateDataSource, user(3)))
	byDefault := grant("f", CreateFilter, user(2))
	byDefault.Origin = "default:corp-ad"
	e.Put(byDefault)
	e.SetSettings(s)
	return e.Book()
}

func TestSentencesAboutSettings(t *testing.T) {
	exclusive, noAdmins, noGovernors := DefaultSettings(), DefaultSettings(), DefaultSettings()
	exclusive.AdminGovernorExclusive = true
	noAdmins.AdminsMaySubscribe = false
	noGovernors.GovernorsMaySubscribe = false
	nobody := Settings{}
	for _, c := range []struct {
		name string
		s    Settings
		user int
		p    Permission
		want string
	}{
		{
			"suppressed", exclusive, 0, Governance,
			"no   ann was granted GOVERNANCE, but admin_governor_exclusive is on and ann is an administrator (USER_ADMIN)\n" +
				"no   ann -> group Data Stewards (corp-ad, nested in EMEA, nested by local) -> grant by root, 2 Nov: suppressed by admin_governor_exclusive\n",
		},
		{
			"not suppressed", exclusive, 3, Governance,
			"yes  dan\uFFFD[2J -> direct grant by root, 2 Nov -> GOVERNANCE\n",
		},
		{
			"masked for an administrator", noAdmins, 0, CreateDataSource,
			"no   ann was granted CREATE_DATA_SOURCE, but admins_may_subscribe is off and ann is an administrator (USER_ADMIN)\n" +
				"no   ann -> direct grant by root, 2 Nov: masked by admins_may_subscribe\n",
		},
		{
			"masked twice", nobody, 0, CreateDataSource,
			"no   ann was granted CREATE_DATA_SOURCE, but admins_may_subscribe is off and ann is an administrator (USER_ADMIN), and governors_may_subscribe is off and ann is a governor (GOVERNANCE)\n" +
				"no   ann -> direct grant by root, 2 Nov: masked by admins_may_subscribe, masked by governors_may_subscribe\n",
		},
		{
			"whose GOVERNANCE is suppressed is no governor",
			Settings{AdminGovernorExclusive: true, AdminsMaySubscribe: true},
			0, CreateDataSource,
			"yes  ann -> direct grant by root, 2 Nov -> CREATE_DATA_SOURCE\n",
		},
		{
			"expired, and would be masked", noAdmins, 0, CreateDataSourceInProject,
			"no   ann -> direct grant by root, 2 Nov: masked by admins_may_subscribe, expired 5 Nov\n",
		},
		{"nothing to withhold", Settings{}, 0, CreateProject, "no   ann -> nothing leads to CREATE_PROJECT\n"},
		{"nothing to mask", noGovernors, 3, CreateDataSourceInProject, "no   dan\uFFFD[2J -> nothing leads to CREATE_DATA_SOURCE_IN_PROJECT\n"},
		{
			"a default", exclusive, 2, CreateFilter,
			"yes  users/" + userID(2).String() + " -> default of corp-ad set by root, 2 Nov -> CREATE_FILTER\n",
		},
		{"may subscribe", exclusive, 0, Subscribe, "yes  ann is active -> may subscribe to data sources\n"},
		{"may not", noAdmins, 0, Subscribe, "no   ann may not subscribe to data sources, because admins_may_subscribe is off and ann is an administrator (USER_ADMIN)\n"},
		{"nor a governor", noGovernors, 3, Subscribe, "no   dan\uFFFD[2J may not subscribe to data sources, because governors_may_subscribe is off and dan\uFFFD[2J is a governor (GOVERNANCE)\n"},
		{"nor who is inactive", noAdmins, 1, Subscribe, "no   bob is inactive (disabled locally)\n"},
		{"nor who is unknown", noAdmins, 99, Subscribe, "no   there is no user users/" + userID(99).String() + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := switched(c.s)
			x := b.Explain(town(), Request{User: userID(c.user), Permission: c.p, Now: at(10)})
			if c.p == Subscribe {
				x = b.ExplainSubscribe(town(), userID(c.user), at(10))
			}
			if diff := cmp.Diff(strings.Split(c.want, "\n"), strings.Split(x.Sentence(townRows{}), "\n")); diff != "" {
				t.Errorf("Sentence (-want +got):\n%s", diff)
			}
			if (x.Why == Suppressed || x.Why == Masked || x.Why == ExpiredGrant) != (len(x.Withheld) > 0) {
				t.Errorf("why %q, withheld by %v", x.Why, x.Withheld)
			}
		})
	}
}

// townRows has one nesting that was made here, of groups that a directory owns.
type townRows struct{ townNames }

func (townRows) Origins(m identity.Member, _ identity.GroupID) []identity.SourceID {
	if m.IsGroup() {
		return []identity.SourceID{identity.Local}
	}
	return []identity.SourceID{"corp-ad"}
}

func TestPersonasComeFromWhatIsLeft(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Settings
		user int
		want []PersonaID
	}{
		{"by default", DefaultSettings(), 0, []PersonaID{PersonaUserAdmin, PersonaDataGovernor, PersonaDataOwner, PersonaDataUser}},
		{"suppressed", Settings{true, true, true, false, GrantRuleUserAdmin}, 0, []PersonaID{PersonaUserAdmin, PersonaDataOwner, PersonaDataUser}},
		{"masked", Settings{false, false, true, false, GrantRuleUserAdmin}, 0, []PersonaID{PersonaUserAdmin, PersonaDataGovernor, PersonaDataUser}},
		{"a governor, masked", Settings{true, true, false, false, GrantRuleUserAdmin}, 3, []PersonaID{PersonaDataGovernor, PersonaDataUser}},
	} {
		e := switched(c.s).Effective(town(), userID(c.user), at(10))
		if diff := cmp.Diff(c.want, e.Personas()); diff != "" {
			t.Errorf("%s: Personas (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestEffectiveShowsWhatSettingsWithhold(t *testing.T) {
	e := switched(Settings{AdminGovernorExclusive: true}).Effective(town(), userID(0), at(10))
	if len(e.Suppressed) != 1 || e.Suppressed[0].Permission != Governance || e.Suppressed[0].Grants[0].ID != "g" ||
		e.Suppressed[0].By[0] != (Withholding{SettingAdminGovernorExclusive, UserAdmin}) {
		t.Errorf("Suppressed = %+v", e.Suppressed)
	}
	if len(e.Masked) != 1 || e.Masked[0].Permission != CreateDataSource || len(e.Masked[0].By) != 1 {
		t.Errorf("Masked = %+v", e.Masked)
	}
	if e.MaySubscribe || len(e.Unsubscribed) != 1 || e.Unsubscribed[0].Setting != SettingAdminsMaySubscribe {
		t.Errorf("MaySubscribe = %v, Unsubscribed = %v", e.MaySubscribe, e.Unsubscribed)
	}
	if diff := cmp.Diff([]Permission{UserAdmin}, e.Permissions()); diff != "" {
		t.Errorf("Permissions (-want +got):\n%s", diff)
	}
}

func TestSettingsMakeNoCheckAllocate(t *testing.T) {
	r, book := town(), switched(Settings{AdminGovernorExclusive: true})
	got := testing.AllocsPerRun(100, func() {
		for _, p := range []Permission{Governance, CreateDataSource, CreateDataSourceInProject, Audit} {
			for u := range 4 {
				book.Check(r, Request{User: r.users[u], Permission: p, Now: at(10)})
				book.CheckSubscribe(r, r.users[u], at(10))
			}
		}
	})
	if got != 0 {
		t.Errorf("Check and CheckSubscribe allocate %v times, want 0", got)
	}
}

func TestTheFloorOfAdministrators(t *testing.T) {
	r := &roll{}
	for _, who := range []Subject{
		{Local: true}, // root: counts
		{},            // of a directory
		{Local: true, Status: identity.ReasonLocal}, // disabled
		{Local: true, Expires: at(20)},              // ends by the clock
		{Local: true},                               // has one by a group
		{Local: true},                               // has one with an end
		{Local: true},                               // counts
	} {
		r.addUser(who)
	}
	g := r.addGroup()
	r.in[4] = []uint32{g}
	e := NewBook().Edit()
	for u := range r.users {
		e.Put(grant(GrantID("a"+r.users[u].String()), ApplicationAdmin, user(u)))
		last := grant(GrantID("u"+r.users[u].String()), UserAdmin, user(u))
		switch u {
		case 4:
			last.Subject = group(0)
		case 5:
			last.Expires = at(20)
		}
		e.Put(last)
	}
	got := map[identity.UserID]bool{}
	for u := range (View{Members: r.close(), Book: e.Book()}).Administrators() {
		got[u] = true
	}
	if len(got) != 2 || !got[userID(0)] || !got[userID(6)] {
		t.Errorf("Administrators = %v, want users 0 and 6", got)
	}
}
