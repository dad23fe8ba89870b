package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// How much garbage may gather before it is collected. A run makes much of it in a short
// time while little lives, and would else spend a fifth of its time collecting; with
// millions of people much lives, and a multiple of that would be more than a machine has.
// The bounds are bytes, and within them percent of what lives.
const (
	runGarbage   = 1 << 30
	quietGarbage = 256 << 20
	runMost      = 400
	runLeast     = 50
	quietMost    = 100
	quietLeast   = 25
)

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
	mu      sync.Mutex // guards the rest
	users   int        // that use more
	pacing  bool       // the collector's pace is ours
	keeping bool       // also while nobody uses more
	usual   int        // the pace otherwise
	kept    uint64     // bytes of heap that were left when memory was last given back
}

// Keep lets the process keep little garbage beside much that lives until done is called.
// Where GOGC or GOMEMLIMIT is set, the operator has decided that, and it does nothing.
func (r *Room) Keep() (done func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	r.set(func() { r.keeping = true })
	return func() { r.set(func() { r.keeping = false }) }
}

// Take lets the process use more memory until done is called. Several may overlap.
func (r *Room) Take() (done func()) {
	r.set(func() { r.users++ })
	return r.give
}

func (r *Room) give() {
	r.set(func() { r.users-- })
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users > 0 {
		return
	}
	held := heldHeap()
	r.kept = min(r.kept, held)
	if held > heavyHeap && held > r.kept+r.kept/growth {
		debug.FreeOSMemory()
		r.kept = heldHeap()
	}
}

// set changes who uses memory, and what follows from that.
func (r *Room) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	switch wanted := r.users > 0 || r.keeping; {
	case !wanted && r.pacing:
		debug.SetGCPercent(r.usual)
		r.pacing = false
	case wanted && !r.pacing:
		r.usual = debug.SetGCPercent(pace(liveHeap(), r.users > 0))
		r.pacing = true
		r.arm()
	case wanted:
		debug.SetGCPercent(pace(liveHeap(), r.users > 0))
	}
}

// arm has the pace set anew after the next collection, which says how much lives.
func (r *Room) arm() {
	beat := &struct{ *Room }{r} // nobody has it: it goes with the next collection
	runtime.AddCleanup(beat, (*Room).collected, r)
}

func (r *Room) collected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.pacing {
		return
	}
	debug.SetGCPercent(pace(liveHeap(), r.users > 0))
	r.arm()
}

// pace is how much garbage may gather, in percent of so many bytes that live.
func pace(live uint64, running bool) int {
	garbage, least, most := uint64(quietGarbage), uint64(quietLeast), uint64(quietMost)
	if running {
		garbage, least, most = runGarbage, runLeast, runMost
	}
	return int(min(max(100*garbage/max(live, 1), least), most))
}

// liveHeap returns how many bytes lived at the last collection.
func liveHeap() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}

// heldHeap returns how many bytes of the system's memory the heap has.
func heldHeap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapSys - m.HeapReleased
}

// A provider that pushes everybody makes as much garbage as a run. It has begun once it
// asks so often in a second, and ended once it asks so seldom.
const (
	stormBegins = 500
	stormEnds   = 100
)

// storms gives the process room while a provider pushes everybody.
type storms struct {
	room  *Room
	asked atomic.Int64 // since the last look
}

// watch looks at how often is asked, every second, until ctx ends.
func (s *storms) watch(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	done := func() {}
	defer func() { done() }()
	for on := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-second.C:
		}
		switch n := s.asked.Swap(0); {
		case !on && n >= stormBegins:
			on, done = true, s.room.Take()
		case on && n < stormEnds:
			done()
			on, done = false, func() {}
		}
	}
}
