package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

// clock is one that goes on by as much as it takes for an entry to settle, whenever it
// is looked at.
type clock struct{ looks atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC).Add(time.Duration(c.looks.Add(1)) * (settled + time.Second))
}

// audited is a DB whose entries settle at once.
func audited(t fataler, s store.Store) opened {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d, err := Open(ctx, Options{Store: s, Now: (&clock{}).now})
	if err != nil {
		cancel()
		t.Fatalf("Open: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return opened{d, s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("Run: %v", err)
		}
	}}
}

// note writes an entry of about so many kilobytes.
func (o opened) note(t fataler, name string, kilobytes int) store.Revision {
	t.Helper()
	cs := make([]Change, 0, kilobytes+1)
	for i := range max(kilobytes, 1) {
		e := audit.Event{Action: "Noted", Target: "test/" + name, Name: fmt.Sprint(i)}
		if kilobytes > 0 {
			e.Reason = strings.Repeat(name, 1000/len(name))
		}
		cs = append(cs, Note{e})
	}
	return o.commit(t, admin, cs...)
}

// targets returns what the entries of the log are about, read in pages. Between the
// pages other things may happen.
func (o opened) targets(t fataler, order AuditOrder, limit int, between ...func()) []string {
	t.Helper()
	var all []string
	q := AuditQuery{Order: order, Limit: limit}
	for {
		page, err := o.AuditEntries(context.Background(), q)
		if err != nil {
			t.Fatalf("AuditEntries(%+v): %v", q, err)
		}
		for _, e := range page.Entries {
			all = append(all, fmt.Sprintf("%d %s", e.Seq, e.Events[0].Target))
		}
		if q.After = page.Next; !page.More {
			return all
		}
		for _, happen := range between {
			happen()
		}
	}
}

func (o opened) fold(t fataler, term store.Term) {
	t.Helper()
	if _, err := o.FoldAudit(context.Background(), term.Fence()); err != nil {
		t.Fatalf("FoldAudit: %v", err)
	}
}

func (o opened) verified(t fataler, known ...audit.Head) AuditReport {
	t.Helper()
	r, err := o.VerifyAudit(context.Background(), known...)
	if err != nil || r.Bad != nil {
		t.Fatalf("VerifyAudit = %+v, %+v, %v; want everything in order", r, r.Bad, err)
	}
	return r
}

// TestTheLogReadsAsItWasWritten is the law of the log: whatever was folded when, it
// reads as it was written, from both ends and in pages of any size; its head does not
// depend on what is folded, and what retention leaves is the end of it.
func TestTheLogReadsAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { checkLog(rt, mem.New(), mem.New()) })
}

func TestTheLogReadsAsItWasWrittenToEtcd(t *testing.T) {
	s, _ := embedded(t)
	d := audited(t, s)
	defer d.stop()
	term := lead(t, s)
	var want []string
	for i := range 400 {
		d.note(t, fmt.Sprintf("n%d", i), i%7)
		want = append(want, fmt.Sprintf("%d test/n%d", i+1, i))
		if i%90 == 89 {
			d.fold(t, term)
		}
	}
	if diff := cmp.Diff(want, d.targets(t, OldestFirst, 33)); diff != "" {
		t.Errorf("the log (-written +read):\n%s", diff)
	}
	if r := d.verified(t); r.Folded == 0 || r.Unfolded == 0 || r.Segments < 2 || r.Head.Seq != 400 {
		t.Errorf("report %+v, want entries in several segments and beside them", r)
	}
}

