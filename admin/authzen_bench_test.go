package admin_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

// The roll of the benchmark: 100,000 users, each in three of 2,000 groups, which are
// nested three deep; the permission that is asked for hangs on a group at the top.
const (
	benchUsers  = 100_000
	benchGroups = 2_000
	benchConns  = 8
)

type benchRoll struct {
	db      *state.DB
	users   []identity.UserID
	groups  []identity.GroupID
	members [][]identity.Member // of each group
	key     string
}

func newBenchRoll(b *testing.B) *benchRoll {
	b.Helper()
	kept := mem.New()
	db, err := state.Open(b.Context(), state.Options{Store: kept})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		_ = kept.Close()
	})
	const mark = "leader/test"
	rev, err := kept.Apply(b.Context(), store.Txn{Then: []store.Op{store.Put(mark, nil)}})
	if err != nil {
		b.Fatal(err)
	}
	r := &benchRoll{db: db}
	bulk := db.Bulk(tester, store.At(mark, rev), nil)
	snap := db.View().Now()
	for _, changes := range []iter.Seq[state.Change]{r.createUsers, r.createGroups, r.fillGroups} {
		if snap, err = bulk.Apply(b.Context(), snap, changes); err != nil {
			b.Fatal(err)
		}
	}
	app, cred := identity.NewUserID(), access.New(access.KindKey)
	r.key = cred.Reveal()
	for _, cs := range [][]state.Change{
		{state.Create{Member: identity.UserMember(app), Record: record(identity.Local, "app")}}, r.grants(app, cred),
	} {
		if rev, err = db.Decide(b.Context(), tester, func(*state.Snapshot) ([]state.Change, error) { return cs, nil }); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := db.View().AtLeast(b.Context(), rev); err != nil {
		b.Fatal(err)
	}
	return r
}

func (r *benchRoll) createUsers(yield func(state.Change) bool) {
	for i := range benchUsers {
		id := identity.NewUserID()
		r.users = append(r.users, id)
		if !yield(state.Create{Member: identity.UserMember(id), Record: record("corp", fmt.Sprint("user", i))}) {
			return
		}
	}
}

// createGroups makes the groups. The first tenth will be at the top, the second below
// it, the rest below that.
func (r *benchRoll) createGroups(yield func(state.Change) bool) {
	r.groups, r.members = make([]identity.GroupID, benchGroups), make([][]identity.Member, benchGroups)
	for i := range r.groups {
		r.groups[i] = identity.NewGroupID()
		if tenth := benchGroups / 10; i >= tenth {
			above := i % tenth
			if i >= 2*tenth {
				above += tenth
			}
			r.members[above] = append(r.members[above], identity.GroupMember(r.groups[i]))
		}
	}
	for i, u := range r.users {
		for n := range 3 {
			g := benchGroups/5 + (i*7+n*331)%(benchGroups*4/5)
			r.members[g] = append(r.members[g], identity.UserMember(u))
		}
	}
	for i, id := range r.groups {
		rec := &identity.Record{Source: "corp", Key: identity.Key(fmt.Sprint("group", i)), Name: fmt.Sprint("group", i)}
		if !yield(state.Create{Member: identity.GroupMember(id), Record: rec, Members: len(r.members[i])}) {
			return
		}
	}
}

func (r *benchRoll) fillGroups(yield func(state.Change) bool) {
	for i, id := range r.groups {
		if !yield(state.ChangeMembers{Group: id, Origin: "corp", Add: r.members[i]}) {
			return
		}
	}
}

// grants are to the groups at the top, half of them, and the application's own.
func (r *benchRoll) grants(app identity.UserID, cred access.Credential) []state.Change {
	cs := []state.Change{
		state.PutGrant{Grant: permissions.Grant{ID: "app", Permission: permissions.FetchPolicyInfo, Subject: identity.UserMember(app), Origin: "local"}},
		state.PutToken{Token: state.Token{ID: cred.ID(), Hash: cred.Hash(), User: app}},
	}
	for i := range benchGroups / 20 {
		cs = append(cs, state.PutGrant{Grant: permissions.Grant{
			ID: permissions.GrantID(fmt.Sprint("grant", i)), Permission: permissions.CreateProject, Subject: identity.GroupMember(r.groups[i]), Origin: "local",
		}})
	}
	return cs
}

