package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"

	"github.com/rollcall-id/rollcall/fault"
)

const (
	// memberName and memberURL name the one member. Nothing listens at the URL.
	memberName = "rollcall"
	memberURL  = "http://localhost:2380"
	// startTimeout bounds a start. etcd reads all keys before it is ready: three
	// million took 13 s.
	startTimeout = 5 * time.Minute
)

// server is the embedded etcd with what it needs to go again.
type server struct {
	etcd  *embed.Etcd
	lock  *dirLock
	quiet *atomic.Bool
}

func (s *Store) openEmbedded(ctx context.Context) error {
	lock, err := prepareDir(s.o.Dir)
	if err != nil {
		return err
	}
	var quiet atomic.Bool
	cfg, err := s.o.serverConfig()
	if err != nil {
		return errors.Join(err, lock.release())
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(newZap(s.log, &quiet, s.o.OnFatal))
	quiet.Store(true)
	began := time.Now()
	e, err := startServing(ctx, cfg, func() { _ = lock.release() })
	if err != nil {
		return err
	}
	s.server = &server{etcd: e, lock: lock, quiet: &quiet}
	s.client = v3client.New(e.Server)
	if err := s.revokeStaleLeases(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	if err := s.clearAlarm(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	quiet.Store(false)
	s.log.InfoContext(ctx, "store opened", "dir", s.o.Dir, "took", time.Since(began))
	return nil
}

func (o Options) serverConfig() (*embed.Config, error) {
	c := embed.NewConfig()
	c.Name, c.Dir = memberName, o.Dir
	c.ListenPeerUrls, c.ListenClientUrls, c.AdvertiseClientUrls = nil, nil, nil
	peer, err := url.Parse(memberURL)
	if err != nil {
		return nil, err
	}
	c.AdvertisePeerUrls = []url.URL{*peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.InitialClusterToken = memberName
	c.EnableGRPCGateway = false
	if o.DebugSocket != "" {
		if err := privateDir(filepath.Dir(o.DebugSocket)); err != nil {
			return nil, err
		}
		u := url.URL{Scheme: "unix", Path: o.DebugSocket}
		c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{u}, []url.URL{u}
	}
	// One member elects itself, so a start need not wait for an election meant for
	// networks.
	c.TickMs, c.ElectionMs = 10, 100
	// etcd keeps the entries since the last snapshot in memory: its defaults are
	// 450 MB of our transactions.
	c.SnapshotCount, c.SnapshotCatchUpEntries = 1000, 200
	c.QuotaBackendBytes = o.Quota
	c.AutoCompactionMode = embed.CompactorModePeriodic
	c.AutoCompactionRetention = o.Compaction.String()
	c.BootstrapDefragThresholdMegabytes = 256
	c.UnsafeNoFsync = o.NoFsync
	return c, nil
}

// startServing starts etcd and waits until it serves, fails, or ctx or the time is up,
// whichever comes first (etcd issue 9533: a start that fails may never be ready).
// release is called when it failed, and not before etcd let go of the directory.
func startServing(ctx context.Context, cfg *embed.Config, release func()) (*embed.Etcd, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	type result struct {
		etcd *embed.Etcd
		err  error
	}
	started := make(chan result, 1)
	go func() {
		e, err := startRecovered(cfg)
		started <- result{e, err}
	}()
	var r result
	select {
	case r = <-started:
	case <-ctx.Done():
		go func() { // etcd's own start cannot be cut short
			if r := <-started; r.err == nil {
				r.etcd.Close()
			}
			release()
		}()
		return nil, fmt.Errorf("start the embedded store in %q: %w", cfg.Dir, ctx.Err())
	}
	if r.err != nil {
		release()
		return nil, fmt.Errorf("start the embedded store in %q: %w", cfg.Dir, r.err)
	}
	var err error
	select {
	case <-r.etcd.Server.ReadyNotify():
		return r.etcd, nil
	case err = <-r.etcd.Err():
	case <-r.etcd.Server.StopNotify():
		err = errors.New("etcd stopped by itself")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if inTime(r.etcd.Close) {
		release()
	}
	return nil, fmt.Errorf("start the embedded store in %q: not ready: %w", cfg.Dir, err)
}

// startRecovered turns the panics with which etcd meets a broken directory into
// errors.
func startRecovered(cfg *embed.Config) (e *embed.Etcd, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, err = nil, fault.New(fault.Conflict, "store_corrupt", "etcd cannot use these files: %v; restore a backup into an empty directory", r)
		}
	}()
	return embed.StartEtcd(cfg)
}

func (v *server) stop() error {
	v.quiet.Store(true)
	if !inTime(v.etcd.Close) {
		return errors.New("close store: etcd did not stop")
	}
	return v.lock.release()
}

// revokeStaleLeases ends what the process before us led. The lock on the directory
// proves that it is gone, so there is no reason to wait for its leases.
func (s *Store) revokeStaleLeases(ctx context.Context) error {
	leases, err := s.client.Leases(ctx)
	if err != nil {
		return s.readFailed(ctx, "list leases", err)
	}
	for _, l := range leases.Leases {
		if _, err := s.client.Revoke(ctx, l.ID); err != nil {
			return s.writeFailed(err)
		}
	}
	return nil
}

// privateDir makes dir for us alone and refuses one that others can enter.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create the directory of the debug socket: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the directory of the debug socket: %w", err)
	}
	if m := info.Mode().Perm(); m&0o077 != 0 {
		return fault.New(fault.Invalid, "debug_socket_open",
			"the debug socket would let others read and write everything: %s has mode %04o, make it 0700 (chmod 700)", dir, m)
	}
	return nil
}
