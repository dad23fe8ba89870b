package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/scim"
)

// The size of the storm that a provider makes. Each batch is users that are made,
// changed twice and put into a group, and one of them that leaves again.
const (
	pushWriters  = 8
	pushBatch    = 5
	pushBatchOps = 3*pushBatch + 2
	pushOps      = 2000 // unless ROLLCALL_PUSH_OPERATIONS says otherwise
)

// pushedUser is a user as the provider sees him: what was tried, and what was
// acknowledged. "seq" is his title and his nickname, which change together.
type pushedUser struct {
	name, id            string
	made, doubted       bool // acknowledged; asked for and not answered
	tried, seq          int
	joinTried, joined   bool
	leaveTried, hasLeft bool
	group               int
}

// pushStorm is a provider that pushes from many sides and asks again until it has an
// answer.
type pushStorm struct {
	t      *testing.T
	v      *victim
	token  string
	client *http.Client
	groups []string // ids, one of each writer
	users  []pushedUser

	gate  sync.RWMutex // held by each request, and closed while the daemon is looked at
	acked atomic.Int64
	due   chan struct{} // it is time to kill
	kills int
}

// TestNothingPushedIsLostToAKill kills the daemon again and again while a provider
// pushes: what was acknowledged is there, a request is done or not at all, and asking
// again brings about what was meant.
func TestNothingPushedIsLostToAKill(t *testing.T) {
	newPushStorm(t, "").rage()
}

// TestNothingLinkedIsLostToAKill is the same where the people whom the provider pushes are
// people who were made here, or, every other one, nobody's: a record that is linked is not
// half of somebody, and its user stays when it goes.
func TestNothingLinkedIsLostToAKill(t *testing.T) {
	s := newPushStorm(t, ", use: attributes, link: {to: local, by: name}")
	mine := func(i int) bool { return i%2 == 0 }
	for i := range s.users {
		if mine(i) {
			if got := s.v.ask("POST", "/v1/users", fmt.Sprintf(`{"userName":%q}`, s.users[i].name), nil); got != 201 {
				t.Fatalf("POST of a user = %d", got)
			}
		}
	}
	s.rage()
	s.v.start()
	for i := range s.users {
		var got struct {
			Source string `json:"source"`
			Linked []struct {
				Source string `json:"source"`
				Gone   string `json:"missingTime"`
				Groups []any  `json:"groups"`
			} `json:"linked"`
		}
		u := &s.users[i]
		status := s.v.ask("GET", "/v1/users/okta%2F"+u.name, "", &got)
		if !mine(i) {
			if status != 404 {
				t.Errorf("%s is nobody's, and GET is %d", u.name, status)
			}
			continue
		}
		if status != 200 || got.Source != "local" || len(got.Linked) != 1 || (got.Linked[0].Gone != "") != u.hasLeft || (len(got.Linked[0].Groups) == 1) == u.hasLeft {
			t.Errorf("%+v is %d %+v", *u, status, got)
		}
	}
	s.v.kill()
}

// rage pushes everything while the daemon is killed, and looks at what comes of it.
func (s *pushStorm) rage() {
	t := s.t
	var writers sync.WaitGroup
	defer writers.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for w := range pushWriters {
		writers.Go(func() { s.writer(ctx, w) })
	}
	for range s.kills {
		<-s.due
		s.killOnce()
	}
	writers.Wait()
	s.check()
	for i := range s.users {
		u := &s.users[i]
		if !u.made || u.seq != 2 || !u.joined || u.hasLeft != (i%pushBatch == 0) {
			t.Errorf("the provider did not get through with %+v", *u)
		}
	}
	t.Logf("%d operations acknowledged, %d kills", s.acked.Load(), s.kills)
	s.v.kill()
}

