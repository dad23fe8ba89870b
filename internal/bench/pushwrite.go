package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

const patchURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// patchBody is a PATCH of operations.
func patchBody(ops ...string) string {
	return `{"schemas":["` + patchURN + `"],"Operations":[` + strings.Join(ops, ",") + `]}`
}

// A durable write is measured writeRounds times, each write after the same floor.
const writeRounds = 5

// durable is a way of writing.
type durable struct {
	method string
	status int
	make   func(n int) []byte
}

// writes holds durable writes against appending a kilobyte.
func (p *pushBench) writes(users int) error {
	var posted, changed atomic.Int64
	posted.Store(int64(users))
	all := []durable{
		{"POST", http.StatusCreated, func(int) []byte {
			return p.request(pushedID, "POST", "/Users", userBody("8"+number(int(posted.Add(1)))))
		}},
		{"PUT", http.StatusOK, func(n int) []byte {
			n = n * 7919 % users
			body := strings.Replace(userBody(number(n)), "Engineer", fmt.Sprintf("E%d", changed.Add(1)), 1)
			return p.request(pushedID, "PUT", "/Users/"+p.ids[n], body)
		}},
		{"PATCH", http.StatusOK, func(n int) []byte {
			return p.request(pushedID, "PATCH", "/Users/"+p.ids[n*7919%users], patchBody(fmt.Sprintf(`{"op":"replace","path":"title","value":"P%d"}`, changed.Add(1))))
		}},
	}
	for _, clients := range []int{1, 32} {
		rates, err := p.durable(all, clients)
		if err != nil {
			return err
		}
		for i, q := range all {
			p.rates(fmt.Sprintf("durable %s, %s users, %d clients; a server that appends the same kilobyte, one fsync for all who wait", q.method, thousands(users), clients), rates[i], 0.35)
		}
	}
	return nil
}

// durable measures all in turn with one floor. The heap is collected before the floor,
// which shares it and would else pay for what the daemon left: what the daemon leaves is
// collected on its own time.
func (p *pushBench) durable(all []durable, clients int) (rates []pairs, err error) {
	rates = make([]pairs, len(all))
	floor := durable{"POST", http.StatusOK, func(int) []byte { return p.request(pushedID, "POST", "/Users", userBody(number(1))) }}
	err = p.onAppender(func(host string) error {
		for range writeRounds {
			runtime.GC()
			bare, err := p.wrote(host, clients, floor)
			if err != nil {
				return err
			}
			for i, q := range all {
				ours, err := p.wrote(p.host, clients, q)
				if err != nil {
					return err
				}
				rates[i].add(bare, ours)
			}
		}
		return nil
	})
	return rates, err
}

// wrote returns how many writes a second there were.
func (p *pushBench) wrote(host string, clients int, q durable) (rate float64, err error) {
	m, err := drive{host: host, clients: clients, want: q.status, until: pushTime, request: func(_, n int) []byte { return q.make(n) }}.run(p.ctx)
	return m.rate, err
}

func (p *pushBench) members(op string, ids []string) string {
	values := make([]string, len(ids))
	for i, id := range ids {
		values[i] = `{"value":"` + id + `"}`
	}
	return patchBody(`{"op":"` + op + `","path":"members","value":[` + strings.Join(values, ",") + `]}`)
}

