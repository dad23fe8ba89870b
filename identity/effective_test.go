package identity

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A user of the directory, a nested group of the directory and a local one.
func company() (*User, *Group, *Group) {
	u := &User{
		ID:     NewUserID(),
		Record: Record{Source: "corp", Attributes: Attributes{"team": {"red"}, "cost": {"1"}}},
		Local:  LocalLayer{Attributes: Attributes{"team": {"blue", "red"}}},
	}
	staff := &Group{ID: NewGroupID(), Record: Record{Source: "corp", Attributes: Attributes{"team": {"red"}}}}
	all := &Group{
		ID:     NewGroupID(),
		Record: Record{Source: Local},
		Local:  LocalLayer{Attributes: Attributes{"country": {"FI"}, "team": {"red"}}},
	}
	return u, staff, all
}

func TestEffectiveListsEveryOrigin(t *testing.T) {
	u, staff, all := company()
	layers := slices.Concat(all.Layers([]GroupID{staff.ID, all.ID}), staff.Layers([]GroupID{staff.ID}), u.Layers())
	viaStaff := Provenance{Origin: "corp", Group: staff.ID, Via: []GroupID{staff.ID}}
	viaAll := Provenance{Origin: "local", Group: all.ID, Via: []GroupID{staff.ID, all.ID}}
	want := map[string][]EffectiveValue{
		"cost":    {{"1", []Provenance{{Origin: "corp"}}}},
		"country": {{"FI", []Provenance{viaAll}}},
		"team": {
			{"blue", []Provenance{{Origin: "local"}}},
			{"red", []Provenance{{Origin: "corp"}, {Origin: "local"}, viaStaff, viaAll}},
		},
	}
	if diff := cmp.Diff(want, Effective(slices.Values(layers)), cmp.AllowUnexported(GroupID{})); diff != "" {
		t.Errorf("Effective (-want +got):\n%s", diff)
	}
	slices.Reverse(layers)
	if diff := cmp.Diff(want, Effective(slices.Values(layers)), cmp.AllowUnexported(GroupID{})); diff != "" {
		t.Errorf("Effective in another order (-want +got):\n%s", diff)
	}
}

// What several layers say holds until the last of them is gone.
func TestAValueOutlivesTheRemovalOfOneOrigin(t *testing.T) {
	u, staff, all := company()
	layers := slices.Concat(u.Layers(), staff.Layers([]GroupID{staff.ID}), all.Layers([]GroupID{staff.ID, all.ID}))
	for range 4 {
		i := slices.IndexFunc(layers, func(l Layer) bool { return l.Attributes.Has("team", "red") })
		layers = slices.Delete(slices.Clone(layers), i, i+1)
		left := slices.ContainsFunc(layers, func(l Layer) bool { return l.Attributes.Has("team", "red") })
		holds := slices.ContainsFunc(Effective(slices.Values(layers))["team"], func(v EffectiveValue) bool {
			return v.Value == "red"
		})
		if holds != left {
			t.Errorf("with %d layers left team=red holds: %t, want %t", len(layers), holds, left)
		}
	}
}

func TestAMissingGroupCarriesNothing(t *testing.T) {
	_, staff, _ := company()
	staff.Missing = time.Unix(1, 0)
	if l := staff.Layers([]GroupID{staff.ID}); l != nil {
		t.Errorf("Layers of a missing group = %v, want none", l)
	}
}
