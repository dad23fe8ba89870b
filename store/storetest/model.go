package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// model is the contract written down as simply as it can be.
type model struct {
	recs map[string]store.Record
	rev  store.Revision // of the last transaction that changed something
}

func (m *model) holds(c store.Cond) bool {
	switch c.Kind {
	case store.CondRev:
		return m.recs[c.Key].Rev == c.Rev
	case store.CondCreated:
		return m.recs[c.Key].Created == c.Rev
	default:
		for k, r := range m.recs {
			if strings.HasPrefix(k, c.Key) && r.Rev > c.Rev {
				return false
			}
		}
		return true
	}
}

// after returns the records after ops at rev, and whether anything changed.
func (m *model) after(ops []store.Op, rev store.Revision) (map[string]store.Record, bool) {
	recs, changed := maps.Clone(m.recs), false
	for _, op := range ops {
		for k := range recs {
			if op.Kind == store.OpDelete && k == op.Key || op.Kind == store.OpDeletePrefix && strings.HasPrefix(k, op.Key) {
				delete(recs, k)
				changed = true
			}
		}
		if op.Kind == store.OpPut {
			rec := store.Record{Key: op.Key, Value: op.Value, Created: rev, Rev: rev}
			if old, ok := recs[op.Key]; ok {
				rec.Created = old.Created
			}
			recs[op.Key], changed = rec, true
		}
	}
	return recs, changed
}

func (m *model) list(prefix string) []store.Record {
	var out []store.Record
	for _, k := range slices.Sorted(maps.Keys(m.recs)) {
		if strings.HasPrefix(k, prefix) {
			out = append(out, m.recs[k])
		}
	}
	return out
}

// testModel runs random transactions on the store and the model, compares answers
// and lists, and in the end what a watch told with what is there.
func testModel(t *testing.T, open func(*testing.T) store.Store, _ Options) {
	s := open(t)
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		root := fmt.Sprintf("round%d/", round)
		start := put(t, s, fmt.Sprintf("start%d", round), "")
		m := &model{recs: map[string]store.Record{}, rev: start}
		live := follow(t, s, root, start)
		defer live.cancel()
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			m.step(r, t, s, drawTxn(r, m, root))
			prefix := root + rapid.SampledFrom([]string{"", "a", "a/", "b/", "c"}).Draw(r, "prefix")
			got, _ := list(t, s, prefix)
			if diff := cmp.Diff(m.list(prefix), got, cmpopts.EquateEmpty()); diff != "" {
				r.Fatalf("List(%q) (-want +got):\n%s", prefix, diff)
			}
		}
		end := put(t, s, root+"end", "")
		told := live
		if round%10 == 0 { // etcd serves the past every 100 ms only
			told = follow(t, s, root, start)
			defer told.cancel()
		}
		replayed := replay(told.until(t, end))
		delete(replayed, root+"end")
		if diff := cmp.Diff(m.recs, replayed, cmpopts.EquateEmpty()); diff != "" {
			r.Fatalf("what the watch told adds up to (-want +got):\n%s", diff)
		}
	})
}

// step applies txn to both.
func (m *model) step(r *rapid.T, t *testing.T, s store.Store, txn store.Txn) {
	rev, err := s.Apply(t.Context(), txn)
	if txn.Validate() != nil {
		if !errors.Is(err, fault.Invalid) {
			r.Fatalf("Apply(%v) = %v, want Invalid", txn, err)
		}
		return
	}
	if !slices.ContainsFunc(txn.If, func(c store.Cond) bool { return !m.holds(c) }) {
		if err != nil {
			r.Fatalf("Apply(%v) = %v", txn, err)
		}
		recs, changed := m.after(txn.Then, rev)
		if changed && rev <= m.rev || rev < m.rev {
			r.Fatalf("Apply(%v) = %d after %d", txn, rev, m.rev)
		}
		m.recs, m.rev = recs, max(m.rev, rev)
		return
	}
	if !errors.Is(err, fault.Stale) {
		r.Fatalf("Apply(%v) = %v, want Stale", txn, err)
	}
}

// drawTxn draws few keys, so that transactions meet, and revisions that are mostly
// those of some record.
func drawTxn(r *rapid.T, m *model, root string) store.Txn {
	key := rapid.Map(rapid.SampledFrom([]string{"a", "a/1", "a/2", "b/1", "b/2", "c"}), func(k string) string { return root + k })
	prefix := rapid.Map(rapid.SampledFrom([]string{"a", "a/", "b/", ""}), func(k string) string { return root + k })
	revs := []store.Revision{0, m.rev, m.rev, m.rev - 1}
	for _, rec := range m.list("") {
		revs = append(revs, rec.Rev, rec.Created)
	}
	var txn store.Txn
	for range rapid.IntRange(0, 2).Draw(r, "conditions") {
		rev := rapid.SampledFrom(revs).Draw(r, "rev")
		switch rapid.IntRange(0, 2).Draw(r, "condition") {
		case 0:
			k := key.Draw(r, "key")
			txn.If = append(txn.If, store.At(k, rapid.SampledFrom([]store.Revision{rev, m.recs[k].Rev}).Draw(r, "of")))
		case 1:
			k := key.Draw(r, "key")
			txn.If = append(txn.If, store.CreatedAt(k, rapid.SampledFrom([]store.Revision{rev, m.recs[k].Created}).Draw(r, "of")))
		default:
			txn.If = append(txn.If, store.UnchangedSince(prefix.Draw(r, "under"), rev))
		}
	}
	for range rapid.IntRange(1, 4).Draw(r, "operations") {
		switch rapid.IntRange(0, 5).Draw(r, "operation") {
		case 0:
			txn.Then = append(txn.Then, store.Delete(key.Draw(r, "key")))
		case 1:
			txn.Then = append(txn.Then, store.DeletePrefix(prefix.Draw(r, "under")))
		default:
			txn.Then = append(txn.Then, store.Put(key.Draw(r, "key"), []byte(rapid.StringN(0, 8, -1).Draw(r, "value"))))
		}
	}
	return txn
}

// replay applies what a watch told to nothing.
func replay(events []store.Event) map[string]store.Record {
	out := map[string]store.Record{}
	for _, e := range events {
		if e.Deleted {
			delete(out, e.Record.Key)
		} else {
			out[e.Record.Key] = e.Record
		}
	}
	return out
}
