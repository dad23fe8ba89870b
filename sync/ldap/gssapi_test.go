package ldap

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/credentials"
	krbcrypto "github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

func aesKey(b byte) types.EncryptionKey {
	return types.EncryptionKey{KeyType: etypeID.AES256_CTS_HMAC_SHA1_96, KeyValue: bytes.Repeat([]byte{b}, 32)}
}

// asking returns a context that has sent its request.
func asking(t *testing.T) *securityContext {
	t.Helper()
	g := &securityContext{name: credentials.New("ann", "EXAMPLE.ORG"), key: aesKey(1), binding: bindingOf(nil)}
	g.ticket = messages.Ticket{
		TktVNO: 5, Realm: "EXAMPLE.ORG", SName: types.NewPrincipalName(2, "ldap/dc1"),
		EncPart: types.EncryptedData{EType: etypeID.AES256_CTS_HMAC_SHA1_96, Cipher: []byte("sealed")},
	}
	token, again, err := g.InitSecContext("ldap/dc1", nil)
	if err != nil || !again {
		t.Fatalf("InitSecContext = %v, %v", again, err)
	}
	body, _, err := want(tagToken, token)
	if err != nil || !bytes.HasPrefix(body, []byte(krbOID+tokenAPReq)) {
		t.Fatalf("the first token is %x, %v", token, err)
	}
	var request messages.APReq
	if err := request.Unmarshal(body[len(krbOID)+2:]); err != nil {
		t.Fatal(err)
	}
	if !types.IsFlagSet(&request.APOptions, 2) {
		t.Error("the request does not ask the server to prove itself")
	}
	return g
}

// replies returns the token of a server that answers the request.
func replies(t *testing.T, g *securityContext, with types.EncryptionKey, change func(*messages.EncAPRepPart)) []byte {
	t.Helper()
	part := messages.EncAPRepPart{CTime: g.sent.CTime, Cusec: g.sent.Cusec, Subkey: aesKey(2), SequenceNumber: 7}
	if change != nil {
		change(&part)
	}
	plain, err := asn1.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := krbcrypto.GetEncryptedData(asn1tools.AddASNAppTag(plain, asnAppTag.EncAPRepPart), with, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := asn1.Marshal(messages.APRep{PVNO: 5, MsgType: 15, EncPart: sealed})
	if err != nil {
		t.Fatal(err)
	}
	return tlv(tagToken, []byte(krbOID+tokenAPRep), asn1tools.AddASNAppTag(b, asnAppTag.APREP))
}

// offers returns the token in which a server offers layers.
func offers(t *testing.T, flags byte, rotate int, key types.EncryptionKey, payload ...byte) []byte {
	t.Helper()
	w := gssapi.WrapToken{Flags: flags, EC: 12, SndSeqNum: 7, Payload: payload}
	if err := w.SetCheckSum(key, keyusage.GSSAPI_ACCEPTOR_SEAL); err != nil {
		t.Fatal(err)
	}
	b, err := w.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint16(b[6:], uint16(rotate))
	body := b[gssapi.HdrLen:]
	at := len(body) - rotate%len(body) // turned right
	copy(body, append(bytes.Clone(body[at:]), body[:at]...))
	return b
}

// TestATicketIsShown goes through a whole bind, with the answers of servers that turn
// their tokens by none, by the length of the checksum as Microsoft's do, and by more.
func TestATicketIsShown(t *testing.T) {
	for _, rotate := range []int{0, 12, 28, 65533} {
		g := asking(t)
		if _, again, err := g.InitSecContext("", replies(t, g, g.key, nil)); err != nil || again {
			t.Fatalf("the answer of a sound server: %v, %v", again, err)
		}
		out, err := g.NegotiateSaslAuth(offers(t, wrapByAcceptor|wrapSubkey, rotate, aesKey(2), layerNone|2|4, 0, 16, 0), "u:ann")
		if err != nil {
			t.Fatalf("turned by %d: %v", rotate, err)
		}
		var w gssapi.WrapToken
		if err := w.Unmarshal(out, false); err != nil {
			t.Fatal(err)
		}
		if ok, err := w.Verify(aesKey(2), keyusage.GSSAPI_INITIATOR_SEAL); !ok || w.Flags != wrapSubkey || string(w.Payload) != "\x01\x00\x00\x00u:ann" {
			t.Errorf("the choice is %+v, %v, %v, want no layer", w, ok, err)
		}
	}
}

// TestAServerThatIsNotTheOne goes through answers that must not be believed.
func TestAServerThatIsNotTheOne(t *testing.T) {
	no := messages.NewKRBError(types.NewPrincipalName(2, "ldap/dc1"), "EXAMPLE.ORG", errorcode.KRB_AP_ERR_SKEW, "no")
	refusal, err := no.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token func(*securityContext) []byte
		words string
	}{
		"without the key": {func(g *securityContext) []byte { return replies(t, g, aesKey(9), nil) }, "not the one that the ticket is for"},
		"of another second": {func(g *securityContext) []byte {
			return replies(t, g, g.key, func(p *messages.EncAPRepPart) { p.CTime = p.CTime.Add(time.Second) })
		}, "to another request"},
		"of another time": {func(g *securityContext) []byte {
			return replies(t, g, g.key, func(p *messages.EncAPRepPart) { p.Cusec++ })
		}, "to another request"},
		"another mechanism": {func(*securityContext) []byte { return tlv(tagToken, []byte("\x06\x01\x2a\x02\x00")) }, "another mechanism"},
		"our own request":   {func(*securityContext) []byte { return tlv(tagToken, []byte(krbOID+tokenAPReq)) }, "no answer"},
		"an error":          {func(*securityContext) []byte { return tlv(tagToken, []byte(krbOID+tokenError), refusal) }, "KRB_AP_ERR_SKEW"},
		"nothing":           {func(*securityContext) []byte { return []byte{} }, "ends before"},
	} {
		g := asking(t)
		if _, _, err := g.InitSecContext("", c.token(g)); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", name, err, c.words)
		}
	}
}

