package app

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// roomyPace is how much garbage, in percent of what lives, may gather while a run goes
// on. A run makes much of it in a short time while little lives, and would else spend a
// fifth of its time collecting.
const roomyPace = 400

// heavyHeap is from what size of heap on a run's memory is given back at once, and
// growth by what part of what was kept the last time it must have grown for that: a run
// that read little leaves nothing that is worth a collection.
const (
	heavyHeap = 128 << 20
	growth    = 8
)

// Room is the memory of the process, which may be used more freely for a while. The
// zero value is ready.
type Room struct {
	mu    sync.Mutex // guards the rest
	users int
	usual int    // the collector's pace otherwise
	kept  uint64 // bytes of heap that were left when memory was last given back
}

// Take lets the process use more memory until done is called. Several may overlap.
func (r *Room) Take() (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users++; r.users == 1 {
		r.usual = debug.SetGCPercent(roomyPace)
	}
	return r.give
}

func (r *Room) give() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users > 0 {
		return
	}
	debug.SetGCPercent(r.usual)
	held := heldHeap()
	r.kept = min(r.kept, held)
	if held > heavyHeap && held > r.kept+r.kept/growth {
		debug.FreeOSMemory()
		r.kept = heldHeap()
	}
}

// heldHeap returns how many bytes of the system's memory the heap has.
func heldHeap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapSys - m.HeapReleased
}
