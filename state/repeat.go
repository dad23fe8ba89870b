package state

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// Remembered is a request that may come twice, and how it was answered.
type Remembered struct {
	V      int       `json:"v"`
	Digest string    `json:"digest"` // of the request
	At     time.Time `json:"at"`
	// Status is 0 while the request is being answered.
	Status  int               `json:"status,omitzero"`
	Header  map[string]string `json:"head,omitempty"`
	Body    []byte            `json:"body,omitempty"`
	Unknown jsontext.Value    `json:",embed"`

	rev store.Revision
}

// Remember notes that a request is being answered, unless it was remembered before and
// has not been forgotten at the given instant: then it returns what is known of it.
func (d *DB) Remember(ctx context.Context, id string, r Remembered, forgotten func(*Remembered) bool) (known *Remembered, mine Remembered, err error) {
	key := keyRepeat + id
	rec, err := d.store.Get(ctx, key)
	switch {
	case errors.Is(err, fault.NotFound):
	case err != nil:
		return nil, r, err
	default:
		var old Remembered
		if err := decode(key, rec.Value, &old); err != nil {
			return nil, r, err
		}
		if !forgotten(&old) {
			return &old, r, nil
		}
	}
	r.V = format
	b, err := encode(&r)
	if err != nil {
		return nil, r, err
	}
	r.rev, err = d.store.Apply(ctx, store.Txn{If: []store.Cond{store.At(key, rec.Rev)}, Then: []store.Op{store.Put(key, b)}})
	return nil, r, err
}

// Answered keeps how a remembered request was answered.
func (d *DB) Answered(ctx context.Context, id string, r Remembered) error {
	key := keyRepeat + id
	b, err := encode(&r)
	if err != nil {
		return err
	}
	_, err = d.store.Apply(ctx, store.Txn{If: []store.Cond{store.At(key, r.rev)}, Then: []store.Op{store.Put(key, b)}})
	return err
}

// Forget lets a request be made again that came to nothing.
func (d *DB) Forget(ctx context.Context, id string, r Remembered) error {
	key := keyRepeat + id
	_, err := d.store.Apply(ctx, store.Txn{If: []store.Cond{store.At(key, r.rev)}, Then: []store.Op{store.Delete(key)}})
	return err
}

// ForgetOld removes what was remembered before an instant.
func (d *DB) ForgetOld(ctx context.Context, before time.Time) error {
	all, _, err := d.store.List(ctx, keyRepeat)
	if err != nil {
		return err
	}
	var ops []store.Op
	for rec, err := range all {
		if err != nil {
			return err
		}
		var r Remembered
		if decode(rec.Key, rec.Value, &r) == nil && r.At.Before(before) {
			ops = append(ops, store.Delete(rec.Key))
		}
	}
	for len(ops) > 0 {
		n := min(len(ops), bulkOps)
		if _, err := d.store.Apply(ctx, store.Txn{Then: ops[:n]}); err != nil {
			return err
		}
		ops = ops[n:]
	}
	return nil
}
