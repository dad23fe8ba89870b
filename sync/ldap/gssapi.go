package ldap

import (
	"bytes"
	"crypto"
	"crypto/md5" //nolint:gosec // RFC 4121 §4.1.1.2 has channel bindings be hashed with it
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"

	goldap "github.com/go-ldap/ldap/v3"
	"github.com/jcmturner/gokrb5/v8/credentials"
	krbcrypto "github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// securityContext is the client's side of one bind with a ticket (RFC 4121, RFC 4752).
// It differs from the one that comes with go-ldap in that it has the server prove that
// it is the one which the ticket is for, and binds the ticket to the TLS connection.
// It leaves protection to TLS: there is no layer of its own.
type securityContext struct {
	name    *credentials.Credentials
	ticket  messages.Ticket
	key     types.EncryptionKey // of the ticket
	binding []byte              // 16 octets

	sent   types.Authenticator
	subkey types.EncryptionKey // that the server chose, if it did
}

var _ goldap.GSSAPIClient = (*securityContext)(nil)

// The tokens of RFC 4121 §4.1, after the object identifier of Kerberos.
const (
	krbOID     = "\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"
	tokenAPReq = "\x01\x00"
	tokenAPRep = "\x02\x00"
	tokenError = "\x03\x00"
	tagToken   = 0x60
)

// InitSecContext implements [goldap.GSSAPIClient].
func (g *securityContext) InitSecContext(target string, input []byte) ([]byte, bool, error) {
	return g.InitSecContextWithOptions(target, input, nil)
}

// InitSecContextWithOptions implements [goldap.GSSAPIClient].
func (g *securityContext) InitSecContextWithOptions(_ string, input []byte, _ []int) ([]byte, bool, error) {
	if input == nil {
		out, err := g.ask()
		return out, true, err
	}
	return []byte{}, false, g.hear(input)
}

// DeleteSecContext implements [goldap.GSSAPIClient].
func (g *securityContext) DeleteSecContext() error {
	g.key, g.subkey = types.EncryptionKey{}, types.EncryptionKey{}
	return nil
}

// ask returns the first token.
func (g *securityContext) ask() ([]byte, error) {
	var err error
	if g.sent, err = types.NewAuthenticator(g.name.Domain(), g.name.CName()); err != nil {
		return nil, fmt.Errorf("make a Kerberos authenticator: %w", err)
	}
	g.sent.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: g.checksum()}
	request, err := messages.NewAPReq(g.ticket, g.key, g.sent)
	if err != nil {
		return nil, fmt.Errorf("make a Kerberos request: %w", err)
	}
	types.SetFlag(&request.APOptions, flags.APOptionMutualRequired)
	b, err := request.Marshal()
	if err != nil {
		return nil, fmt.Errorf("make a Kerberos request: %w", err)
	}
	body := []byte(krbOID + tokenAPReq + string(b))
	return append(elementHead(tagToken, len(body)), body...), nil
}

// checksum is RFC 4121 §4.1.1: the channel, and what is wanted of the context.
func (g *securityContext) checksum() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 16)
	b = append(b, g.binding...)
	return binary.LittleEndian.AppendUint32(b, gssapi.ContextFlagMutual|gssapi.ContextFlagInteg)
}

