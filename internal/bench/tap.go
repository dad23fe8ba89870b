package main

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// tally is what was written to a store.
type tally struct {
	Txns  int      `json:"txns"`
	Ops   int      `json:"ops"`
	Bytes int      `json:"bytes"`
	Keys  []string `json:"keys,omitempty"` // the first few
}

// tap is a store that counts what is written, and records it when told to.
type tap struct {
	*etcd.Store
	mu   sync.Mutex
	seen tally        // guarded by mu
	to   *gob.Encoder // guarded by mu; nil: not recording
}

// record keeps every transaction in a file until done is called.
func (t *tap) record(name string) (done func() error, err error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	t.mu.Lock()
	t.to = gob.NewEncoder(w)
	t.mu.Unlock()
	return func() error {
		t.mu.Lock()
		t.to = nil
		t.mu.Unlock()
		return errors.Join(w.Flush(), f.Close())
	}, nil
}

// Apply implements store.Store.
func (t *tap) Apply(ctx context.Context, x store.Txn) (store.Revision, error) {
	t.mu.Lock()
	t.seen.Txns++
	t.seen.Ops += len(x.Then)
	t.seen.Bytes += x.Bytes()
	for _, op := range x.Then {
		if len(t.seen.Keys) < 6 {
			t.seen.Keys = append(t.seen.Keys, kind(op.Key))
		}
	}
	var err error
	if t.to != nil {
		err = t.to.Encode(x)
	}
	t.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return t.Store.Apply(ctx, x)
}

// kind is the beginning of a key that says what it is.
func kind(key string) string {
	parts := strings.SplitN(key, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// taken returns what was written since the last call.
func (t *tap) taken() tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen
	t.seen = tally{}
	return seen
}

// recorded reads a recording.
func recorded(name string) ([]store.Txn, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	d := gob.NewDecoder(bufio.NewReaderSize(f, 1<<20))
	var out []store.Txn
	for {
		var t store.Txn
		if err := d.Decode(&t); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the recording: %w", err)
		}
		out = append(out, t)
	}
}

// stand lets the conditions of a recording hold in another store: that a key is absent
// holds as it did, that the term of the leader lasts becomes that a key of ours lives,
// and revisions, of which there are few, mean nothing there.
func stand(ctx context.Context, s store.Store, txns []store.Txn) error {
	const key = "bench/term"
	rev, err := s.Apply(ctx, store.Txn{Then: []store.Op{store.Put(key, []byte("{}"))}})
	if err != nil {
		return err
	}
	for i := range txns {
		var conds []store.Cond
		for _, c := range txns[i].If {
			switch {
			case c.Kind == store.CondCreated:
				conds = append(conds, store.CreatedAt(key, rev))
			case c.Kind == store.CondRev && c.Rev == 0:
				conds = append(conds, c)
			}
		}
		txns[i].If = conds
	}
	return nil
}

// replay writes transactions straight into a store, four in flight.
func replay(ctx context.Context, s store.Store, txns []store.Txn) (time.Duration, error) {
	const inFlight = 4
	todo := make(chan store.Txn)
	failed := make(chan error, inFlight)
	began := time.Now()
	var workers sync.WaitGroup
	for range inFlight {
		workers.Go(func() {
			var first error
			for t := range todo {
				if first == nil {
					_, first = s.Apply(ctx, t)
				}
			}
			failed <- first
		})
	}
	for _, t := range txns {
		todo <- t
	}
	close(todo)
	workers.Wait()
	took := time.Since(began)
	var errs []error
	for range inFlight {
		errs = append(errs, <-failed)
	}
	return took, errors.Join(errs...)
}
