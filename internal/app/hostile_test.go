package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/scim"
)

// How many hostile clients there are, what the honest one gets done meanwhile, and what
// memory all of it may take: 64 bodies at their limit, read and parsed, at once.
const (
	hostiles   = 64
	honestWork = 12
	hostileMem = 640 << 20
	leftMem    = 96 << 20
)

// hostile is a client that means no good, again and again until it is told to stop.
type hostile struct {
	name string
	do   func(h *enemy, ctx context.Context)
}

// enemy is one of them at work.
type enemy struct {
	host, token string
	client      *http.Client
	tell        func(format string, args ...any)
	done        atomic.Int64
}

// send sends a request and complains of an answer that blames the server.
func (h *enemy) send(ctx context.Context, method, path, token string, body io.Reader) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+h.host+scim.Prefix+"okta"+path, body)
	if err != nil {
		h.tell("%s %.100s: %v", method, path, err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/scim+json")
	resp, err := h.client.Do(r)
	if err != nil {
		return // cut: by the daemon, when it had enough of a body, or by the end
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	h.done.Add(1)
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
		h.tell("%s %.200s is answered with %d %.300s", method, path, resp.StatusCode, b)
	}
}

func (h *enemy) get(ctx context.Context, path string) {
	h.send(ctx, "GET", path, h.token, http.NoBody)
}

func (h *enemy) post(ctx context.Context, method, path, body string) {
	h.send(ctx, method, path, h.token, strings.NewReader(body))
}

// endless is a body that does not end.
type endless struct{}

// Read implements io.Reader.
func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '['
	}
	return len(p), nil
}

func filterPath(f string) string { return "/Users?filter=" + url.QueryEscape(f) }

func ops(op string, n int) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + strings.TrimSuffix(strings.Repeat(op+",", n), ",") + `]}`
}

// hostileKinds are the ways, each taken by as many clients.
func hostileKinds() []hostile {
	user := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"x",`
	full := user + `"title":"` + strings.Repeat("x", 1<<20-200) + `"}`
	wide := user + strings.TrimSuffix(strings.Repeat(`"emails":[{"value":"a@b"}],`, 20_000), ",") + "}"
	deep := user + `"name":` + strings.Repeat(`{"name":`, 100_000) + "1" + strings.Repeat("}", 100_000) + "}"
	list := user + `"emails":[` + strings.TrimSuffix(strings.Repeat(`{"value":"a@b.c"},`, 50_000), ",") + "]}"
	huge := strings.Repeat(full, 4)
	return []hostile{
		{"deep filters", func(h *enemy, ctx context.Context) {
			h.get(ctx, filterPath(strings.Repeat("(", 3000)+`userName pr`+strings.Repeat(")", 3000)))
			h.get(ctx, filterPath(strings.Repeat("not (", 1000)+`userName pr`+strings.Repeat(")", 1000)))
			h.get(ctx, filterPath(strings.Repeat(`emails[value co "a"] or `, 200)+`title co "z"`))
			h.post(ctx, "POST", "/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"`+strings.Repeat("(", 900_000)+`"}`)
		}},
		{"huge bodies", func(h *enemy, ctx context.Context) {
			h.post(ctx, "POST", "/Users", full)
			h.post(ctx, "POST", "/Users", huge)
			h.send(ctx, "POST", "/Users", h.token, endless{})
		}},
		{"odd bodies", func(h *enemy, ctx context.Context) {
			for _, body := range []string{wide, deep, list, "", "null", "[]", "\xff\xfe", user, strings.Repeat("[", 1<<20)} {
				h.post(ctx, "POST", "/Users", body)
				h.post(ctx, "PATCH", "/Groups/x", body)
				h.post(ctx, "POST", "/Bulk", body)
			}
		}},
		{"slow bodies", func(h *enemy, ctx context.Context) { h.trickle(ctx) }},
		{"bad cursors", func(h *enemy, ctx context.Context) {
			for _, q := range []string{
				"cursor=%00", "cursor=" + strings.Repeat("A", 7000), "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&count=1000",
				"startIndex=9223372036854775807&count=9223372036854775807", "startIndex=-9&count=-9", "count=99999999999999999999", "sortBy=" + strings.Repeat("a.", 2000) + "&sortOrder=x",
				"attributes=" + strings.Repeat("emails.value,", 500), "%zz", "cursor=&sortBy=userName",
			} {
				h.get(ctx, "/Users?"+q)
			}
		}},
		{"wrong tokens", func(h *enemy, ctx context.Context) {
			for _, token := range []string{"", "rcl_scim_", h.token[:len(h.token)-1] + "A", strings.Repeat("x", 4000), "Bearer"} {
				h.send(ctx, "GET", "/Users", token, http.NoBody)
			}
		}},
		{"odd paths", func(h *enemy, ctx context.Context) {
			for _, path := range []string{
				"/Users/%00", "/Users/..%2f..%2fGroups", "//////Users", "/Users/" + strings.Repeat("y", 7000), "/Users/%ff%fe/.search", "/Schemas/" + strings.Repeat(":", 1000), "/Me/x", "/Bulk",
			} {
				for _, method := range []string{"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "BREW", "PUT"} {
					h.send(ctx, method, path, h.token, http.NoBody)
				}
			}
		}},
		{"many operations", func(h *enemy, ctx context.Context) {
			h.post(ctx, "PATCH", "/Users/"+"x", ops(`{"op":"add","path":"emails[type eq \"work\" and (value co \"a\" or value co \"b\")].value","value":"q"}`, 3000))
			h.post(ctx, "POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+
				strings.TrimSuffix(strings.Repeat(`{"method":"PATCH","path":"/Users/bulkId:a","data":{}},`, 1000), ",")+"]}")
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			h.post(short, "POST", "/Users", list) // and hangs up
		}},
	}
}

