package history

import (
	"testing"

	"github.com/rollcall-id/rollcall/sync"
)

// TestHasteLosesNothing plays the table on an OpenLDAP that puts its groups right after
// it has answered, and reads while a step is told: whatever those reads
// saw, the next one is right, by changes alone.
func TestHasteLosesNothing(t *testing.T) {
	t.Parallel()
	p := newPlayer(t, familyOf(t, "OpenLDAP that repairs groups"), beginning)
	p.follow(sync.PullRequest{})
	for _, s := range story {
		if s.loose && !p.loose() {
			continue
		}
		s.tell(p.world)
		told := make(chan struct{})
		go func() {
			defer close(told)
			p.tell()
		}()
		const few = 3 // reads find a group to be looked at again, and may all come too soon
		for range few {
			p.follow(sync.PullRequest{})
		}
		<-told
		want := p.directory()
		if p.hear(s, want); p.Failed() {
			t.Fatalf("while %s", s.name)
		}
	}
	t.Logf("reads: %v", p.reaches)
}
