package state

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// embedded opens an etcd in this process, closed with the test, and returns also what
// makes it forget all but the newest.
func embedded(t *testing.T) (s *etcd.Store, compact func(fataler)) {
	t.Helper()
	private, err := os.MkdirTemp("", "rollcall") // short: the path of a socket has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(private) })
	socket := filepath.Join(private, "s")
	s, err = etcd.Open(t.Context(), etcd.Options{Dir: t.TempDir(), NoFsync: true, DebugSocket: socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + socket}, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return s, func(t fataler) {
		t.Helper()
		r, err := client.Get(context.Background(), "x")
		if err == nil {
			_, err = client.Compact(context.Background(), r.Header.Revision)
		}
		if err != nil {
			t.Fatalf("compact: %v", err)
		}
	}
}

// leading lets many histories share one term.
type leading struct {
	store.Leader
	term store.Term
}

func (l leading) Lead(context.Context, string, string) (store.Term, error) { return l.term, nil }

// TestTheViewEqualsAFreshReadOfEtcd is the law of the view on the store that it has
// in earnest, which forgets its history while the view is cut off.
func TestTheViewEqualsAFreshReadOfEtcd(t *testing.T) {
	s, compact := embedded(t)
	term := lead(t, s)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if !slices.Equal(rapid.SliceOfN(rapid.Bool(), 3, 3).Draw(rt, "one in eight"), make([]bool, 3)) {
			return // etcd tells of lost history only ten times a second
		}
		n++
		w := wired(s, fmt.Sprintf("%d/", n))
		checkHistory(rt, w, leading{s, term}, func() {
			w.cut()
			for range 2 {
				if _, err := s.Apply(context.Background(), store.Txn{Then: []store.Op{store.Put(w.key(keyTerm), nil)}}); err != nil {
					rt.Fatalf("Apply = %v", err)
				}
			}
			compact(rt)
			w.mend()
		})
	})
}

// TestAHugeGroupThroughARun takes a group through all that a run may do to it, on the
// store that has limits.
func TestAHugeGroupThroughARun(t *testing.T) {
	const huge = 120_000
	s, _ := embedded(t)
	d := open(t, s)
	defer d.stop()
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	g := identity.NewGroupID()
	members := make([]identity.Member, huge)
	for i := range members {
		members[i] = identity.UserMember(identity.NewUserID())
	}
	d.bulk(t, b, []Change{Create{Member: identity.GroupMember(g), Record: record("g", "all"), Members: huge}})
	in := map[identity.Member]bool{}
	for _, c := range []struct {
		name        string
		add, remove []identity.Member
	}{
		{"fill", members[:huge/2], nil},
		{"grow", members[huge/2:], nil},
		{"one more and one less", members[:1], members[1:2]},
		{"a few hundred", members[1:2], members[100:500]},
		{"shrink", nil, members[1000:]},
		{"replace", members[60_000:], members[:1000]},
		{"empty", nil, members},
		{"fill again", members, nil},
	} {
		for _, m := range c.add {
			in[m] = true
		}
		for _, m := range c.remove {
			delete(in, m)
		}
		snap := d.bulk(t, b, []Change{ChangeMembers{Group: g, Origin: "corp", Add: c.add, Remove: c.remove}})
		wantMembers(t, c.name, snap, g, members, in)
		if err := b.RemoveAbandoned(t.Context()); err != nil {
			t.Fatal(err)
		}
		fresh, err := Open(t.Context(), Options{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		wantMembers(t, c.name+", read anew", fresh.View().Now(), g, members, in)
		h, _ := snap.groupByID.Get(g)
		if n, want := count(t, s, keyMembers), int(snap.groups.At(int(h)).own.Buckets); n > want {
			t.Errorf("after %s: %d chunks are stored, and the group has %d", c.name, n, want)
		}
	}
}

func wantMembers(t *testing.T, after string, snap *Snapshot, g identity.GroupID, all []identity.Member, in map[identity.Member]bool) {
	t.Helper()
	if n := snap.MemberCount(g); n != len(in) {
		t.Fatalf("after %s: %d members, want %d", after, n, len(in))
	}
	for _, m := range all {
		r, ok := snap.ref(m)
		if is := ok && len(snap.parents(r)) == 1; is != in[m] {
			t.Fatalf("after %s: %s is in the group: %v, want %v", after, m, is, in[m])
		}
	}
}

func count(t *testing.T, s store.Store, prefix string) int {
	t.Helper()
	records, _, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}