func newPushStorm(t *testing.T, source string) *pushStorm {
	ops := pushOps
	if n, err := strconv.Atoi(os.Getenv("ROLLCALL_PUSH_OPERATIONS")); err == nil {
		ops = n
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "rollcall.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\nhealth: off\nstore: {dir: %q}\nbootstrap_token_file: %q\nlimits: {per_key: {rate: 0}}\nsources:\n  - {name: okta, type: scim, preset: okta%s}\n",
		filepath.Join(dir, "store"), filepath.Join(dir, "token"), source)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, file: file}
	v.start()
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	var root struct {
		APIKey string `json:"apiKey"`
	}
	if got := v.ask("POST", "/v1/bootstrap", fmt.Sprintf(`{"token":%q,"userName":"root"}`, strings.TrimSpace(string(token))), &root); got != 201 {
		t.Fatalf("bootstrap = %d", got)
	}
	v.key = root.APIKey
	var made struct {
		Secret string `json:"secret"`
	}
	if got := v.ask("POST", "/v1/sources/okta/tokens", `{"name":"storm"}`, &made); got != 201 {
		t.Fatalf("token = %d", got)
	}
	s := &pushStorm{
		t: t, v: v, token: made.Secret, kills: 2 + ops/1000,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pushWriters}},
		users:  make([]pushedUser, (ops+pushBatchOps-1)/pushBatchOps*pushBatch),
	}
	s.due = make(chan struct{}, s.kills)
	t.Cleanup(s.client.CloseIdleConnections)
	for i := range s.users {
		s.users[i].name = fmt.Sprintf("user%05d", i)
		s.users[i].group = i / pushBatch % pushWriters
	}
	for w := range pushWriters {
		var g struct {
			ID string `json:"id"`
		}
		if got := s.ask("POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"of %d"}`, w), &g); got != 201 {
			t.Fatalf("group = %d", got)
		}
		s.groups = append(s.groups, g.ID)
	}
	return s
}

// ask returns the status, or 0 when there was no whole answer.
func (s *pushStorm) ask(method, path, body string, into any) int {
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.v.url+scim.Prefix+"okta"+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	if into != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(b, into); err != nil {
			s.t.Errorf("%s %s is answered with %d and %s", method, path, resp.StatusCode, b)
		}
	}
	return resp.StatusCode
}

// killOnce kills while requests are under way, and looks at what the next daemon finds.
func (s *pushStorm) killOnce() {
	s.v.kill()
	s.gate.Lock()
	defer s.gate.Unlock()
	s.v.start()
	s.check()
}

// until asks again until there is an answer.
func (s *pushStorm) until(ctx context.Context, f func() (answered bool)) {
	for ctx.Err() == nil {
		s.gate.RLock()
		answered := f()
		s.gate.RUnlock()
		if answered {
			if s.acked.Add(1)%int64(len(s.users)/pushBatch*pushBatchOps/(s.kills+1)) == 0 {
				select {
				case s.due <- struct{}{}:
				default:
				}
			}
			return
		}
	}
}

// answered tells an answer that is wanted from none, and complains of any other.
func (s *pushStorm) answered(what string, status int, want ...int) bool {
	if slices.Contains(want, status) {
		return true
	}
	if status != 0 {
		s.t.Errorf("%s is answered with %d", what, status)
	}
	return false
}

func (s *pushStorm) writer(ctx context.Context, w int) {
	for at := w * pushBatch; at < len(s.users); at += pushWriters * pushBatch {
		batch := s.users[at : at+pushBatch]
		for i := range batch {
			s.until(ctx, func() bool { return s.create(&batch[i]) })
		}
		for i := range batch {
			s.until(ctx, func() bool { return s.patch(&batch[i]) })
		}
		s.until(ctx, func() bool { return s.join(w, batch) })
		for i := range batch {
			s.until(ctx, func() bool { return s.put(&batch[i]) })
		}
		s.until(ctx, func() bool { return s.leave(&batch[0]) })
	}
}

func (u *pushedUser) body(seq int) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"externalId":"x-%s","userName":%q,"title":"%d","nickName":"%d","active":true}`, u.name, u.name, seq, seq)
}

// create makes a user. Whoever had no answer may find that he is there.
func (s *pushStorm) create(u *pushedUser) bool {
	var got struct {
		ID string `json:"id"`
	}
	status := s.ask("POST", "/Users", u.body(0), &got)
	if status == http.StatusConflict && u.doubted {
		var list struct {
			Resources []struct {
				ID string `json:"id"`
			} `json:"Resources"`
		}
		if s.ask("GET", "/Users?filter="+url.QueryEscape(`userName eq "`+u.name+`"`), "", &list) != http.StatusOK {
			return false
		}
		if len(list.Resources) != 1 {
			s.t.Errorf("%s is taken, and found %d times", u.name, len(list.Resources))
			return false
		}
		u.id, u.made = list.Resources[0].ID, true
		return true
	}
	if !s.answered("POST of "+u.name, status, http.StatusCreated) {
		u.doubted = true
		return false
	}
	u.id, u.made = got.ID, true
	return true
}

func (s *pushStorm) patch(u *pushedUser) bool {
	u.tried = 1
	if !s.answered("PATCH of "+u.name, s.ask("PATCH", "/Users/"+u.id,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"1"},{"op":"replace","path":"nickName","value":"1"}]}`, nil), 200, 204) {
		return false
	}
	u.seq = 1
	return true
}

