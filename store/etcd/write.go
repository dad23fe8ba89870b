package etcd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// Apply implements [store.Store]. It waits while 64 other writes are in flight.
func (s *Store) Apply(ctx context.Context, t store.Txn) (store.Revision, error) {
	call, leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	if err := t.Validate(); err != nil {
		return 0, err
	}
	select {
	case s.writes <- struct{}{}:
		defer func() { <-s.writes }()
	case <-call.Done():
		return 0, s.readFailed(ctx, "wait to write", call.Err()) // nothing was sent
	}
	call, cancel := s.deadline(call, writeTimeout)
	defer cancel()
	resp, err := s.client.Txn(call).If(s.compares(t.If)...).Then(s.ops(t.Then)...).Commit()
	if err != nil {
		return 0, s.writeFailed(err)
	}
	if !resp.Succeeded {
		return 0, fault.New(fault.Stale, "stale", "something changed since it was read: read it again")
	}
	return store.Revision(resp.Header.Revision), nil
}

func (s *Store) compares(conds []store.Cond) []clientv3.Cmp {
	out := make([]clientv3.Cmp, len(conds))
	for i, c := range conds {
		key, rev := s.o.Prefix+c.Key, int64(c.Rev)
		switch c.Kind {
		case store.CondRev:
			out[i] = clientv3.Compare(clientv3.ModRevision(key), "=", rev)
		case store.CondCreated:
			out[i] = clientv3.Compare(clientv3.CreateRevision(key), "=", rev)
		case store.CondUnchangedPrefix:
			out[i] = clientv3.Compare(clientv3.ModRevision(key), "<", rev+1).WithPrefix()
		default:
			panic(fmt.Sprintf("etcd: condition kind %d passed Validate", c.Kind))
		}
	}
	return out
}

func (s *Store) ops(ops []store.Op) []clientv3.Op {
	out := make([]clientv3.Op, len(ops))
	for i, op := range ops {
		key := s.o.Prefix + op.Key
		switch op.Kind {
		case store.OpPut:
			out[i] = clientv3.OpPut(key, string(op.Value))
		case store.OpDelete:
			out[i] = clientv3.OpDelete(key)
		case store.OpDeletePrefix:
			out[i] = clientv3.OpDelete(key, clientv3.WithPrefix())
		default:
			panic(fmt.Sprintf("etcd: operation kind %d passed Validate", op.Kind))
		}
	}
	return out
}
