package sync

import (
	"context"
	gosync "sync"
)

// What runs hold of what they read is most of the memory that sync takes. So that it
// grows with the largest sources and not with their number, a read takes a place once
// it has brought [fewEntries]: one of [fewPlaces], or one of [manyPlaces] if the source had
// more than [manyEntries] the last time. One of a source that was not known to be so large
// changes places on the way. Nobody has two, so that large sources wait for each other and
// hold up no smaller one. A read that brings little, or whose directory does not answer,
// needs none.
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

// share is the place of one run.
type share struct {
	rooms *rooms
	mu    gosync.Mutex // guards the rest
	large bool
	place chan struct{} // of which it has one; nil: none
}

// expect says how many entries the source had the last time.
func (s *share) expect(entries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.large = entries > manyEntries
}

// fit waits until there is a place for so many entries, or until ctx ends. Before it
// waits it calls waits.
func (s *share) fit(ctx context.Context, entries int, waits func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.large = s.large || entries > manyEntries
	need := s.rooms.few
	if s.large {
		need = s.rooms.many
	}
	if entries < fewEntries || s.place == need {
		return
	}
	s.free()
	select {
	case need <- struct{}{}:
	default:
		waits()
		select {
		case need <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
	s.place = need
}

// leave gives the place back.
func (s *share) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free()
}

func (s *share) free() {
	if s.place != nil {
		<-s.place
		s.place = nil
	}
}
