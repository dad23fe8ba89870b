package ldapserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate returns a configuration with a certificate signed by itself.
func certificate(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "reader"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

func TestTLS(t *testing.T) {
	o := func(o *Options) { o.TLS = certificate(t) }
	if out, code := client(t, start(t, small(t), o).URL(), "-ZZ", "-b", suffix, "(uid=anna)", "uid"); code != 0 || !strings.Contains(out, "uid: anna") {
		t.Errorf("StartTLS: exit %d\n%s", code, out)
	}
	ldaps := start(t, small(t), o, func(o *Options) { o.LDAPS = true })
	if out, code := client(t, ldaps.URL(), "-b", suffix, "(uid=anna)", "uid"); code != 0 || !strings.Contains(out, "uid: anna") {
		t.Errorf("LDAPS: exit %d\n%s", code, out)
	}
	if out, code := client(t, ldaps.URL(), "-ZZ", "-b", suffix); code == 0 || !strings.Contains(out, "TLS already started") {
		t.Errorf("StartTLS over LDAPS: exit %d\n%s", code, out)
	}
	if out, code := client(t, start(t, small(t)).URL(), "-ZZ", "-b", suffix); code == 0 || !strings.Contains(out, "no certificate is configured") {
		t.Errorf("StartTLS without a certificate: exit %d\n%s", code, out)
	}
}

func TestBindWithACertificate(t *testing.T) {
	config := certificate(t)
	config.ClientAuth = tls.RequireAnyClientCert
	s := start(t, small(t), func(o *Options) {
		o.TLS, o.LDAPS = config, true
		o.External = func(c *x509.Certificate) (string, bool) { return "cn=" + c.Subject.CommonName + "," + suffix, true }
	})
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine := config.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(mine.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LDAPTLS_CERT", write("cert.pem", "CERTIFICATE", mine.Certificate[0]))
	t.Setenv("LDAPTLS_KEY", write("key.pem", "PRIVATE KEY", key))
	if out, code := run(t, "ldapwhoami", "-H", s.URL(), "-Y", "EXTERNAL"); code != 0 || !strings.Contains(out, "dn:cn=reader,"+suffix) {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestBinds(t *testing.T) {
	d := small(t)
	if err := d.Modify("uid=anna,ou=people,"+suffix, Change{AddValues, "userPassword", []string{"pw"}}); err != nil {
		t.Fatal(err)
	}
	s := start(t, d)
	tests := []struct {
		name, password string
		code           ResultCode
	}{
		{readerDN, readerPW, Success},
		{strings.ToUpper(readerDN), readerPW, Success},
		{"uid=anna,ou=people," + suffix, "pw", Success},
		{"uid=anna,ou=people," + suffix, "wrong", InvalidCredentials},
		{"uid=juergen,ou=people," + suffix, "pw", InvalidCredentials},
		{"uid=nobody," + suffix, "pw", InvalidCredentials},
		{readerDN, "", UnwillingToPerform},
		{"", "", InappropriateAuth},
		{"no name", "pw", InvalidDNSyntax},
	}
	for _, tt := range tests {
		if out, code := run(t, "ldapwhoami", "-H", s.URL(), "-x", "-D", tt.name, "-w", tt.password); code != int(tt.code) {
			t.Errorf("bind as %q: exit %d, want %d\n%s", tt.name, code, tt.code, out)
		}
	}
	open := start(t, small(t), func(o *Options) { o.Anonymous = true })
	if out, code := run(t, "ldapsearch", "-H", open.URL(), "-x", "-LLL", "-b", suffix, "1.1"); code != 0 || len(names(out)) != 8 {
		t.Errorf("an anonymous search: exit %d\n%s", code, out)
	}
	if out, _ := client(t, s.URL(), "-b", suffix, "(userPassword=*)", "*", "userPassword"); len(names(out)) > 0 {
		t.Errorf("a password was found:\n%s", out)
	}
	if out, _ := client(t, s.URL(), "-b", suffix, "(uid=anna)", "*", "userPassword"); strings.Contains(out, "userPassword") {
		t.Errorf("a password was returned:\n%s", out)
	}
}
