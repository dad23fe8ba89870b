package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash/crc32"
	"log/slog"
	"strings"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
)

// Kind is what a credential is for. It is the part that a person sees first and
// that a scanner for leaked credentials looks for.
type Kind string

// The kinds of credential.
const (
	KindKey       Kind = "rcl_pat"  // the API key of a person
	KindService   Kind = "rcl_app"  // the system key of a service: an application behind us
	KindPush      Kind = "rcl_scim" // of an identity provider, for one source
	KindBootstrap Kind = "rcl_boot" // of the first start: works once
	KindSigned    Kind = "oidc"     // a token that an identity provider signed; never issued here
)

// issued are the kinds that this package makes and reads.
var issued = [...]Kind{KindKey, KindService, KindPush, KindBootstrap}

// ScanningPattern is what a scanner for leaked secrets looks for (RE2 syntax). It is
// published in docs/keys.md, with how the checksum at the end is computed.
const ScanningPattern = `\brcl_(?:pat|app|scim|boot)_[0-9A-Za-z]{10}_[0-9A-Za-z]{36}\b`

// A credential is "<kind>_<public id>_<secret><checksum>", in the manner of GitHub:
// a scanner recognizes one, checksum included, without a database, and a typing
// mistake is found without asking one.
const (
	idLen       = 10
	secretLen   = 30 // of 62 characters each: 178 bits
	checksumLen = 6  // CRC-32 (IEEE) of all that stands before it
)

// alphabet is base62 in ASCII order.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Credential is an issued secret. It does not print; [Credential.Reveal] gives it
// out once, to the person it is for.
type Credential struct {
	kind Kind
	id   string
	text config.Secret
}

// New returns a fresh credential of cryptographic randomness.
func New(k Kind) Credential {
	id := random(idLen)
	body := string(k) + "_" + id + "_" + random(secretLen)
	return Credential{kind: k, id: id, text: config.NewSecret(body + checksum(body))}
}

// random returns n characters, each of the alphabet equally likely: a byte of 248 or
// more, which would favor some, is drawn again.
func random(n int) string {
	out := make([]byte, 0, n)
	var buf [64]byte
	for len(out) < n {
		_, _ = rand.Read(buf[:]) // never fails: the process would have ended
		for _, c := range buf {
			if int(c) < 4*len(alphabet) && len(out) < n {
				out = append(out, alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return string(out)
}

func checksum(s string) string {
	sum := crc32.ChecksumIEEE([]byte(s))
	var out [checksumLen]byte
	for i := checksumLen - 1; i >= 0; i-- {
		out[i] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return string(out[:])
}

// Parse reads the text of a credential. It is fault.Unauthenticated for everything
// that New cannot have made; the error does not repeat what was given.
func Parse(text string) (Credential, error) {
	for _, k := range issued {
		rest, ok := strings.CutPrefix(text, string(k)+"_")
		if !ok || len(rest) != idLen+1+secretLen+checksumLen || rest[idLen] != '_' {
			continue
		}
		id, tail := rest[:idLen], rest[idLen+1:]
		body := text[:len(text)-checksumLen]
		if isBase62(id) && isBase62(tail) && text[len(body):] == checksum(body) {
			return Credential{kind: k, id: id, text: config.NewSecret(text)}, nil
		}
	}
	return Credential{}, fault.New(fault.Unauthenticated, "bad_credential",
		"this is not a credential of Rollcall, or a character of it is wrong or missing: copy it again, whole")
}

func isBase62(s string) bool {
	for i := range len(s) {
		if strings.IndexByte(alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}

// Kind returns what the credential is for.
func (c Credential) Kind() Kind { return c.kind }

// ID returns the public part, under which the hash is kept.
func (c Credential) ID() string { return c.id }

// Reveal returns the whole text. The caller gives it to the person it is for, once.
func (c Credential) Reveal() string { return c.text.Reveal() }

// Secret returns the whole text as something that still does not print.
func (c Credential) Secret() config.Secret { return c.text }

// Hash returns what is stored in the credential's place. A plain SHA-256 suffices:
// the secret is random and too long to be tried.
func (c Credential) Hash() string {
	sum := sha256.Sum256([]byte(c.text.Reveal()))
	return hex.EncodeToString(sum[:])
}

// Matches reports whether a stored hash is that of the credential, in time that does
// not depend on where they differ. No hash matches the zero credential.
func (c Credential) Matches(hash string) bool {
	same := subtle.ConstantTimeCompare([]byte(c.Hash()), []byte(hash)) == 1
	return same && !c.text.IsZero()
}

// String returns the kind and the public id, never the secret.
func (c Credential) String() string {
	return string(c.kind) + "_" + c.id + "_[redacted]"
}

// GoString returns what String returns.
func (c Credential) GoString() string { return c.String() }

// MarshalText returns what String returns: a credential is stored by its hash and
// shown by Reveal, so nothing that encodes one by accident gives it away.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue returns what String returns.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }
