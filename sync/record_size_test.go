package sync

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// TestARecordOfMuchTroubleIsOneStoredObject keeps a directory with long names and much
// to say of them from making a record that cannot be stored: without one, no run ends.
func TestARecordOfMuchTroubleIsOneStoredObject(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 2000), strings.Repeat("\x01", 2000), "short"} {
		p := &plan.Plan{}
		for i := range 500 {
			p.Skipped = append(p.Skipped, identity.Skipped{Key: identity.Key(fmt.Sprint(i)), DN: text, Reason: text})
			p.Conflicts = append(p.Conflicts, plan.Conflict{Key: identity.Key(text), Name: text, Detail: text})
			p.Withheld = append(p.Withheld, text)
		}
		var run state.Run
		describe(&run, p)
		b, err := json.Marshal(run)
		if err != nil || len(b) > 240<<10 {
			t.Errorf("a record of %d bytes (%v)", len(b), err)
		}
		if run.SkippedAll != 500 || len(run.Skipped) == 0 || len(run.Conflicts) == 0 || len(run.Withheld) == 0 {
			t.Errorf("the record names %d of %d skipped entries, %d conflicts, %d reasons", len(run.Skipped), run.SkippedAll, len(run.Conflicts), len(run.Withheld))
		}
		if text == "short" && len(run.Skipped) != keptSamples {
			t.Errorf("%d skipped entries are named, want %d", len(run.Skipped), keptSamples)
		}
	}
}