func checkLog(rt *rapid.T, s, plain *mem.Store) {
	d, reference := audited(rt, s), audited(rt, plain)
	defer d.stop()
	defer reference.stop()
	term := lead(rt, s)
	var want []string
	var heads []audit.Head
	written := uint64(0)
	for range rapid.IntRange(1, 25).Draw(rt, "steps") {
		switch rapid.IntRange(0, 9).Draw(rt, "step") {
		case 0, 1, 2:
			d.fold(rt, term)
		case 3:
			n, err := d.TrimAudit(context.Background(), term.Fence(), AuditRetention{Size: 1, Keep: -1})
			if err != nil {
				rt.Fatalf("TrimAudit: %v", err)
			}
			if n > 0 {
				written++
				want = append(want[n:], fmt.Sprintf("%d audit/%d", written, written-uint64(len(want))+n-1))
			}
		default:
			written++
			name := fmt.Sprintf("n%d", written)
			d.note(rt, name, rapid.SampledFrom([]int{0, 1, 40, 200}).Draw(rt, "kilobytes"))
			want = append(want, fmt.Sprintf("%d test/%s", written, name))
			head, err := d.AuditHead(context.Background())
			if err != nil || head.Seq != written {
				rt.Fatalf("AuditHead = %+v, %v; want number %d", head, err, written)
			}
			heads = append(heads, head)
		}
	}
	some := func() {
		if rapid.Bool().Draw(rt, "fold between pages") {
			d.fold(rt, term)
		}
	}
	if got := d.targets(rt, OldestFirst, rapid.IntRange(0, 5).Draw(rt, "limit"), some); !slices.Equal(got, want) {
		rt.Fatalf("the log (-written +read):\n%s", cmp.Diff(want, got))
	}
	slices.Reverse(want)
	later := 0
	more := func() {
		later++
		d.note(rt, fmt.Sprintf("later%d", later), 1) // in front of what was read
		some()
	}
	if got := d.targets(rt, NewestFirst, rapid.IntRange(0, 5).Draw(rt, "limit"), more); !slices.Equal(got, want) {
		rt.Fatalf("the log backwards (-written +read):\n%s", cmp.Diff(want, got))
	}
	r := d.verified(rt, heads...)
	if r.Head.Seq != written+uint64(later) || r.Folded+r.Unfolded != len(want)+later {
		rt.Fatalf("report %+v, want %d entries up to %d, and %d later ones", r, len(want), written, later)
	}
}

func TestFoldingUnderWritersLosesAndDoublesNothing(t *testing.T) {
	etcd, _ := embedded(t)
	for name, s := range map[string]interface {
		store.Store
		store.Leader
	}{"mem": mem.New(), "etcd": etcd} {
		t.Run(name, func(t *testing.T) {
			d := audited(t, s)
			defer d.stop()
			term := lead(t, s)
			const writers, each = 4, 150
			var work sync.WaitGroup
			for w := range writers {
				work.Go(func() {
					for i := range each {
						if _, err := d.Commit(t.Context(), admin, Note{audit.Event{Action: "Noted", Target: fmt.Sprintf("test/%d-%d", w, i)}}); err != nil {
							t.Errorf("Commit: %v", err)
							return
						}
					}
				})
			}
			done := make(chan struct{})
			go func() { work.Wait(); close(done) }()
			ctx, cancel := context.WithCancel(t.Context())
			followed := make(chan []audit.Entry, 1)
			go func() { followed <- follow(ctx, d.DB, writers*each) }()
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				d.fold(t, term)
				d.verified(t)
			}
			seen := <-followed
			cancel()
			page, err := d.AuditEntries(t.Context(), AuditQuery{})
			if err != nil || len(page.Entries) != writers*each {
				t.Fatalf("%d entries, %v; want %d", len(page.Entries), err, writers*each)
			}
			if diff := cmp.Diff(page.Entries, seen); diff != "" {
				t.Errorf("a follower saw another log (-log +follower):\n%s", diff)
			}
			for i, e := range page.Entries {
				if e.Seq != uint64(i)+1 || i > 0 && e.Rev <= page.Entries[i-1].Rev {
					t.Fatalf("entry %d has number %d and revision %d", i, e.Seq, e.Rev)
				}
			}
		})
	}
}

func follow(ctx context.Context, d *DB, n int) []audit.Entry {
	var seen []audit.Entry
	for page, err := range d.FollowAudit(ctx, AuditQuery{Limit: 7}, time.Millisecond) {
		if err != nil {
			return nil
		}
		if seen = append(seen, page.Entries...); len(seen) >= n {
			break
		}
	}
	return seen
}

// interrupted calls something before each n-th read of the store.
type interrupted struct {
	store.Store
	n      int
	happen func()
}

func (i *interrupted) read() {
	if i.n--; i.n == 0 {
		i.happen()
	}
}

func (i *interrupted) Get(ctx context.Context, key string) (store.Record, error) {
	i.read()
	return i.Store.Get(ctx, key)
}

func (i *interrupted) List(ctx context.Context, prefix string) (iter.Seq2[store.Record, error], store.Revision, error) {
	i.read()
	return i.Store.List(ctx, prefix)
}

