package scim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

// world is an endpoint over HTTP with the state behind it.
type world struct {
	t      testing.TB
	db     *state.DB
	server *Server
	url    string
	tokens map[identity.SourceID]string
}

func newWorld(t testing.TB, s store.Store, sources ...Source) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	db, err := state.Open(ctx, state.Options{Store: s})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	server, err := New(Options{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) == 0 {
		sources = []Source{{"okta", DefaultConfig()}}
	}
	if err := server.Reload(sources); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server)
	t.Cleanup(func() {
		h.Close()
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	w := &world{t: t, db: db, server: server, url: h.URL, tokens: map[identity.SourceID]string{}}
	for _, src := range sources {
		cred := access.New(access.KindPush)
		_, err := db.Commit(ctx, audit.Actor{Kind: audit.ActorSystem, ID: "test"}, state.PutToken{Token: state.Token{
			ID: cred.ID(), Hash: cred.Hash(), Source: src.ID, Name: "t", Created: time.Now(),
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[src.ID] = cred.Reveal()
	}
	return w
}

// answer is what came back.
type answer struct {
	t      testing.TB
	to     string // the request
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (w *world) call(method, path, body string, header ...string) *answer {
	return w.as("okta", method, path, body, header...)
}

func (w *world) as(source identity.SourceID, method, path, body string, header ...string) *answer {
	w.t.Helper()
	if body != "" {
		header = append([]string{"Content-Type", mediaType}, header...)
	}
	return w.sendAs(source, method, path, strings.NewReader(body), header...)
}

func (w *world) sendAs(source identity.SourceID, method, path string, body io.Reader, header ...string) *answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+Prefix+string(source)+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.tokens[source])
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := &answer{t: w.t, to: method + " " + clip(path), status: resp.StatusCode, header: resp.Header, body: string(b)}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &a.json); err != nil {
			w.t.Fatalf("%s: %d, not JSON: %v\n%s", a.to, resp.StatusCode, err, b)
		}
	}
	return a
}

func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.to, a.status, status, a.body)
	}
	return a
}

// is compares one field, by a path of names and places such as "emails.0.value".
func (a *answer) is(path string, want any) *answer {
	a.t.Helper()
	if got := at(a.json, path); got != want {
		a.t.Errorf("%s: %s = %v, want %v: %s", a.to, path, got, want, a.body)
	}
	return a
}

func at(v any, path string) any {
	for name := range strings.SplitSeq(path, "/") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			i := int(name[0] - '0')
			if i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (a *answer) id() string { s, _ := a.json["id"].(string); return s }

const ann = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
	"userName":"ann@example.org","externalId":"00u1","name":{"givenName":"Ann","familyName":"Lee"},"active":true,
	"emails":[{"value":"ann@example.org","type":"work","primary":true}],
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Sales","manager":{"value":"m1"}}}`

func TestUserLife(t *testing.T) {
	w := newWorld(t, mem.New())
	made := w.call("POST", "/Users", ann).want(201).is("userName", "ann@example.org").is("meta/resourceType", "User").is("active", true)
	id := made.id()
	if made.header.Get("Location") != at(made.json, "meta/location") || made.header.Get("Etag") != at(made.json, "meta/version") {
		t.Errorf("Location %q, Etag %q: %s", made.header.Get("Location"), made.header.Get("Etag"), made.body)
	}
	got := w.call("GET", "/Users/"+id, "").want(200)
	if got.body != made.body {
		t.Errorf("GET\n%s\nis not POST\n%s", got.body, made.body)
	}
	w.call("POST", "/Users", ann).want(409).is("scimType", "uniqueness")
	w.call("GET", "/Users?filter="+`userName%20eq%20%22ANN@example.org%22`, "").want(200).is("totalResults", 1.0).is("Resources/0/id", id)
	w.call("GET", "/Users?filter="+`emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22ann@example.org%22`, "").want(200).is("totalResults", 1.0)
	w.call("GET", "/Users?filter="+`name.familyName%20co%20%22e%22`, "").want(200).is("totalResults", 1.0)
	w.call("PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`).want(200).is("active", false)
	u, _, _ := w.db.View().Now().User(userID(t, id))
	if u.Record.Disabled != identity.ReasonDisabled || u.Record.Attributes["department"][0] != "Sales" || u.Record.Profile[identity.DisplayName] != "Ann Lee" {
		t.Errorf("record %+v", u.Record)
	}
	put := w.call("PUT", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann@example.org","externalId":"00u1","title":"Boss"}`).want(200).is("active", false).is("title", "Boss")
	if at(put.json, "emails") != nil {
		t.Errorf("PUT left %s", put.body)
	}
	w.call("GET", "/Users/"+id, "", "If-None-Match", put.header.Get("Etag")).want(304)
	w.call("PUT", "/Users/"+id, ann, "If-Match", made.header.Get("Etag")).want(412)
	w.call("DELETE", "/Users/"+id, "").want(204)
	w.call("GET", "/Users/"+id, "").want(404)
	w.call("POST", "/Users", ann).want(201).is("id", id)
	w.call("DELETE", "/Users/"+id, "").want(204)
	other := w.call("POST", "/Users", strings.Replace(ann, "00u1", "00u2", 1)).want(201)
	if other.id() == id {
		t.Error("another externalId revived the user")
	}
}

func userID(t testing.TB, id string) identity.UserID {
	t.Helper()
	u, err := identity.ParseUserID(id)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestGroupLife(t *testing.T) {
	w := newWorld(t, mem.New())
	a := w.call("POST", "/Users", ann).want(201).id()
	b := w.call("POST", "/Users", strings.NewReplacer("ann@", "ben@", "00u1", "00u2").Replace(ann)).want(201).id()
	g := w.call("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Sales","members":[{"value":"`+a+`"}]}`).want(201).is("members/0/value", a).id()
	patch := func(ops string) *answer {
		return w.call("PATCH", "/Groups/"+g, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+ops+`]}`).want(200)
	}
	patch(`{"op":"Add","path":"members","value":[{"$ref":null,"value":"` + b + `"}]}`)
	w.call("GET", "/Groups/"+g, "").want(200).is("members/1/value", b)
	w.call("GET", "/Users/"+b, "").is("groups/0/value", g)
	patch(`{"op":"remove","path":"members[value eq \"`+a+`\"]"}`).is("members/0/value", b).is("members/1/value", nil)
	patch(`{"op":"replace","value":{"id":"`+g+`","displayName":"Sellers"}}`).is("displayName", "Sellers").is("members/0/value", b)
	patch(`{"op":"add","path":"members","value":[{"value":"nobody"}]}`).is("members/1/value", "nobody")
	w.call("GET", "/Groups/"+g+"?excludedAttributes=members", "").want(200).is("members", nil).is("displayName", "Sellers")
	w.call("GET", "/Groups?filter=members.value%20eq%20%22"+b+"%22", "").want(200).is("totalResults", 1.0)
	w.call("DELETE", "/Users/"+b, "").want(204)
	w.call("GET", "/Groups/"+g, "").is("members/0/value", "nobody").is("members/1/value", nil)
	patch(`{"op":"replace","path":"members","value":[]}`).is("members", nil)
	w.call("DELETE", "/Groups/"+g, "").want(204)
	w.call("GET", "/Groups", "").want(200).is("totalResults", 0.0)
}
