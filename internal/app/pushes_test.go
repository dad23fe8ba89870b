package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// pushed asks the SCIM endpoint of a source with a token.
func (d *running) pushed(token, method, path, body string, want int) map[string]any {
	d.t.Helper()
	key := d.key
	defer func() { d.key = key }()
	d.key = token
	return d.call(method, "/scim/v2/okta"+path, body, want)
}

func pushConfig(t *testing.T, dir string) string {
	t.Helper()
	return dirtest.WriteFile(t, "rollcall.yaml", fmt.Sprintf(`
listen: 127.0.0.1:0
health: 127.0.0.1:0
store: {dir: %s}
log: {format: json, level: debug}
sources:
  - name: okta
    type: scim
    preset: okta
    knobs: {patch_no_content: true}
`, dir))
}

// TestAProviderPushesAndAGrantFollows is the whole way of a push: a token, people and a
// group, a grant to the group, what they may do, and what the log and the list of
// requests say.
func TestAProviderPushesAndAGrantFollows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := start(t, pushConfig(t, dir))
	d.bootstrapped()
	made := d.call("POST", "/v1/sources/okta/tokens", `{"name":"okta prod"}`, 201)
	token, _ := made["secret"].(string)
	if !strings.HasPrefix(token, "rcl_scim_") {
		t.Fatalf("token %q", token)
	}
	ann, _ := d.pushed(token, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann","externalId":"00u1","active":true,"roles":[{"value":"USER_ADMIN"}]}`, 201)["id"].(string)
	staff, _ := d.pushed(token, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Staff","members":[]}`, 201)["id"].(string)
	d.call("PUT", "/v1/groups/Staff/grants/GOVERNANCE", `{"reason":"stewards"}`, 409)
	d.call("PUT", "/v1/groups/Staff/grants/GOVERNANCE", `{"reason":"stewards","acknowledgeDirectory":true}`, 201)
	may := func(permission string) bool {
		t.Helper()
		allowed, _ := d.call("POST", "/v1/check", fmt.Sprintf(`{"user":"okta/ann","permission":%q}`, permission), 200)["allowed"].(bool)
		return allowed
	}
	d.pushed(token, "PATCH", "/Groups/"+staff, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"`+ann+`"}]}]}`, 204)
	if !may("GOVERNANCE") || may("USER_ADMIN") {
		t.Error("a member has GOVERNANCE, and nobody has a permission by his roles")
	}
	d.pushed(token, "PATCH", "/Users/"+ann, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":"False"}}]}`, 204)
	if may("GOVERNANCE") {
		t.Error("who is not active may nothing")
	}
	requests, _ := d.call("GET", "/v1/sources/okta/requests", "", 200)["requests"].([]any)
	first, _ := requests[0].(map[string]any)
	if len(requests) != 4 || fmt.Sprint(first["notes"]) != "[active: a string was taken for a boolean]" {
		t.Errorf("requests %v", requests)
	}
	d.call("POST", "/v1/sources/okta/runs", "", 409)
	id, _ := made["id"].(string)
	d.call("DELETE", "/v1/sources/okta/tokens/"+id, "", 204)
	d.pushed(token, "GET", "/Users/"+ann, "", 401)
	if strings.Contains(d.log.String(), token[20:]) {
		t.Error("the log has the token")
	}
}

// A token for a source whose groups carry grants lets its holder give these: only who
// may confer them makes one.
func TestATokenConfersWhatItsGroupsCarry(t *testing.T) {
	t.Parallel()
	d := start(t, pushConfig(t, t.TempDir()))
	d.bootstrapped()
	root := d.key
	token, _ := d.call("POST", "/v1/sources/okta/tokens", `{"name":"first"}`, 201)["secret"].(string)
	d.pushed(token, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Staff"}`, 201)
	d.call("POST", "/v1/users", `{"userName":"setup"}`, 201)
	d.call("PUT", "/v1/users/setup/grants/APPLICATION_ADMIN", `{"reason":"installs"}`, 201)
	d.call("POST", "/v1/users", `{"userName":"deputy"}`, 201)
	d.call("PUT", "/v1/users/deputy/grants/APPLICATION_ADMIN", `{"reason":"installs"}`, 201)
	d.call("PUT", "/v1/groups/Staff/grants/GOVERNANCE", `{"reason":"stewards","acknowledgeDirectory":true}`, 201)
	d.key = root
	limited, _ := d.call("POST", "/v1/me/keys", `{"name":"setup only","permissions":["APPLICATION_ADMIN"]}`, 201)["secret"].(string)
	d.key = limited
	d.call("POST", "/v1/sources/okta/tokens", `{"name":"second"}`, 403)
	d.key = root
	d.call("POST", "/v1/sources/okta/tokens", `{"name":"second"}`, 201)
}
