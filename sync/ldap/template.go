package ldap

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// Expanded returns the configuration with everything that the template and the
// defaults add: what a read really does. It holds no secret.
func (c *Config) Expanded() *Config {
	e := *c
	t := template(c.Template)
	e.Type = cmp.Or(e.Type, "ldap")
	e.URLs = slices.Clone(c.URLs)
	e.Discovery.Within = slices.Clone(c.Discovery.Within)
	e.Failover.LeaveOut = cmp.Or(e.Failover.LeaveOut, time.Minute)
	e.Failover.LeaveOutMost = cmp.Or(e.Failover.LeaveOutMost, max(e.Failover.LeaveOut, 30*time.Minute))
	e.Failover.ReturnAfter = cmp.Or(e.Failover.ReturnAfter, 10*time.Minute)
	e.TLS.MinVersion = cmp.Or(e.TLS.MinVersion, "1.2")
	e.Bind.Method = cmp.Or(e.Bind.Method, methodSimple)
	e.PageSize = cmp.Or(e.PageSize, 1000)
	e.Referrals = cmp.Or(e.Referrals, referralsHold)
	e.Changes = cmp.Or(e.Changes, changesAuto)
	e.Users.Where = c.Users.over(&t.Users.Where)
	e.Users.Disabled = orDefault(c.Users.Disabled, t.Users.Disabled)
	e.Users.Locked = orDefault(c.Users.Locked, t.Users.Locked)
	e.Users.Expires = orDefault(c.Users.Expires, t.Users.Expires)
	e.Users.PrimaryGroup = cmp.Or(c.Users.PrimaryGroup, t.Users.PrimaryGroup)
	e.Groups.Where = c.Groups.over(&t.Groups.Where)
	e.Groups.Members = orDefault(c.Groups.Members, t.Groups.Members)
	e.Groups.ChangeStamp = cmp.Or(c.Groups.ChangeStamp, t.Groups.ChangeStamp)
	e.Timeouts.Connect = cmp.Or(e.Timeouts.Connect, 10*time.Second)
	e.Timeouts.Idle = cmp.Or(e.Timeouts.Idle, 60*time.Second)
	e.MaxMessageBytes = cmp.Or(e.MaxMessageBytes, 64<<20)
	e.Timeouts.Read = cmp.Or(e.Timeouts.Read, 2*time.Hour)
	e.MaxEntries = cmp.Or(e.MaxEntries, 20_000_000)
	e.MaxAttributes = cmp.Or(e.MaxAttributes, 2_000)
	e.MaxValues = cmp.Or(e.MaxValues, 2_000_000)
	e.MaxDNBytes = cmp.Or(e.MaxDNBytes, 8<<10)
	e.MaxDepth = cmp.Or(e.MaxDepth, 32)
	e.MaxReferrals = cmp.Or(e.MaxReferrals, 1_000)
	e.VerifySingly = cmp.Or(e.VerifySingly, 1000)
	return &e
}

// over lays what the file says over what the template says.
func (w *Where) over(t *Where) Where {
	return Where{
		Bases:      slices.Clone(w.Bases),
		Scope:      cmp.Or(w.Scope, t.Scope, "subtree"),
		Filter:     cmp.Or(w.Filter, t.Filter),
		Key:        cmp.Or(w.Key, t.Key),
		Name:       cmp.Or(w.Name, t.Name),
		Profile:    overlay(t.Profile, w.Profile, func(k string) string { return k }),
		Attributes: overlay(t.Attributes, w.Attributes, identity.FoldKey),
	}
}

// overlay lays b over a. An empty mapping takes a key out.
func overlay(a, b map[string]Mapping, key func(string) string) map[string]Mapping {
	out := make(map[string]Mapping, len(a)+len(b))
	for k, v := range a {
		out[key(k)] = v
	}
	for k, v := range b {
		out[key(k)] = v
	}
	maps.DeleteFunc(out, func(_ string, v Mapping) bool { return v == Mapping{} })
	return out
}

// orDefault returns given unless the file did not mention it; an empty list that the
// file does mention stays empty.
func orDefault[T any](given, fallback []T) []T {
	if given == nil {
		return slices.Clone(fallback)
	}
	return slices.Clone(given)
}

