package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/config"
)

// webhook sends each entry in a request of its own, signed as Standard Webhooks says:
// https://www.standardwebhooks.com.
type webhook struct {
	sink   *Sink
	now    func() time.Time
	client *http.Client
	// beyond is asked about a receiver that a proxy connects to; nil: there is no proxy.
	beyond func(*url.URL) error
}

func newWebhook(s *Sink, now func() time.Time) (*webhook, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read whom the webhook trusts: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", s.CAFile)
		}
	}
	g := &guard{allowed: s.AllowNetworks}
	timeout := s.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	w := &webhook{sink: s, now: now}
	connect := g
	var proxy func(*http.Request) (*url.URL, error) // not that of the environment, which would be judged in the receiver's place
	if s.Proxy.URL != "" {
		via, err := url.Parse(s.Proxy.URL)
		if err != nil {
			return nil, errors.New("the address of the proxy cannot be used")
		}
		proxy, connect, w.beyond = http.ProxyURL(via), &guard{allowed: s.Proxy.Networks}, g.named
	}
	w.client = &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: proxy, DialContext: connect.dialer().DialContext, TLSClientConfig: trust, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: timeout,
		},
		// A receiver that points elsewhere has not taken the entry.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w, nil
}

// errGone is a receiver's last word: it wants nothing more.
var errGone = errors.New("the receiver answered 410 Gone: it wants no more")

// message is the body of a request.
type message struct {
	Type      string         `json:"type"`
	Timestamp time.Time      `json:"timestamp"`
	Data      audit.Envelope `json:"data"`
	Truncated bool           `json:"truncated,omitzero"` // the whole entry is to be read over the API
}

// maxMessage is what Standard Webhooks recommends for a body.
const maxMessage = 20 << 10

// body returns the message of an entry. One that is too large for it says what was done
// to what and leaves the rest to be read over the API.
func body(e *audit.Envelope) ([]byte, error) {
	m := message{Type: typeOf(e), Timestamp: e.Time, Data: *e}
	b, err := json.Marshal(m, json.Deterministic(true))
	for n := len(e.Targets); err == nil && len(b) > maxMessage && n > 0; n /= 2 {
		m.Truncated = true
		m.Data.Targets, m.Data.Events = e.Targets[:n/2], []audit.EnvelopeEvent{}
		b, err = json.Marshal(m, json.Deterministic(true))
	}
	return b, err
}

// typeOf names an entry for receivers that sort by it.
func typeOf(e *audit.Envelope) string {
	name := ""
	for _, a := range e.Actions {
		switch t := actionType(a); name {
		case "", t:
			name = t
		default:
			return "audit.entry" // of several sorts
		}
	}
	return name
}

func actionType(action string) string {
	switch action {
	case "PermissionGranted":
		return "grant.created"
	case "PermissionRevoked":
		return "grant.revoked"
	case "PermissionExpired":
		return "grant.expired"
	case "SyncRunHeld":
		return "run.held"
	case "SyncRunFailed":
		return "run.failed"
	case "SyncRunCompleted":
		return "run.finished"
	case Stale:
		return "source.stale"
	}
	switch {
	case strings.HasPrefix(action, "User"):
		return "user.changed"
	case strings.HasPrefix(action, "Group"):
		return "group.changed"
	}
	return "audit.entry"
}

// take implements target: it sends the entries until one is not taken.
func (w *webhook) take(ctx context.Context, entries []audit.Envelope) (int, error) {
	keys, err := w.keys()
	if err != nil {
		return 0, err
	}
	for i := range entries {
		if err := w.send(ctx, &entries[i], keys); err != nil {
			return i, err
		}
	}
	return len(entries), nil
}

func (w *webhook) send(ctx context.Context, e *audit.Envelope, keys [][]byte) error {
	b, err := body(e)
	if err != nil {
		return fmt.Errorf("encode the entry: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.sink.URL, bytes.NewReader(b))
	if err != nil {
		return errors.New("the address cannot be used")
	}
	if w.beyond != nil {
		if err := w.beyond(req.URL); err != nil {
			return err
		}
	}
	stamp := strconv.FormatInt(w.now().Unix(), 10)
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "rollcall")
	h.Set("Webhook-Id", e.ID)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", sign(keys, e.ID, stamp, b))
	resp, err := w.client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	_ = resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusGone:
		return errGone
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return fmt.Errorf("the receiver answered %d", resp.StatusCode)
	}
	return nil
}

// withoutURL takes the address out of an error: the path of a webhook is often as good
// as a password.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// sign returns the signatures, one for each key.
func sign(keys [][]byte, id, stamp string, body []byte) string {
	list := make([]string, len(keys))
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		list[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(list, " ")
}

// keys reads the secrets, anew each time, so that they can be changed.
func (w *webhook) keys() ([][]byte, error) {
	refs := []config.SecretRef{w.sink.Secret}
	if !w.sink.PreviousSecret.IsZero() {
		refs = append(refs, w.sink.PreviousSecret)
	}
	keys := make([][]byte, len(refs))
	for i, r := range refs {
		s, err := r.Resolve()
		if err != nil {
			return nil, fmt.Errorf("read the secret: %w", err)
		}
		if keys[i], err = keyOf(s); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// keyOf decodes a secret: whsec_ and the base64 of 24 to 64 bytes.
func keyOf(s config.Secret) ([]byte, error) {
	text, ok := strings.CutPrefix(s.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("the secret is not whsec_ and the base64 of 24 to 64 random bytes, as Standard Webhooks wants it")
	}
	return key, nil
}

func (w *webhook) close() error {
	w.client.CloseIdleConnections()
	return nil
}
