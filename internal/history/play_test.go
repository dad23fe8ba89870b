package history

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
	"github.com/rollcall-id/rollcall/sync/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// player follows one directory with one roll.
type player struct {
	testing.TB
	*ground
	*world
	family family
	source *ldap.Source
	roll   *roll
	cursor identity.Cursor
	again  []identity.Gone
	admit  map[identity.Key]bool
	// reaches counts the reads by what they looked at.
	reaches map[identity.Reach]int
}

// newPlayer starts a directory in which hello was told already.
func newPlayer(tb testing.TB, f family, hello func(*world)) *player {
	tb.Helper()
	var w *world
	g := f.make(tb, func(t tongue) crowd {
		w = newWorld(t)
		hello(w)
		return crowd(w.told())
	})
	g.config.Changes = f.changes
	p := &player{
		TB: tb, ground: g, world: w, family: f, roll: newRoll(), admit: map[identity.Key]bool{},
		reaches: map[identity.Reach]int{},
	}
	p.open()
	return p
}

// open makes the source anew, as a daemon that was started does.
func (p *player) open() {
	p.Helper()
	var err error
	if p.source, err = ldap.New(ldap.Options{Source: "corp", Config: p.config}); err != nil {
		p.Fatal(err)
	}
}

// tell lets the directory know what was told.
func (p *player) tell() {
	p.Helper()
	if ldif := p.told(); ldif != "" {
		p.apply(ldif)
	}
}

// read is what one reading of the directory brought.
type read struct {
	seen *identity.Observation
	err  error
}

// pull reads the directory once.
func (p *player) pull(r sync.PullRequest) read {
	r.Since, r.Again, r.Known = p.cursor, p.again, p.roll
	seen, err := p.source.Pull(p.Context(), r)
	return read{seen, err}
}

// plan says what a read means for the roll.
func (p *player) plan(r read) *plan.Plan {
	p.Helper()
	if r.err != nil {
		p.Fatal(r.err)
	}
	done, err := plan.Compute(p.roll, r.seen, plan.Policy{Admit: p.admit})
	if err != nil {
		p.Fatal(err)
	}
	return done
}

// take applies a plan, and keeps what a run keeps.
func (p *player) take(r read, done *plan.Plan) {
	p.Helper()
	if err := p.roll.apply(done.Steps); err != nil {
		p.Fatalf("the plan does not fit the roll: %v", err)
	}
	p.reaches[r.seen.Reach]++
	if proof := done.Proof; !r.seen.Proof.Users || !r.seen.Proof.Groups || !proof.Users || !proof.Groups {
		p.Fatalf("nothing is proven: %+v", proof)
	}
	p.cursor, p.again = r.seen.Cursor, nil
	for _, c := range done.Conflicts {
		p.again = append(p.again, identity.Gone{Key: c.Key})
	}
	for i := range r.seen.Groups {
		if g := &r.seen.Groups[i]; g.MembersUnknown != "" {
			p.again = append(p.again, identity.Gone{Key: g.Key, Group: true})
		}
	}
}

// follow reads once, plans and applies.
func (p *player) follow(r sync.PullRequest) *plan.Plan {
	p.Helper()
	seen := p.pull(r)
	done := p.plan(seen)
	p.take(seen, done)
	return done
}

// directory draws the directory once it has come to rest.
func (p *player) directory() picture {
	p.Helper()
	last := p.view.draw(p.dump)
	for p.repairs {
		time.Sleep(20 * time.Millisecond)
		now := p.view.draw(p.dump)
		if maps.Equal(last.lines(), now.lines()) {
			break
		}
		last = now
	}
	return last
}

// compare holds the roll against the directory, without those who are in dispute.
func (p *player) compare(want picture, disputed map[identity.Key]bool) {
	p.Helper()
	want, is := want.without(disputed), p.roll.picture().without(disputed)
	if p.family.patches {
		want, is = want.known(), is.known()
	}
	directory, roll := want.lines(), is.lines()
	if !maps.Equal(directory, roll) {
		p.Errorf("the roll is not what the directory is (-directory +roll):\n%s", cmp.Diff(directory, roll))
	}
}

// disputedBy lists who is left alone because of his name.
func disputedBy(p *plan.Plan) map[identity.Key]bool {
	out := map[identity.Key]bool{}
	for _, c := range p.Conflicts {
		out[c.Key] = true
	}
	return out
}

// chapter plays one step of a story.
func (p *player) chapter(s step) {
	p.Helper()
	s.tell(p.world)
	p.tell()
	p.hear(s, p.directory())
}

// hear reads what a step has changed, after which the directory is as is wanted.
func (p *player) hear(s step, want picture) {
	p.Helper()
	done := p.follow(sync.PullRequest{})
	if p.family.blind {
		p.nothingLost(want)
		done = p.follow(sync.PullRequest{Prove: true})
	}
	disputed := disputedBy(done)
	if len(disputed) != s.disputes {
		p.Errorf("conflicts %+v, want %d", done.Conflicts, s.disputes)
	}
	p.compare(want, disputed)
	if len(disputed) == 0 {
		return
	}
	// Somebody settles it: they are different people.
	for k := range disputed {
		p.admit[k] = true
	}
	if done := p.follow(sync.PullRequest{}); len(done.Conflicts) > 0 {
		p.Errorf("what was settled is in dispute: %+v", done.Conflicts)
	}
	p.compare(want, nil)
}

// nothingLost fails if the roll has lost what the directory has.
func (p *player) nothingLost(want picture) {
	p.Helper()
	for k, o := range p.roll.users {
		if _, there := want.Users[k]; there && o.missing {
			p.Errorf("%s counts as gone, and the directory has him", o.record.DN)
		}
	}
	for k, o := range p.roll.groups {
		if _, there := want.Groups[k]; there && o.missing {
			p.Errorf("group %s counts as gone, and the directory has it", o.record.DN)
		}
	}
}

// play tells a story to the end, or to the first step that goes wrong.
func (p *player) play(story []step) {
	p.Helper()
	playing := "the beginning"
	defer func() {
		if p.Failed() {
			p.Logf("while %s", playing)
		}
	}()
	for _, s := range story {
		if s.loose && !p.loose() || s.confuses && p.confused {
			continue
		}
		playing = s.name
		if p.chapter(s); p.Failed() {
			return
		}
	}
	p.Logf("reads: %v", p.reaches)
}

// TestHistories plays the table on each family of directories.
func TestHistories(t *testing.T) {
	t.Parallel()
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			newPlayer(t, f, beginning).play(story)
		})
	}
}