func groupBody(name string) string {
	return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"` + name + `"}`
}

// grown makes a group of users, in batches.
func (p *pushBench) grown(name string, size, batch int) (id string, took time.Duration, err error) {
	if id, err = p.posted(pushedID, "/Groups", groupBody(name)); err != nil {
		return id, 0, err
	}
	ask := drive{host: p.host, clients: 1, want: http.StatusNoContent, request: func(_, n int) []byte {
		if n*batch >= size {
			return nil
		}
		return p.request(pushedID, "PATCH", "/Groups/"+id+"?excludedAttributes=members", p.members("add", p.ids[n*batch:min((n+1)*batch, size)]))
	}}
	if ask.want, err = p.patchStatus(id); err != nil {
		return id, 0, err
	}
	m, err := ask.run(p.ctx)
	return id, m.took, err
}

// patchStatus asks how a PATCH of a group is answered: with the group, or with nothing.
func (p *pushBench) patchStatus(group string) (int, error) {
	w, err := dial(p.ctx, p.host)
	if err != nil {
		return 0, err
	}
	defer func() { _ = w.c.Close() }()
	return w.ask(p.request(pushedID, "PATCH", "/Groups/"+group+"?excludedAttributes=members", patchBody(`{"op":"replace","path":"displayName","value":"`+group+`"}`)), nil)
}

// groups measures groups of all sizes.
func (p *pushBench) groups(users int) error {
	sizes := []int{10, users / 10, users}
	var ids []string
	for _, size := range sizes {
		id, _, err := p.grown(fmt.Sprintf("of %d", size), size, 1000)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if err := p.withoutMembers(sizes, ids); err != nil {
		return err
	}
	if err := p.oneMember(users, sizes, ids); err != nil {
		return err
	}
	if err := p.noneLost(users, ids[0]); err != nil {
		return err
	}
	return p.growing(users / 2)
}

// growing times a group that grows.
func (p *pushBench) growing(members int) error {
	_, took, err := p.grown("in batches", members, 100)
	p.add(fmt.Sprintf("a group grown to %s members in batches of 100", thousands(members)), "", fmt.Sprintf("%.2f s", took.Seconds()), "", "at most 2 s", took <= 2*time.Second)
	return err
}

// withoutMembers holds the fastest of each against one another: what is asked is the
// same, so that only the neighbors of the machine can tell them apart.
func (p *pushBench) withoutMembers(sizes []int, ids []string) error {
	last := len(ids) - 1
	var fastest [2]float64
	for range pushRounds {
		for i, id := range []string{ids[0], ids[last]} {
			request := p.request(pushedID, "GET", "/Groups/"+id+"?excludedAttributes=members", "")
			m, err := drive{host: p.host, clients: 1, want: http.StatusOK, until: pushTime, request: func(int, int) []byte { return request }}.run(p.ctx)
			if err != nil {
				return err
			}
			if fastest[i] == 0 || m.p50 < fastest[i] {
				fastest[i] = m.p50
			}
		}
	}
	few, many := fastest[0], fastest[1]
	p.add(fmt.Sprintf("a group without its members, median answer, of %s; of %d", thousands(sizes[last]), sizes[0]),
		micros(few), micros(many), fmt.Sprintf("%.2f", many/few), "at most 1.2 x", many <= 1.2*few)
	return nil
}

// oneMember adds and removes one member: each client its own, again and again.
func (p *pushBench) oneMember(users int, sizes []int, ids []string) error {
	status, err := p.patchStatus(ids[0])
	if err != nil {
		return err
	}
	for _, clients := range []int{1, 32} {
		rates := make([][]float64, len(sizes))
		for range pushRounds {
			for i, id := range ids {
				in := make([]bool, clients)
				m, err := drive{host: p.host, clients: clients, want: status, until: pushTime, request: func(c, _ int) []byte {
					op := "remove"
					if in[c] {
						op = "add"
					}
					in[c] = !in[c]
					who := p.ids[c%sizes[i]]
					if sizes[i] < clients { // of a small group: who is not in it comes and goes
						who = p.ids[users/2+c]
					}
					return p.request(pushedID, "PATCH", "/Groups/"+id+"?excludedAttributes=members", p.members(op, []string{who}))
				}}.run(p.ctx)
				if err != nil {
					return err
				}
				rates[i] = append(rates[i], m.rate)
			}
		}
		few := slices.Max(rates[0])
		for i := 1; i < len(sizes); i++ {
			rate := slices.Max(rates[i])
			p.add(fmt.Sprintf("one member added or removed, group of %s, %d clients; of %d", thousands(sizes[i]), clients, sizes[0]),
				perSecond(few), perSecond(rate), fmt.Sprintf("%.2f x slower", few/rate), "at most 1.5 x slower", rate*1.5 >= few)
		}
	}
	return nil
}

// noneLost has many clients add to a group at once, and counts.
func (p *pushBench) noneLost(users int, group string) error {
	const clients, each = 32, 16
	status, err := p.patchStatus(group)
	if err != nil {
		return err
	}
	m, err := drive{host: p.host, clients: clients, want: status, request: func(_, n int) []byte {
		if n >= clients*each {
			return nil
		}
		return p.request(pushedID, "PATCH", "/Groups/"+group+"?excludedAttributes=members", p.members("add", p.ids[users/4+n:users/4+n+1]))
	}}.run(p.ctx)
	if err != nil {
		return err
	}
	b, err := p.once(http.StatusOK, p.request(pushedID, "GET", "/Groups/"+group, ""))
	found := 0
	for n := range clients * each {
		if bytes.Contains(b, []byte(p.ids[users/4+n])) {
			found++
		}
	}
	p.add(fmt.Sprintf("%d clients add %d members to one group at once (%s)", clients, clients*each, perSecond(m.rate)), "", fmt.Sprintf("%d lost", clients*each-found), "", "none lost", found == clients*each)
	return err
}

// The first cycle of a provider.
const (
	cycleUsers   = 10_000
	cycleGroups  = 200
	cycleMembers = 50 // of each group
	cycleClients = 32
)

// cycles runs the first cycle of each provider, at a tenth of the size for small tables.
func (p *pushBench) cycles(users int) error {
	scale := max(1, 100_000/users)
	for _, c := range []struct {
		source identity.SourceID
		name   string
	}{{entraID, "Entra-like"}, {oktaID, "Okta-like"}} {
		took, requests, err := p.cycle(c.source, cycleUsers/scale, max(1, cycleGroups/scale))
		if err != nil {
			return err
		}
		p.add(fmt.Sprintf("%s first cycle, %s users and %d groups of %d, %d clients, %s requests", c.name, thousands(cycleUsers/scale), max(1, cycleGroups/scale), cycleMembers, cycleClients, thousands(requests)),
			"", fmt.Sprintf("%.2f s", took.Seconds()), "", "at most 4 s", took <= 4*time.Second)
	}
	return nil
}

// cycle looks everybody up, makes those who are not there, then the groups, and then
// fills them.
func (p *pushBench) cycle(source identity.SourceID, users, groups int) (took time.Duration, requests int, err error) {
	began := time.Now()
	people, err := p.provision(source, users, func(n int) (lookup, make string) {
		id := "9" + number(n)
		if source == entraID {
			return filtered(`externalId eq "00u` + id + `"`), strings.Replace(userBody(id), `"active":true`, `"active":"True"`, 1)
		}
		return filtered(`userName eq "user` + id + `@example.org"`), userBody(id)
	}, "/Users")
	if err != nil {
		return 0, 0, err
	}
	teams, err := p.provision(source, groups, func(n int) (lookup, make string) {
		name := fmt.Sprintf("Team %d", n)
		return "/Groups?excludedAttributes=members&filter=" + strings.TrimPrefix(filtered(`displayName eq "`+name+`"`), "/Users?filter="), groupBody(name)
	}, "/Groups")
	if err != nil {
		return 0, 0, err
	}
	err = p.eachOf(groups, func(w *wire, n int) error {
		of := make([]string, cycleMembers)
		for i := range of {
			of[i] = people[(n*cycleMembers+i)%users]
		}
		body := p.members("Add", of)
		if source == oktaID {
			body = p.members("add", of)
		}
		status, err := w.ask(p.request(source, "PATCH", "/Groups/"+teams[n], body), nil)
		if err == nil && status/100 != 2 {
			err = fmt.Errorf("members are answered with %d", status)
		}
		return err
	})
	return time.Since(began), 2*users + 3*groups, err
}

// provision looks n resources up, makes them, and returns their ids.
func (p *pushBench) provision(source identity.SourceID, n int, of func(n int) (lookup, make string), path string) ([]string, error) {
	ids := make([]string, n)
	err := p.eachOf(n, func(w *wire, n int) error {
		lookup, body := of(n)
		status, err := w.ask(p.request(source, "GET", lookup, ""), nil)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("a look-up is answered with %d: %w", status, errors.Join(err, errors.New("not as wanted")))
		}
		var made bytes.Buffer
		if status, err = w.ask(p.request(source, "POST", path, body), &made); err != nil || status != http.StatusCreated {
			return fmt.Errorf("POST is answered with %d, %s: %w", status, made.Bytes(), errors.Join(err, errors.New("not as wanted")))
		}
		_, rest, _ := strings.Cut(made.String(), `"id":"`)
		ids[n], _, _ = strings.Cut(rest, `"`)
		return nil
	})
	return ids, err
}
