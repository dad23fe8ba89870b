package etcd

import (
	"context"
	"testing"

	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/storetest"
)

// compact makes etcd forget, as its own periodic compaction does.
func compact(ctx context.Context, s store.Store, rev store.Revision) error {
	_, err := s.(*Store).client.Compact(ctx, int64(rev))
	return err
}

func TestSuiteEmbedded(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, Options{Dir: t.TempDir()}) }, storetest.Options{Compact: compact})
}

func TestSuiteEmbeddedPaged(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, Options{Dir: t.TempDir(), Paged: true}) }, storetest.Options{Compact: compact})
}

// open opens a store and closes it with the test.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}