// hear takes the server's answer, which proves that it could read the request.
func (g *securityContext) hear(token []byte) error {
	body, _, err := want(tagToken, token)
	if err != nil {
		return fmt.Errorf("the server's Kerberos token: %w", err)
	}
	body, ok := bytes.CutPrefix(body, []byte(krbOID))
	switch {
	case !ok:
		return errors.New("the server answers with another mechanism than Kerberos")
	case bytes.HasPrefix(body, []byte(tokenError)):
		var e messages.KRBError
		if err := e.Unmarshal(body[2:]); err != nil {
			return fmt.Errorf("the server's Kerberos error: %w", err)
		}
		return e
	case !bytes.HasPrefix(body, []byte(tokenAPRep)):
		return errors.New("the server's Kerberos token is no answer")
	}
	var reply messages.APRep
	if err := reply.Unmarshal(body[2:]); err != nil {
		return fmt.Errorf("the server's Kerberos answer: %w", err)
	}
	plain, err := krbcrypto.DecryptEncPart(reply.EncPart, g.key, keyusage.AP_REP_ENCPART)
	if err != nil {
		return fmt.Errorf("the server is not the one that the ticket is for: %w", err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return fmt.Errorf("the server's Kerberos answer: %w", err)
	}
	if part.CTime.Unix() != g.sent.CTime.Unix() || part.Cusec != g.sent.Cusec {
		return errors.New("the server's Kerberos answer is to another request")
	}
	g.subkey = part.Subkey
	return nil
}

// The flags of a wrap token (RFC 4121 §4.2.2), and the one layer that is taken (RFC
// 4752 §3.3).
const (
	wrapByAcceptor = 1
	wrapSealed     = 2
	wrapSubkey     = 4
	layerNone      = 1
)

// NegotiateSaslAuth implements [goldap.GSSAPIClient]: the server offers layers of
// protection, and none is taken, since TLS is there.
func (g *securityContext) NegotiateSaslAuth(input []byte, authzid string) ([]byte, error) {
	offer, err := g.unwrap(input)
	if err != nil {
		return nil, fmt.Errorf("the server's offer of protection: %w", err)
	}
	if len(offer) != 4 {
		return nil, fmt.Errorf("the server's offer of protection has %d octets", len(offer))
	}
	if offer[0]&layerNone == 0 {
		return nil, errors.New("the server wants Kerberos itself to sign or seal the connection, which is for connections without TLS: use ldaps://, or set starttls")
	}
	return g.wrap(append([]byte{layerNone, 0, 0, 0}, authzid...))
}

// sessionKey is the key of tokens with the given flags.
func (g *securityContext) sessionKey(f byte) (types.EncryptionKey, error) {
	if f&wrapSubkey == 0 {
		return g.key, nil
	}
	if len(g.subkey.KeyValue) == 0 {
		return g.subkey, errors.New("it is made with a key that was never agreed on")
	}
	return g.subkey, nil
}

// unwrap checks a token of the server and returns what is in it (RFC 4121 §4.2.6.2).
func (g *securityContext) unwrap(b []byte) ([]byte, error) {
	if len(b) < gssapi.HdrLen || b[0] != 5 || b[1] != 4 || b[3] != gssapi.FillerByte {
		return nil, errors.New("it is no wrap token")
	}
	t := gssapi.WrapToken{Flags: b[2], EC: binary.BigEndian.Uint16(b[4:]), RRC: binary.BigEndian.Uint16(b[6:]), SndSeqNum: binary.BigEndian.Uint64(b[8:])}
	body := b[gssapi.HdrLen:]
	switch {
	case t.Flags&wrapByAcceptor == 0:
		return nil, errors.New("it is not from the server")
	case t.Flags&wrapSealed != 0:
		return nil, errors.New("it is sealed, which is not expected")
	case int(t.EC) > len(body):
		return nil, errShort
	}
	if len(body) > 0 { // §4.2.5: turned right so many times
		at := int(t.RRC) % len(body)
		body = append(bytes.Clone(body[at:]), body[:at]...)
	}
	t.Payload, t.CheckSum = body[:len(body)-int(t.EC)], body[len(body)-int(t.EC):]
	key, err := g.sessionKey(t.Flags)
	if err != nil {
		return nil, err
	}
	if ok, err := t.Verify(key, keyusage.GSSAPI_ACCEPTOR_SEAL); !ok {
		return nil, fmt.Errorf("it was changed on its way: %w", errors.Join(err))
	}
	return t.Payload, nil
}

// wrap makes a token for the server.
func (g *securityContext) wrap(payload []byte) ([]byte, error) {
	t := gssapi.WrapToken{Payload: payload, SndSeqNum: uint64(g.sent.SeqNumber)}
	if len(g.subkey.KeyValue) > 0 {
		t.Flags = wrapSubkey
	}
	key, err := g.sessionKey(t.Flags)
	if err != nil {
		return nil, err
	}
	kind, err := krbcrypto.GetEtype(key.KeyType)
	if err != nil {
		return nil, fmt.Errorf("the server's kind of key: %w", err)
	}
	t.EC = uint16(kind.GetHMACBitLength() / 8)
	if err := t.SetCheckSum(key, keyusage.GSSAPI_INITIATOR_SEAL); err != nil {
		return nil, fmt.Errorf("sign the answer to the server: %w", err)
	}
	return t.Marshal()
}

// bindingOf names the TLS connection by its server's certificate (RFC 5929 §4), as the
// hash that a Kerberos authenticator has room for. A server that checks it knows that
// nobody sits in between. Without TLS it is all zero, which means none.
func bindingOf(c *tls.ConnectionState) []byte {
	if c == nil || len(c.PeerCertificates) == 0 {
		return make([]byte, 16)
	}
	cert := c.PeerCertificates[0]
	h := endPointHash(cert.SignatureAlgorithm).New()
	h.Write(cert.Raw)
	data := append([]byte("tls-server-end-point:"), h.Sum(nil)...)
	// RFC 4121 §4.1.1.2: no addresses, and the data with its length.
	b := binary.LittleEndian.AppendUint32(make([]byte, 16), uint32(len(data)))
	sum := md5.Sum(append(b, data...)) //nolint:gosec // as above
	return sum[:]
}

// endPointHash is the hash of the certificate's signature; SHA-256 for those that have
// no single one, or one that is too weak.
func endPointHash(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		return crypto.SHA512
	}
	return crypto.SHA256
}
