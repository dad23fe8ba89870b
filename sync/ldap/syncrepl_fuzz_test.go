package ldap

import (
	"testing"

	"github.com/rollcall-id/rollcall/identity"
)

// FuzzSyncInfo gives foreign bytes to what reads the controls of entries and the
// intermediate responses of RFC 4533: they end in a value or in an error.
func FuzzSyncInfo(f *testing.F) {
	uuid := "0123456789abcdef"
	f.Add([]byte("\x80\x18" + "1.3.6.1.4.1.4203.1.9.1.4" + "\x81\x19\xa3\x17\x01\x01\xff\x31\x12\x04\x10" + uuid))
	f.Add([]byte("\x30\x35\x04\x18" + "1.3.6.1.4.1.4203.1.9.1.2" + "\x04\x19\x30\x17\x0a\x01\x01\x04\x10" + uuid + "\x04\x00"))
	f.Add([]byte("\x80\x18" + "1.3.6.1.4.1.4203.1.9.1.4" + "\x81\x05\xa1\x03\x04\x01c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &refreshed{keys: map[identity.Key]bool{}}
		if err := out.interim(b); err == nil && out.received != len(out.deleted)+len(out.keys) && len(out.keys) == 0 {
			t.Errorf("%d UUIDs were received, %d deleted, none present", out.received, len(out.deleted))
		}
		if state, _, err := syncState(b); err == nil && (state < statePresent || state > stateDelete) {
			t.Errorf("state %d", state)
		}
		// What ends the refresh of a watch names nobody.
		if done, err := refreshDone(b); err == nil && done && out.received > 0 {
			t.Errorf("a refresh ends with %d UUIDs", out.received)
		}
		for _, of389 := range []bool{false, true} {
			out := &refreshed{of389: of389, keys: map[identity.Key]bool{}}
			if err := out.entry(&Entry{controls: b}, operation{}); err != nil {
				continue
			}
			if len(out.keys)+len(out.deleted)+len(out.dns) != 1 {
				t.Errorf("an entry counts as %+v", out)
			}
		}
	})
}
