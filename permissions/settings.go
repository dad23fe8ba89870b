package permissions

import "github.com/rollcall-id/rollcall/fault"

// Settings are the switches of an installation that change what grants amount to.
// They never touch what is stored: a permission that a setting withholds comes back
// when the setting is switched back, or when what it holds against the user goes.
type Settings struct {
	// AdminGovernorExclusive forbids to be an administrator (APPLICATION_ADMIN or
	// USER_ADMIN) and a governor (GOVERNANCE) at once. Where a directory causes both
	// nevertheless, GOVERNANCE is suppressed.
	AdminGovernorExclusive bool
	// AdminsMaySubscribe and GovernorsMaySubscribe, when off, mask the permissions to
	// create data sources, and the right to subscribe to them, for these people.
	AdminsMaySubscribe    bool
	GovernorsMaySubscribe bool
	// ForbidSelfGrant keeps everybody from raising himself.
	ForbidSelfGrant bool
	// GrantRule says what a user administrator may confer.
	GrantRule GrantRule
}

// GrantRule says what may be conferred, always by a USER_ADMIN.
type GrantRule string

// The rules. What is neither is read as the stricter one.
const (
	GrantRuleUserAdmin GrantRule = "user_admin" // any permission
	GrantRuleHeld      GrantRule = "held"       // only what he himself effectively holds
)

// Setting is the name of a setting, as the API and the command line spell it.
type Setting string

// The names of the settings.
const (
	SettingAdminGovernorExclusive Setting = "admin_governor_exclusive"
	SettingAdminsMaySubscribe     Setting = "admins_may_subscribe"
	SettingGovernorsMaySubscribe  Setting = "governors_may_subscribe"
	SettingForbidSelfGrant        Setting = "forbid_self_grant"
	SettingGrantRule              Setting = "grant_rule"
)

// DefaultSettings are those of a fresh store: nothing is withheld, and a user
// administrator may confer anything.
func DefaultSettings() Settings {
	return Settings{AdminsMaySubscribe: true, GovernorsMaySubscribe: true, GrantRule: GrantRuleUserAdmin}
}

// Validate returns fault.Invalid for settings that nobody may choose.
func (s Settings) Validate() error {
	if s.GrantRule != GrantRuleUserAdmin && s.GrantRule != GrantRuleHeld {
		return fault.New(fault.Invalid, "bad_grant_rule", "%s is either %s or %s, and not %q",
			SettingGrantRule, GrantRuleUserAdmin, GrantRuleHeld, s.GrantRule)
	}
	return nil
}

// Subscribe names, where a permission is expected, the right to subscribe to data
// sources. Every active user has it, unless a setting withholds it. It is no
// permission: it is not in the catalogue, and nobody can be given it.
const Subscribe Permission = "subscribe"

// Withholding is a setting that keeps a permission from a user who was granted it.
type Withholding struct {
	Setting Setting `json:"setting"`
	// Because is the permission that the setting holds against him.
	Because Permission `json:"because"`
}

// why returns the denial that the withholding stands for.
func (w Withholding) why() Denial {
	if w.Setting == SettingAdminGovernorExclusive {
		return Suppressed
	}
	return Masked
}

// concern reports whether the settings, as they are, can withhold a permission from
// anyone. For nearly every check the answer is no, and nothing more is looked up.
func (s *Settings) concern(p Permission) bool {
	switch p {
	case Governance:
		return s.AdminGovernorExclusive
	case CreateDataSource, CreateDataSourceInProject, Subscribe:
		return !s.AdminsMaySubscribe || !s.GovernorsMaySubscribe
	}
	return false
}

// roles are what settings look at: which of the administrators' permissions a user
// holds, "" for neither, and whether he governs in the end.
type roles struct {
	admin   Permission
	governs bool
}

// roles returns those of a user of whom has says what he was granted.
func (s *Settings) roles(has func(Permission) bool) (r roles) {
	switch {
	case has(ApplicationAdmin):
		r.admin = ApplicationAdmin
	case has(UserAdmin):
		r.admin = UserAdmin
	}
	r.governs = (!s.AdminGovernorExclusive || r.admin == "") && has(Governance)
	return r
}

// withhold appends every setting that keeps a permission from a user with such
// roles. All that checks, lists, explanations and the judge know about settings is
// decided here.
func (s *Settings) withhold(to []Withholding, p Permission, r roles) []Withholding {
	switch p {
	case Governance:
		if s.AdminGovernorExclusive && r.admin != "" {
			to = append(to, Withholding{SettingAdminGovernorExclusive, r.admin})
		}
	case CreateDataSource, CreateDataSourceInProject, Subscribe:
		if !s.AdminsMaySubscribe && r.admin != "" {
			to = append(to, Withholding{SettingAdminsMaySubscribe, r.admin})
		}
		if !s.GovernorsMaySubscribe && r.governs {
			to = append(to, Withholding{SettingGovernorsMaySubscribe, Governance})
		}
	}
	return to
}
