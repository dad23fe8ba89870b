package scim

import (
	"context"
	"testing"
	"testing/synctest"
)

func TestLargeBodiesWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom()
		var leave func()
		for range largeAtOnce {
			var err error
			if leave, err = r.enter(t.Context(), largeBody+1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.enter(t.Context(), largeBody); err != nil {
			t.Errorf("a small body: %v", err)
		}
		given, giveUp := context.WithCancel(t.Context())
		giveUp()
		if _, err := r.enter(given, largeBody+1); err == nil {
			t.Error("there is room for one too many")
		}
		entered := false
		go func() {
			_, err := r.enter(t.Context(), largeBody+1)
			entered = err == nil
		}()
		synctest.Wait()
		if entered {
			t.Error("one too many does not wait")
		}
		leave()
		synctest.Wait()
		if !entered {
			t.Error("who waits is not let in when there is room")
		}
	})
}