func TestOffersThatAreNotTaken(t *testing.T) {
	ready := func() *securityContext {
		g := asking(t)
		if _, _, err := g.InitSecContext("", replies(t, g, g.key, nil)); err != nil {
			t.Fatal(err)
		}
		return g
	}
	sound := func() []byte { return offers(t, wrapByAcceptor|wrapSubkey, 12, aesKey(2), 7, 0, 16, 0) }
	changed := func(at int, by byte) []byte { b := sound(); b[at] ^= by; return b }
	for name, c := range map[string]struct {
		token []byte
		words string
	}{
		"signing is a must": {offers(t, wrapByAcceptor|wrapSubkey, 0, aesKey(2), 2|4, 0, 16, 0), "use ldaps://"},
		"too short":         {offers(t, wrapByAcceptor|wrapSubkey, 0, aesKey(2), 7), "has 1 octets"},
		"another key":       {offers(t, wrapByAcceptor|wrapSubkey, 0, aesKey(3), 7, 0, 16, 0), "changed on its way"},
		"the ticket's key":  {offers(t, wrapByAcceptor|wrapSubkey, 0, aesKey(1), 7, 0, 16, 0), "changed on its way"},
		"changed layers":    {changed(28, 1), "changed on its way"},
		"changed checksum":  {changed(16, 1), "changed on its way"},
		"sealed":            {changed(2, wrapSealed), "sealed"},
		"our own":           {changed(2, wrapByAcceptor), "not from the server"},
		"no token":          {changed(0, 1), "no wrap token"},
		"a long checksum":   {changed(4, 0xff), "ends before"},
		"a cut head":        {sound()[:15], "no wrap token"},
	} {
		if _, err := ready().NegotiateSaslAuth(c.token, ""); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", name, err, c.words)
		}
	}
	g := asking(t)
	if _, _, err := g.InitSecContext("", replies(t, g, g.key, func(p *messages.EncAPRepPart) { p.Subkey = types.EncryptionKey{} })); err != nil {
		t.Fatal(err)
	}
	if _, err := g.NegotiateSaslAuth(sound(), ""); err == nil || !strings.Contains(err.Error(), "never agreed on") {
		t.Errorf("a key that was never agreed on: %v", err)
	}
	if _, err := g.NegotiateSaslAuth(offers(t, wrapByAcceptor, 0, g.key, 7, 0, 16, 0), ""); err != nil {
		t.Errorf("the ticket's key where there is no other: %v", err)
	}
}

func FuzzTokens(f *testing.F) {
	f.Add([]byte("\x05\x04\x05\xff\x00\x0c\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x07\x01\x00\x00\x00123456789012"))
	f.Add(tlv(tagToken, []byte(krbOID+tokenAPRep)))
	f.Add(tlv(tagToken, []byte(krbOID+tokenError)))
	f.Fuzz(func(t *testing.T, b []byte) {
		g := &securityContext{key: aesKey(1), subkey: aesKey(2)}
		if err := g.hear(b); err == nil {
			t.Fatalf("%x is believed", b)
		}
		if p, err := g.unwrap(b); err == nil {
			t.Fatalf("%x is believed to be %x", b, p)
		}
	})
}

// TestBindingsNameTheCertificate computes them anew, from their definitions.
func TestBindingsNameTheCertificate(t *testing.T) {
	if got := bindingOf(nil); !bytes.Equal(got, make([]byte, 16)) {
		t.Errorf("without TLS it is %x, want zeros", got)
	}
	for alg, hash := range map[x509.SignatureAlgorithm]func([]byte) []byte{
		x509.ECDSAWithSHA256: func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
		x509.ECDSAWithSHA384: func(b []byte) []byte { s := sha512.Sum384(b); return s[:] },
		x509.ECDSAWithSHA512: func(b []byte) []byte { s := sha512.Sum512(b); return s[:] },
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), SignatureAlgorithm: alg},
			&x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		data := "tls-server-end-point:" + string(hash(der))
		all := strings.Repeat("\x00", 16) + string([]byte{byte(len(data)), 0, 0, 0}) + data
		want := md5.Sum([]byte(all))
		if got := bindingOf(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}); !bytes.Equal(got, want[:]) {
			t.Errorf("%v: %x, want %x", alg, got, want)
		}
	}
	// RFC 5929 §4.1: SHA-256 in place of those that are too weak.
	for _, alg := range []x509.SignatureAlgorithm{x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.PureEd25519} {
		if endPointHash(alg).String() != "SHA-256" {
			t.Errorf("%v is hashed with %v", alg, endPointHash(alg))
		}
	}
}
