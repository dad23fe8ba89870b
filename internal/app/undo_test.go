package app

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// lockedOut starts a daemon to which a provider has pushed two people, and locked out
// both. It returns the token of the provider, their ids and an API key for each of the
// two kinds of administrators.
func lockedOut(t *testing.T) (d *running, token, ann, bob, setup, people string) {
	t.Helper()
	d = start(t, pushConfig(t, t.TempDir()))
	d.bootstrapped()
	token, _ = d.call("POST", "/v1/sources/okta/tokens", `{"name":"provider"}`, 201)["secret"].(string)
	ids := map[string]string{}
	for _, name := range []string{"ann", "bob"} {
		ids[name], _ = d.pushed(token, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"`+name+`","externalId":"x-`+name+`","active":true}`, 201)["id"].(string)
	}
	ann, bob = ids["ann"], ids["bob"]
	d.call("PUT", "/v1/users/okta%2Fann/grants/GOVERNANCE", `{"reason":"steward"}`, 201)
	d.pushed(token, "PATCH", "/Users/"+ann, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":false}}]}`, 204)
	d.pushed(token, "DELETE", "/Users/"+bob, "", 204)
	setup, _ = d.call("POST", "/v1/me/keys", `{"name":"setup","permissions":["APPLICATION_ADMIN"]}`, 201)["secret"].(string)
	people, _ = d.call("POST", "/v1/me/keys", `{"name":"people","permissions":["USER_ADMIN"]}`, 201)["secret"].(string)
	return d, token, ann, bob, setup, people
}

func (d *running) mayGovern() bool {
	d.t.Helper()
	allowed, _ := d.call("POST", "/v1/check", `{"user":"okta/ann","permission":"GOVERNANCE"}`, 200)["allowed"].(bool)
	return allowed
}

// TestAnUndoBringsBackWhomPushesLockedOut looks at the plan, fails to carry out another
// one, tries it, and carries it out.
func TestAnUndoBringsBackWhomPushesLockedOut(t *testing.T) {
	t.Parallel()
	d, token, ann, bob, setup, people := lockedOut(t)
	plan := d.as(setup).call("GET", "/v1/sources/okta/undo", "", 200)
	digest, _ := plan["digest"].(string)
	since, _ := plan["since"].(string)
	if users, _ := plan["users"].([]any); len(users) != 2 {
		t.Fatalf("plan %v", plan)
	}
	this := fmt.Sprintf(`{"since":%q,"digest":%q}`, since, digest)
	d.as(setup).call("POST", "/v1/sources/okta/undo", this, 403)
	if code := d.as(people).call("POST", "/v1/sources/okta/undo", fmt.Sprintf(`{"since":%q,"digest":"sha256:0"}`, since), 409)["code"]; code != "plan_changed" {
		t.Errorf("another digest: code %v", code)
	}
	if tried := d.as(people).call("POST", "/v1/sources/okta/undo?dryRun=true", this, 200); tried["users"] != 2.0 {
		t.Errorf("dry run %v", tried)
	}
	if again := d.as(setup).call("GET", "/v1/sources/okta/undo?since="+url.QueryEscape(since), "", 200)["digest"]; again != digest || d.mayGovern() {
		t.Error("a dry run has changed something")
	}
	d.pushed(token, "GET", "/Users/"+bob, "", 404)
	d.as(people).call("POST", "/v1/sources/okta/undo", this, 200)
	if !d.mayGovern() {
		t.Error("who is back has not the grants that waited")
	}
	for _, id := range []string{ann, bob} {
		if active := d.pushed(token, "GET", "/Users/"+id, "", 200)["active"]; active != true {
			t.Errorf("user %s is active: %v", id, active)
		}
	}
	d.pushed(token, "DELETE", "/Users/"+ann, "", 503)
	if state := d.call("GET", "/v1/sources/okta", "", 200)["state"]; state != "paused" {
		t.Errorf("state %v after an undo", state)
	}
	if code := d.as(people).call("POST", "/v1/sources/okta/undo", this, 409)["code"]; code != "plan_changed" {
		t.Errorf("the same undo once more: code %v", code)
	}
	d.as(setup).call("POST", "/v1/sources/okta/resume", "", 403)
	d.as(people).call("POST", "/v1/sources/okta/resume?dryRun=true", "", 204)
	d.pushed(token, "DELETE", "/Users/"+ann, "", 503)
	d.as(people).call("POST", "/v1/sources/okta/resume", "", 204)
	d.pushed(token, "DELETE", "/Users/"+ann, "", 204)
}

