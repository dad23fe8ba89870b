package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	gosync "sync"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/app"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// The load on the daemon: so many connections, each for so long.
const (
	answerConns = 8
	answerTime  = 2 * time.Second
)

// endow writes the grants, and an application that may ask about everybody. It returns
// the application's key.
func (w *worker) endow(ctx context.Context) (reply, error) {
	if _, err := w.grant(ctx); err != nil {
		return reply{}, err
	}
	id, cred := identity.NewUserID(), access.New(access.KindKey)
	_, err := w.db.Commit(ctx, audit.Actor{Kind: audit.ActorSystem, ID: "bench"},
		state.Create{Member: identity.UserMember(id), Record: &identity.Record{Source: identity.Local, Key: identity.Key(id.String()), Name: "bench"}},
		state.PutGrant{Grant: permissions.Grant{ID: "bench", Permission: permissions.FetchPolicyInfo, Subject: identity.UserMember(id), By: "bench", At: time.Now(), Origin: identity.Origin(identity.Local)}},
		state.PutToken{Token: state.Token{ID: cred.ID(), Hash: cred.Hash(), User: id, By: "bench"}})
	a := reply{Key: cred.Reveal()}
	snap := w.db.View().Now()
	n := 0
	for row := range snap.Users(identity.UserID{}, time.Now()) {
		if u, ok := row.Member.User(); ok && row.Source == sourceID && n%31 == 0 && len(a.Users) < 256 {
			a.Users = append(a.Users, person{u.String(), row.Name})
		}
		n++
	}
	return a, err
}

// answers starts the daemon on a store and asks it in each way, and a bare handler with
// as many bytes in turn.
func (w *worker) answers(ctx context.Context, r request) (a reply, err error) {
	dir, err := os.MkdirTemp("", "rollcall-bench-")
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "rollcall.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\nhealth: off\nstore: {dir: %q}\nbootstrap_token_file: %q\nlimits: {per_key: {rate: 0}}\n", r.Dir, filepath.Join(dir, "token"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return a, err
	}
	c, err := app.LoadConfig(file, nil)
	if err != nil {
		return a, err
	}
	d, err := app.New(app.Options{Config: c, Version: "bench"})
	if err != nil {
		return a, err
	}
	if err := d.Start(ctx); err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, d.Stop(ctx)) }()
	u, err := url.Parse(d.URL())
	if err != nil {
		return a, err
	}
	for _, q := range questions(r.Users) {
		var p pairs
		ours := asker{u.Host, q.path, r.Key, q.bodies}
		size, err := ours.size(ctx)
		if err != nil {
			return a, fmt.Errorf("%s: %w", q.name, err)
		}
		for range rounds {
			floor, err := bare(ctx, ours, size)
			if err != nil {
				return a, err
			}
			rate, err := ours.rate(ctx)
			if err != nil {
				return a, fmt.Errorf("%s: %w", q.name, err)
			}
			p.add(floor, rate)
		}
		a.Rates = append(a.Rates, rates{q.name, q.decisions, p.floor, p.ours})
	}
	return a, nil
}

// asked is one way of asking.
type asked struct {
	name, path string
	decisions  int
	bodies     []string
}

// person is somebody who is asked about, by id and by login name.
type person struct{ ID, Name string }

func questions(people []person) []asked {
	const resource = `"resource":{"type":"application","id":"warehouse"}`
	subject := func(who string) string { return fmt.Sprintf(`"subject":{"type":"user","id":%q}`, who) }
	const action = `"action":{"name":"CREATE_PROJECT"}`
	names := []string{"CREATE_PROJECT", "AUDIT", "GOVERNANCE", "CREATE_FILTER"}
	out := []asked{
		{name: "one decision", path: "/access/v1/evaluation", decisions: 1},
		{name: "one decision, by login name", path: "/access/v1/evaluation", decisions: 1},
		{name: "a hundred users", path: "/access/v1/evaluations", decisions: 100},
		{name: "a hundred actions", path: "/access/v1/evaluations", decisions: 100},
	}
	for i, p := range people {
		var users, actions []string
		for n := range 100 {
			users = append(users, "{"+subject(people[(i+n*7)%len(people)].ID)+"}")
			actions = append(actions, fmt.Sprintf(`{"action":{"name":%q}}`, names[n%len(names)]))
		}
		for n, body := range []string{
			subject(p.ID) + "," + action, subject(p.Name) + "," + action,
			action + `,"evaluations":[` + strings.Join(users, ",") + "]", subject(p.ID) + `,"evaluations":[` + strings.Join(actions, ",") + "]",
		} {
			out[n].bodies = append(out[n].bodies, "{"+resource+","+body+"}")
		}
	}
	return out
}

