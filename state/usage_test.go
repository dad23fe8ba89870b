package state

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/usage"
)

const usageDay usage.Date = "2026-11-25"

// created is a change that counts n created users.
func created(n int64) usage.Table {
	return usage.Table{{Name: usage.UserCreated, Class: usage.ClassAdmin}: {Done: n}}
}

func wantUsage(t *testing.T, d *DB, from usage.Date, want ...usage.Day) {
	t.Helper()
	got, err := d.Usage(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Usage(%s) (-want +got):\n%s", from, d)
	}
}

// Replicas add to one record, and none loses what another added.
func TestUsageOfReplicas(t *testing.T) {
	s := mem.New()
	var wg sync.WaitGroup
	for range 3 {
		d := open(t, s)
		defer d.stop()
		wg.Go(func() {
			for done := 0; done < 20; {
				err := d.AddUsage(t.Context(), usageDay, created(1))
				if err == nil {
					done++
				} else if !errors.Is(err, fault.Stale) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	d := open(t, s)
	defer d.stop()
	wantUsage(t, d.DB, usageDay, usage.Day{Date: usageDay, Table: created(60)})
	// What was merged comes out again when there are enough people.
	merged := usage.Bucket{Name: usage.OtherWorkflows, Class: usage.ClassOther}
	for _, change := range []usage.Table{{merged: {Done: 4, Refused: 1}}, {merged: {Done: -4}}} {
		if err := d.AddUsage(t.Context(), usageDay, change); err != nil {
			t.Fatal(err)
		}
	}
	want := created(60)
	want[merged] = usage.Counts{Refused: 1}
	wantUsage(t, d.DB, usageDay, usage.Day{Date: usageDay, Table: want})
}

// losing is a store whose answers get lost, after or before it did what it should.
type losing struct {
	store.Store
	after, before int
}

// Apply implements store.Store.
func (l *losing) Apply(ctx context.Context, t store.Txn) (store.Revision, error) {
	lost := fault.New(fault.Unavailable, "lost", "the answer was lost")
	if !strings.HasPrefix(t.Then[0].Key, keyUsage) {
		return l.Store.Apply(ctx, t)
	}
	if l.before > 0 {
		l.before--
		return 0, lost
	}
	rev, err := l.Store.Apply(ctx, t)
	if l.after > 0 && err == nil {
		l.after--
		return 0, lost
	}
	return rev, err
}

func TestUsageWhenAnswersAreLost(t *testing.T) {
	s := &losing{Store: mem.New()}
	d := open(t, s)
	defer d.stop()
	for n := range 3 { // the first of a day, and others
		s.before = 1
		if err := d.AddUsage(t.Context(), usageDay, created(1)); !errors.Is(err, fault.Unavailable) {
			t.Errorf("AddUsage that was not written = %v, want fault.Unavailable", err)
		}
		s.after = 1
		if err := d.AddUsage(t.Context(), usageDay, created(1)); err != nil {
			t.Errorf("AddUsage that was written = %v, want nil", err)
		}
		wantUsage(t, d.DB, usageDay, usage.Day{Date: usageDay, Table: created(int64(n + 1))})
	}
}

func TestUsageIsForgotten(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	for n := range keptUsageDays + 20 {
		if err := d.AddUsage(t.Context(), usageDay.Add(n), created(1)); err != nil {
			t.Fatal(err)
		}
	}
	days, err := d.Usage(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if last := usageDay.Add(keptUsageDays + 19); len(days) != keptUsageDays+1 || days[0].Date != last.Add(-keptUsageDays) {
		t.Errorf("%d days are kept, from %s on; want %d until %s", len(days), days[0].Date, keptUsageDays+1, last)
	}
	if days, err := d.Usage(t.Context(), days[len(days)-3].Date); err != nil || len(days) != 3 {
		t.Errorf("Usage of the last three days = %d days, %v", len(days), err)
	}
}

// What is stored is read by every later version, and keeps what it does not know.
func TestStoredUsage(t *testing.T) {
	s := mem.New()
	const golden = `{"v":1,"n":[{"k":"api:check","c":"service","d":7,"f":2,"newer":true},{"k":"workflow:user_created","c":"admin","d":1,"r":3,"p":4}],"seal":"x"}`
	if _, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put(keyUsage+string(usageDay), []byte(golden))}}); err != nil {
		t.Fatal(err)
	}
	d := open(t, s)
	defer d.stop()
	want := usage.Table{
		{Name: "api:check", Class: usage.ClassService}:     {Done: 7, Failed: 2},
		{Name: usage.UserCreated, Class: usage.ClassAdmin}: {Done: 1, Refused: 3, Previewed: 4},
	}
	wantUsage(t, d.DB, usageDay, usage.Day{Date: usageDay, Table: want})
	if err := d.AddUsage(t.Context(), usageDay, created(1)); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), keyUsage+string(usageDay))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(r.Value), strings.Replace(golden, `"c":"admin","d":1`, `"c":"admin","d":2`, 1); got != want {
		t.Errorf("stored\n%s\nwant\n%s", got, want)
	}
}