func (s *pushStorm) put(u *pushedUser) bool {
	u.tried = 2
	if !s.answered("PUT of "+u.name, s.ask("PUT", "/Users/"+u.id, u.body(2), nil), 200) {
		return false
	}
	u.seq = 2
	return true
}

func (s *pushStorm) join(group int, batch []pushedUser) bool {
	var values []string
	for i := range batch {
		values = append(values, `{"value":"`+batch[i].id+`"}`)
		batch[i].joinTried = true
	}
	if !s.answered("PATCH of a group", s.ask("PATCH", "/Groups/"+s.groups[group],
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[`+strings.Join(values, ",")+`]}]}`, nil), 200, 204) {
		return false
	}
	for i := range batch {
		batch[i].joined = true
	}
	return true
}

// leave takes a user away. Whoever had no answer may find that he is gone.
func (s *pushStorm) leave(u *pushedUser) bool {
	want := []int{204}
	if u.leaveTried {
		want = append(want, 404)
	}
	status := s.ask("DELETE", "/Users/"+u.id, "", nil)
	u.leaveTried = true
	if !s.answered("DELETE of "+u.name, status, want...) {
		return false
	}
	u.hasLeft = true
	return true
}

// found is a user as the daemon shows him.
type found struct {
	ID       string `json:"id"`
	UserName string `json:"userName"`
	Title    string `json:"title"`
	NickName string `json:"nickName"`
}

// check holds what the daemon shows against what was asked for.
func (s *pushStorm) check() {
	s.t.Helper()
	there := s.everybody()
	members := make([]map[string]bool, len(s.groups))
	for i, id := range s.groups {
		var g struct {
			Members []struct {
				Value string `json:"value"`
			} `json:"members"`
		}
		if got := s.ask("GET", "/Groups/"+id, "", &g); got != 200 {
			s.t.Fatalf("GET of a group = %d", got)
		}
		members[i] = map[string]bool{}
		for _, m := range g.Members {
			members[i][m.Value] = true
		}
	}
	for i := range s.users {
		u := &s.users[i]
		s.checkUser(u, there, members[u.group])
		delete(there, u.name)
	}
	for name := range there {
		s.t.Errorf("%s was never pushed", name)
	}
	for at := 0; at < len(s.users); at += pushBatch { // who leaves may be gone
		first := members[s.users[at].group][s.users[at+1].id]
		for _, u := range s.users[at+2 : at+pushBatch] {
			if members[u.group][u.id] != first && u.id != "" {
				s.t.Errorf("of the batch of %s only some are in the group", u.name)
			}
		}
	}
}

func (s *pushStorm) checkUser(u *pushedUser, there map[string]found, members map[string]bool) {
	s.t.Helper()
	f, ok := there[u.name]
	switch {
	case u.hasLeft && ok, u.made && !u.leaveTried && !ok, ok && !u.made && !u.doubted:
		s.t.Errorf("%+v: there is %v", *u, ok)
	case !ok:
		if u.id != "" && members[u.id] {
			s.t.Errorf("%+v is gone, and still in the group", *u)
		}
		return
	}
	seq, err := strconv.Atoi(f.Title)
	if err != nil || f.Title != f.NickName || seq < u.seq || seq > u.tried || u.made && f.ID != u.id {
		s.t.Errorf("%+v is found as %+v", *u, f)
	}
	if in := members[f.ID]; u.joined && !in || in && !u.joinTried {
		s.t.Errorf("%+v is in the group: %v", *u, in)
	}
}

// everybody returns all users, by their names, each of whom is there once.
func (s *pushStorm) everybody() map[string]found {
	s.t.Helper()
	there := map[string]found{}
	for {
		var page struct {
			Total     int     `json:"totalResults"`
			Resources []found `json:"Resources"`
		}
		if got := s.ask("GET", fmt.Sprintf("/Users?count=1000&startIndex=%d", len(there)+1), "", &page); got != 200 {
			s.t.Fatalf("GET of all users = %d", got)
		}
		for _, f := range page.Resources {
			if _, twice := there[f.UserName]; twice {
				s.t.Fatalf("%s is there twice", f.UserName)
			}
			there[f.UserName] = f
		}
		if len(there) >= page.Total || len(page.Resources) == 0 {
			return there
		}
	}
}
