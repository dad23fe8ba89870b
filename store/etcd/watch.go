package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"github.com/rollcall-id/rollcall/store"
)

// rewatch is the pause before a watch that ended by itself is begun again.
const rewatch = 200 * time.Millisecond

// Watch implements [store.Store]. etcd's client takes in what arrives and keeps it
// until it is ranged over, so a slow reader holds up nobody, but costs memory.
func (s *Store) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		next := after + 1
		for {
			batchOK := func(b store.Batch) bool {
				next = b.Rev + 1
				return yield(b, nil)
			}
			err := s.follow(ctx, prefix, next, batchOK)
			if errors.Is(err, errStopped) {
				return
			}
			if final := s.watchEnd(ctx, prefix, err); final != nil {
				yield(store.Batch{}, final)
				return
			}
			s.log.DebugContext(ctx, "watch begun again", "rev", next, "err", err)
			select {
			case <-time.After(rewatch):
			case <-ctx.Done():
			case <-s.life.Done():
			}
		}
	}
}

// watchEnd returns the error with which a watch ends for good, or nil when it can
// be begun again.
func (s *Store) watchEnd(ctx context.Context, prefix string, err error) error {
	switch {
	case s.life.Err() != nil:
		return errClosed()
	case ctx.Err() != nil:
		return fmt.Errorf("watch %q: %w", prefix, ctx.Err())
	case errors.Is(err, store.ErrCompacted):
		return fmt.Errorf("watch %q: %w", prefix, err)
	case code(err) == codes.PermissionDenied: // an expired token is renewed
		return errDenied(err)
	}
	return nil
}

// follow runs one watch of etcd. It never splits a revision: etcd does not, as long
// as it is not asked to fragment responses.
func (s *Store) follow(ctx context.Context, prefix string, next store.Revision, yield func(store.Batch) bool) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if s.server == nil {
		ctx = clientv3.WithRequireLeader(ctx) // a member cut off from the others says so
	}
	for resp := range s.client.Watch(ctx, s.o.Prefix+prefix, clientv3.WithPrefix(), clientv3.WithRev(int64(next))) {
		if resp.CompactRevision != 0 || errors.Is(resp.Err(), rpctypes.ErrCompacted) {
			return store.ErrCompacted
		}
		if err := resp.Err(); err != nil {
			return err
		}
		if len(resp.Events) == 0 {
			continue
		}
		if !yield(s.batch(resp.Events)) {
			return errStopped
		}
	}
	return ctx.Err()
}

func (s *Store) batch(events []*clientv3.Event) store.Batch {
	b := store.Batch{Events: make([]store.Event, len(events))}
	for i, e := range events {
		rec := s.record(e.Kv)
		// In this process etcd hands the same bytes to every watcher.
		rec.Value = bytes.Clone(rec.Value)
		if e.Type == clientv3.EventTypeDelete {
			rec = store.Record{Key: rec.Key, Rev: rec.Rev}
		}
		b.Events[i] = store.Event{Deleted: e.Type == clientv3.EventTypeDelete, Record: rec}
		b.Rev = rec.Rev
	}
	return b
}
