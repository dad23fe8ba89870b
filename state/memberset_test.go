package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// A set stays what it is while versions of it are made, and each counts what it holds.
func TestMemberSetVersions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		buckets := uint32(1) << rapid.IntRange(0, 8).Draw(t, "buckets")
		have := make([]chunk, buckets)
		set := newMemberSet(generation{1, buckets}, slices.Clone(have))
		for range rapid.IntRange(1, 20).Draw(t, "versions") {
			before, was := set, slices.Clone(have)
			b := rapid.Uint32Range(0, buckets-1).Draw(t, "bucket")
			c := chunk{rev: set.rev + 1}
			for r := range rapid.IntRange(0, 5).Draw(t, "members") {
				c.refs = append(c.refs, userRef(b*10+uint32(r)))
			}
			have[b] = c
			set = set.with(b, c)
			sameSet(t, &before, was)
			sameSet(t, &set, have)
			if set.equal(&before) {
				t.Error("two versions are equal")
			}
		}
	})
}

func sameSet(t *rapid.T, s *memberSet, want []chunk) {
	var refs []ref
	var rev store.Revision
	for b, c := range want {
		refs, rev = append(refs, c.refs...), max(rev, c.rev)
		if !slices.Equal(s.at(uint32(b)).refs, c.refs) {
			t.Fatalf("chunk %d is %v, want %v", b, s.at(uint32(b)).refs, c.refs)
		}
	}
	if got := slices.Collect(s.refs); !slices.Equal(got, refs) || s.len() != len(refs) || s.rev != rev {
		t.Fatalf("%d members %v of revision %d, want %v of %d", s.len(), got, s.rev, refs, rev)
	}
	for _, r := range refs {
		if !s.has(r) {
			t.Fatalf("%d is not found", r)
		}
	}
	if s.has(noRef) {
		t.Fatal("nobody is a member")
	}
}

// A group that has turned to new chunks does not turn back when some of its members go.
func TestChunksLast(t *testing.T) {
	for n := 1; n < 200_000; n++ {
		g := generation{Buckets: bucketsFor(n)}
		for _, m := range []int{n - n/4, n} {
			if g.crowded(m) {
				t.Fatalf("chunks for %d members are not good for %d", n, m)
			}
		}
	}
}

// What is stored of a chunk is read again, as it was written by any version.
func TestChunksAreReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := make([]identity.Member, 0, 5)
		for range rapid.IntRange(0, 5).Draw(t, "members") {
			if rapid.Bool().Draw(t, "group") {
				members = append(members, identity.GroupMember(identity.NewGroupID()))
			} else {
				members = append(members, identity.UserMember(identity.NewUserID()))
			}
		}
		when := rapid.Int64().Draw(t, "when")
		stored := string(encodeChunk(members, when))
		_, array, _ := strings.Cut(strings.TrimSuffix(stored, "}"), `"in":`)
		for form, want := range map[string]int64{
			stored: when,
			fmt.Sprintf(`{ "in":%s, "at":%d }`, array, when): when,
			array:       0,
			" " + array: 0,
		} {
			got, at, err := decodeChunk("k", []byte(form))
			if err != nil || at != want || !slices.Equal(got, members) {
				t.Fatalf("%s is %v of %d (%v), want %v of %d", form, got, at, err, members, want)
			}
			if _, _, err := decodeChunk("k", []byte(form[:len(form)-1])); err == nil {
				t.Fatalf("%s was read", form[:len(form)-1])
			}
		}
	})
}
