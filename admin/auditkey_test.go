package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/permissions"
)

func TestTheAuditLogNamesTheKeyThatWasUsed(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin, permissions.Audit)
	w.person("corp", "ann")
	if r := w.call(http.MethodPut, "/v1/users/ann/grants/AUDIT", key, map[string]any{"reason": "x"}); r.status != http.StatusCreated {
		t.Fatalf("grant = %d %s", r.status, r.body)
	}
	got := want[struct {
		Entries []audit.Envelope `json:"entries"`
	}](t, w.call(http.MethodGet, "/v1/audit?action=PermissionGranted", key, nil), http.StatusOK)
	public := strings.Split(key, "_")[2]
	found := false
	for _, e := range got.Entries {
		found = found || e.Actor.Name == "root" && e.Actor.Key == public
	}
	if !found {
		t.Errorf("no entry names the key %s: %+v", public, got.Entries)
	}
}
