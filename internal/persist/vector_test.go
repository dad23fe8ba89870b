package persist

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestVectorIsASliceAndOldVersionsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			v    Vector[int]
			want []int
		}
		var have []int
		e := Vector[int]{}.Edit()
		versions := []version{{}}
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
			for i := range rapid.SampledFrom([]int{0, 1, 31, 33, 1100, 3000}).Draw(t, "steps") {
				if len(have) > 0 && r.IntN(3) == 0 {
					at := r.IntN(len(have))
					e.Set(at, i)
					have[at] = i
				} else {
					if got := e.Append(i); got != len(have) {
						t.Fatalf("Append = %d, want %d", got, len(have))
					}
					have = append(have, i)
				}
			}
			versions = append(versions, version{e.Vector(), slices.Clone(have)})
			if rapid.Bool().Draw(t, "go on from an old version") {
				v := versions[rapid.IntRange(0, len(versions)-1).Draw(t, "version")]
				e, have = v.v.Edit(), slices.Clone(v.want)
			}
		}
		for i, v := range versions {
			checkVector(t, i, v.v, v.want)
		}
	})
}

func checkVector(t *rapid.T, version int, v Vector[int], want []int) {
	if v.Len() != len(want) {
		t.Fatalf("version %d: Len() = %d, want %d", version, v.Len(), len(want))
	}
	at := 0
	for i, x := range v.All() {
		if i != at || x != want[i] || v.At(i) != x {
			t.Fatalf("version %d: element %d: All gives %d, At %d, want %d", version, i, x, v.At(i), want[i])
		}
		at++
	}
	if at != len(want) {
		t.Fatalf("version %d: All yields %d elements, want %d", version, at, len(want))
	}
}

func TestVectorGrowsThroughFourLevels(t *testing.T) {
	const n = width*width*width + 5
	e := Vector[uint32]{}.Edit()
	for i := range uint32(n) {
		e.Append(i)
	}
	v := e.Vector()
	for i := range n {
		if v.At(i) != uint32(i) {
			t.Fatalf("At(%d) = %d", i, v.At(i))
		}
	}
	if got := testing.AllocsPerRun(100, func() { v.At(n - 1) }); got != 0 {
		t.Errorf("At allocates %v times, want 0", got)
	}
}

func TestVectorRefusesAnIndexOutOfRange(t *testing.T) {
	for _, i := range []int{-1, 0, 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("At(%d) of an empty vector did not panic", i)
				}
			}()
			Vector[int]{}.At(i)
		}()
	}
}