// An undo leaves alone whom anything has touched since.
func TestAnUndoLeavesWhatWasTouchedSince(t *testing.T) {
	t.Parallel()
	d, token, ann, _, _, people := lockedOut(t)
	plan := d.call("GET", "/v1/sources/okta/undo", "", 200)
	d.pushed(token, "PATCH", "/Users/"+ann, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":true}}]}`, 204)
	d.as(people).call("POST", "/v1/sources/okta/undo", fmt.Sprintf(`{"since":%q,"digest":%q}`, plan["since"], plan["digest"]), 409)
	if users, _ := d.call("GET", "/v1/sources/okta/undo", "", 200)["users"].([]any); len(users) != 1 {
		t.Errorf("users %v", users)
	}
	none := url.QueryEscape(time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if users, _ := d.call("GET", "/v1/sources/okta/undo?since="+none, "", 200)["users"].([]any); len(users) != 0 {
		t.Errorf("users %v since an instant that is to come", users)
	}
}

// A pause refuses what is written and answers what is read. It needs a reason, and says
// so in the audit log.
func TestAPausedSourceIsReadOnly(t *testing.T) {
	t.Parallel()
	d, token, ann, _, setup, _ := lockedOut(t)
	d.as(setup).call("POST", "/v1/sources/okta/pause", `{}`, 422)
	d.as(setup).call("POST", "/v1/sources/okta/pause?dryRun=true", `{"reason":"trouble"}`, 204)
	d.pushed(token, "PUT", "/Users/"+ann, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann","externalId":"x-ann"}`, 200)
	d.as(setup).call("POST", "/v1/sources/okta/pause", `{"reason":"trouble"}`, 204)
	d.pushed(token, "PUT", "/Users/"+ann, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann2","externalId":"x-ann"}`, 503)
	if name := d.pushed(token, "GET", "/Users/"+ann, "", 200)["userName"]; name != "ann" {
		t.Errorf("userName %v", name)
	}
	events, _ := d.call("GET", "/v1/audit?action=SourcePaused", "", 200)["entries"].([]any)
	if len(events) != 1 || !strings.Contains(fmt.Sprint(events[0]), "trouble") {
		t.Errorf("audit log %v", events)
	}
	d.call("POST", "/v1/sources/nowhere/pause", `{"reason":"trouble"}`, 404)
}

// What is made of tokens on a dry run is nothing, and a revoked one ends at once.
func TestTokensAreTriedAndRevoked(t *testing.T) {
	t.Parallel()
	d, token, ann, _, setup, people := lockedOut(t)
	// Ann is locked out and governs: whoever pushes may bring her back, as an undo would.
	d.as(setup).call("POST", "/v1/sources/okta/tokens", `{"name":"second"}`, 403)
	if tried := d.call("POST", "/v1/sources/okta/tokens?dryRun=true", `{"name":"second"}`, 201); tried["secret"] != nil {
		t.Errorf("dry run shows a secret: %v", tried["id"])
	}
	tokens, _ := d.as(people).call("GET", "/v1/sources/okta/tokens", "", 200)["tokens"].([]any)
	if len(tokens) != 1 {
		t.Fatalf("tokens %v", tokens)
	}
	first, _ := tokens[0].(map[string]any)
	id, _ := first["id"].(string)
	if first["secret"] != nil || first["state"] != "ACTIVE" || first["name"] != "provider" {
		t.Errorf("token %v", first)
	}
	d.as(people).call("POST", "/v1/sources/okta/tokens", `{"name":"second"}`, 403)
	d.as(people).call("DELETE", "/v1/sources/okta/tokens/"+id, "", 403)
	d.as(setup).call("POST", "/v1/sources/okta/tokens", `{"name":"late","expireTime":"2020-01-01T00:00:00Z"}`, 422)
	d.as(setup).call("DELETE", "/v1/sources/okta/tokens/"+id+"?dryRun=true", "", 204)
	d.pushed(token, "GET", "/Users/"+ann, "", 200)
	d.as(setup).call("DELETE", "/v1/sources/okta/tokens/"+id, "", 204)
	d.pushed(token, "GET", "/Users/"+ann, "", 401)
	d.as(setup).call("DELETE", "/v1/sources/okta/tokens/"+id, "", 404)
}
