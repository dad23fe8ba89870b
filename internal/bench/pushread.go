package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// reading is a way of asking, held against a bare handler with the same bytes.
type reading struct {
	name string
	bar  float64
	path func(n int) string
}

func filtered(filter string) string { return "/Users?filter=" + url.QueryEscape(filter) }

// reads asks for single users in each way.
func (p *pushBench) reads(users int) error {
	for _, q := range []reading{
		{"GET by id", 0.65, func(n int) string { return "/Users/" + p.ids[n*7919%users] }},
		{"userName eq", 0.5, func(n int) string { return filtered(`userName eq "user` + number(n*7919%users) + `@example.org"`) }},
		{"externalId eq", 0.5, func(n int) string { return filtered(`externalId eq "00u` + number(n*7919%users) + `"`) }},
	} {
		for _, clients := range []int{1, 32} {
			m, err := p.against(fmt.Sprintf("%s, %s users, %d clients", q.name, thousands(users), clients), clients, q)
			if err != nil {
				return err
			}
			if clients == 1 {
				p.p50[q.name] = append(p.p50[q.name], m)
			}
		}
	}
	return nil
}

// against adds a row of rates, and returns the median answer of the fastest round.
func (p *pushBench) against(what string, clients int, q reading) (p50 float64, err error) {
	answer, err := p.once(http.StatusOK, p.request(pushedID, "GET", q.path(0), ""))
	if err != nil {
		return 0, err
	}
	requests := make([][]byte, 1024)
	for n := range requests {
		requests[n] = p.request(pushedID, "GET", q.path(n), "")
	}
	ask := drive{host: p.host, clients: clients, want: http.StatusOK, until: pushTime, request: func(_, n int) []byte { return requests[n%len(requests)] }}
	var rates pairs
	err = onFloor(p.ctx, same(answer), func(host string) error {
		for range pushRounds {
			bare := ask
			bare.host = host
			floor, err := bare.run(p.ctx)
			if err != nil {
				return err
			}
			ours, err := ask.run(p.ctx)
			if err != nil {
				return err
			}
			rates.add(floor.rate, ours.rate)
			if p50 == 0 || ours.p50 < p50 {
				p50 = ours.p50
			}
		}
		return nil
	})
	p.rates(what+"; a bare handler with the same bytes", rates, q.bar)
	return p50, err
}

// rates adds a row of requests a second. The ratio is that of the median pair.
func (p *pushBench) rates(what string, r pairs, bar float64) {
	var ratios []float64
	for i := range r.ours {
		ratios = append(ratios, r.ours[i]/r.floor[i])
	}
	ratio := median(ratios)
	p.add(what, perSecond(median(r.floor)), perSecond(median(r.ours)), fmt.Sprintf("%.2f", ratio), fmt.Sprintf("at least %.2f", bar), ratio >= bar)
}

// flat holds the median answers at the largest population against those at the smallest.
func (p *pushBench) flat(users int) {
	for _, name := range []string{"GET by id", "userName eq", "externalId eq"} {
		v := p.p50[name]
		few, many := v[0], v[len(v)-1]
		p.add(fmt.Sprintf("%s, median answer to one client, %s users; %s users", name, thousands(users), thousands(users/100)),
			micros(few), micros(many), fmt.Sprintf("%.2f", many/few), "at most 1.2 x", many <= 1.2*few)
	}
}

func micros(seconds float64) string { return fmt.Sprintf("%.0f µs", seconds*1e6) }
func millis(seconds float64) string { return fmt.Sprintf("%.2f ms", seconds*1e3) }

// complex asks what no index answers. The first who asks reads everybody, the second
// waits until columns are made of what was asked for, which are kept from then on.
func (p *pushBench) complex(users int) error {
	request := p.request(pushedID, "GET", filtered(`emails[type eq "work" and value co "7@ex"] and active eq true and name.familyName sw "Number0"`)+"&count=10", "")
	began := time.Now()
	for range 2 {
		if _, err := p.once(http.StatusOK, request); err != nil {
			return err
		}
	}
	first := time.Since(began).Seconds()
	m, err := drive{host: p.host, clients: 1, want: http.StatusOK, until: 2 * pushTime, request: func(int, int) []byte { return request }}.run(p.ctx)
	p.add(fmt.Sprintf("value path, co, sw and and over %s users, median answer of %d after the first two, which took %s", thousands(users), m.count, millis(first)),
		"", millis(m.p50), "", "at most 2 ms", m.p50 <= 2e-3)
	return err
}

// pages asks for pages at the start, in the middle and at the end.
func (p *pushBench) pages(users int) error {
	for _, at := range []struct {
		name  string
		start int
	}{{"start", 1}, {"middle", users / 2}, {"end", users - 99}} {
		for _, clients := range []int{1, 32} {
			path := fmt.Sprintf("/Users?count=100&startIndex=%d", at.start)
			q := reading{bar: 0.25, path: func(int) string { return path }}
			if _, err := p.against(fmt.Sprintf("100 users at the %s of %s, %d clients", at.name, thousands(users), clients), clients, q); err != nil {
				return err
			}
		}
	}
	return nil
}

// walk goes through everybody with a cursor, and holds the fastest of each end against one
// another, as withoutMembers does.
func (p *pushBench) walk(users int) error {
	var fastest struct{ took, first, last float64 }
	everybody, pages := true, 0
	for i := range pushRounds {
		began := time.Now()
		times, seen, err := p.walked()
		if err != nil {
			return err
		}
		took, n := time.Since(began).Seconds(), len(times)/10
		first, last := median(times[:n]), median(times[len(times)-n:])
		if i == 0 {
			fastest.took, fastest.first, fastest.last = took, first, last
		}
		fastest.took, fastest.first, fastest.last = min(fastest.took, took), min(fastest.first, first), min(fastest.last, last)
		everybody, pages = everybody && seen == users, len(times)
	}
	first, last := fastest.first, fastest.last
	p.add(fmt.Sprintf("cursor through %s users, %d pages in %.1f s: a page of the last tenth; of the first", thousands(users), pages, fastest.took),
		millis(first), millis(last), fmt.Sprintf("%.2f", last/first), "at most 1.2 x, everybody once", last <= 1.2*first && everybody)
	return nil
}

// walked returns how long each page took, in seconds, and how many users were on them.
func (p *pushBench) walked() (times []float64, seen int, err error) {
	for cursor := ""; ; {
		at := time.Now()
		b, err := p.once(http.StatusOK, p.request(pushedID, "GET", "/Users?count=100&cursor="+url.QueryEscape(cursor), ""))
		if err != nil {
			return nil, 0, err
		}
		times = append(times, time.Since(at).Seconds())
		var page struct {
			Next string `json:"nextCursor"`
		}
		if err := json.Unmarshal(b, &page); err != nil {
			return nil, 0, err
		}
		seen += strings.Count(string(b), `"id":"`)
		if cursor = page.Next; cursor == "" {
			return times, seen, nil
		}
	}
}
