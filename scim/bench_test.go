package scim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/etcd"
)

func disk(b *testing.B) *etcd.Store {
	b.Helper()
	s, err := etcd.Open(b.Context(), etcd.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func body(i int) string {
	n := strconv.Itoa(i)
	return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"00u` + n +
		`","userName":"user` + n + `@example.org","name":{"formatted":"User Number ` + n + `","familyName":"Number` + n + `","givenName":"User"},"displayName":"User ` + n +
		`","nickName":"u` + n + `","title":"Engineer","userType":"Employee","preferredLanguage":"en-US","locale":"en-US","timezone":"America/Los_Angeles","active":true,` +
		`"emails":[{"value":"user` + n + `@example.org","type":"work","primary":true},{"value":"user` + n + `@home.example","type":"home"}],` +
		`"phoneNumbers":[{"value":"555-` + n + `","type":"work"}],"addresses":[{"type":"work","streetAddress":"100 Main Street","locality":"Hollywood","region":"CA","postalCode":"91608","country":"USA"}],` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"` + n + `","costCenter":"4130","organization":"Example","division":"Products","department":"Engineering","manager":{"value":"26118915-6090-4610-87e4-49d8ca9f808d"}}}`
}

// populate fills a source through the state, which is faster than over HTTP.
func populate(b *testing.B, w *world, n int) []string {
	b.Helper()
	e := (*w.server.sources.Load())["okta"]
	ids := make([]string, n)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				id := identity.NewUserID()
				ids[i] = id.String()
				c := &call{server: w.server, endpoint: e, kind: e.users}
				in, _, err := readResource(c, body(i))
				if err != nil {
					b.Error(err)
					return
				}
				draft, err := c.draft(in, identity.Key(ids[i]))
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := w.db.Push(context.Background(), audit.Actor{Kind: audit.ActorPush, ID: "okta/x"}, func(*state.Snapshot) ([]state.Change, error) {
					return []state.Change{state.Create{Member: identity.UserMember(id), Record: draft}}, nil
				}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return ids
}

func transport() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
}

// drive sends b.N requests from so many clients.
func drive(b *testing.B, clients int, request func(i int) *http.Request, want int) {
	b.Helper()
	client := transport()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				resp, err := client.Do(request(i))
				if err != nil {
					b.Error(err)
					return
				}
				if resp.StatusCode != want {
					t, _ := io.ReadAll(resp.Body)
					b.Errorf("status %d: %s", resp.StatusCode, t)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func (w *world) request(method, path string, body []byte) *http.Request {
	r, _ := http.NewRequest(method, w.url+Prefix+"okta"+path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.tokens["okta"])
	if body != nil {
		r.Header.Set("Content-Type", mediaType)
	}
	return r
}

func bare(b *testing.B, answer []byte) string {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
	}))
	b.Cleanup(h.Close)
	return h.URL
}

func BenchmarkSCIM(b *testing.B) {
	size, err := strconv.Atoi(os.Getenv("SCIM_USERS"))
	if err != nil {
		size = 1000
	}
	w := newWorld(b, disk(b))
	ids := populate(b, w, size)
	one := w.call("GET", "/Users/"+ids[0], "").want(200)
	eq := w.call("GET", "/Users?filter="+url.QueryEscape(`userName eq "user1@example.org"`), "").want(200)
	page := w.call("GET", "/Users?count=100", "").want(200)
	for _, clients := range []int{1, 32} {
		for name, answer := range map[string]*answer{"one": one, "eq": eq, "page": page} {
			u := bare(b, []byte(answer.body))
			b.Run(fmt.Sprintf("bare-%s/%d", name, clients), func(b *testing.B) {
				drive(b, clients, func(int) *http.Request {
					r, _ := http.NewRequest("GET", u+"/scim/v2/okta/Users/x", nil)
					r.Header.Set("Authorization", "Bearer x")
					return r
				}, 200)
			})
		}
		b.Run(fmt.Sprintf("one/%d", clients), func(b *testing.B) {
			drive(b, clients, func(i int) *http.Request { return w.request("GET", "/Users/"+ids[i%size], nil) }, 200)
		})
		b.Run(fmt.Sprintf("eq/%d", clients), func(b *testing.B) {
			drive(b, clients, func(i int) *http.Request {
				return w.request("GET", "/Users?filter="+url.QueryEscape(`userName eq "user`+strconv.Itoa(i%size)+`@example.org"`), nil)
			}, 200)
		})
		b.Run(fmt.Sprintf("external/%d", clients), func(b *testing.B) {
			drive(b, clients, func(i int) *http.Request {
				return w.request("GET", "/Users?filter="+url.QueryEscape(`externalId eq "00u`+strconv.Itoa(i%size)+`"`), nil)
			}, 200)
		})
		for _, start := range []int{1, size / 2, size - 99} {
			b.Run(fmt.Sprintf("page-%d/%d", start, clients), func(b *testing.B) {
				drive(b, clients, func(int) *http.Request {
					return w.request("GET", "/Users?count=100&startIndex="+strconv.Itoa(start), nil)
				}, 200)
			})
		}
		b.Run(fmt.Sprintf("complex/%d", clients), func(b *testing.B) {
			drive(b, clients, func(int) *http.Request {
				return w.request("GET", "/Users?count=1&filter="+url.QueryEscape(`emails[type eq "work" and value co "7@ex"] and active eq true and name.familyName sw "Number1"`), nil)
			}, 200)
		})
	}
}

var posted atomic.Int64

func BenchmarkSCIMWrite(b *testing.B) {
	w := newWorld(b, disk(b))
	ids := populate(b, w, 1000)
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("append/%d", clients), func(b *testing.B) { appendFloor(b, clients) })
		b.Run(fmt.Sprintf("post/%d", clients), func(b *testing.B) {
			drive(b, clients, func(int) *http.Request {
				return w.request("POST", "/Users", []byte(body(int(posted.Add(1))+1_000_000)))
			}, 201)
		})
		b.Run(fmt.Sprintf("put/%d", clients), func(b *testing.B) {
			drive(b, clients, func(i int) *http.Request {
				return w.request("PUT", "/Users/"+ids[i%1000], bytes.Replace([]byte(body(i%1000)), []byte("Engineer"), []byte("E"+strconv.Itoa(int(posted.Add(1)))), 1))
			}, 200)
		})
		b.Run(fmt.Sprintf("patch/%d", clients), func(b *testing.B) {
			drive(b, clients, func(i int) *http.Request {
				return w.request("PATCH", "/Users/"+ids[i%1000], []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"P`+strconv.Itoa(int(posted.Add(1)))+`"}]}`))
			}, 200)
		})
	}
}

