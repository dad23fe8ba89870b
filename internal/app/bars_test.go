package app

import (
	"testing"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// barred waits until a source bars exactly that.
func (d *running) barred(source identity.SourceID, want state.Bar) {
	d.t.Helper()
	for {
		changed := d.db.View().Changed()
		if d.db.View().Now().Bar(source) == want {
			return
		}
		select {
		case <-changed:
		case <-d.t.Context().Done():
			d.t.Fatalf("source %s bars %+v, want %+v\nlog:\n%s", source, d.db.View().Now().Bar(source), want, d.log)
		}
	}
}

func (d *running) decides(cs ...state.Change) {
	d.t.Helper()
	by := audit.Actor{Kind: audit.ActorSystem, ID: "test"}
	if _, err := d.db.Decide(d.t.Context(), by, func(*state.Snapshot) ([]state.Change, error) { return cs, nil }); err != nil {
		d.t.Fatal(err)
	}
}

func holds(m identity.Member, p permissions.Permission) state.Change {
	return state.PutGrant{Grant: permissions.Grant{ID: permissions.GrantID(m.String() + string(p)), Permission: p, Subject: m, Origin: "local"}}
}

func okta(switches string) string { return "sources: [{name: okta, type: scim" + switches + "}]" }

// The switches of the file are stored at the start and with a reload, and a restart with
// the same file writes nothing. What the settings forbid is not done and logged.
func TestTheSwitchesOfTheFileAreStored(t *testing.T) {
	dir := t.TempDir()
	d := start(t, bare(t, dir, okta(", allow_local_attributes: false")))
	d.bootstrapped()
	d.barred("okta", state.Bar{Attributes: true})
	reload := func(switches string) {
		t.Helper()
		c, err := LoadConfig(bare(t, dir, okta(switches)), nil)
		if err == nil {
			_, err = d.Reload(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	reload(", allow_local_memberships: false")
	d.barred("okta", state.Bar{Memberships: true})

	// Ann administers, and would be a governor, too, if the membership counted.
	ann, staff := identity.UserMember(identity.NewUserID()), identity.NewGroupID()
	set := permissions.DefaultSettings()
	set.AdminGovernorExclusive = true
	d.decides(state.Create{Member: ann, Record: &identity.Record{Source: "okta", Key: "ann", Name: "ann"}},
		state.Create{Member: identity.GroupMember(staff), Record: &identity.Record{Source: "okta", Key: "staff", Name: "staff"}})
	d.decides(state.ChangeMembers{Group: staff, Origin: identity.Local, Add: []identity.Member{ann}},
		holds(ann, permissions.UserAdmin), holds(identity.GroupMember(staff), permissions.Governance), state.PutSettings{Settings: set})
	reload("")
	if err := d.previewBar(configurer, state.Bar{}); fault.Code(err) != "exclusive_roles" {
		t.Errorf("a switch that makes an administrator a governor: %v, want exclusive_roles", err)
	}
	set.AdminGovernorExclusive = false
	d.decides(state.PutSettings{Settings: set})
	d.barred("okta", state.Bar{})

	// Each change was written once, however often the file was compared.
	page, err := d.db.AuditEntries(t.Context(), state.AuditQuery{Filter: audit.Filter{}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range page.Entries {
		if e.Actor.ID == configurer.ID {
			n++
		}
	}
	if n != 3 {
		t.Errorf("the file wrote %d times, want 3", n)
	}
}

func (d *running) previewBar(by audit.Actor, bar state.Bar) error {
	_, err := d.db.Preview(by, func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{state.PutBar{Source: "okta", Bar: bar}}, nil
	})
	return err
}

// The switches of a source that is made over the API change together with its
// configuration, for whoever may bring about what comes of it.
func TestTheSwitchesOfAStoredSourceChangeWithIt(t *testing.T) {
	d := start(t, bare(t, t.TempDir(), ""))
	d.bootstrapped()
	put := func(key, switches string, want int) {
		t.Helper()
		tag := d.calls("GET", "/v1/sources/okta", "", "", 200)
		d.as(key).calls("PUT", "/v1/sources/okta", `{"config":{`+switches+`}}`, tag, want)
	}
	d.call("POST", "/v1/sources", `{"id":"okta","kind":"scim","config":{"allow_local_memberships":false}}`, 201)
	if bar := d.db.View().Now().Bar("okta"); bar != (state.Bar{Memberships: true}) {
		t.Errorf("made, it bars %+v", bar)
	}
	clerk := d.keyOf("clerk", permissions.ApplicationAdmin)
	ann, staff := identity.UserMember(identity.NewUserID()), identity.NewGroupID()
	d.decides(state.Create{Member: ann, Record: &identity.Record{Source: "okta", Key: "ann", Name: "ann"}},
		state.Create{Member: identity.GroupMember(staff), Record: &identity.Record{Source: "okta", Key: "staff", Name: "staff"}})
	d.decides(state.ChangeMembers{Group: staff, Origin: identity.Local, Add: []identity.Member{ann}}, holds(identity.GroupMember(staff), permissions.Governance))

	put(clerk, "", 403)
	put(clerk, `"allow_local_memberships":false,"allow_local_attributes":false`, 200)
	d.barred("okta", state.Bar{Attributes: true, Memberships: true})
	put(d.key, `"allow_local_attributes":false`, 200)
	if bar := d.db.View().Now().Bar("okta"); bar != (state.Bar{Attributes: true}) {
		t.Errorf("changed, it bars %+v", bar)
	}
}
