package etcd

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
)

// role makes this binary, run again, one of the processes that the tests need. Such
// a process ends when its standard input does, so none outlives the tests.
const role = "ROLLCALL_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		goleak.VerifyTestMain(m)
	case "server":
		serve()
	case "writer":
		write()
	case "fatal":
		die()
	}
}

// child is such a process.
type child struct {
	cmd   *exec.Cmd
	in    io.Closer
	lines *bufio.Scanner
}

func start(t testing.TB, as string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(exe, args...)}
	c.cmd.Env = append(os.Environ(), role+"="+as)
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.lines = in, bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

// line returns the next line that the process prints, "" when it ended.
func (c *child) line() string {
	c.lines.Scan()
	return c.lines.Text()
}

// kill ends the process as a power cut would, as far as it can tell.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.in.Close()
	for c.lines.Scan() {
		continue // Wait wants all read.
	}
	_ = c.cmd.Wait()
}

// untilOrphaned returns when the parent is gone or has enough.
func untilOrphaned() { _, _ = io.Copy(io.Discard, os.Stdin) }

// fail ends a child process with its reason.
func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// serve is an etcd as others run it: with listeners. Its arguments are the
// directory, the URL, and with TLS the certificate, key and CA; it prints its URL.
func serve() {
	c := embed.NewConfig()
	c.Dir, c.Name, c.LogLevel = os.Args[1], "external", "panic"
	c.UnsafeNoFsync = true
	c.TickMs, c.ElectionMs = 10, 100
	u, err := url.Parse(os.Args[2])
	if err != nil {
		fail(err)
	}
	c.ListenPeerUrls = nil
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{*u}, []url.URL{*u}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	if len(os.Args) > 3 {
		c.ClientTLSInfo = transport.TLSInfo{CertFile: os.Args[3], KeyFile: os.Args[4], TrustedCAFile: os.Args[5], ClientCertAuth: true}
	}
	e, err := embed.StartEtcd(c)
	if err != nil {
		fail(err)
	}
	<-e.Server.ReadyNotify()
	fmt.Println(u.Scheme + "://" + e.Clients[0].Addr().String())
	untilOrphaned()
	e.Close()
}

// startServer starts an etcd and returns its URL.
func startServer(t testing.TB, args ...string) (*child, string) {
	t.Helper()
	c := start(t, "server", args...)
	u := c.line()
	if !strings.HasPrefix(u, "http") {
		t.Fatalf("the etcd of the test did not start: %q", u)
	}
	return c, u
}
