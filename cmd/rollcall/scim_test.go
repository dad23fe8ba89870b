package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim"
	"github.com/rollcall-id/rollcall/state"
)

// pushedSource is the source of the scripts that is pushed to.
const pushedSource = identity.SourceID("okta")

// pushes is the real SCIM endpoint of okta behind the admin API, as the daemon has it.
type pushes struct {
	server *scim.Server
	token  string // of the provider, once it has pushed
}

func newPushes(db *state.DB) (*pushes, error) {
	s, err := scim.New(scim.Options{DB: db, Now: clock})
	if err != nil {
		return nil, err
	}
	return &pushes{server: s}, s.Reload([]scim.Source{{ID: pushedSource, Config: scim.DefaultConfig()}})
}

// Requests implements admin.Pushes.
func (p *pushes) Requests(source identity.SourceID) []admin.PushRequest {
	all, _ := p.server.Requests(source)
	list := make([]admin.PushRequest, len(all))
	for i, r := range all {
		list[i] = admin.PushRequest{
			Time: r.Time, RequestID: r.Request, Token: r.Token, Method: r.Method, Path: r.Path, Status: r.Status, Error: r.Error,
			Resource: r.Resource, Micros: 1500, Notes: r.Notes, UserAgent: r.Agent,
		}
	}
	return list
}

// PlanUndo implements admin.Pushes.
func (p *pushes) PlanUndo(source identity.SourceID, since time.Time) ([]admin.UndoUser, string, error) {
	plan, err := p.server.PlanUndo(source, since)
	if err != nil {
		return nil, "", err
	}
	list := make([]admin.UndoUser, len(plan.Users))
	for i, u := range plan.Users {
		id, _ := u.Member.User()
		list[i] = admin.UndoUser{ID: id, UserName: u.Name, Time: u.At, Gone: u.Gone}
	}
	return list, plan.Digest, nil
}

// Undo implements admin.Pushes.
func (p *pushes) Undo(source identity.SourceID, since time.Time, digest string) ([]func(*state.Snapshot) ([]state.Change, error), error) {
	return p.server.StepsUndo(source, since, digest)
}

// push pushes as the provider would, with a token of its own. What follows /Users/ in
// a path is a name, which stands for the id.
func push(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	if w.pushes.token == "" {
		cred := access.New(access.KindPush)
		w.pushes.token = cred.Reveal()
		ts.Check(w.commit(state.PutToken{Token: state.Token{
			ID: cred.ID(), Hash: cred.Hash(), Source: pushedSource, Name: "provider", By: "user:root", Created: start, Used: start,
		}}))
	}
	path, body := args[2], ""
	if name, ok := strings.CutPrefix(path, "/Users/"); ok {
		id, taken := w.db.View().Now().UserNamed(pushedSource, name)
		if !taken {
			ts.Fatalf("okta has no user %s", name)
		}
		path = "/Users/" + id.String()
	}
	if len(args) > 3 {
		body = ts.ReadFile(args[3])
	}
	r, err := http.NewRequest(args[1], "http://rollcall.example"+scim.Prefix+string(pushedSource)+path, strings.NewReader(body))
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+w.pushes.token)
	r.Header.Set("Content-Type", "application/scim+json")
	answer := httptest.NewRecorder()
	w.pushes.server.ServeHTTP(answer, r)
	if strconv.Itoa(answer.Code) != args[0] {
		ts.Fatalf("%s %s: %d, want %s: %s", args[1], path, answer.Code, args[0], answer.Body)
	}
}

// nobodys puts a record on the roll that was pushed and is nobody's.
func nobodys(ts *testscript.TestScript, _ bool, args []string) {
	holder := userID(40)
	r := person(pushedSource, args[0], args[0], args[0]+"@example.com")
	r.Key = identity.Key(userID(41).String())
	r.Pushed = &identity.Pushed{Body: []byte(`{"userName":"` + args[0] + `"}`), At: start}
	ts.Check(of(ts).commit(state.KeepApart{Holder: holder, Record: r, Why: state.ApartAmbiguous}))
}

// lockouts puts the digest of an undo where the script can say it.
func lockouts(ts *testscript.TestScript, _ bool, args []string) {
	_, digest, err := of(ts).pushes.PlanUndo(pushedSource, start.Add(-time.Hour))
	ts.Check(err)
	ts.Setenv(args[0], digest)
}

var _ admin.Pushes = (*pushes)(nil)