// TestReadersDoNotMindWhatHappensBetweenTheirReads folds everything, and removes the
// oldest, between any two reads of somebody who reads the log.
func TestReadersDoNotMindWhatHappensBetweenTheirReads(t *testing.T) {
	for at := range 40 {
		s := mem.New()
		term := lead(t, s)
		other := audited(t, s)
		slow := &interrupted{Store: s}
		d := audited(t, slow)
		var want []string
		for i := range 30 {
			other.note(t, fmt.Sprintf("n%d", i), 30)
			want = append(want, fmt.Sprintf("%d test/n%d", i+1, i))
			if i == 12 {
				other.fold(t, term)
			}
		}
		head, err := other.AuditHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slow.happen = func() { other.fold(t, term) }
		for _, order := range []AuditOrder{OldestFirst, NewestFirst} {
			slow.n = at + 1
			if got := d.targets(t, order, 4); !slices.Equal(got, want) {
				t.Fatalf("folded before read %d, order %d (-written +read):\n%s", at, order, cmp.Diff(want, got))
			}
			slices.Reverse(want)
			other.note(t, "last", 1)
			want = append(want, "31 test/last")
			if order == OldestFirst {
				slices.Reverse(want[:30])
				slices.Reverse(want)
			}
		}
		slow.n = at + 1
		d.verified(t, head)
		slow.happen = func() {
			if _, err := other.TrimAudit(t.Context(), term.Fence(), AuditRetention{Size: 1}); err != nil {
				t.Error(err)
			}
		}
		slow.n = at + 1
		d.verified(t, head)
		d.stop()
		other.stop()
	}
}