// trickle sends a body a byte at a time, and none of it is ever whole.
func (h *enemy) trickle(ctx context.Context) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", h.host)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	_, err = fmt.Fprintf(c, "POST %sokta/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\nContent-Length: 1000000\r\n\r\n", scim.Prefix, h.token)
	for n := 0; err == nil && n < 100; n++ {
		_, err = c.Write([]byte("{"))
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	h.done.Add(1)
}

// TestHostileClientsHarmNobody lets many clients do what a request can do, while an
// honest one does its work: it gets all of it done, nothing is answered as the daemon's
// fault, and what it took is given back.
func TestHostileClientsHarmNobody(t *testing.T) {
	config, err := os.ReadFile(pushConfig(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, dirtest.WriteFile(t, "quiet.yaml", strings.Replace(string(config), "level: debug", "level: warn", 1)))
	d.bootstrapped()
	token, _ := d.call("POST", "/v1/sources/okta/tokens", `{"name":"honest"}`, 201)["secret"].(string)
	foul, _ := d.call("POST", "/v1/sources/okta/tokens", `{"name":"foul"}`, 201)["secret"].(string)
	before := heap()
	u, err := url.Parse(d.URL())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: hostiles}}
	defer client.CloseIdleConnections()
	kinds := hostileKinds()
	enemies := make([]*enemy, len(kinds))
	var all sync.WaitGroup
	for i := range enemies {
		enemies[i] = &enemy{host: u.Host, token: foul, client: client, tell: func(format string, args ...any) { t.Errorf(kinds[i].name+": "+format, args...) }}
	}
	for n := range hostiles {
		all.Go(func() {
			for ctx.Err() == nil {
				kinds[n%len(kinds)].do(enemies[n%len(kinds)], ctx)
			}
		})
	}
	peak := d.honest(token)
	stop()
	all.Wait()
	for i, e := range enemies {
		if e.done.Load() == 0 {
			t.Errorf("%s: none came through", kinds[i].name)
		}
	}
	client.CloseIdleConnections()
	if peak > before+hostileMem {
		t.Errorf("the heap grew to %d MB", peak>>20)
	}
	after := uint64(0)
	for range 100 { // what they left behind may still be worked on
		runtime.GC()
		if after = heap(); after <= before+leftMem {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if after > before+leftMem {
		t.Errorf("the heap keeps %d MB, of %d MB before", after>>20, before>>20)
	}
	if log := d.log.String(); strings.Contains(log, "panicked") {
		t.Error("a handler panicked")
	}
	t.Logf("heap %d MB before, %d MB at most, %d MB after", before>>20, peak>>20, after>>20)
}

// honest works, and returns how large the heap became.
func (d *running) honest(token string) (peak uint64) {
	d.t.Helper()
	for n := range honestWork {
		id, _ := d.pushed(token, "POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"honest%d","active":true}`, n), 201)["id"].(string)
		d.pushed(token, "PATCH", "/Users/"+id, ops(`{"op":"replace","path":"title","value":"T"}`, 1), 204)
		if got := d.pushed(token, "GET", "/Users/"+id, "", 200); got["title"] != "T" {
			d.t.Errorf("read back: %v", got)
		}
		if got := d.pushed(token, "GET", filterPath(fmt.Sprintf(`userName eq "honest%d"`, n)), "", 200); fmt.Sprint(got["totalResults"]) != "1" {
			d.t.Errorf("found: %v", got)
		}
		peak = max(peak, heap())
	}
	return peak
}

// heap is what objects take, and those that nobody has collected yet.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
