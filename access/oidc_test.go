package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

// issuer is an identity provider on this machine.
type issuer struct {
	t      *testing.T
	server *httptest.Server
	ca     string // file

	mu    sync.Mutex
	now   time.Time         // guarded by mu
	away  bool              // guarded by mu
	keys  []jose.JSONWebKey // that it publishes; guarded by mu
	asked map[string]int    // by path; guarded by mu
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t, now: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC), asked: map[string]int{}}
	i.server = httptest.NewUnstartedServer(i)
	i.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	i.server.StartTLS()
	t.Cleanup(i.server.Close)
	i.ca = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw})
	if err := os.WriteFile(i.ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

// ServeHTTP implements http.Handler.
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked[r.URL.Path]++
	var body any
	switch {
	case i.away:
		w.WriteHeader(http.StatusBadGateway)
		return
	case r.URL.Path == "/.well-known/openid-configuration":
		body = map[string]any{"issuer": i.server.URL, "jwks_uri": i.server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "none"}}
	case r.URL.Path == "/keys":
		public := jose.JSONWebKeySet{}
		for _, k := range i.keys {
			public.Keys = append(public.Keys, k.Public())
		}
		body = public
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, body, json.FormatNilSliceAsNull(false))
}

func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) clock() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now
}

func (i *issuer) asks(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[path]
}

func rsaKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: k, KeyID: id, Algorithm: "RS256", Use: "sig"}
}

func ecKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: k, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