// appendFloor is a server that appends a kilobyte with fsync, for all who wait at once.
func appendFloor(b *testing.B, clients int) {
	f, err := os.CreateTemp(b.TempDir(), "log")
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	type batch struct {
		buf  bytes.Buffer
		done chan struct{}
	}
	cur := &batch{done: make(chan struct{})}
	wake := make(chan struct{}, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-wake:
			case <-stop:
				return
			}
			mu.Lock()
			mine := cur
			cur = &batch{done: make(chan struct{})}
			mu.Unlock()
			_, _ = f.Write(mine.buf.Bytes())
			_ = f.Sync()
			close(mine.done)
		}
	}()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, _ := io.ReadAll(r.Body)
		mu.Lock()
		mine := cur
		mine.buf.Write(in)
		mu.Unlock()
		select {
		case wake <- struct{}{}:
		default:
		}
		<-mine.done
		w.WriteHeader(201)
		_, _ = w.Write(in)
	}))
	defer h.Close()
	defer close(stop)
	text := []byte(body(1))
	drive(b, clients, func(int) *http.Request {
		r, _ := http.NewRequest("POST", h.URL, bytes.NewReader(text))
		return r
	}, 201)
}

func readResource(c *call, text string) (map[string]any, int, error) {
	c.method, c.body = http.MethodPost, []byte(text)
	if _, err := c.read(); err != nil {
		return nil, 0, err
	}
	in, _ := c.input.(*dialect.Parsed)
	return in.Object, 0, nil
}
