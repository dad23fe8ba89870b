package etcd

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/storetest"
)

// onServer opens stores on one server, each under a prefix of its own.
func onServer(o Options) func(t *testing.T) store.Store {
	var n atomic.Int64
	return func(t *testing.T) store.Store {
		o := o
		o.Prefix = fmt.Sprintf("/%d/", n.Add(1))
		return open(t, o)
	}
}

func TestSuiteExternal(t *testing.T) {
	_, u := startServer(t, t.TempDir(), "http://127.0.0.1:0")
	storetest.Run(t, onServer(Options{Endpoints: []string{u}}), storetest.Options{Compact: compact})
}

func TestSuiteExternalPaged(t *testing.T) {
	_, u := startServer(t, t.TempDir(), "http://127.0.0.1:0")
	storetest.Run(t, onServer(Options{Endpoints: []string{u}, Paged: true}), storetest.Options{Compact: compact})
}

func TestSuiteExternalTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1")
	_, u := startServer(t, t.TempDir(), "https://127.0.0.1:0", cert, key, ca.file)
	ours := TLS{CA: ca.file}
	ours.Cert, ours.Key = ca.issue(t, "rollcall")
	storetest.Run(t, onServer(Options{Endpoints: []string{u}, TLS: ours}), storetest.Options{Compact: compact})

	t.Run("without a certificate", func(t *testing.T) {
		t.Parallel()
		wantOpenFails(t, Options{Endpoints: []string{u}, TLS: TLS{CA: ca.file}}, "store_unavailable")
	})
	t.Run("with another authority", func(t *testing.T) {
		t.Parallel()
		other := newAuthority(t)
		wantOpenFails(t, Options{Endpoints: []string{u}, TLS: TLS{CA: other.file, Cert: ours.Cert, Key: ours.Key}}, "store_unavailable")
	})
	t.Run("with a file that is no certificate", func(t *testing.T) {
		wantOpenFails(t, Options{Endpoints: []string{u}, TLS: TLS{CA: ours.Key}}, "store_tls")
	})
}

func TestSuiteExternalPassword(t *testing.T) {
	_, u := startServer(t, t.TempDir(), "http://127.0.0.1:0")
	admin, err := clientv3.New(clientv3.Config{Endpoints: []string{u}, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	must(admin.RoleAdd(ctx, "root"))
	must(admin.UserAdd(ctx, "root", "root"))
	must(admin.UserGrantRole(ctx, "root", "root"))
	must(admin.RoleAdd(ctx, "rollcall"))
	must(admin.RoleGrantPermission(ctx, "rollcall", DefaultPrefix, clientv3.GetPrefixRangeEnd(DefaultPrefix), clientv3.PermissionType(clientv3.PermReadWrite)))
	must(admin.UserAdd(ctx, "rollcall", "s3cret"))
	must(admin.UserGrantRole(ctx, "rollcall", "rollcall"))
	must(admin.AuthEnable(ctx))

	o := Options{Endpoints: []string{u}, Username: "rollcall", Password: password(t, "s3cret\n")}
	s := open(t, o)
	term, err := s.Lead(ctx, "e", "a")
	if err != nil {
		t.Fatal(err)
	}
	rev, err := s.Apply(ctx, store.Txn{If: []store.Cond{term.Fence()}, Then: []store.Op{store.Put("k", []byte("v"))}})
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range s.Watch(ctx, "k", rev-1) {
		if err != nil || b.Rev != rev {
			t.Errorf("Watch yields %v, %v", b, err)
		}
		break
	}
	if seq, _, err := s.List(ctx, "k"); err != nil {
		t.Error(err)
	} else {
		for rec, err := range seq {
			if err != nil || rec.Key != "k" {
				t.Errorf("List yields %v, %v", rec, err)
			}
		}
	}
	if err := term.Resign(ctx); err != nil {
		t.Error(err)
	}
	o.Password = password(t, "wrong")
	wantOpenFails(t, o, "store_denied")
	o.Password, o.Prefix = password(t, "s3cret"), "/elsewhere/"
	wantOpenFails(t, o, "store_denied")
}

func TestOpenExternalNobodyThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	wantOpenFails(t, Options{Endpoints: []string{"http://" + addr}}, "store_unavailable")
}

// The server is killed and started again: a write meanwhile says that its outcome is
// open, and a watch goes on by itself, without a gap.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, u := startServer(t, dir, "http://127.0.0.1:0")
	s := open(t, Options{Endpoints: []string{u}})
	first, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put("k", []byte("0"))}})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1000)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		for b, err := range s.Watch(ctx, "", first) {
			if err != nil {
				return
			}
			for _, e := range b.Events {
				seen <- string(e.Record.Value)
			}
		}
	}()
	defer func() { cancel(); <-done }()
	for round := range 3 {
		server.kill()
		_, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put("lost", nil)}})
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("Apply without a server = %v, want Unavailable", err)
		}
		server, _ = startServer(t, dir, u)
		want := fmt.Sprint(round)
		for {
			_, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put("k", []byte(want))}})
			if err == nil {
				break
			}
			if !errors.Is(err, fault.Unavailable) {
				t.Fatal(err)
			}
		}
		for got := range seen {
			if got == want {
				break
			}
		}
	}
}

