package state

import "github.com/rollcall-id/rollcall/identity"

// isPlain reports whether a user of a directory is active and no clock ends that. Of nearly
// everybody a check need not know more. A snapshot has a bit for each user: those of all
// stay in the processor's cache, where the slots do not.
func isPlain(u *userSlot) bool {
	return u.exists() && u.source != identity.Local && u.status() == identity.Active && u.ends() == 0
}

// plainUser reports whether it is known of a user that he is plain.
func (s *Snapshot) plainUser(h uint32) bool { return *s.plain.Ref(int(h / 64))>>(h%64)&1 != 0 }

// notePlain takes in what became of a user.
func (e *editor) notePlain(h int, u *userSlot) {
	old, bit := *e.plain.Peek(h / 64), uint64(1)<<(h%64)
	next := old &^ bit
	if isPlain(u) {
		next |= bit
	}
	if next != old {
		e.plain.Set(h/64, next)
	}
}
