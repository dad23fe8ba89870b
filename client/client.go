// Package client calls the admin API of a Rollcall.
//
// It owns the requests and the shapes of their answers as a caller sees them, the
// names and times as plain Go values. It promises that an error carries a kind of
// package fault and the server's own code and sentence, that no request outlives its
// context or its time, that an answer is read up to a limit, that a redirect is never
// followed, and that a token is sent to nobody but the address it was given for, and
// in the clear only to this machine. It repeats a request by itself only where that
// cannot do anything twice: see [Client.send]. It leaves to its callers where address
// and token come from.
//
// Shapes and operations are generated from the OpenAPI document.
package client

//go:generate go run ../internal/clientgen

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/fault"
)

// Options say whom to call and as whom.
type Options struct {
	URL    string // as in "https://rollcall.example.com:8443"
	Token  string // an API key; empty for what everybody may ask
	CAFile string // of the certificate authorities to trust, in PEM; default: the system's
	Agent  string // for the header User-Agent
	// Verb is what of the command line makes the requests. The first one carries it, for
	// the count of what is used; the server takes no name that it does not know.
	Verb string
	// Timeout bounds a request that is answered from memory or with one write; the
	// default is 30 s. What reads a directory is given [Patience].
	Timeout time.Duration
	// Transport replaces the connection, for tests. CAFile is not used then.
	Transport http.RoundTripper
}

// Patience bounds a request for which the server has to read a whole directory. It is
// a little longer than the server takes.
const Patience = 21 * time.Minute

const (
	defaultTimeout = 30 * time.Second
	maxAnswer      = 64 << 20 // of JSON: far more than the largest page
	maxPlan        = 1 << 30  // a plan may list every member of a directory
	maxProblem     = 1 << 20
)

// Client calls one Rollcall. It may be used concurrently.
type Client struct {
	base    *url.URL
	token   string
	agent   string
	timeout time.Duration
	dryRun  bool                    // changes are only tried
	as      string                  // who is to be answered, unless it is the caller himself
	verb    *atomic.Pointer[string] // until it is sent; shared by copies of the client
	http    *http.Client
}

