package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	gosync "sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim"
)

// pushTime is how long each rate is measured, and pushRounds how often, in turn with
// its floor.
const (
	pushTime   = 300 * time.Millisecond
	pushRounds = 3
)

// wire is a connection that does as little as it can: what is measured is the server.
type wire struct {
	c net.Conn
	r *bufio.Reader
}

func dial(ctx context.Context, host string) (*wire, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	return &wire{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

// ask sends a request and reads the answer; into, when given, takes the body.
func (w *wire) ask(request []byte, into *bytes.Buffer) (status int, err error) {
	if _, err := w.c.Write(request); err != nil {
		return 0, err
	}
	size, chunked := 0, false
	for first := true; ; first = false {
		line, err := w.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) == 2 {
			break
		}
		text := strings.ToLower(string(bytes.TrimSpace(line)))
		switch name, value, _ := strings.Cut(text, ": "); {
		case first:
			status, err = strconv.Atoi(text[len("http/1.1 ") : len("http/1.1 ")+3])
		case name == "content-length":
			size, err = strconv.Atoi(value)
		case name == "transfer-encoding":
			chunked = true
		}
		if err != nil {
			return 0, err
		}
	}
	if !chunked {
		return status, w.take(size, into)
	}
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if err != nil {
			return 0, err
		}
		if err := errors.Join(w.take(int(n), into), w.take(2, nil)); err != nil || n == 0 {
			return status, err
		}
	}
}

func (w *wire) take(n int, into *bytes.Buffer) (err error) {
	if into == nil {
		_, err = w.r.Discard(n)
		return err
	}
	_, err = io.CopyN(into, w.r, int64(n))
	return err
}

// request is what a provider sends to one of the sources.
func (p *pushBench) request(source identity.SourceID, method, path, body string) []byte {
	return fmt.Appendf(nil, "%s %s%s%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\n\r\n%s",
		method, scim.Prefix, source, path, p.host, p.token[source], len(body), body)
}

// once sends one request and returns the body of its answer.
func (p *pushBench) once(status int, request []byte) ([]byte, error) {
	w, err := dial(p.ctx, p.host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.c.Close() }()
	var body bytes.Buffer
	got, err := w.ask(request, &body)
	if err == nil && got != status {
		err = fmt.Errorf("%.80q is answered with %d, %s", request, got, body.Bytes())
	}
	return body.Bytes(), err
}

// posted makes a resource and returns its id.
func (p *pushBench) posted(source identity.SourceID, path, body string) (string, error) {
	b, err := p.once(http.StatusCreated, p.request(source, "POST", path, body))
	if err != nil {
		return "", err
	}
	var made struct {
		ID string `json:"id"`
	}
	err = json.Unmarshal(b, &made)
	return made.ID, err
}

// drive is requests in a row, which are answered with a status.
type drive struct {
	host    string
	clients int
	want    int
	request func(client, n int) []byte // nil: enough
	until   time.Duration              // 0: until there is enough
}

// measured is what came of a load.
type measured struct {
	rate  float64 // a second
	p50   float64 // seconds
	count int
	took  time.Duration
}

func (l drive) run(ctx context.Context) (measured, error) {
	times, errs := make([][]time.Duration, l.clients), make([]error, l.clients)
	var next atomic.Int64
	var all gosync.WaitGroup
	began := time.Now()
	for i := range l.clients {
		all.Go(func() {
			w, err := dial(ctx, l.host)
			if err != nil {
				errs[i] = err
				return
			}
			defer func() { _ = w.c.Close() }()
			for at := time.Now(); l.until == 0 || at.Sub(began) < l.until; {
				r := l.request(i, int(next.Add(1))-1)
				if r == nil {
					return
				}
				status, err := w.ask(r, nil)
				if err != nil || status != l.want {
					errs[i] = fmt.Errorf("%.120q is answered with %d: %w", r, status, errors.Join(err, errors.New("not as wanted")))
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(at))
				at = now
			}
		})
	}
	all.Wait()
	m := measured{took: time.Since(began)}
	each := slices.Concat(times...)
	slices.Sort(each)
	if m.count = len(each); m.count > 0 {
		m.p50 = each[len(each)/2].Seconds()
	}
	m.rate = float64(m.count) / m.took.Seconds()
	return m, errors.Join(errs...)
}

// onFloor calls f with the address of a server that answers with h.
func onFloor(ctx context.Context, h http.HandlerFunc, f func(host string) error) (err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: h}
	var served gosync.WaitGroup
	served.Go(func() { _ = s.Serve(l) })
	defer served.Wait()
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(l.Addr().String())
}

// same answers everything with the same bytes.
func same(answer []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/scim+json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
	}
}

// appender appends what it is sent to a file, with one fsync for all who wait, and
// answers with it.
type appender struct {
	mu   gosync.Mutex
	next *appended     // guarded by mu
	wake chan struct{} // of one
}

// appended is what one fsync is for.
type appended struct {
	bytes bytes.Buffer
	done  chan struct{}
}

func (a *appender) swap() *appended {
	a.mu.Lock()
	defer a.mu.Unlock()
	mine := a.next
	a.next = &appended{done: make(chan struct{})}
	return mine
}

// onAppender calls f with the address of an appending server.
func (p *pushBench) onAppender(f func(host string) error) (err error) {
	file, err := os.Create(filepath.Join(filepath.Dir(p.dir), "appended"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	a := &appender{wake: make(chan struct{}, 1)}
	a.swap()
	var done gosync.WaitGroup
	done.Go(func() {
		for range a.wake {
			b := a.swap()
			_, _ = file.Write(b.bytes.Bytes())
			_ = file.Sync()
			close(b.done)
		}
	})
	defer done.Wait()
	defer close(a.wake)
	return onFloor(p.ctx, func(w http.ResponseWriter, r *http.Request) {
		in, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		mine := a.next
		mine.bytes.Write(in)
		a.mu.Unlock()
		select {
		case a.wake <- struct{}{}:
		default:
		}
		<-mine.done
		_, _ = w.Write(in)
	}, f)
}

// eachOf calls f for each of n, from as many clients as a provider's first cycle has.
func (p *pushBench) eachOf(n int, f func(w *wire, n int) error) error {
	var next atomic.Int64
	var all gosync.WaitGroup
	errs := make([]error, cycleClients)
	for i := range cycleClients {
		all.Go(func() {
			w, err := dial(p.ctx, p.host)
			if err != nil {
				errs[i] = err
				return
			}
			defer func() { _ = w.c.Close() }()
			for k := int(next.Add(1)) - 1; k < n && errs[i] == nil; k = int(next.Add(1)) - 1 {
				errs[i] = f(w, k)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
