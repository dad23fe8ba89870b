package app

import (
	"runtime"
	"testing"
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
