package access

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// How often the issuer is asked at most. A token that names an unknown key makes us
// ask for the keys, and anybody can make such a token.
const (
	askEvery = 10 * time.Second
	askBurst = 5
)

// maxIssuerAnswer is more than any list of keys has.
const maxIssuerAnswer = 1 << 20

// silence is a question that the issuer has not answered, or was not asked.
type silence struct{ cause error }

// Error returns why.
func (s *silence) Error() string { return "ask the issuer: " + s.cause.Error() }

// Unwrap returns the cause.
func (s *silence) Unwrap() error { return s.cause }

// newIssuerClient returns a client that speaks TLS only, follows no redirect, reads no
// endless answer and asks not too often.
func newIssuerClient(trusted *tls.Config, now func() time.Time) *http.Client {
	return &http.Client{
		Timeout: asking,
		Transport: &issuerTransport{
			next: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: trusted, ForceAttemptHTTP2: true,
				TLSHandshakeTimeout: asking, IdleConnTimeout: time.Minute, MaxIdleConns: 2,
			},
			now: now, asks: rate.NewLimiter(rate.Every(askEvery), askBurst),
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type issuerTransport struct {
	next http.RoundTripper
	now  func() time.Time
	asks *rate.Limiter
}

// RoundTrip implements http.RoundTripper.
func (t *issuerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case r.URL.Scheme != "https":
		return nil, &silence{errors.New("the address is not https")}
	case !t.asks.AllowN(t.now(), 1):
		return nil, &silence{errors.New("asked often enough for now")}
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, &silence{err}
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, &silence{errors.New("it answers " + resp.Status)}
	}
	resp.Body = &limitedBody{Reader: io.LimitReader(resp.Body, maxIssuerAnswer), Closer: resp.Body}
	return resp, nil
}

type limitedBody struct {
	io.Reader
	io.Closer
}
