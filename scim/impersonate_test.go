package scim

import (
	"net/http"
	"testing"

	"github.com/rollcall-id/rollcall/store/mem"
)

// Nobody pushes as somebody else, and a header that says so changes nothing.
func TestNobodyPushesAsAnother(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "rfc"))
	const ann = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann"}`
	for _, as := range []string{"ann", ""} {
		if a := w.call(http.MethodPost, "/Users", ann, impersonateHeader, as); a.status != http.StatusBadRequest {
			t.Errorf("as %q: status %d, want 400: %s", as, a.status, a.body)
		}
	}
	if a := w.call(http.MethodPost, "/Users", ann); a.status != http.StatusCreated {
		t.Errorf("as itself: status %d, want 201: %s", a.status, a.body)
	}
}
