package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/store"
)

const (
	// maxWrites in flight: beyond 128 on one member watchers fall behind and are
	// served every 100 ms only. The other half is for other replicas.
	maxWrites = 64
	// readTimeout and writeTimeout bound a call to a cluster. A request to a member
	// that just died hangs until then, so longer is worse, not safer.
	readTimeout  = 5 * time.Second
	writeTimeout = 2 * time.Second
	// closeTimeout bounds each step of Close.
	closeTimeout = 5 * time.Second
)

// Store is a store in etcd. Make it with [Open].
type Store struct {
	o      Options
	log    *slog.Logger
	client *clientv3.Client
	server *server // nil: external
	paged  atomic.Bool
	writes chan struct{} // a token for each write in flight

	// life ends with Close. It is the store's, not a caller's, context.
	life context.Context //nolint:containedctx // It is how calls in flight learn of Close.
	end  context.CancelFunc

	mu     sync.Mutex // guards closed, terms, and additions to calls
	closed bool
	terms  map[*term]struct{}
	calls  sync.WaitGroup // calls in flight, which must not see the server go
}

var (
	_ store.Store       = (*Store)(nil)
	_ store.Leader      = (*Store)(nil)
	_ store.Statuser    = (*Store)(nil)
	_ store.Snapshotter = (*Store)(nil)
)

// Open starts the embedded store, or connects to the cluster, and returns when it
// answers. ctx bounds the opening only.
func Open(ctx context.Context, o Options) (*Store, error) {
	var p config.Problems
	if o.Validate(&p); p.Err() != nil {
		return nil, fmt.Errorf("store: %w", p.Err())
	}
	quietGRPC()
	o = o.withDefaults()
	s := &Store{o: o, log: o.Log, writes: make(chan struct{}, maxWrites), terms: map[*term]struct{}{}}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.paged.Store(o.Paged)
	var err error
	if o.embedded() {
		err = s.openEmbedded(ctx)
	} else {
		err = s.openExternal(ctx)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// enter counts a call in, so that Close waits for it, and returns its context,
// which ends with the store. The caller calls the function when done.
func (s *Store) enter(ctx context.Context) (context.Context, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errClosed()
	}
	s.calls.Add(1)
	ctx, cancel := s.bound(ctx)
	return ctx, func() {
		cancel()
		s.calls.Done()
	}, nil
}

// bound returns ctx, ending also with the store.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.life, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// deadline bounds one call to a cluster. Embedded etcd answers or fails by itself.
func (s *Store) deadline(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if s.server != nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// Close implements [store.Store]. It gives up what it leads, ends calls in flight
// and returns after at most some seconds, also when etcd does not.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()

	s.resignAll()
	s.end()
	var errs []error
	if !inTime(s.calls.Wait) {
		errs = append(errs, errors.New("close store: calls in flight did not end"))
	}
	if !inTime(func() { _ = s.client.Close() }) { // its error is that its context ended
		errs = append(errs, errors.New("close store: the etcd client did not end"))
	}
	if s.server != nil {
		errs = append(errs, s.server.stop())
	}
	return errors.Join(errs...)
}

// inTime runs f and reports whether it returned within closeTimeout.
func inTime(f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-time.After(closeTimeout):
		return false
	}
}