// TestFoldingThatIsCutOffAnywhereGoesOn stops folding before and after each of its
// transactions.
func TestFoldingThatIsCutOffAnywhereGoesOn(t *testing.T) {
	killed := errors.New("killed")
	for _, outcome := range []error{killed, mem.AnswerLost} {
		for at := range 6 {
			s := mem.New()
			d := audited(t, s)
			term := lead(t, s)
			var want []string
			for i := range 300 {
				d.note(t, fmt.Sprintf("n%d", i), i%4)
				want = append(want, fmt.Sprintf("%d test/n%d", i+1, i))
			}
			head, err := d.AuditHead(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			s.Fail(func(store.Txn) error {
				if n++; n == at+1 {
					return outcome
				}
				return nil
			})
			_, failed := d.FoldAudit(t.Context(), term.Fence())
			s.Fail(nil)
			if (failed != nil) != (n > at) {
				t.Errorf("FoldAudit with %d transactions = %v", n, failed)
			}
			for range 2 {
				if diff := cmp.Diff(want, d.targets(t, OldestFirst, 0)); diff != "" {
					t.Fatalf("cut off at %d (-written +read):\n%s", at, diff)
				}
				d.verified(t, head)
				d.fold(t, term)
			}
			d.stop()
		}
	}
}

func TestADeposedLeaderNeitherFoldsNorTrims(t *testing.T) {
	s := mem.New()
	d := audited(t, s)
	defer d.stop()
	term := lead(t, s)
	d.note(t, "a", 1)
	if err := term.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.FoldAudit(t.Context(), term.Fence()); !errors.Is(err, fault.Stale) {
		t.Errorf("FoldAudit after the term = %v, want fault.Stale", err)
	}
	d.verified(t)
}

func TestAYoungEntryStaysUnderItsKey(t *testing.T) {
	s := mem.New()
	d := open(t, s) // by the real clock
	defer d.stop()
	d.note(t, "a", 1)
	if n, err := d.FoldAudit(t.Context(), lead(t, s).Fence()); n != 0 || err != nil {
		t.Errorf("FoldAudit = %d, %v; want nothing folded before its writer may have looked for it", n, err)
	}
}

// TestAnAuditThatCannotBeWrittenRefusesTheWrite shows that there is no way around it.
func TestAnAuditThatCannotBeWrittenRefusesTheWrite(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	u := identity.NewUserID()
	d.commit(t, run, Create{Member: identity.UserMember(u), Record: record("k1", "ann")})
	full := fault.New(fault.Unavailable, "store_full", "no space")
	s.Fail(func(x store.Txn) error {
		if slices.ContainsFunc(x.Then, func(op store.Op) bool { return strings.HasPrefix(op.Key, keyAudit) }) {
			return full
		}
		return nil
	})
	before := s.Revision()
	_, err := d.Commit(t.Context(), admin, Disable{User: u, Reason: "leaver"})
	if !errors.Is(err, fault.Unavailable) || s.Revision() != before {
		t.Errorf("Commit without room for its entry = %v at revision %d, want it refused at %d", err, s.Revision(), before)
	}
	if got, _, _ := d.View().Now().User(u); got.Local.Disabled != nil {
		t.Error("the change was made without its entry")
	}
}

func TestRetentionByAgeWaitsForWhoHasNotGotTheEntries(t *testing.T) {
	s := mem.New()
	d := audited(t, s)
	defer d.stop()
	term := lead(t, s)
	for i := range 12 {
		d.note(t, fmt.Sprintf("n%d", i), 100)
	}
	d.fold(t, term)
	for _, c := range []struct {
		name string
		r    AuditRetention
		want bool
	}{
		{"young", AuditRetention{Age: 100 * time.Hour, Keep: -1}, false},
		{"not delivered", AuditRetention{Age: time.Minute}, false},
		{"no limit", AuditRetention{Keep: -1}, false},
		{"old", AuditRetention{Age: time.Minute, Keep: -1}, true},
	} {
		n, err := d.TrimAudit(t.Context(), term.Fence(), c.r)
		if err != nil || (n > 0) != c.want {
			t.Errorf("%s: TrimAudit removed %d, %v; want some: %v", c.name, n, err, c.want)
		}
		d.verified(t)
	}
	page, err := d.AuditEntries(t.Context(), AuditQuery{Order: NewestFirst, Limit: 1})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Events[0].Action != audit.Trimmed {
		t.Errorf("the newest entry is %+v, %v; want the marker", page.Entries, err)
	}
}

func TestVerifyNamesTheFirstBadEntry(t *testing.T) {
	const folded, all = 12, 15
	for _, c := range []struct {
		name   string
		tamper func(t *testing.T, s *mem.Store, d opened)
		seq    uint64
		known  bool // found only against an exported head
	}{
		{"flip a folded one", inSegment(2, func(lines [][]byte) [][]byte {
			lines[1] = bytes.Replace(lines[1], []byte("Noted"), []byte("Vated"), 1)
			return lines
		}), 5, false},
		{"drop a folded one", inSegment(2, func(l [][]byte) [][]byte { return slices.Delete(l, 1, 2) }), 5, false},
		{"swap two folded ones", inSegment(2, func(l [][]byte) [][]byte { l[0], l[1] = l[1], l[0]; return l }), 4, false},
		{"double a folded one", inSegment(2, func(l [][]byte) [][]byte { return slices.Insert(l, 2, l[1]) }), 6, false},
		{"cut the end of a segment", inSegment(2, func(l [][]byte) [][]byte { return l[:2] }), 6, false},
		{"spoil a segment", func(t *testing.T, s *mem.Store, _ opened) {
			rewrite(t, s, segmentKey(2), func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+30] })
		}, 4, false},
		{"drop a segment", func(t *testing.T, s *mem.Store, _ opened) {
			apply(t, s, store.Delete(segmentKey(2)))
		}, 4, false},
		{"drop the last segment and turn the head back", func(t *testing.T, s *mem.Store, d opened) {
			h, _, _ := d.segments(t.Context())
			prev, err := d.segment(t.Context(), h.Last-1)
			if err != nil {
				t.Fatal(err)
			}
			h.Last--
			h.End = audit.Head{Seq: prev.Last, Rev: prev.LastRev, Hash: prev.Hash}
			b, _ := encode(h)
			apply(t, s, store.Delete(segmentKey(h.Last+1)), store.Put(keyAuditHead, b))
		}, 13, true},
		{"remove the first segments without a marker", func(t *testing.T, s *mem.Store, d opened) {
			h, _, _ := d.segments(t.Context())
			first, _ := d.segment(t.Context(), 1)
			h.First, h.Base = 2, audit.Head{Seq: first.Last, Rev: first.LastRev, Hash: first.Hash}
			b, _ := encode(h)
			apply(t, s, store.Delete(segmentKey(1)), store.Put(keyAuditHead, b))
		}, 3, false},
		{"remove the head", func(t *testing.T, s *mem.Store, _ opened) { apply(t, s, store.Delete(keyAuditHead)) }, 1, false},
		{"flip one that is not folded", func(t *testing.T, s *mem.Store, _ opened) {
			rewrite(t, s, pendingKey(t, s, 1), func(b []byte) []byte { return bytes.Replace(b, []byte("Noted"), []byte("Vated"), 1) })
		}, 14, false},
		{"flip one and let it be folded", func(t *testing.T, s *mem.Store, d opened) {
			rewrite(t, s, pendingKey(t, s, 1), func(b []byte) []byte { return bytes.Replace(b, []byte("Noted"), []byte("Vated"), 1) })
			d.fold(t, lead(t, s))
		}, 14, false},
		{"spoil one and let it be folded", func(t *testing.T, s *mem.Store, d opened) {
			rewrite(t, s, pendingKey(t, s, 1), func([]byte) []byte { return []byte("\x00\n") })
			d.fold(t, lead(t, s))
		}, 14, false},
		{"double one that is not folded", func(t *testing.T, s *mem.Store, _ opened) {
			r, _ := s.Get(t.Context(), pendingKey(t, s, 1))
			apply(t, s, store.Put(keyAudit+identity.NewUserID().String(), r.Value))
		}, all + 1, false},
		{"drop one that is not folded", func(t *testing.T, s *mem.Store, _ opened) {
			apply(t, s, store.Delete(pendingKey(t, s, 1)))
		}, all, true},
		{"change a link and everything behind it", func(t *testing.T, s *mem.Store, d opened) {
			forge(t, s, d)
		}, all, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mem.New()
			d := audited(t, s)
			defer d.stop()
			for i := range all {
				if i == folded {
					term := lead(t, s)
					d.fold(t, term)
					_ = term.Resign(t.Context())
				}
				d.note(t, fmt.Sprintf("n%d", i), 90)
			}
			head, err := d.AuditHead(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d.verified(t, head)
			c.tamper(t, s, d)
			r, err := d.VerifyAudit(t.Context())
			if err != nil || (r.Bad == nil) != c.known {
				t.Fatalf("VerifyAudit = %+v, %v", r.Bad, err)
			}
			if c.known {
				if r, err = d.VerifyAudit(t.Context(), head); err != nil || r.Bad == nil {
					t.Fatalf("VerifyAudit against the exported head = %+v, %v; want it found", r.Bad, err)
				}
			}
			if r.Bad.Why == "" || r.Bad.Seq != c.seq {
				t.Errorf("VerifyAudit names %+v, want number %d", r.Bad, c.seq)
			}
		})
	}
}

