package access

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

// skew is how far the issuer's clock may be from ours.
const skew = time.Minute

// asking bounds one question to the issuer, and pause is how long it is left alone
// after one that it did not answer.
const (
	asking = 5 * time.Second
	pause  = 5 * time.Second
)

// OIDC verifies tokens that an identity provider signed. It may be used concurrently.
type OIDC struct {
	config   OIDCConfig
	now      func() time.Time
	client   *http.Client
	checks   oidc.Config
	provider chan discovery // of one place: who holds the value may ask the issuer
}

// discovery is what is known about the issuer so far.
type discovery struct {
	keys  oidc.KeySet // nil: the issuer has not answered yet
	err   error       // of the last try
	tried time.Time
}

// Claims are what a token says that counts here. Whether such a user exists, and is
// active, is for the caller to find out.
type Claims struct {
	Source  identity.SourceID
	Name    string // the login name in the source
	Subject string // the issuer's lasting name for him
	Expires time.Time
}

// NewOIDC returns a verifier. It asks the issuer nothing yet, so a daemon starts while
// the issuer is away: the first token that is presented makes it ask. now may be nil.
func NewOIDC(c OIDCConfig, now func() time.Time) (*OIDC, error) {
	if !c.Enabled() || c.Audience == "" || c.Source == "" {
		return nil, errors.New("access: the issuer, the audience and the source of an OIDCConfig are required")
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(algorithms, a) {
			return nil, fmt.Errorf("access: signatures of the algorithm %q cannot be trusted", a)
		}
	}
	c.UserClaim = cmp.Or(c.UserClaim, DefaultUserClaim)
	if len(c.Algorithms) == 0 {
		c.Algorithms = algorithms
	}
	if now == nil {
		now = time.Now
	}
	trusted := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificates for %s: %w", c.Issuer, err)
		}
		trusted.RootCAs = x509.NewCertPool()
		if !trusted.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", c.CAFile)
		}
	}
	o := &OIDC{
		config: c, now: now, client: newIssuerClient(trusted, now), provider: make(chan discovery, 1),
		// Times are checked here, by our clock and with our skew.
		checks: oidc.Config{ClientID: c.Audience, SupportedSigningAlgs: c.Algorithms, SkipExpiryCheck: true},
	}
	o.provider <- discovery{}
	return o, nil
}

// Verify returns what a token says, when the issuer signed it, for us, and it holds
// now. Otherwise it is fault.Unauthenticated, or fault.Unavailable when that cannot be
// told because the issuer does not answer. The error never repeats the token.
func (o *OIDC) Verify(ctx context.Context, raw string) (Claims, error) {
	keys, err := o.keys(ctx)
	if err != nil {
		return Claims{}, away(err)
	}
	seen := &keySet{KeySet: keys}
	token, err := oidc.NewVerifier(o.config.Issuer, seen, &o.checks).Verify(ctx, raw)
	if err != nil {
		if _, silent := errors.AsType[*silence](seen.err); silent || ctx.Err() != nil {
			return Claims{}, away(seen.err)
		}
		return Claims{}, badToken("the token is not one that the identity provider signed for Rollcall")
	}
	return o.claims(token)
}

// keySet remembers why a signature was not verified: the verifier keeps the words of
// the error only.
type keySet struct {
	oidc.KeySet
	err error
}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	k.err = err
	return payload, err
}

// keys returns the keys of the issuer, which it asks where they are once. One request
// asks at a time; the others wait for its answer, as long as they may.
func (o *OIDC) keys(ctx context.Context) (oidc.KeySet, error) {
	var d discovery
	select {
	case d = <-o.provider:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { o.provider <- d }()
	now := o.now()
	if d.keys != nil || d.err != nil && now.Before(d.tried.Add(pause)) {
		return d.keys, d.err
	}
	bounded, cancel := context.WithTimeout(oidc.ClientContext(ctx, o.client), asking)
	defer cancel()
	p, err := oidc.NewProvider(bounded, o.config.Issuer)
	if err != nil && ctx.Err() != nil { // the caller went away: that says nothing of the issuer
		return nil, ctx.Err()
	}
	d.err, d.tried = err, now
	if err == nil {
		var where struct {
			Keys string `json:"jwks_uri"`
		}
		if d.err = p.Claims(&where); d.err == nil {
			// Of the context the key set keeps the client only, not the end.
			d.keys = oidc.NewRemoteKeySet(bounded, where.Keys)
		}
	}
	return d.keys, d.err
}

func (o *OIDC) claims(token *oidc.IDToken) (Claims, error) {
	var all map[string]any
	if err := token.Claims(&all); err != nil {
		return Claims{}, badToken("the token's claims cannot be read")
	}
	now := o.now()
	from, ok := instant(all, "nbf")
	made, ok2 := instant(all, "iat")
	switch {
	case !ok || !ok2 || token.Expiry.IsZero():
		return Claims{}, badToken("the token does not say until when it holds")
	case !now.Before(token.Expiry.Add(skew)):
		return Claims{}, badToken("the token has expired: sign in again")
	case from.After(now.Add(skew)), made.After(now.Add(skew)):
		return Claims{}, badToken("the token does not hold yet: compare the clocks of the identity provider and of this machine")
	}
	name, _ := all[o.config.UserClaim].(string)
	if name == "" {
		return Claims{}, badToken("the token has no text in the claim %q, which names the user (oidc.user_claim)", o.config.UserClaim)
	}
	// An address that nobody has verified may be somebody else's (OpenID Connect Core
	// §5.7).
	if verified, _ := all["email_verified"].(bool); o.config.UserClaim == "email" && !verified {
		return Claims{}, badToken("the identity provider has not verified the address that names the user (email_verified)")
	}
	return Claims{Source: identity.SourceID(o.config.Source), Name: name, Subject: token.Subject, Expires: token.Expiry}, nil
}

// instant reads a claim in seconds since 1970; one that is missing is the zero time.
func instant(all map[string]any, name string) (time.Time, bool) {
	v, there := all[name]
	if !there {
		return time.Time{}, true
	}
	seconds, ok := v.(float64)
	return time.Unix(int64(seconds), 0), ok
}

func badToken(format string, args ...any) error {
	return fault.New(fault.Unauthenticated, "bad_token", format, args...)
}

func away(err error) error {
	return fault.New(fault.Unavailable, "issuer_unavailable",
		"the identity provider does not answer, so its token cannot be checked; an API key works without it: %w", err)
}