// Two replicas: who waits leads when the other is closed, and not at the end of the
// other's lease only.
func TestTwoReplicas(t *testing.T) {
	_, u := startServer(t, t.TempDir(), "http://127.0.0.1:0")
	a, b := open(t, Options{Endpoints: []string{u}}), open(t, Options{Endpoints: []string{u}})
	first, err := a.Lead(t.Context(), "sync", "a")
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan store.Term)
	go func() {
		term, err := b.Lead(t.Context(), "sync", "b")
		if err != nil {
			t.Error(err)
		}
		second <- term
	}()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	term := <-second
	if id, err := b.Leading(t.Context(), "sync"); id != "b" {
		t.Errorf("Leading = %q, %v, want b", id, err)
	}
	_, err = b.Apply(t.Context(), store.Txn{If: []store.Cond{first.Fence()}, Then: []store.Op{store.Put("k", nil)}})
	if !errors.Is(err, fault.Stale) {
		t.Errorf("Apply in the first term = %v, want Stale", err)
	}
	if err := term.Resign(t.Context()); err != nil {
		t.Error(err)
	}
}

// A cluster's snapshot becomes an embedded store.
func TestSnapshotOfCluster(t *testing.T) {
	_, u := startServer(t, t.TempDir(), "http://127.0.0.1:0")
	s := open(t, Options{Endpoints: []string{u}})
	if _, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put("k", []byte("v"))}}); err != nil {
		t.Fatal(err)
	}
	st, err := s.Status(t.Context())
	if err != nil || st.Size == 0 || st.Embedded || len(st.Endpoints) != 1 {
		t.Errorf("Status = %+v, %v", st, err)
	}
	var snap bytes.Buffer
	if err := s.Snapshot(t.Context(), &snap); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Restore(t.Context(), &snap, dir, nil); err != nil {
		t.Fatal(err)
	}
	rec, err := open(t, Options{Dir: dir}).Get(t.Context(), "k")
	if err != nil || string(rec.Value) != "v" {
		t.Errorf("Get = %v, %v", rec, err)
	}
}

// wantOpenFails checks the code of the error with which Open fails.
func wantOpenFails(t *testing.T, o Options, code string) {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err == nil {
		_ = s.Close()
	}
	t.Logf("the administrator reads: %v", err)
	if fault.Code(err) != code {
		t.Errorf("Open = %v (code %q), want the code %q", err, fault.Code(err), code)
	}
}

func password(t *testing.T, text string) config.SecretRef {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.SecretRef{File: file}
}

// authority is a CA for one test.
type authority struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.file = a.sign(t, template, template, a.key)
	return a
}

// issue returns the files of a certificate for both ends of a connection, and of its key.
func (a *authority) issue(t *testing.T, name string) (cert, key string) {
	k := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	_, cert = a.sign(t, template, a.cert, k)
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return cert, writePEM(t, "EC PRIVATE KEY", der)
}

func (a *authority) sign(t *testing.T, template, parent *x509.Certificate, k *ecdsa.PrivateKey) (*x509.Certificate, string) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, writePEM(t, "CERTIFICATE", der)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func writePEM(t *testing.T, kind string, der []byte) string {
	file := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