// claimsFor are what an ordinary token says, changed as a test wants it; nil takes a
// claim away.
func (i *issuer) claimsFor(change map[string]any) map[string]any {
	now := i.clock()
	c := map[string]any{
		"iss": i.server.URL, "aud": "rollcall", "sub": "f81d4fae", "preferred_username": "ann",
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func sign(t *testing.T, alg string, key jose.JSONWebKey, claims map[string]any) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithHeader("kid", key.KeyID)
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key.Key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (i *issuer) verifier(change func(*OIDCConfig)) *OIDC {
	i.t.Helper()
	c := OIDCConfig{Issuer: i.server.URL, Audience: "rollcall", Source: "corp", CAFile: i.ca}
	if change != nil {
		change(&c)
	}
	o, err := NewOIDC(c, i.clock)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(o.client.Transport.(*issuerTransport).next.(*http.Transport).CloseIdleConnections)
	return o
}

func TestVerify(t *testing.T) {
	i := newIssuer(t)
	r, e := rsaKey(t, "r1"), ecKey(t, "e1")
	i.keys = []jose.JSONWebKey{r, e}
	o := i.verifier(nil)
	want := Claims{Source: identity.SourceID("corp"), Name: "ann", Subject: "f81d4fae", Expires: i.now.Add(10 * time.Minute)}
	for _, tt := range []struct {
		alg string
		key jose.JSONWebKey
	}{{"RS256", r}, {"PS256", r}, {"ES256", e}} {
		got, err := o.Verify(t.Context(), sign(t, tt.alg, tt.key, i.claimsFor(nil)))
		if err != nil || !got.Expires.Equal(want.Expires) || got.Name != want.Name || got.Source != want.Source || got.Subject != want.Subject {
			t.Errorf("Verify(signed with %s) = %+v, %v, want %+v", tt.alg, got, err, want)
		}
	}
	if n := i.asks("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the issuer was asked %d times where its keys are, want 1", n)
	}
	bySub := i.verifier(func(c *OIDCConfig) { c.UserClaim = "sub" })
	if got, err := bySub.Verify(t.Context(), sign(t, "ES256", e, i.claimsFor(nil))); err != nil || got.Name != "f81d4fae" {
		t.Errorf("Verify with user_claim sub = %+v, %v, want the name f81d4fae", got, err)
	}
	byMail := i.verifier(func(c *OIDCConfig) { c.UserClaim = "email" })
	mail := i.claimsFor(map[string]any{"email": "ann@example.com", "email_verified": true})
	if got, err := byMail.Verify(t.Context(), sign(t, "ES256", e, mail)); err != nil || got.Name != "ann@example.com" {
		t.Errorf("Verify with user_claim email = %+v, %v", got, err)
	}
	mail["email_verified"] = false
	if got, err := byMail.Verify(t.Context(), sign(t, "ES256", e, mail)); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("Verify with an address that nobody verified = %+v, %v, want fault.Unauthenticated", got, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	i := newIssuer(t)
	r, e := rsaKey(t, "r1"), ecKey(t, "e1")
	i.keys = []jose.JSONWebKey{r, e}
	o := func(*OIDCConfig) {}
	onlyES := func(c *OIDCConfig) { c.Algorithms = []string{"ES256"} }
	claims := func(change map[string]any) string { return sign(t, "RS256", r, i.claimsFor(change)) }
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	now := i.now
	good := claims(nil)
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	other, _, _ := strings.Cut(strings.SplitN(claims(map[string]any{"preferred_username": "root"}), ".", 2)[1], ".")
	public, err := json.Marshal(r.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		raw string
		by  func(*OIDCConfig)
	}{
		"another issuer":          {claims(map[string]any{"iss": "https://elsewhere.example"}), o},
		"no issuer":               {claims(map[string]any{"iss": nil}), o},
		"another audience":        {claims(map[string]any{"aud": "wiki"}), o},
		"no audience":             {claims(map[string]any{"aud": nil}), o},
		"expired":                 {claims(map[string]any{"exp": now.Add(-skew).Unix()}), o},
		"without an end":          {claims(map[string]any{"exp": nil}), o},
		"not yet":                 {claims(map[string]any{"nbf": now.Add(skew + time.Second).Unix()}), o},
		"not yet, in words":       {claims(map[string]any{"nbf": "tomorrow"}), o},
		"made in the future":      {claims(map[string]any{"iat": now.Add(skew + time.Second).Unix()}), o},
		"nobody named":            {claims(map[string]any{"preferred_username": nil}), o},
		"somebody named emptily":  {claims(map[string]any{"preferred_username": ""}), o},
		"a list of names":         {claims(map[string]any{"preferred_username": []string{"ann", "root"}}), o},
		"none":                    {part(`{"alg":"none"}`) + "." + payload + ".", o},
		"None":                    {part(`{"alg":"None","kid":"r1"}`) + "." + payload + "." + signature, o},
		"a shared secret":         {sign(t, "HS256", jose.JSONWebKey{Key: public, KeyID: "r1"}, i.claimsFor(nil)), o},
		"an algorithm not chosen": {good, onlyES},
		"signed by somebody else": {sign(t, "RS256", rsaKey(t, "r1"), i.claimsFor(nil)), o},
		"another's key id":        {sign(t, "RS256", jose.JSONWebKey{Key: r.Key, KeyID: "e1"}, i.claimsFor(nil)), o},
		"claims exchanged":        {head + "." + other + "." + signature, o},
		"signature left out":      {head + "." + payload + ".", o},
		"not a token":             {"a.b.c", o},
		"dots":                    {"..", o},
		"a key of its own":        {ownKey(t, i.claimsFor(nil)), o},
	} {
		t.Run(name, func(t *testing.T) {
			v := i.verifier(tt.by)
			got, err := v.Verify(t.Context(), tt.raw)
			if !errors.Is(err, fault.Unauthenticated) {
				t.Errorf("Verify = %+v, %v, want fault.Unauthenticated", got, err)
			}
			if got != (Claims{}) || err != nil && len(tt.raw) > 20 && strings.Contains(err.Error(), tt.raw[:20]) {
				t.Errorf("Verify = %+v, %v, want nothing and an error that does not repeat the token", got, err)
			}
		})
	}
}

// Anybody can make a token with the id of a key that nobody knows. That makes neither
// us ask without end, nor a good token fail.
func TestFlood(t *testing.T) {
	i := newIssuer(t)
	e := ecKey(t, "e1")
	i.keys = []jose.JSONWebKey{e}
	o := i.verifier(nil)
	good := sign(t, "ES256", e, i.claimsFor(nil))
	for n := range 50 {
		unknown := ecKey(t, fmt.Sprint("unknown", n))
		if _, err := o.Verify(t.Context(), sign(t, "ES256", unknown, i.claimsFor(nil))); err == nil {
			t.Fatal("Verify with a key that the issuer does not have: want an error")
		}
		if n == 0 {
			continue
		}
		if _, err := o.Verify(t.Context(), good); err != nil {
			t.Fatalf("Verify of a good token = %v", err)
		}
	}
	if n := i.asks("/keys"); n > askBurst {
		t.Errorf("the issuer was asked %d times for its keys, want at most %d", n, askBurst)
	}
	i.set(func() { i.now = i.now.Add(2 * askEvery); i.keys = append(i.keys, ecKey(t, "e2")) })
	// go-oidc lets who comes share the answer to who asked before, which may have been a
	// refusal of the flood, so a moment may go by.
	fresh := sign(t, "ES256", i.keys[1], i.claimsFor(nil))
	for try := 0; ; try++ {
		_, err := o.Verify(t.Context(), fresh)
		if err == nil {
			break
		}
		if try == 1000 {
			t.Fatalf("Verify with a new key after the flood = %v, want it to hold", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ownKey returns a token that brings the key it is signed with (RFC 7515 §4.1.3).
func ownKey(t *testing.T, claims map[string]any) string {
	t.Helper()
	k := ecKey(t, "mine")
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.Key.(crypto.Signer)}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Clocks differ by a little.
func TestVerifyAllowsSkew(t *testing.T) {
	i := newIssuer(t)
	e := ecKey(t, "e1")
	i.keys = []jose.JSONWebKey{e}
	o := i.verifier(nil)
	for name, change := range map[string]map[string]any{
		"expired just now": {"exp": i.now.Add(-skew + time.Second).Unix()},
		"from soon on":     {"nbf": i.now.Add(skew).Unix(), "iat": i.now.Add(skew).Unix()},
	} {
		if _, err := o.Verify(t.Context(), sign(t, "ES256", e, i.claimsFor(change))); err != nil {
			t.Errorf("%s: Verify = %v, want it to hold", name, err)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	i := newIssuer(t)
	first, second := ecKey(t, "e1"), ecKey(t, "e2")
	i.keys = []jose.JSONWebKey{first}
	o := i.verifier(nil)
	if _, err := o.Verify(t.Context(), sign(t, "ES256", first, i.claimsFor(nil))); err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.keys = []jose.JSONWebKey{second} })
	if _, err := o.Verify(t.Context(), sign(t, "ES256", second, i.claimsFor(nil))); err != nil {
		t.Errorf("Verify with the new key = %v, want it to hold", err)
	}
	// go-oidc hands the new keys to who waits for them before it puts them in the place of
	// the old ones, so a moment may go by.
	old := sign(t, "ES256", first, i.claimsFor(nil))
	for try := 0; ; try++ {
		_, err := o.Verify(t.Context(), old)
		if errors.Is(err, fault.Unauthenticated) {
			break
		}
		if try == 1000 {
			t.Fatalf("Verify with the old key = %v, want fault.Unauthenticated", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// The daemon starts while the issuer is away, and takes tokens once it is back.
func TestIssuerAway(t *testing.T) {
	i := newIssuer(t)
	e := ecKey(t, "e1")
	i.keys, i.away = []jose.JSONWebKey{e}, true
	o := i.verifier(nil)
	token := sign(t, "ES256", e, i.claimsFor(nil))
	for range 3 {
		if _, err := o.Verify(t.Context(), token); !errors.Is(err, fault.Unavailable) || fault.Code(err) != "issuer_unavailable" {
			t.Fatalf("Verify while the issuer is away = %v, want fault.Unavailable", err)
		}
	}
	if n := i.asks("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("asked %d times within %v, want 1", n, pause)
	}
	i.set(func() { i.away, i.now = false, i.now.Add(pause) })
	if _, err := o.Verify(t.Context(), token); err != nil {
		t.Errorf("Verify once the issuer is back = %v", err)
	}
	// What is known goes on without it.
	i.set(func() { i.away = true })
	if _, err := o.Verify(t.Context(), token); err != nil {
		t.Errorf("Verify with a known key while the issuer is away = %v", err)
	}
	if _, err := o.Verify(t.Context(), sign(t, "ES256", ecKey(t, "e2"), i.claimsFor(nil))); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Verify with an unknown key while the issuer is away = %v, want fault.Unavailable", err)
	}
}

func TestIssuerNotTrusted(t *testing.T) {
	i := newIssuer(t)
	e := ecKey(t, "e1")
	i.keys = []jose.JSONWebKey{e}
	o := i.verifier(func(c *OIDCConfig) { c.CAFile = "" })
	if _, err := o.Verify(t.Context(), sign(t, "ES256", e, i.claimsFor(nil))); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Verify with a certificate that nobody trusts = %v, want fault.Unavailable", err)
	}
	if _, err := NewOIDC(OIDCConfig{Issuer: i.server.URL, Audience: "a", Source: "corp", CAFile: filepath.Join(t.TempDir(), "none")}, nil); err == nil {
		t.Error("NewOIDC with a file that is not there: want an error")
	}
}

func TestOIDCConfig(t *testing.T) {
	good := OIDCConfig{Issuer: "https://id.example/realm", Audience: "rollcall", Source: "corp"}
	for name, tt := range map[string]struct {
		change func(*OIDCConfig)
		want   string
	}{
		"as it should be":  {func(*OIDCConfig) {}, ""},
		"off":              {func(c *OIDCConfig) { *c = OIDCConfig{} }, ""},
		"half":             {func(c *OIDCConfig) { c.Issuer = "" }, "issuer"},
		"plain":            {func(c *OIDCConfig) { c.Issuer = "http://id.example" }, "issuer"},
		"with a query":     {func(c *OIDCConfig) { c.Issuer += "?x=1" }, "issuer"},
		"for everybody":    {func(c *OIDCConfig) { c.Audience = "" }, "audience"},
		"nobody's users":   {func(c *OIDCConfig) { c.Source = "" }, "source"},
		"a source's name":  {func(c *OIDCConfig) { c.Source = "No Such" }, "source"},
		"a shared secret":  {func(c *OIDCConfig) { c.Algorithms = []string{"ES256", "HS256"} }, "algorithms"},
		"no signature":     {func(c *OIDCConfig) { c.Algorithms = []string{"none"} }, "algorithms"},
		"two claims":       {func(c *OIDCConfig) { c.UserClaim = "sub email" }, "user_claim"},
		"chosen carefully": {func(c *OIDCConfig) { c.UserClaim, c.Algorithms = "sub", []string{"EdDSA"} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			tt.change(&c)
			p := &config.Problems{}
			c.Validate(p)
			err := p.Err()
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want+":") {
				t.Errorf("Validate = %v, want a problem at %q", err, tt.want)
			}
		})
	}
}
