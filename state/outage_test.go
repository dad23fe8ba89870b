package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/etcd"
	"github.com/rollcall-id/rollcall/store/mem"
)

// TestTheViewSurvivesAnOutage cuts the store off while others write to it and while
// its history goes. Reads go on from memory, and nobody restarts anything.
func TestTheViewSurvivesAnOutage(t *testing.T) {
	s := mem.New()
	w := wired(s, "")
	d := open(t, w)
	defer d.stop()
	other := open(t, s)
	defer other.stop()
	ann, bob := identity.NewUserID(), identity.NewUserID()
	rev := d.commit(t, run, Create{Member: identity.UserMember(ann), Record: record("k1", "ann")})
	if _, err := other.View().AtLeast(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		w.cut()
		name := fmt.Sprintf("ann%d", round)
		rev = other.commit(t, run, Update{Member: identity.UserMember(ann), Record: record("k1", name)})
		if round == 0 {
			rev = other.commit(t, run, Create{Member: identity.UserMember(bob), Record: record("k2", "bob")})
		}
		if round > 0 {
			s.Compact(s.Revision())
		}
		if _, err := d.Commit(t.Context(), admin, Disable{User: ann}); !errors.Is(err, fault.Unavailable) {
			t.Errorf("Commit during the outage = %v, want fault.Unavailable", err)
		}
		if _, _, ok := d.View().Now().User(ann); !ok {
			t.Error("a user is not there during the outage")
		}
		short, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		if _, err := d.View().AtLeast(short, rev); !errors.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("AtLeast during the outage = %v, want a wait until the deadline", err)
		}
		cancel()
		w.mend()
		snap, err := d.View().AtLeast(t.Context(), rev)
		if err != nil {
			t.Fatalf("AtLeast after the outage = %v", err)
		}
		if diff := cmp.Diff(dump(other.View().Now()), dump(snap)); diff != "" {
			t.Errorf("after outage %d (-never cut off +cut off):\n%s", round, diff)
		}
	}
}

// TestTheViewEndsWithTheStore leaves nobody waiting for a store that was closed.
func TestTheViewEndsWithTheStore(t *testing.T) {
	s := mem.New()
	d, err := Open(t.Context(), Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- d.Run(context.Background()) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; fault.Code(err) != "store_closed" {
		t.Errorf("Run = %v, want store_closed", err)
	}
	if _, err := d.View().AtLeast(t.Context(), d.View().Now().Rev()+1); fault.Code(err) != "view_stopped" {
		t.Errorf("AtLeast = %v, want view_stopped", err)
	}
}

// TestTheViewSurvivesAnOutageOfACluster does the same to an etcd behind a network.
func TestTheViewSurvivesAnOutageOfACluster(t *testing.T) {
	cable, direct := cluster(t)
	connect := func(endpoint string) *etcd.Store {
		s, err := etcd.Open(t.Context(), etcd.Options{Endpoints: []string{endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	d, other := open(t, connect("http://"+cable.addr())), open(t, connect(direct.url))
	defer d.stop()
	defer other.stop()
	ann := identity.NewUserID()
	if _, err := d.View().AtLeast(t.Context(), other.commit(t, run, Create{Member: identity.UserMember(ann), Record: record("k1", "ann")})); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		cable.cut()
		var rev store.Revision
		for i := range 5 {
			rev = other.commit(t, run, Update{Member: identity.UserMember(ann), Record: record("k1", fmt.Sprintf("ann%d.%d", round, i))})
		}
		if round == 1 {
			direct.compact(t, rev)
		}
		if found := d.View().Now().FindUsers("corp/ann"); round == 0 && !slices.Contains(found, ann) {
			t.Error("a user is not there during the outage")
		}
		cable.mend(t)
		snap, err := d.View().AtLeast(t.Context(), rev)
		if err != nil {
			t.Fatalf("AtLeast after the outage = %v", err)
		}
		if diff := cmp.Diff(dump(other.View().Now()), dump(snap)); diff != "" {
			t.Errorf("after outage %d (-never cut off +cut off):\n%s", round, diff)
		}
	}
}

type server struct {
	etcd *embed.Etcd
	url  string
}

func (s *server) compact(t *testing.T, rev store.Revision) {
	t.Helper()
	if _, err := s.etcd.Server.Compact(t.Context(), compaction(rev)); err != nil {
		t.Fatal(err)
	}
}

// cluster starts an etcd with a listener, and a cable to it that can be cut.
func cluster(t *testing.T) (*cable, *server) {
	t.Helper()
	c := embed.NewConfig()
	c.Dir, c.Name, c.LogLevel, c.UnsafeNoFsync = t.TempDir(), "outside", "panic", true
	c.TickMs, c.ElectionMs = 10, 100
	free, err := url.Parse("http://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.ListenPeerUrls, c.ListenClientUrls, c.AdvertiseClientUrls = nil, []url.URL{*free}, []url.URL{*free}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	e, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	to := e.Clients[0].Addr().String()
	cab := &cable{to: to, conns: map[net.Conn]bool{}}
	cab.mend(t)
	t.Cleanup(cab.cut)
	return cab, &server{e, "http://" + to}
}

// cable carries bytes until it is cut.
type cable struct {
	to string

	mu    sync.Mutex
	at    string // where it listens, always the same
	l     net.Listener
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func (c *cable) addr() string { return c.at }

func (c *cable) cut() {
	c.mu.Lock()
	if c.l != nil {
		_ = c.l.Close()
		c.l = nil
	}
	for conn := range c.conns {
		_ = conn.Close()
	}
	clear(c.conns)
	c.mu.Unlock()
	c.wg.Wait()
}

func (c *cable) mend(t *testing.T) {
	t.Helper()
	at := c.at
	if at == "" {
		at = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.l, c.at = l, l.Addr().String()
	c.mu.Unlock()
	c.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).Dial("tcp", c.to)
			if err != nil || !c.keep(l, in, out) {
				_ = in.Close()
				continue
			}
			c.wg.Go(func() { carry(in, out) })
			c.wg.Go(func() { carry(out, in) })
		}
	})
}

// keep remembers connections, unless the cable was cut meanwhile.
func (c *cable) keep(l net.Listener, conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if c.l != l {
			_ = conn.Close()
			continue
		}
		c.conns[conn] = true
	}
	return c.l == l
}

func carry(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

func compaction(rev store.Revision) *pb.CompactionRequest {
	return &pb.CompactionRequest{Revision: int64(rev), Physical: true}
}
