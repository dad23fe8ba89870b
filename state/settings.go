package state

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// storedSettings is what bears on permissions without being a grant.
type storedSettings struct {
	V         int                                     `json:"v"`
	Exclusive bool                                    `json:"exclusive,omitzero"`
	NoAdmins  bool                                    `json:"noAdmins,omitzero"`  // admins may not subscribe
	NoGovs    bool                                    `json:"noGovs,omitzero"`    // governors may not subscribe
	NoSelf    bool                                    `json:"noSelf,omitzero"`    // nobody raises himself
	Rule      string                                  `json:"rule,omitzero"`      // of granting
	Defaults  map[identity.SourceID]DefaultPermission `json:"defaults,omitempty"` // by source
	Unknown   jsontext.Value                          `json:",embed"`
}

// DefaultPermission is what a source's users are granted when they are first created,
// and who decided that.
type DefaultPermission struct {
	Permissions []permissions.Permission `json:"permissions"`
	By          string                   `json:"by"` // the USER_ADMIN who set the list, as in the audit log
	At          time.Time                `json:"at"`
}

func (s *storedSettings) settings() permissions.Settings {
	set := permissions.DefaultSettings()
	set.AdminGovernorExclusive, set.ForbidSelfGrant = s.Exclusive, s.NoSelf
	set.AdminsMaySubscribe, set.GovernorsMaySubscribe = !s.NoAdmins, !s.NoGovs
	if s.Rule != "" {
		set.GrantRule = permissions.GrantRule(s.Rule)
	}
	return set
}

func (s *storedSettings) take(set permissions.Settings) {
	s.V, s.Exclusive, s.NoSelf = format, set.AdminGovernorExclusive, set.ForbidSelfGrant
	s.NoAdmins, s.NoGovs, s.Rule = !set.AdminsMaySubscribe, !set.GovernorsMaySubscribe, string(set.GrantRule)
}

// settings takes the stored settings in.
func (e *editor) settings(key string, v rawValue) error {
	var s storedSettings
	if v.raw != "" {
		if err := decode(key, []byte(v.raw), &s); err != nil {
			return err
		}
	}
	e.book.SetSettings(s.settings())
	e.config = rawSettings{v, s.Defaults}
	return nil
}

// rawSettings are the settings as they are stored, with the part that no book holds.
type rawSettings struct {
	rawValue
	defaults map[identity.SourceID]DefaultPermission
}

// Defaults returns what the users of a source are granted when they are first created.
func (s *Snapshot) Defaults(source identity.SourceID) (DefaultPermission, bool) {
	d, ok := s.config.defaults[source]
	return d, ok
}

// SettingsRev returns the revision at which the settings were last written; 0: never.
func (s *Snapshot) SettingsRev() store.Revision { return s.config.rev }

// stored reads the settings to be rewritten.
func (t *txn) settings() (*storedSettings, error) {
	raw := t.snap.config.raw
	if b, ok := t.pending(keySettings); ok {
		raw = string(b)
	}
	t.base(keySettings, t.snap.config.rev)
	var s storedSettings
	if raw == "" {
		s.take(permissions.DefaultSettings())
		return &s, nil
	}
	return &s, decode(keySettings, []byte(raw), &s)
}

// PutSettings replaces the settings that bear on permissions. Default permissions stay.
type PutSettings struct{ Settings permissions.Settings }

func (c PutSettings) build(t *txn) error {
	s, err := t.settings()
	if err != nil {
		return err
	}
	before := s.settings()
	s.take(c.Settings)
	t.event(audit.Event{Action: "ConfigurationUpdated", Target: "settings", Changes: settingChanges(before, c.Settings)})
	return t.put(keySettings, s)
}

func settingChanges(a, b permissions.Settings) []audit.Change {
	word := func(b bool) []string {
		if b {
			return []string{"on"}
		}
		return []string{"off"}
	}
	var out []audit.Change
	for _, f := range []struct {
		name    string
		was, is bool
	}{
		{"admin_governor_exclusive", a.AdminGovernorExclusive, b.AdminGovernorExclusive},
		{"admins_may_subscribe", a.AdminsMaySubscribe, b.AdminsMaySubscribe},
		{"governors_may_subscribe", a.GovernorsMaySubscribe, b.GovernorsMaySubscribe},
		{"forbid_self_grant", a.ForbidSelfGrant, b.ForbidSelfGrant},
	} {
		if f.was != f.is {
			out = append(out, audit.Change{Field: f.name, Before: word(f.was), After: word(f.is)})
		}
	}
	if a.GrantRule != b.GrantRule {
		out = append(out, audit.Change{Field: "grant_rule", Before: []string{string(a.GrantRule)}, After: []string{string(b.GrantRule)}})
	}
	return out
}

// PutDefaults sets what the users of a source are granted when they are first created;
// none ends it. Whom it has reached keeps what he was given.
type PutDefaults struct {
	Source      identity.SourceID
	Permissions []permissions.Permission
}

