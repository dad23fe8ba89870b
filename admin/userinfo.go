package admin

import (
	"encoding/base64"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// The user-info endpoint has the shape of Immuta's external user info: a product that
// asks there can ask here. Its path, its parameter, its answer and its authentication
// (HTTP Basic) are given; that an API key is the password is ours.

type userInfo struct {
	Groups         []userInfoGroup     `json:"groups"`
	Authorizations map[string][]string `json:"authorizations"`
}

type userInfoGroup struct {
	Name string `json:"name"`
}

// unknownUser is what the user-info endpoint says of who is unknown, ambiguous or
// inactive: who asks shall keep nothing of him.
func unknownUser() error {
	return fault.New(fault.NotFound, "user_not_found", "there is no active user of this name")
}

// userInfoRoutes registers the endpoint.
func (a *API) userInfoRoutes() {
	o := operation{id: "userInfo", method: http.MethodGet, path: "/user-info", need: feeding, decision: true}
	a.mux.HandleFunc("GET "+o.path, func(w http.ResponseWriter, r *http.Request) {
		began, status := time.Now(), http.StatusOK
		caller, err := a.enter(w, basicAsBearer(r), &o)
		defer func() {
			a.count(caller, o.id, status, "")
			a.metrics.request(o.id, strconv.Itoa(status), time.Since(began))
		}()
		var body []byte
		if err == nil {
			body, err = a.userInfo(r.URL.Query()["userid"])
		}
		if err != nil {
			status = a.refuseUserInfo(w, r, err)
			return
		}
		a.send(w, r, body)
	})
}

// basicAsBearer lets the password of HTTP Basic authentication stand for a bearer
// token. The user name says nothing that the key does not say.
func basicAsBearer(r *http.Request) *http.Request {
	values := r.Header.Values("Authorization")
	if len(values) != 1 || len(values[0]) > maxBasic {
		return r
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return r
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	_, password, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok || password == "" {
		return r // is refused as what it is: no bearer
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+password)
	return r
}

// maxBasic is more than any credential has in Basic authentication.
const maxBasic = 16 << 10

func (a *API) userInfo(ids []string) ([]byte, error) {
	if len(ids) != 1 || ids[0] == "" {
		return nil, fault.New(fault.Invalid, "bad_userid", "name one user in the query: ?userid=...")
	}
	snap, now := a.db.View().Now(), a.now()
	found := snap.FindUsers(ids[0])
	if len(found) != 1 {
		return nil, unknownUser()
	}
	u, _, ok := snap.User(found[0])
	if !ok || u.Status(now) != identity.Active {
		return nil, unknownUser()
	}
	body, err := json.Marshal(userInfoOf(snap, u), json.Deterministic(true))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "not_encoded", "the answer cannot be written: %w", err)
	}
	return body, nil
}

func userInfoOf(s *state.Snapshot, u *identity.User) userInfo {
	groups := groupsAbove(s, identity.UserMember(u.ID))
	out := userInfo{Groups: make([]userInfoGroup, len(groups)), Authorizations: plainAttributes(s, u, groups)}
	for i, g := range groups {
		out.Groups[i].Name, _ = s.Name(identity.GroupMember(g.id))
	}
	return out
}

// refuseUserInfo answers with an error in the form that the operations of the admin
// API have. It returns the status.
func (a *API) refuseUserInfo(w http.ResponseWriter, r *http.Request, err error) int {
	p := a.problem(r.Context(), err)
	maps.Copy(w.Header(), p.header)
	if p.Status == http.StatusUnauthorized {
		w.Header().Add("WWW-Authenticate", `Basic realm="rollcall", charset="UTF-8"`)
	}
	a.write(w, p)
	return p.Status
}
