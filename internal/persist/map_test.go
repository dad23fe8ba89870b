package persist

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// hashes are ordinary, poor and hopeless: laws hold under all of them.
var hashes = map[string]func(uint32) uint64{
	"maphash":  nil,
	"low bits": func(k uint32) uint64 { return uint64(k) },
	"few bits": func(k uint32) uint64 { return uint64(k%7) << 61 },
	"constant": func(uint32) uint64 { return 42 },
}

func TestMapIsAPlainMapAndOldVersionsStay(t *testing.T) {
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { checkMap(t, hash) })
		})
	}
}

func checkMap(t *rapid.T, hash func(uint32) uint64) {
	type version struct {
		m    Map[uint32, int]
		want map[uint32]int
	}
	have := map[uint32]int{}
	m := NewMap[uint32, int](hash)
	versions := []version{{m, map[uint32]int{}}}
	space := rapid.SampledFrom([]uint32{3, 40, 400, 4000}).Draw(t, "space")
	e := m.Edit()
	for range rapid.IntRange(1, 6).Draw(t, "rounds") {
		// A seed is drawn instead of each step: a map worth looking at takes hundreds.
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		deletes := rapid.IntRange(0, 9).Draw(t, "deletes in ten")
		for i := range rapid.IntRange(0, 800).Draw(t, "steps") {
			k := r.Uint32N(space)
			if r.IntN(10) < deletes {
				_, want := have[k]
				if got := e.Delete(k); got != want {
					t.Fatalf("Delete(%d) = %v, want %v", k, got, want)
				}
				delete(have, k)
			} else {
				e.Set(k, i)
				have[k] = i
			}
		}
		versions = append(versions, version{e.Map(), maps.Clone(have)})
		if rapid.Bool().Draw(t, "go on from an old version") {
			v := versions[rapid.IntRange(0, len(versions)-1).Draw(t, "version")]
			e, have = v.m.Edit(), maps.Clone(v.want)
		}
	}
	for i, v := range versions {
		if v.m.Len() != len(v.want) {
			t.Fatalf("version %d: Len() = %d, want %d", i, v.m.Len(), len(v.want))
		}
		if diff := cmp.Diff(v.want, maps.Collect(v.m.All())); diff != "" {
			t.Fatalf("version %d: All() (-want +got):\n%s", i, diff)
		}
		n := 0
		for range v.m.All() {
			n++
		}
		if n != len(v.want) {
			t.Fatalf("version %d: All() yields %d entries, want %d, each once", i, n, len(v.want))
		}
		for k := range space {
			got, ok := v.m.Get(k)
			want, has := v.want[k]
			if got != want || ok != has {
				t.Fatalf("version %d: Get(%d) = %d, %v, want %d, %v", i, k, got, ok, want, has)
			}
		}
	}
}

func TestMapShrinksAsItGrew(t *testing.T) {
	e := Map[int, int]{}.Edit()
	for i := range 100_000 {
		e.Set(i, i)
	}
	for i := range 100_000 {
		e.Delete(i)
	}
	if m := e.Map(); m.Len() != 0 || m.root.in != nil {
		t.Errorf("after deleting all: Len() = %d, trie left = %v, want 0, false", m.Len(), m.root.in != nil)
	}
}

func TestMapAllStopsWhenTold(t *testing.T) {
	e := Map[int, int]{}.Edit()
	for i := range 1000 {
		e.Set(i, i)
	}
	n := 0
	for range e.Map().All() {
		if n++; n == 10 {
			break
		}
	}
	if n != 10 {
		t.Errorf("yielded %d entries, want 10", n)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	ids := Map[[16]byte, uint32]{}.Edit()
	names := Map[string, uint32]{}.Edit()
	for i := range 1000 {
		ids.Set(idOf(i), uint32(i))
		names.Set(fmt.Sprint("name", i), uint32(i))
	}
	byID, byName := ids.Map(), names.Map()
	key, name := idOf(77), fmt.Sprint("name", 77)
	got := testing.AllocsPerRun(100, func() {
		byID.Get(key)
		byName.Get(name)
	})
	if got != 0 {
		t.Errorf("Get allocates %v times, want 0", got)
	}
}

func idOf(i int) (id [16]byte) {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	for j := range id {
		id[j] = byte(r.Uint32())
	}
	return id
}