func (c PutDefaults) build(t *txn) error {
	s, err := t.settings()
	if err != nil {
		return err
	}
	next := map[identity.SourceID]DefaultPermission{}
	maps.Copy(next, s.Defaults)
	for _, p := range c.Permissions {
		if p == permissions.ApplicationAdmin || p == permissions.UserAdmin {
			return fault.New(fault.Invalid, "admin_by_default", "%s is never given by default: grant it to those who are to have it", p)
		}
		if _, ok := t.snap.book.Lookup(p); !ok {
			return fault.New(fault.NotFound, "permission_not_found", "there is no permission %s", p)
		}
	}
	before := next[c.Source].Permissions
	delete(next, c.Source)
	if len(c.Permissions) > 0 {
		list := slices.Clone(c.Permissions)
		slices.Sort(list)
		next[c.Source] = DefaultPermission{Permissions: slices.Compact(list), By: t.by.String(), At: t.now}
	}
	s.Defaults = next
	t.event(audit.Event{
		Action: "ConfigurationUpdated", Target: "source/" + string(c.Source),
		Changes: []audit.Change{{Field: "default_permissions", Before: names(before), After: names(next[c.Source].Permissions)}},
	})
	return t.put(keySettings, s)
}

// dropDefaults ends what the users of a source are granted: who set the list did so for
// one that goes, and not for another that gets its name.
func (t *txn) dropDefaults(source identity.SourceID) error {
	if _, ok := t.snap.Defaults(source); !ok {
		return nil
	}
	return (PutDefaults{Source: source}).build(t)
}

// giveDefaults grants a user whom a source has just shown for the first time what the
// list of that source says, on the word of the one who set the list. It is the only
// grant that is written without an administrator doing it, and only ever here: who
// returns, is renamed or read again was created before.
func (t *txn) giveDefaults(c Create) error {
	d, ok := t.snap.Defaults(c.Record.Source)
	if !ok || t.by.Kind != audit.ActorSync && t.by.Kind != audit.ActorPush || c.Member.IsGroup() {
		return nil
	}
	for _, p := range d.Permissions {
		if _, known := t.snap.book.Lookup(p); !known {
			continue
		}
		err := t.put(grantKey(c.Member, p), &storedGrant{
			V: format, ID: uuid.Must(uuid.NewV7()).String(), By: d.By, At: t.now, Reason: "given to everybody whom " + string(c.Record.Source) + " shows",
			Origin: identity.Origin("default:" + string(c.Record.Source)),
		})
		if err != nil {
			return err
		}
		t.event(audit.Event{
			Action: "PermissionGranted", Target: c.Member.String(), Reason: "default of " + string(c.Record.Source),
			Changes: []audit.Change{{Field: "permission", After: []string{string(p)}}},
		})
	}
	return nil
}

func names(ps []permissions.Permission) []string {
	var out []string
	for _, p := range ps {
		out = append(out, string(p))
	}
	return out
}

// PutCustom adds a custom permission. It is fault.Exists when there is one, and
// fault.Conflict while grants of an earlier one of the name are left: one that is made
// again begins without holders.
type PutCustom struct {
	Name        permissions.Permission
	Description string
}

func (c PutCustom) build(t *txn) error {
	if _, err := permissions.ParseCustomName(string(c.Name)); err != nil {
		return err
	}
	if _, ok := t.snap.book.Lookup(c.Name); ok {
		return fault.New(fault.Exists, "permission_exists", "there is a permission %s already", c.Name)
	}
	if t.snap.book.Held(c.Name) {
		return fault.New(fault.Conflict, "permission_held", "grants of an earlier %s are still being removed: try again in a moment", c.Name)
	}
	key := keyCustom + string(c.Name)
	t.base(key, 0)
	t.event(audit.Event{Action: "CustomPermissionCreated", Target: "permission/" + string(c.Name), Name: string(c.Name)})
	return t.put(key, &storedCustom{V: format, Description: strings.TrimSpace(c.Description), By: t.by.String(), At: t.now})
}

// RemoveCustom takes a custom permission out of the catalogue: from then on nobody has
// it, whatever grants are left, which [DB.RemoveLeftGrants] removes.
type RemoveCustom struct {
	Name permissions.Permission
	// Leaves is how many grants of it stay behind, for [DB.RemoveLeftGrants].
	Leaves int
}

func (c RemoveCustom) build(t *txn) error {
	if permissions.IsBuiltIn(c.Name) {
		return fault.New(fault.Conflict, "builtin_permission", "%s is built in and stays", c.Name)
	}
	if _, ok := t.snap.book.Lookup(c.Name); !ok {
		return fault.New(fault.NotFound, "permission_not_found", "there is no permission %s", c.Name)
	}
	t.write(store.Delete(keyCustom + string(c.Name)))
	if c.Leaves > 0 {
		t.write(store.Put(keyLeft+string(c.Name), []byte("{}")))
	}
	t.event(audit.Event{Action: "CustomPermissionDeleted", Target: "permission/" + string(c.Name), Name: string(c.Name)})
	return nil
}
