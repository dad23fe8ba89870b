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

// heavyHeap is from what size of heap on a run's memory is given back at once.
const heavyHeap = 128 << 20

// Room is the memory of the process, which may be used more freely for a while. The
// zero value is ready.
type Room struct {
	mu    sync.Mutex // guards the rest
	users int
	usual int // the collector's pace otherwise
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
	var m runtime.MemStats
	if runtime.ReadMemStats(&m); m.HeapSys-m.HeapReleased > heavyHeap {
		debug.FreeOSMemory()
	}
}