// forge rewrites the second entry and makes the rest fit, as somebody can who knows how
// the chain is made: only a head that is kept elsewhere shows it.
func forge(t *testing.T, s *mem.Store, d opened) {
	h, _, err := d.segments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	end := audit.Head{}
	for n := h.First; n <= h.Last; n++ {
		old, err := d.segment(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		p := newPacker(n, end)
		if err := old.lines(func(_, line []byte) bool {
			l, _ := parseLine(line)
			stored := []byte(l.Entry)
			if l.Seq == 2 {
				stored = bytes.Replace(stored, []byte("Noted"), []byte("Vated"), 1)
			}
			var e storedEntry
			_ = decode("", stored, &e)
			p.add(l.ID, l.Rev, l.Rev, e.At, stored)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		end = audit.Head{Seq: p.head.Last, Rev: p.head.LastRev, Hash: p.head.Hash}
		b, err := p.pack()
		if err != nil {
			t.Fatal(err)
		}
		apply(t, s, store.Put(segmentKey(n), b))
	}
	h.End = end
	b, _ := encode(h)
	apply(t, s, store.Put(keyAuditHead, b))
}

func apply(t *testing.T, s store.Store, ops ...store.Op) {
	t.Helper()
	if _, err := s.Apply(t.Context(), store.Txn{Then: ops}); err != nil {
		t.Fatal(err)
	}
}

func rewrite(t *testing.T, s store.Store, key string, change func([]byte) []byte) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, store.Put(key, change(bytes.Clone(r.Value))))
}

func pendingKey(t *testing.T, s store.Store, i int) string {
	t.Helper()
	records, _, err := s.List(t.Context(), keyAudit)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for r, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, r.Key)
	}
	return keys[i]
}

// inSegment changes the lines of a segment and leaves its head as it is.
func inSegment(n uint64, change func([][]byte) [][]byte) func(*testing.T, *mem.Store, opened) {
	return func(t *testing.T, s *mem.Store, d opened) {
		t.Helper()
		old, err := d.segment(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		var lines [][]byte
		if err := old.lines(func(link, line []byte) bool {
			lines = append(lines, slices.Concat(link, []byte{' '}, line))
			return true
		}); err != nil {
			t.Fatal(err)
		}
		p := &packer{head: old.segmentHead}
		for _, l := range change(lines) {
			p.write(l[:linkDigits], l[linkDigits+1:])
		}
		b, err := p.pack()
		if err != nil {
			t.Fatal(err)
		}
		apply(t, s, store.Put(segmentKey(n), b))
	}
}