// BenchmarkAuthZEN compares, in one run and with the same client: a handler of
// net/http that reads a body and answers with as many bytes as we do, a single
// evaluation, and evaluations by the hundred.
func BenchmarkAuthZEN(b *testing.B) {
	roll := newBenchRoll(b)
	api, err := admin.New(admin.Options{DB: roll.db, Sync: newFakeSync()})
	if err != nil {
		b.Fatal(err)
	}
	ours := newLoad(b, api, roll.key)
	body := func(i int) string {
		return question(roll.users[i*31%len(roll.users)].String(), "CREATE_PROJECT")
	}
	named := func(i int) string { return question(fmt.Sprint("user", i*31%len(roll.users)), "CREATE_PROJECT") }
	hundred := func(i int) string {
		var items []string
		for n := range 100 {
			items = append(items, fmt.Sprintf(`{"subject":{"type":"user","id":%q}}`, roll.users[(i*31+n)%len(roll.users)]))
		}
		return `{"action":{"name":"CREATE_PROJECT"},"resource":{"type":"application","id":"warehouse"},"evaluations":[` + strings.Join(items, ",") + `]}`
	}
	actions := func(i int) string {
		var items []string
		for n := range 100 {
			items = append(items, fmt.Sprintf(`{"action":{"name":%q}}`, []permissions.Permission{permissions.CreateProject, permissions.Audit, permissions.Governance, permissions.CreateFilter}[n%4]))
		}
		return fmt.Sprintf(`{"subject":{"type":"user","id":%q},"resource":{"type":"application","id":"warehouse"},"evaluations":[%s]}`, roll.users[i*31%len(roll.users)], strings.Join(items, ","))
	}
	for _, what := range []struct {
		name, path string
		body       func(int) string
		decisions  int
	}{
		{"single", evaluation, body, 1}, {"by-name", evaluation, named, 1}, {"hundred-users", evaluations, hundred, 100}, {"hundred-actions", evaluations, actions, 100},
	} {
		size := len(ours.conn(b).ask(b, ours.request(what.path, what.body(0))))
		bare := newLoad(b, bareHandler(size), roll.key)
		b.Run(what.name+"/bare", func(b *testing.B) { bare.run(b, what.path, what.body, what.decisions) })
		b.Run(what.name+"/rollcall", func(b *testing.B) { ours.run(b, what.path, what.body, what.decisions) })
	}
}

func bareHandler(size int) http.Handler {
	answer := []byte(strings.Repeat("x", size))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
	})
}

// load asks a handler over connections that are kept, with a client that does nearly
// nothing: what is measured is the server.
type load struct {
	address, key string
}

func newLoad(b *testing.B, h http.Handler, key string) *load {
	b.Helper()
	s := httptest.NewServer(h)
	b.Cleanup(s.Close)
	return &load{address: s.Listener.Addr().String(), key: key}
}

func (l *load) request(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, l.address, l.key, len(body), body)
}

type loadConn struct {
	net.Conn
	r    *bufio.Reader
	body []byte
}

func (l *load) conn(b *testing.B) *loadConn {
	c, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", l.address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return &loadConn{Conn: c, r: bufio.NewReader(c)}
}

// ask sends a request and returns the body of the answer, which must be a 200.
func (c *loadConn) ask(b *testing.B, request []byte) []byte {
	if _, err := c.Write(request); err != nil {
		b.Error(err)
		return nil
	}
	size := -1
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil || first && !strings.HasPrefix(string(line), "HTTP/1.1 200") {
			b.Errorf("answer %q, %v", line, err)
			return nil
		}
		if len(line) == 2 {
			break
		}
		if rest, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			if size, err = strconv.Atoi(strings.TrimSpace(rest)); err != nil {
				b.Error(err)
			}
		}
	}
	if size > cap(c.body) {
		c.body = make([]byte, size)
	}
	c.body = c.body[:max(size, 0)]
	if _, err := io.ReadFull(c.r, c.body); err != nil || size < 0 {
		b.Errorf("answer of %d bytes: %v", size, err)
	}
	return c.body
}

// run shares b.N requests out among the connections.
func (l *load) run(b *testing.B, path string, body func(int) string, decisions int) {
	requests := make([][]byte, 256)
	for i := range requests {
		requests[i] = l.request(path, body(i))
	}
	conns := make([]*loadConn, benchConns)
	for i := range conns {
		conns[i] = l.conn(b)
		conns[i].ask(b, requests[i])
	}
	b.ResetTimer()
	began, used := time.Now(), cpuTime(b)
	var all sync.WaitGroup
	for i, c := range conns {
		all.Go(func() {
			for n := i; n < b.N; n += benchConns {
				c.ask(b, requests[n%len(requests)])
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N*decisions)/time.Since(began).Seconds(), "decisions/s")
	// What the neighbors of a busy machine take does not count here.
	b.ReportMetric(float64(cpuTime(b)-used)/float64(b.N*decisions), "cpu-ns/decision")
}

// cpuTime is what the process, server and client, has used so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