// asker asks the same questions over and over.
type asker struct {
	host, path, key string
	bodies          []string
}

func (q asker) request(i int) []byte {
	body := q.bodies[i%len(q.bodies)]
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", q.path, q.host, q.key, len(body), body)
}

func (q asker) size(ctx context.Context) (n int, err error) {
	err = q.connected(ctx, func(ask func([]byte) (int, error)) error {
		n, err = ask(q.request(0))
		return err
	})
	return n, err
}

// rate returns how many requests a second are answered.
func (q asker) rate(ctx context.Context) (float64, error) {
	var all gosync.WaitGroup
	counts, errs := make([]int, answerConns), make([]error, answerConns)
	began := time.Now()
	for i := range answerConns {
		all.Go(func() {
			requests := make([][]byte, len(q.bodies))
			for n := range requests {
				requests[n] = q.request(n)
			}
			errs[i] = q.connected(ctx, func(ask func([]byte) (int, error)) error {
				for n := i; time.Since(began) < answerTime; n++ {
					if _, err := ask(requests[n%len(requests)]); err != nil {
						return err
					}
					counts[i]++
				}
				return nil
			})
		})
	}
	all.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(sum) / time.Since(began).Seconds(), errors.Join(errs...)
}

// connected calls f with a function that asks over one connection and returns how long
// the body of the answer was, which must be a 200. It does as little as it can: what is
// measured is the server.
func (q asker) connected(ctx context.Context, f func(ask func([]byte) (int, error)) error) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", q.host)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	return f(func(request []byte) (int, error) {
		if _, err := c.Write(request); err != nil {
			return 0, err
		}
		size := -1
		for first := true; ; first = false {
			line, err := r.ReadString('\n')
			if err != nil || first && !strings.HasPrefix(line, "HTTP/1.1 200") {
				return 0, fmt.Errorf("the answer is %q: %w", line, errors.Join(err, errors.New("want a 200")))
			}
			if len(line) == 2 {
				break
			}
			if rest, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				if size, err = strconv.Atoi(strings.TrimSpace(rest)); err != nil {
					return 0, err
				}
			}
		}
		if size < 0 {
			return 0, errors.New("an answer without a length")
		}
		return r.Discard(size)
	})
}

// bare measures a handler that reads a body and answers with size bytes.
func bare(ctx context.Context, q asker, size int) (rate float64, err error) {
	answer := []byte(strings.Repeat("x", size))
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
	})}
	var served gosync.WaitGroup
	served.Go(func() { _ = s.Serve(l) })
	defer served.Wait()
	defer func() { err = errors.Join(err, s.Close()) }()
	q.host = l.Addr().String()
	return q.rate(ctx)
}

// rates are requests a second in one way of asking.
type rates struct {
	Name      string    `json:"name"`
	Decisions int       `json:"decisions"`
	Floor     []float64 `json:"floor"`
	Ours      []float64 `json:"ours"`
}

// authzen holds AuthZEN over HTTP against a bare handler, and batches against single calls.
func (b *bench) authzen(ctx context.Context, s *sized) error {
	var endowed reply
	err := b.onStore(ctx, request{Dir: s.store}, func(c *child, _ reply) (err error) {
		endowed, err = c.call(ctx, request{Do: "endow"})
		return err
	})
	if err != nil {
		return err
	}
	a, err := once(ctx, request{Do: "answers", Dir: s.store, Key: endowed.Key, Users: endowed.Users})
	if err != nil {
		return err
	}
	single := median(a.Rates[0].Ours)
	for i, r := range a.Rates {
		floor, ours := median(r.Floor), median(r.Ours)
		x := row{
			fmt.Sprintf("AuthZEN over HTTP, %s users, nested groups: %s; a bare handler with as many bytes", thousands(s.d.Users), r.Name),
			perSecond(floor), perSecond(ours), fmt.Sprintf("%.2f", ours/floor), "at least 0.6", ours >= 0.6*floor,
		}
		if r.Decisions > 1 {
			times := ours * float64(r.Decisions) / single
			x.bar, x.met = "at least 20 x the decisions of single calls", times >= 20
			x.ratio = fmt.Sprintf("%.1f x (%.2f of the bare handler)", times, ours/floor)
		}
		if b.table.add(x); i == 0 {
			b.table.note("AuthZEN: the daemon itself, embedded etcd, %d connections; the client shares the cores", answerConns)
		}
	}
	return nil
}

func perSecond(rate float64) string { return thousands(int(rate)) + " requests a second" }