// template returns the defaults of one kind of directory. Those of an unknown one
// are empty, as those of "custom" are.
func template(name string) Config {
	switch name {
	case TemplateOpenLDAP:
		return openLDAP()
	case TemplateAD:
		return activeDirectory()
	case Template389:
		return dirsrv389()
	}
	return Config{}
}

func openLDAP() Config {
	return Config{
		Users: Users{
			Where: Where{
				Filter:  "(|(objectClass=inetOrgPerson)(objectClass=posixAccount))",
				Key:     "entryUUID",
				Name:    Mapping{Attribute: "uid"},
				Profile: personProfile("cn", "o"),
			},
			// draft-behera-ldap-password-policy §5.3.3: this value means locked for good.
			Disabled: []Rule{{Attribute: "pwdAccountLockedTime", Is: []string{"000001010000Z"}}},
			Locked:   []Rule{{Attribute: "pwdAccountLockedTime", IsNot: []string{"000001010000Z"}}},
			Expires: []Expiry{
				{Attribute: "pwdEndTime", Format: formatGeneralized},
				{Attribute: "shadowExpire", Format: formatDays},
			},
		},
		Groups: Groups{
			Where: Where{
				Filter:  "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))",
				Key:     "entryUUID",
				Name:    Mapping{Attribute: "cn"},
				Profile: map[string]Mapping{identity.Description: {Attribute: "description"}},
			},
			Members:     posixMembers(),
			ChangeStamp: "entryCSN",
		},
	}
}

func dirsrv389() Config {
	c := openLDAP()
	c.Users.Key, c.Groups.Key = "nsUniqueId", "nsUniqueId"
	c.Users.Filter = "(|(objectClass=inetOrgPerson)(objectClass=posixAccount)(objectClass=nsPerson))"
	c.Users.Disabled = []Rule{{Attribute: "nsAccountLock", Is: []string{"TRUE"}}}
	c.Users.Locked = []Rule{}
	c.Users.Expires = []Expiry{{Attribute: "shadowExpire", Format: formatDays}}
	c.Groups.ChangeStamp = "modifyTimestamp"
	return c
}

func activeDirectory() Config {
	return Config{
		Users: Users{
			Where: Where{
				Filter:  "(&(objectCategory=person)(objectClass=user))",
				Key:     "objectGUID",
				Name:    Mapping{Attribute: "sAMAccountName"},
				Profile: personProfile("displayName", "company"),
			},
			Disabled: []Rule{{Attribute: "userAccountControl", Bits: 0x2}},
			// Computed by the server, so that a lockout that has ended does not count.
			Locked:       []Rule{{Attribute: "msDS-User-Account-Control-Computed", Bits: 0x10}},
			Expires:      []Expiry{{Attribute: "accountExpires", Format: formatFiletime}},
			PrimaryGroup: "primaryGroupID",
		},
		Groups: Groups{
			Where: Where{
				Filter: "(objectClass=group)",
				Key:    "objectGUID",
				Name:   Mapping{Attribute: "sAMAccountName"},
				Profile: map[string]Mapping{
					identity.DisplayName: {Attribute: "displayName"}, identity.Description: {Attribute: "description"},
					identity.Email: {Attribute: "mail"},
				},
			},
			Members:     []Members{{Attribute: "member", By: byDN}},
			ChangeStamp: "uSNChanged",
		},
	}
}

func posixMembers() []Members {
	return []Members{
		{Attribute: "member", By: byDN},
		{Attribute: "uniqueMember", By: byDN},
		{Attribute: "memberUid", By: byName},
	}
}

func personProfile(displayName, organization string) map[string]Mapping {
	return map[string]Mapping{
		identity.DisplayName:  {Attribute: displayName},
		identity.GivenName:    {Attribute: "givenName"},
		identity.FamilyName:   {Attribute: "sn"},
		identity.Email:        {Attribute: "mail"},
		identity.Phone:        {Attribute: "telephoneNumber"},
		identity.Organization: {Attribute: organization},
		identity.Position:     {Attribute: "title"},
		identity.Location:     {Attribute: "l"},
		identity.Description:  {Attribute: "description"},
	}
}
