package scim

import (
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
)

// What a group that its provider deletes was granted counts for nobody, and on its
// return for those only who are in it then.
func TestGrantsOfADeletedGroupSleep(t *testing.T) {
	w := newWorld(t, mem.New())
	ann, ben := w.user("ann", ""), w.user("ben", "")
	body := `{"schemas":["` + groupURN + `"],"externalId":"g","displayName":"Admins","members":[{"value":"` + idOf(ann) + `"}]}`
	g := w.call("POST", "/Groups", body).want(201).id()
	group, err := identity.ParseGroupID(g)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.db.Commit(t.Context(), audit.Actor{Kind: audit.ActorSystem, ID: "test"}, state.PutGrant{Grant: permissions.Grant{
		ID: "g1", Permission: permissions.UserAdmin, Subject: identity.GroupMember(group), By: "system:test", At: time.Now(), Origin: "local",
	}})
	if err != nil {
		t.Fatal(err)
	}
	may := func(path string) bool {
		s := w.db.View().Now()
		e := s.Book().Effective(s, userID(t, idOf(path)), time.Now())
		return e.Has(permissions.UserAdmin)
	}
	if !may(ann) || may(ben) {
		t.Fatalf("ann %v, ben %v", may(ann), may(ben))
	}
	w.call("DELETE", "/Groups/"+g, "").want(204)
	if may(ann) {
		t.Error("a deleted group gives what it was granted")
	}
	w.call("POST", "/Groups", `{"schemas":["`+groupURN+`"],"externalId":"g","displayName":"Admins","members":[{"value":"`+idOf(ben)+`"}]}`).want(201).is("id", g).size("members", 1)
	if may(ann) || !may(ben) {
		t.Errorf("on its return ann %v, ben %v", may(ann), may(ben))
	}
	w.call("DELETE", ben, "").want(204)
	if may(ben) {
		t.Error("a deleted user may still")
	}
}
