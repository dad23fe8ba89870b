package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A run that took much memory gives it back, and one that took little does not make the
// process collect everything again.
func TestRoomIsGivenBack(t *testing.T) { //nolint:paralleltest // it looks at the memory of the process
	const size = 2 * heavyHeap
	var r Room
	done := r.Take()
	taken := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		taken[i] = 1
	}
	runtime.KeepAlive(taken)
	before := heldHeap()
	done()
	if after := heldHeap(); before-min(before, after) < size/2 {
		t.Errorf("%d bytes are held after a run, %d before it ended", after, before)
	}
	live := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		live[i] = 1
	}
	r.Take()()
	forced := func() uint32 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.NumForcedGC
	}
	was := forced()
	for range 3 {
		r.Take()()
	}
	if n := forced() - was; n != 0 {
		t.Errorf("three runs that took nothing made the process collect %d times", n)
	}
	runtime.KeepAlive(live)
}

func TestPace(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		live    uint64
		running bool
		want    int
	}{
		{0, false, 100},
		{100 << 20, false, 100},
		{512 << 20, false, 50},
		{1 << 30, false, 25},
		{8 << 30, false, 25},
		{0, true, 400},
		{100 << 20, true, 400},
		{512 << 20, true, 200},
		{1 << 30, true, 100},
		{8 << 30, true, 50},
	} {
		if got := pace(tc.live, tc.running); got != tc.want {
			t.Errorf("pace(%d MB, %t) = %d, want %d", tc.live>>20, tc.running, got, tc.want)
		}
	}
}

// The pace follows what lives while a run goes on, and is the old one afterwards.
func TestPaceFollowsWhatLives(t *testing.T) { //nolint:paralleltest // it is the process's
	t.Setenv("GOGC", "")
	usual := debug.SetGCPercent(77)
	defer debug.SetGCPercent(usual)
	now := func() int {
		got := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(got)
		return int(got[0].Value.Uint64())
	}
	runtime.GC() // what lived before is of no interest
	var r Room
	keep := r.Keep()
	if got := now(); got != quietMost {
		t.Errorf("%d percent while nothing goes on, want %d", got, quietMost)
	}
	done := r.Take()
	runtime.GC()
	if got := now(); got != runMost {
		t.Errorf("%d percent in a run with a small heap, want %d", got, runMost)
	}
	live := make([]byte, 600<<20) // is not touched, and takes nothing
	runtime.GC()
	within := time.Now().Add(time.Minute)
	for now() >= 200 && time.Now().Before(within) {
		time.Sleep(time.Millisecond)
	}
	if got := now(); got < 100 || got >= 200 {
		t.Errorf("%d percent in a run with 600 MB of heap, want less than 200", got)
	}
	runtime.KeepAlive(live)
	done()
	keep()
	if got := now(); got != 77 {
		t.Errorf("%d percent afterwards, want 77", got)
	}
}

// Pushes that come in hundreds a second make room, until they do not any more.
func TestAStormMakesRoom(t *testing.T) { //nolint:paralleltest // it is the memory of the process
	var r Room
	synctest.Test(t, func(t *testing.T) {
		s := storms{room: &r}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.watch(ctx) }()
		users := func(asked int64) int {
			s.asked.Add(asked)
			time.Sleep(time.Second)
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.users
		}
		var got []int
		for _, asked := range []int64{0, 499, 500, 100, 5000, 99, 499, 700} {
			got = append(got, users(asked))
		}
		if want := []int{0, 0, 1, 1, 1, 0, 0, 1}; !slices.Equal(got, want) {
			t.Errorf("room was taken %v times, want %v", got, want)
		}
		stop()
		if err := <-ended; err != nil || r.users != 0 {
			t.Errorf("%d have room after the end, %v", r.users, err)
		}
	})
}
