package persist

import (
	"sync"
	"testing"
)

// TestReadersNeedNoLock means something under the race detector only: every version
// is read while later ones are being made of the same edit.
func TestReadersNeedNoLock(t *testing.T) {
	const size, versions = 2000, 50
	em, ev := Map[int, int]{}.Edit(), Vector[int]{}.Edit()
	for i := range size {
		em.Set(i, 0)
		ev.Append(0)
	}
	var readers sync.WaitGroup
	for n := range versions {
		m, v := em.Map(), ev.Vector()
		readers.Go(func() {
			for i := range size {
				want := i % versions // the round that writes i
				if want > n {
					want = 0
				}
				got, _ := m.Get(i)
				if got != want || v.At(i) != want {
					t.Errorf("version %d: entry %d is %d in the map and %d in the vector, want %d", n, i, got, v.At(i), want)
					return
				}
			}
		})
		for i := n + 1; i < size; i += versions {
			em.Set(i, (n+1)%versions)
			ev.Set(i, (n+1)%versions)
		}
	}
	readers.Wait()
}