// New returns a client. It connects to nothing.
func New(o Options) (*Client, error) {
	base, err := parseBase(o.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, token: o.Token, agent: o.Agent, timeout: o.Timeout}
	c.verb = new(atomic.Pointer[string])
	if o.Verb != "" {
		c.verb.Store(&o.Verb)
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	transport := o.Transport
	if transport == nil {
		if transport, err = newTransport(o.CAFile); err != nil {
			return nil, err
		}
	}
	c.http = &http.Client{
		Transport: transport,
		// A redirect could carry the token to another host, or a write past its answer.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fault.New(fault.Invalid, "bad_url", "%q is not an address of a Rollcall: give it as https://host:port", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fault.New(fault.Invalid, "bad_url", "the address of a Rollcall has no user, query or fragment: give it as https://host:port")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

func newTransport(caFile string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       time.Minute,
		ForceAttemptHTTP2:     true,
		ExpectContinueTimeout: time.Second,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fault.New(fault.Invalid, "bad_ca_file", "read the certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "bad_ca_file", "%s holds no certificate in PEM", caFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// URL returns the address that is called.
func (c *Client) URL() string { return c.base.String() }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// DryRun returns a client whose changes are checked and answered like any other, and
// not stored. It shares the connections of c.
func (c *Client) DryRun() *Client {
	d := *c
	d.dryRun = true
	return &d
}

// As returns a client that is answered as another user would be: one who is named by id,
// login name or source/login. The server lets it only read. It shares the connections
// of c.
func (c *Client) As(user string) *Client {
	d := *c
	d.as = user
	return &d
}

// Versioned is what can be read, and then changed as it was read.
type Versioned struct {
	// Version is that of what was read: a change that is sent with it is refused
	// (fault.Stale) when somebody else was faster.
	Version string `json:"-"`
}

func (v *Versioned) hasVersion(tag string) { v.Version = tag }

// call is one request.
type call struct {
	method     string
	path       []string // its segments, not escaped
	query      url.Values
	header     map[string]string // beside those of every request
	body       any               // sent as JSON, unless nil
	secret     bool              // the body holds a secret
	reads      bool              // changes nothing, so that it may be repeated
	repeatable bool              // takes an Idempotency-Key
	tryable    bool              // takes dryRun
	time       time.Duration     // default: the client's
	limit      int64             // of the answer in bytes, default maxAnswer
}

// set adds a header that has a value.
func (r *call) set(name, value string) {
	if value == "" {
		return
	}
	if r.header == nil {
		r.header = map[string]string{}
	}
	r.header[name] = value
}

// answerOf sends a request and returns its answer.
func answerOf[T any](ctx context.Context, c *Client, r call) (*T, error) {
	out := new(T)
	if err := c.do(ctx, r, out); err != nil {
		return nil, err
	}
	return out, nil
}

// do sends a request and decodes its answer into what is not nil.
func (c *Client) do(ctx context.Context, r call, into any) error {
	ctx, cancel := context.WithTimeout(ctx, max(r.time, c.timeout))
	defer cancel()
	resp, err := c.send(ctx, &r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	limit := cmp.Or(r.limit, maxAnswer)
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return c.unreachable(ctx, err)
	case int64(len(body)) > limit:
		return fault.New(fault.Unavailable, "answer_too_large", "%s answered with more than %d bytes", c.base.Host, limit)
	case into == nil || resp.StatusCode == http.StatusNoContent:
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fault.New(fault.Unavailable, "not_rollcall", "what %s answered is not an answer of a Rollcall of this version: look at --url", c.base.Host)
	}
	if v, ok := into.(interface{ hasVersion(string) }); ok {
		v.hasVersion(resp.Header.Get("ETag"))
	}
	return nil
}

// tellVerb lets the first request say what of the command line makes it.
func (c *Client) tellVerb(r *call) {
	if verb := c.verb.Swap(nil); verb != nil {
		r.set("Rollcall-Verb", *verb)
	}
}

// send returns the answer when it is a good one. Its body is the caller's to close. What
// was refused because the caller asks too often is sent again when the server says, and so
// is what only reads and was not answered: nothing else, since it might be done twice.
func (c *Client) send(ctx context.Context, r *call) (*http.Response, error) {
	if (c.token != "" || r.secret) && !c.private() {
		return nil, fault.New(fault.Invalid, "plaintext_refused",
			"%s would carry a secret in the clear to another machine: use https", c.base)
	}
	if c.dryRun && !r.reads && !r.tryable {
		return nil, fault.New(fault.Invalid, "no_dry_run", "this cannot be tried without doing it")
	}
	c.tellVerb(r)
	if r.repeatable {
		r.set("Idempotency-Key", rand.Text())
	}
	for again := 0; ; again++ {
		req, err := c.request(ctx, r)
		if err != nil {
			return nil, err
		}
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, c.unreachable(ctx, err)
		}
		if resp.StatusCode >= 200 && resp.StatusCode < 300 {
			return resp, nil
		}
		wait, repeat := c.waitFor(r, resp)
		err = c.problem(resp)
		_ = resp.Body.Close()
		if !repeat || again == maxRepeats {
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

const (
	maxRepeats = 2
	maxWait    = 10 * time.Second // longer than this the caller is told instead
)

// waitFor returns how long to wait before a request is sent again, if it may be.
func (c *Client) waitFor(r *call, resp *http.Response) (time.Duration, bool) {
	switch resp.StatusCode {
	case http.StatusTooManyRequests: // it was not begun
	case http.StatusServiceUnavailable:
		if !r.reads && !c.dryRun {
			return 0, false
		}
	default:
		return 0, false
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	wait := time.Duration(seconds) * time.Second
	return wait, err == nil && seconds >= 0 && wait <= maxWait
}

func (c *Client) request(ctx context.Context, r *call) (*http.Request, error) {
	escaped := make([]string, len(r.path))
	for i, s := range r.path {
		if s == "" || s == "." || s == ".." {
			// Something on the way would make another path of it.
			return nil, fault.New(fault.Invalid, "bad_name", "%q is not a name", s)
		}
		escaped[i] = url.PathEscape(s)
	}
	if strings.ContainsFunc(c.as, unicode.IsControl) {
		return nil, fault.New(fault.Invalid, "bad_name", "%q is not a name", c.as)
	}
	u := *c.base
	query := r.query
	if c.dryRun && r.tryable {
		query = maps.Clone(query)
		if query == nil {
			query = url.Values{}
		}
		query.Set("dryRun", "true")
	}
	u.RawQuery = query.Encode()
	u.RawPath = (&url.URL{Path: c.base.Path}).EscapedPath() + "/" + strings.Join(escaped, "/")
	u.Path = c.base.Path + "/" + strings.Join(r.path, "/")
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, fault.New(fault.Invalid, "bad_text", "what is to be sent is not text: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, fault.New(fault.Invalid, "bad_url", "%w", err)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.as != "" {
		req.Header.Set("Rollcall-Impersonate", c.as)
	}
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	return req, nil
}

// private reports whether what is sent stays between this process and the server.
func (c *Client) private() bool {
	if c.base.Scheme == "https" {
		return true
	}
	host := c.base.Hostname()
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// unreachable says why there was no answer, and what to do about it.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the method and the address
	}
	host := c.base.Host
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return fault.New(fault.Unavailable, "timeout", "%s did not answer in time: try again later", host)
	case errors.As(err, &unknown):
		return fault.New(fault.Unavailable, "untrusted", "the certificate of %s is signed by an authority that is not trusted here: name its file with --ca", host)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fault.New(fault.Unavailable, "unreachable", "%s does not speak TLS: give its address as http://%s", host, host)
	}
	return fault.New(fault.Unavailable, "unreachable", "%s cannot be reached: is Rollcall running there, and is the address right? %w", c.base, err)
}
