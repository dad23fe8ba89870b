package permissions

import (
	"slices"

	"github.com/rollcall-id/rollcall/identity"
)

// Withdraw takes out whatever grants give a permission to a subject, and reports
// whether there was one.
func (e *Edit) Withdraw(subject identity.Member, p Permission) bool {
	of, _ := e.bySubject.Get(subject)
	any := false
	for _, g := range slices.Clone(of) {
		if g.Permission == p {
			any = e.Remove(g.ID) || any
		}
	}
	return any
}
