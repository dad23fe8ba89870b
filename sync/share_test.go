package sync

import (
	"context"
	"testing"
	"testing/synctest"
)

// Sources that are known to be large wait before they hold much, for each other alone,
// and in the order in which they came.
func TestLargeSourcesWaitWithLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rooms := newRooms()
		var turns []int
		shares := make([]share, 6)
		for i := range shares {
			s := &shares[i]
			s.rooms = &rooms
			s.expect(manyEntries + 1)
			go func() {
				s.fit(t.Context(), fewEntries-1, func() { t.Error("waits with less than anybody asks about") })
				s.fit(t.Context(), fewEntries, func() {})
				turns = append(turns, i)
			}()
			synctest.Wait()
		}
		if len(turns) != manyPlaces || len(rooms.few) != 0 {
			t.Fatalf("%v have a place, and %d of those for others are taken", turns, len(rooms.few))
		}
		small := share{rooms: &rooms}
		small.fit(t.Context(), manyEntries, func() { t.Error("a smaller one waits") })
		for i := range shares {
			if turns[i] != i {
				t.Fatalf("the turns are %v", turns)
			}
			shares[i].fit(t.Context(), 1_000_000, func() { t.Error("waits again") })
			shares[i].leave()
			synctest.Wait()
		}
		small.leave()
		if len(rooms.few)+len(rooms.many) != 0 {
			t.Errorf("%d and %d places are taken at the end", len(rooms.few), len(rooms.many))
		}
	})
}

// One that turns out to be large changes places, and one whose run is stopped has none.
func TestASourceThatTurnsOutToBeLarge(t *testing.T) {
	rooms := newRooms()
	first := share{rooms: &rooms}
	first.fit(t.Context(), fewEntries, func() { t.Error("waits") })
	first.fit(t.Context(), manyEntries+1, func() { t.Error("waits") })
	if len(rooms.few) != 0 || len(rooms.many) != 1 {
		t.Errorf("%d and %d places are taken, want 0 and 1", len(rooms.few), len(rooms.many))
	}
	second := share{rooms: &rooms}
	second.fit(t.Context(), manyEntries+1, func() { t.Error("waits") })
	third := share{rooms: &rooms}
	third.expect(manyEntries + 1)
	ctx, stop := context.WithCancel(t.Context())
	third.fit(ctx, fewEntries, stop)
	third.leave()
	first.leave()
	second.leave()
	if len(rooms.few)+len(rooms.many) != 0 {
		t.Errorf("%d and %d places are taken at the end", len(rooms.few), len(rooms.many))
	}
}
