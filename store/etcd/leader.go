package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

const (
	// leaseSeconds is how long others wait for a leader that crashed.
	leaseSeconds = 10
	// retryLead is the pause before standing again when that failed; it doubles up to
	// maxRetryLead.
	retryLead    = time.Second
	maxRetryLead = 16 * time.Second
)

// term is a period of leadership: a key under a lease that this process renews.
type term struct {
	s       *Store
	session *concurrency.Session
	key     string // with the store's prefix
	created int64
	rev     int64
	done    chan struct{}
}

func (s *Store) electionPrefix(name string) string { return s.o.Prefix + "leader/" + name }

// Lead implements [store.Leader]. It stands again when the lease is lost while it
// waits.
func (s *Store) Lead(ctx context.Context, name, id string) (store.Term, error) {
	for pause := retryLead; ; pause = min(2*pause, maxRetryLead) {
		t, err := s.stand(ctx, name, id)
		if err == nil {
			return t, nil
		}
		switch {
		case s.life.Err() != nil:
			return nil, errClosed()
		case ctx.Err() != nil:
			return nil, fmt.Errorf("lead %q: %w", name, ctx.Err())
		case fault.Code(err) == "store_closed":
			return nil, err
		}
		s.log.WarnContext(ctx, "cannot stand for election, trying again", "election", name, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		case <-s.life.Done():
		}
	}
}

// stand takes a lease, puts a key under it and waits until that key is the oldest.
func (s *Store) stand(ctx context.Context, name, id string) (*term, error) {
	call, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	session, err := s.newSession(call)
	if err != nil {
		return nil, err
	}
	won := false
	defer func() {
		if !won {
			session.Orphan()
			s.revoke(session.Lease())
		}
	}()
	// The campaign does not notice that its own lease is gone.
	call, cancel := context.WithCancel(call)
	defer cancel()
	defer context.AfterFunc(session.Ctx(), cancel)()

	election := concurrency.NewElection(session, s.electionPrefix(name))
	if err := election.Campaign(call, id); err != nil {
		return nil, err
	}
	t := &term{s: s, session: session, key: election.Key(), created: election.Rev(), done: make(chan struct{})}
	// The key may be older than the last write of the leader before, so the term
	// begins at what is the present only now.
	if t.rev, err = t.check(call); err != nil {
		return nil, err
	}
	if err := s.begin(t); err != nil {
		return nil, err
	}
	won = true
	return t, nil
}

func (s *Store) newSession(ctx context.Context) (*concurrency.Session, error) {
	ctx, cancel := s.deadline(ctx, writeTimeout)
	defer cancel()
	lease, err := s.client.Grant(ctx, leaseSeconds)
	if err != nil {
		return nil, err
	}
	return concurrency.NewSession(s.client, concurrency.WithLease(lease.ID), concurrency.WithContext(s.life))
}

// revoke gives a lease back when nobody waits for it to succeed: it runs out anyway.
func (s *Store) revoke(lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.life), time.Second)
	defer cancel()
	if _, err := s.client.Revoke(ctx, lease); err != nil {
		s.log.DebugContext(ctx, "lease not revoked", "err", err)
	}
}

// begin makes t a running term, unless the store is closed.
func (s *Store) begin(t *term) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed()
	}
	s.terms[t] = struct{}{}
	s.calls.Go(t.follow)
	return nil
}

// check returns the present revision if the key of t is still there.
func (t *term) check(ctx context.Context) (int64, error) {
	ctx, cancel := t.s.deadline(ctx, readTimeout)
	defer cancel()
	resp, err := t.s.client.Get(ctx, t.key)
	if err != nil {
		return 0, err
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].CreateRevision != t.created {
		return 0, errLost
	}
	return resp.Header.Revision, nil
}

var errLost = errors.New("the leader's key is gone")

// follow closes done when the lease or the key is gone, or the store is closed.
func (t *term) follow() {
	ctx, cancel := context.WithCancel(t.session.Ctx())
	defer cancel()
	rev := t.rev
	for ctx.Err() == nil && !t.deleted(ctx, rev) {
		switch now, err := t.check(ctx); {
		case err == nil:
			rev = now
		case errors.Is(err, errLost):
			cancel()
		default:
			select {
			case <-time.After(retryLead):
			case <-ctx.Done():
			}
		}
	}
	t.session.Orphan()
	t.s.mu.Lock()
	delete(t.s.terms, t)
	t.s.mu.Unlock()
	close(t.done)
}

// deleted watches the key from after rev. It returns false when the watch ended
// without an answer.
func (t *term) deleted(ctx context.Context, rev int64) bool {
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for resp := range t.s.client.Watch(wctx, t.key, clientv3.WithRev(rev+1)) {
		for _, e := range resp.Events {
			if e.Type == clientv3.EventTypeDelete {
				return true
			}
		}
	}
	return false
}

// Fence implements [store.Term].
func (t *term) Fence() store.Cond {
	return store.CreatedAt(strings.TrimPrefix(t.key, t.s.o.Prefix), store.Revision(t.created))
}

// Rev implements [store.Term].
func (t *term) Rev() store.Revision { return store.Revision(t.rev) }

// Done implements [store.Term].
func (t *term) Done() <-chan struct{} { return t.done }

// Resign implements [store.Term]. After the end of the term it does nothing.
func (t *term) Resign(ctx context.Context) error {
	call, leave, err := t.s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return t.resign(call)
}

func (t *term) resign(ctx context.Context) error {
	t.session.Orphan()
	<-t.done
	ctx, cancel := t.s.deadline(ctx, writeTimeout)
	defer cancel()
	_, err := t.s.client.Revoke(ctx, t.session.Lease())
	if err != nil && !errors.Is(rpctypes.Error(err), rpctypes.ErrLeaseNotFound) {
		return t.s.writeFailed(err)
	}
	return nil
}

// resignAll lets others lead at once when the store is closed.
func (s *Store) resignAll() {
	s.mu.Lock()
	terms := make([]*term, 0, len(s.terms))
	for t := range s.terms {
		terms = append(terms, t)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.life), writeTimeout)
	defer cancel()
	for _, t := range terms {
		if err := t.resign(ctx); err != nil {
			s.log.WarnContext(ctx, "did not resign: others lead when the lease has run out", "err", err)
		}
	}
}

// Leading implements [store.Leader].
func (s *Store) Leading(ctx context.Context, name string) (string, error) {
	call, leave, err := s.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	call, cancel := s.deadline(call, readTimeout)
	defer cancel()
	resp, err := s.client.Get(call, s.electionPrefix(name)+"/", clientv3.WithFirstCreate()...)
	if err != nil {
		return "", s.readFailed(ctx, fmt.Sprintf("ask who leads %q", name), err)
	}
	if len(resp.Kvs) == 0 {
		return "", fault.New(fault.NotFound, "no_leader", "nobody leads %q now", name)
	}
	return string(resp.Kvs[0].Value), nil
}
