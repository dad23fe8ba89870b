package mem_test

import (
	"context"
	"testing"

	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/store/storetest"
)

func TestSuite(t *testing.T) {
	open := func(t *testing.T) store.Store {
		s := mem.New()
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	storetest.Run(t, open, storetest.Options{Compact: func(_ context.Context, s store.Store, rev store.Revision) error {
		s.(*mem.Store).Compact(rev)
		return nil
	}})
}
