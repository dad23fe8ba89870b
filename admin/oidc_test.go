package admin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// From the identity provider's signature to an answer, with every part real: the
// person's permissions are those of the roll, and end with his activity while the
// token still holds.
func TestSignedTokenOfALocalIssuer(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	ann := w.person("corp", "ann")
	w.grant(identity.UserMember(ann), permissions.Audit, time.Time{})

	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: "k1", Algorithm: "ES256", Use: "sig"}
	mux := http.NewServeMux()
	issuer := httptest.NewTLSServer(mux)
	defer issuer.Close()
	serve := func(path string, body any) {
		mux.HandleFunc("GET "+path, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			if err := json.MarshalWrite(rw, body); err != nil {
				t.Error(err)
			}
		})
	}
	serve("/.well-known/openid-configuration", map[string]string{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
	serve("/keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := access.NewOIDC(access.OIDCConfig{Issuer: issuer.URL, Audience: "rollcall", Source: "corp", CAFile: ca}, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	defer w.with(func(o *admin.Options) { o.Tokens = tokens })()

	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token := func(audience string) string {
		payload, err := json.Marshal(map[string]any{
			"iss": issuer.URL, "aud": audience, "sub": "1", "preferred_username": "ANN", "exp": w.clock().Add(time.Hour).Unix(),
			"groups": []string{"admins"}, "permissions": []string{"USER_ADMIN"}, // what a token says of rights counts for nothing
		})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := token("rollcall")
	if r := w.call(http.MethodGet, "/v1/users", good, nil); r.status != http.StatusOK {
		t.Errorf("list with AUDIT: status %d: %s", r.status, r.body)
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/users", good, map[string]string{"userName": "x"}), http.StatusForbidden, "permission_missing")
	wantProblem(t, w.call(http.MethodGet, "/v1/users", token("another"), nil), http.StatusUnauthorized, "bad_token")
	w.commit(state.Disable{User: ann, Reason: "left"})
	wantProblem(t, w.call(http.MethodGet, "/v1/users", good, nil), http.StatusUnauthorized, "unauthenticated")
	w.commit(state.Enable{User: ann})
	w.pass(2 * time.Hour)
	wantProblem(t, w.call(http.MethodGet, "/v1/users", good, nil), http.StatusUnauthorized, "bad_token")
}
