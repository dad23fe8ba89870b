package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/usage"
)

// keyUsage is where the counts of use are, one record a day: w/u/<date>.
const keyUsage = "w/u/"

// keptUsageDays is how long the counts of a day are kept: a year, and the month that
// it is compared with.
const keptUsageDays = 400

// usageTries is how often the counts are added at most: every replica adds to the same
// record, once in some minutes.
const usageTries = 10

// storedUsage is the record of a day.
type storedUsage struct {
	V       int            `json:"v"`
	Counts  []storedCount  `json:"n"`
	Unknown jsontext.Value `json:",embed"`
}

type storedCount struct {
	Name      usage.Name     `json:"k"`
	Class     usage.Class    `json:"c"`
	Done      int64          `json:"d,omitzero"`
	Refused   int64          `json:"r,omitzero"`
	Failed    int64          `json:"f,omitzero"`
	Previewed int64          `json:"p,omitzero"`
	Unknown   jsontext.Value `json:",embed"`
}

func (s *storedUsage) table() usage.Table {
	t := make(usage.Table, len(s.Counts))
	for _, c := range s.Counts {
		t[usage.Bucket{Name: c.Name, Class: c.Class}] = usage.Counts{Done: c.Done, Refused: c.Refused, Failed: c.Failed, Previewed: c.Previewed}
	}
	return t
}

// put replaces the counts, in order, and keeps what newer versions say of them.
func (s *storedUsage) put(t usage.Table) {
	unknown := map[usage.Bucket]jsontext.Value{}
	for _, c := range s.Counts {
		unknown[usage.Bucket{Name: c.Name, Class: c.Class}] = c.Unknown
	}
	s.V, s.Counts = format, make([]storedCount, 0, len(t))
	for b, c := range t {
		s.Counts = append(s.Counts, storedCount{b.Name, b.Class, c.Done, c.Refused, c.Failed, c.Previewed, unknown[b]})
	}
	slices.SortFunc(s.Counts, func(a, b storedCount) int {
		return usage.Bucket{Name: a.Name, Class: a.Class}.Compare(usage.Bucket{Name: b.Name, Class: b.Class})
	})
}

// AddUsage adds a change to the counts of a day. What other replicas add at the same
// time is added, too. When the answer is lost, what is stored shows whether it was
// added; where even that cannot be told, it counts as added: a count too few is better
// than one too many.
func (d *DB) AddUsage(ctx context.Context, on usage.Date, change usage.Table) error {
	key := keyUsage + string(on)
	for try := 1; ; try++ {
		old, rev, err := d.usageOn(ctx, key)
		if err != nil {
			return err
		}
		old.put(old.table().Apply(change))
		value, err := encode(old)
		if err != nil {
			return err
		}
		_, err = d.store.Apply(ctx, store.Txn{If: []store.Cond{store.At(key, rev)}, Then: []store.Op{store.Put(key, value)}})
		switch stale := errors.Is(err, fault.Stale); {
		case stale && try < usageTries:
			continue
		case stale || err != nil && !d.usageAdded(ctx, key, rev, value):
			return fmt.Errorf("add to the counts of %s: %w", on, err)
		}
		if rev == 0 { // the first of a day
			if err := d.forgetUsage(ctx, on.Add(-keptUsageDays)); err != nil {
				d.log.WarnContext(ctx, "old counts of use not removed, the next day removes them", "err", err)
			}
		}
		return nil
	}
}

// usageAdded reports, after a write that may or may not have happened, whether the
// record is no longer as it was at rev. It looks also when ctx has ended: that is one
// of the ways to lose an answer.
func (d *DB) usageAdded(ctx context.Context, key string, rev store.Revision, value []byte) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	r, err := d.store.Get(ctx, key)
	return err == nil && (r.Rev != rev || bytes.Equal(r.Value, value))
}

func (d *DB) usageOn(ctx context.Context, key string) (*storedUsage, store.Revision, error) {
	s := &storedUsage{}
	r, err := d.store.Get(ctx, key)
	if errors.Is(err, fault.NotFound) {
		return s, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return s, r.Rev, decode(key, r.Value, s)
}

// forgetUsage removes the days before a day. There is one a day at most, so few at a
// time; when it was off for long the next days remove the rest.
func (d *DB) forgetUsage(ctx context.Context, before usage.Date) error {
	var ops []store.Op
	records, _, err := d.store.List(ctx, keyUsage)
	if err != nil {
		return err
	}
	for r, err := range records {
		if err != nil {
			return err
		}
		if strings.TrimPrefix(r.Key, keyUsage) >= string(before) || len(ops) == store.MaxOps {
			break
		}
		ops = append(ops, store.Delete(r.Key))
	}
	if len(ops) == 0 {
		return nil
	}
	_, err = d.store.Apply(ctx, store.Txn{Then: ops})
	return err
}

// Usage returns the counts of the days from one day on, the oldest first. A day on
// which nothing was counted is left out.
func (d *DB) Usage(ctx context.Context, from usage.Date) ([]usage.Day, error) {
	records, _, err := d.store.List(ctx, keyUsage)
	if err != nil {
		return nil, err
	}
	var out []usage.Day
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		on := usage.Date(strings.TrimPrefix(r.Key, keyUsage))
		if on < from {
			continue
		}
		var s storedUsage
		if err := decode(r.Key, r.Value, &s); err != nil {
			return nil, err
		}
		out = append(out, usage.Day{Date: on, Table: s.table()})
	}
	return out, nil
}
