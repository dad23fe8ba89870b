package storetest

import (
	"testing"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

func testClose(t *testing.T, open func(*testing.T) store.Store, _ Options) {
	s := open(t)
	rev := put(t, s, "a", "1")
	seq, _, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	running := follow(t, s, "", rev)
	put(t, s, "a", "2")
	running.next(t)
	if err := s.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
	wantKind(t, receive(t, running.err, "the end of the watch"), fault.Unavailable, "a watch that was running")
	wantKind(t, receive(t, follow(t, s, "", 0).err, "the end of the watch"), fault.Unavailable, "Watch")
	_, err = s.Get(t.Context(), "a")
	wantKind(t, err, fault.Unavailable, "Get")
	_, _, err = s.List(t.Context(), "")
	wantKind(t, err, fault.Unavailable, "List")
	_, err = s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put("a", nil)}})
	wantKind(t, err, fault.Unavailable, "Apply")
	n := 0
	for _, err := range seq {
		n++
		wantKind(t, err, fault.Unavailable, "ranging over a list")
	}
	wantEqual(t, n, 1, "yields of the list, the error only")
	if err := s.Close(); err != nil {
		t.Errorf("Close again = %v", err)
	}
}
