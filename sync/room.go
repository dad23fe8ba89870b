package sync

import (
	"context"
	gosync "sync"
)

// What runs hold of what they read is most of the memory that sync takes. So that it
// grows with the largest sources and not with their number, a run takes a place once
// it has read [fewEntries], and another, of which there are fewer, once it has read
// [manyEntries]. One that reads little, or whose directory does not answer, needs none: it
// waits for nobody, and nobody for it.
const (
	fewEntries  = 1_000
	manyEntries = 25_000
	fewPlaces   = 8
	manyPlaces  = 2
)

// StageWaiting is the stage of a read that goes on when another run has ended.
const StageWaiting = "waiting"

// rooms are the places of all runs of a process. Who has waited longest is next.
type rooms struct{ few, many chan struct{} }

func newRooms() rooms {
	return rooms{make(chan struct{}, fewPlaces), make(chan struct{}, manyPlaces)}
}

// share is what a run has of the places. It is used by one goroutine at a time.
type share struct {
	rooms *rooms
	mu    gosync.Mutex // guards taken
	taken []chan struct{}
}

// fit waits until there are places for so many entries, or until ctx ends. Before it
// waits it calls waits.
func (s *share) fit(ctx context.Context, entries int, waits func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, need := range []struct {
		above  int
		places chan struct{}
	}{{fewEntries, s.rooms.few}, {manyEntries, s.rooms.many}} {
		if entries < need.above || len(s.taken) > i {
			continue
		}
		select {
		case need.places <- struct{}{}:
		default:
			waits()
			select {
			case need.places <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		s.taken = append(s.taken, need.places)
	}
}

// leave gives the places back.
func (s *share) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, places := range s.taken {
		<-places
	}
	s.taken = nil
}
