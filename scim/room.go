package scim

import (
	"context"
	"net/http"
)

// A body takes many times its size once it is read into values, and all who send large
// ones at once could take more memory than there is. So only so many of them are worked
// on at a time; the others wait, and those with small bodies go past.
const (
	largeBody   = 64 << 10
	largeAtOnce = 4
)

// room is what large bodies wait for.
type room chan struct{}

func newRoom() room { return make(room, largeAtOnce) }

// enter waits for room for a body, if it is a large one. leave gives it back.
func (r room) enter(ctx context.Context, size int) (leave func(), err error) {
	if size <= largeBody {
		return func() {}, nil
	}
	select {
	case r <- struct{}{}:
		return func() { <-r }, nil
	case <-ctx.Done():
		return nil, refuse(http.StatusServiceUnavailable, "", "the request was given up before there was room for its body")
	}
}
