package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

const (
	// pageKeys is the size of a page where the server cannot stream. Each page costs
	// a walk over the rest of the index, so pages are large ...
	pageKeys = 10_000
	// ... but not larger than this, once one has shown how large the values are.
	pageBytes = 32 << 20
)

// errStopped ends a range whose reader has enough.
var errStopped = errors.New("stopped")

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	call, leave, err := s.enter(ctx)
	if err != nil {
		return store.Record{}, err
	}
	defer leave()
	call, cancel := s.deadline(call, readTimeout)
	defer cancel()
	resp, err := s.client.Get(call, s.o.Prefix+key, s.readOpts()...)
	if err != nil {
		return store.Record{}, s.readFailed(ctx, fmt.Sprintf("read %q", key), err)
	}
	if len(resp.Kvs) == 0 {
		return store.Record{}, fault.New(fault.NotFound, "key_not_found", "there is no %q", key)
	}
	return s.record(resp.Kvs[0]), nil
}

// readOpts saves an embedded store the question whether it still leads: with one
// member, what was acknowledged is what it has.
func (s *Store) readOpts() []clientv3.OpOption {
	if s.server != nil {
		return []clientv3.OpOption{clientv3.WithSerializable()}
	}
	return nil
}

// currentRevision asks for the revision that all acknowledged writes are within.
func (s *Store) currentRevision(ctx context.Context) (int64, error) {
	ctx, cancel := s.deadline(ctx, readTimeout)
	defer cancel()
	resp, err := s.client.Get(ctx, s.o.Prefix, append(s.readOpts(), clientv3.WithKeysOnly())...)
	if err != nil {
		return 0, err
	}
	return resp.Header.Revision, nil
}

// List implements [store.Store]. The records are read while they are ranged over.
func (s *Store) List(ctx context.Context, prefix string) (iter.Seq2[store.Record, error], store.Revision, error) {
	call, leave, err := s.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	rev, err := s.currentRevision(call)
	if err != nil {
		return nil, 0, s.readFailed(ctx, fmt.Sprintf("list %q", prefix), err)
	}
	seq := func(yield func(store.Record, error) bool) {
		err := s.list(ctx, prefix, rev, func(rec store.Record) bool { return yield(rec, nil) })
		if err != nil && !errors.Is(err, errStopped) {
			yield(store.Record{}, err)
		}
	}
	return seq, store.Revision(rev), nil
}

// list calls yield for each record under prefix as of rev. It returns errStopped
// after yield said so, and never calls it again then.
func (s *Store) list(ctx context.Context, prefix string, rev int64, yield func(store.Record) bool) error {
	call, leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	take := func(kvs []*mvccpb.KeyValue) error {
		for _, kv := range kvs {
			if call.Err() != nil {
				return call.Err()
			}
			if !yield(s.record(kv)) {
				return errStopped
			}
		}
		return nil
	}
	from := s.o.Prefix + prefix
	switch {
	case s.paged.Load():
		err = s.pages(call, from, rev, take)
	case s.server != nil:
		err = s.server.stream(call, from, rev, take)
	default:
		err = s.stream(call, from, rev, take)
	}
	if err == nil || errors.Is(err, errStopped) {
		return err
	}
	return s.readFailed(ctx, fmt.Sprintf("list %q", prefix), err)
}

// sink receives a range from the server in this process, which calls it in the
// goroutine of the reader and holds no lock meanwhile. The in-process client has no
// such stream.
type sink struct {
	grpc.ServerStream // nil: the server uses Context and Send only
	ctx               context.Context
	take              func([]*mvccpb.KeyValue) error
}

// Context implements grpc.ServerStream.
func (k *sink) Context() context.Context { return k.ctx }

// Send implements pb.KV_RangeStreamServer.
func (k *sink) Send(r *pb.RangeStreamResponse) error { return k.take(r.RangeResponse.Kvs) }

func (v *server) stream(ctx context.Context, prefix string, rev int64, take func([]*mvccpb.KeyValue) error) error {
	return v.etcd.Server.RangeStream(&pb.RangeRequest{
		Key:          []byte(prefix),
		RangeEnd:     []byte(clientv3.GetPrefixRangeEnd(prefix)),
		Revision:     rev,
		Serializable: true,
	}, &sink{ctx: ctx, take: take})
}

// stream lists by GetStream, which servers have since 3.7, and by pages where the
// server does not know it.
func (s *Store) stream(ctx context.Context, prefix string, rev int64, take func([]*mvccpb.KeyValue) error) error {
	sctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ch, err := s.client.GetStream(sctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(rev))
	if err == nil {
		err = drain(ch, cancel, take)
	}
	if code(err) == codes.Unimplemented { // the first and only answer
		s.log.InfoContext(ctx, "etcd cannot stream, listing in pages: 3.7 would be faster")
		s.paged.Store(true)
		return s.pages(ctx, prefix, rev, take)
	}
	return cmp.Or(err, ctx.Err())
}

// drain hands on what comes until take has enough. The client's goroutine ends only
// when all that it sends is received.
func drain(ch clientv3.GetStreamChan, cancel context.CancelFunc, take func([]*mvccpb.KeyValue) error) error {
	defer func() {
		cancel()
		for range ch {
			continue
		}
	}()
	for r := range ch {
		if err := r.Err(); err != nil {
			return err
		}
		if err := take(r.Kvs); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) pages(ctx context.Context, prefix string, rev int64, take func([]*mvccpb.KeyValue) error) error {
	from, end, limit := prefix, clientv3.GetPrefixRangeEnd(prefix), int64(pageKeys)
	for {
		resp, err := s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(rev), clientv3.WithLimit(limit))
		if err != nil {
			return err
		}
		if err := take(resp.Kvs); err != nil {
			return err
		}
		if !resp.More || len(resp.Kvs) == 0 {
			return nil
		}
		size := 0
		for _, kv := range resp.Kvs {
			size += len(kv.Value)
		}
		if size > pageBytes && limit > 100 {
			limit /= 2
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

func (s *Store) record(kv *mvccpb.KeyValue) store.Record {
	return store.Record{
		Key:     strings.TrimPrefix(string(kv.Key), s.o.Prefix),
		Value:   kv.Value,
		Created: store.Revision(kv.CreateRevision),
		Rev:     store.Revision(kv.ModRevision),
	}
}
