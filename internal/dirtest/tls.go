package dirtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificates are the files of a throw-away authority.
type Certificates struct {
	CA      string // of the authority that signed the server's certificate
	WrongCA string // of another
	Cert    string // of the server, for localhost and 127.0.0.1
	Key     string
	// ClientCert and ClientKey name CN=sync,O=Rollcall Test.
	ClientCert, ClientKey string
}

type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// certificates writes them into dir; the server's is valid until the given instant.
func certificates(dir string, until time.Time, names ...string) (Certificates, error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	c := Certificates{
		CA: at("ca.pem"), WrongCA: at("wrong-ca.pem"), Cert: at("server.pem"), Key: at("server.key"),
		ClientCert: at("client.pem"), ClientKey: at("client.key"),
	}
	far := time.Now().AddDate(1, 0, 0)
	ca, err := authority(c.CA, "Test Authority", far)
	if err != nil {
		return c, err
	}
	if _, err := authority(c.WrongCA, "Another Authority", far); err != nil {
		return c, err
	}
	server := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Rollcall Test"}, CommonName: "localhost"}, NotAfter: until,
		DNSNames: append([]string{"localhost"}, names...), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if err := ca.issue(server, c.Cert, c.Key); err != nil {
		return c, err
	}
	client := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Rollcall Test"}, CommonName: "sync"}, NotAfter: far,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return c, ca.issue(client, c.ClientCert, c.ClientKey)
}

func authority(file, name string, until time.Time) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"Rollcall Test"}, CommonName: name},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &issuer{cert, key}, writePEM(file, "CERTIFICATE", der)
}

func (i *issuer) issue(t *x509.Certificate, certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return err
	}
	t.SerialNumber, t.NotBefore, t.KeyUsage = serial, time.Now().AddDate(0, -1, 0), x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, i.cert, &key.PublicKey, i.key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(certFile, "CERTIFICATE", der); err != nil {
		return err
	}
	return writePEM(keyFile, "PRIVATE KEY", secret)
}

func writePEM(file, kind string, der []byte) error {
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("write a certificate: %w", err)
	}
	return nil
}
