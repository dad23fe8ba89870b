package state

import (
	"context"
	"iter"
	"strings"
	"sync"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// wire is a store behind a connection that can be cut. With a prefix, many of them
// share one store without seeing each other.
type wire struct {
	store.Store
	prefix string

	mu   sync.Mutex
	down bool
	lost chan struct{} // closed when the connection is cut; guarded by mu
}

func wired(s store.Store, prefix string) *wire {
	return &wire{Store: s, prefix: prefix, lost: make(chan struct{})}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.down {
		w.down = true
		close(w.lost)
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		w.down, w.lost = false, make(chan struct{})
	}
}

func (w *wire) up() (<-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, errCut()
	}
	return w.lost, nil
}

func errCut() error { return fault.New(fault.Unavailable, "cut", "the connection is cut") }

// key puts the prefix before our own keys, not before those of an election.
func (w *wire) key(k string) string {
	if strings.HasPrefix(k, "leader/") {
		return k
	}
	return w.prefix + k
}

func (w *wire) own(r store.Record) store.Record {
	r.Key = strings.TrimPrefix(r.Key, w.prefix)
	return r
}

func (w *wire) Get(ctx context.Context, key string) (store.Record, error) {
	if _, err := w.up(); err != nil {
		return store.Record{}, err
	}
	r, err := w.Store.Get(ctx, w.key(key))
	return w.own(r), err
}

func (w *wire) List(ctx context.Context, prefix string) (iter.Seq2[store.Record, error], store.Revision, error) {
	if _, err := w.up(); err != nil {
		return nil, 0, err
	}
	records, rev, err := w.Store.List(ctx, w.key(prefix))
	return func(yield func(store.Record, error) bool) {
		for r, err := range records {
			if _, cut := w.up(); cut != nil {
				yield(store.Record{}, cut)
				return
			}
			if !yield(w.own(r), err) {
				return
			}
		}
	}, rev, err
}

func (w *wire) Apply(ctx context.Context, t store.Txn) (store.Revision, error) {
	if _, err := w.up(); err != nil {
		return 0, err
	}
	var n store.Txn
	for _, c := range t.If {
		c.Key = w.key(c.Key)
		n.If = append(n.If, c)
	}
	for _, op := range t.Then {
		op.Key = w.key(op.Key)
		n.Then = append(n.Then, op)
	}
	rev, err := w.Store.Apply(ctx, n)
	if _, cut := w.up(); cut != nil {
		return 0, cut
	}
	return rev, err
}

func (w *wire) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		lost, err := w.up()
		if err != nil {
			yield(store.Batch{}, err)
			return
		}
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-lost:
				cancel()
			case <-inner.Done():
			}
		}()
		for b, err := range w.Store.Watch(inner, w.key(prefix), after) {
			if err != nil && ctx.Err() == nil && inner.Err() != nil {
				err = errCut()
			}
			select {
			case <-lost: // nothing that happens after the cut comes through
				if ctx.Err() == nil {
					b, err = store.Batch{}, errCut()
				}
			default:
			}
			events := b.Events
			b.Events = nil
			for _, ev := range events {
				ev.Record = w.own(ev.Record)
				b.Events = append(b.Events, ev)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}
