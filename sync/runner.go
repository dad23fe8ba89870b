package sync

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	gosync "sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Options are what a Runner needs. DB and Leader are required.
type Options struct {
	DB        *state.DB
	Leader    store.Leader
	Sources   []SourceSpec
	ReplicaID string                // names this process to others; default: "rollcall"
	Log       *slog.Logger          // default: discards
	Now       func() time.Time      // default: time.Now
	Metrics   prometheus.Registerer // default: none
	Duties    []Duty                // what else the leader does
	// Around, when set, is called when a run begins to work, and what it returns when
	// it has ended: the process may want to give it room.
	Around func() (done func())
}

// Duty is something that only the leader does, as long as it leads.
type Duty struct {
	Name string
	// Run works until ctx ends. Everything it writes carries the fence. When it fails
	// it is begun again after a pause.
	Run func(ctx context.Context, fence store.Cond) error
}

// SourceSpec is one source and how it is to be run.
type SourceSpec struct {
	ID       identity.SourceID
	Source   Source
	Schedule *Schedule // nil: only when somebody asks
	NoJitter bool
	Disabled bool // not read at all; plans may still be asked for
	// Prove is when a read has to compare everything that the source has, and not only
	// what changed; nil: only when the source finds that it must. The next run after
	// such an instant does it.
	Prove *Schedule
	// Follow has the directory say when something changes, where it can.
	Follow bool
	Limits plan.Limits
	// Protected are login names and keys of users whom no run deactivates or renames.
	Protected []string
	// PurgeAfter is how long the source must not have had somebody until he may be purged;
	// 0: never. PurgeAtMost is how many one purge removes at most, and Purge when it is done
	// without being ordered; nil: never.
	PurgeAfter  time.Duration
	PurgeAtMost int
	Purge       *Schedule
	// ConfigHash changes whenever reading the same directory may give another
	// answer: the next read then is a full one, and approvals end.
	ConfigHash string
	// Admit is [plan.Policy]'s.
	Admit map[identity.Key]bool
	// Link says which users of another source the records join, and Use whether those
	// that join none make users ([plan.UseUsers], the default) or not.
	Link plan.Rule
	Use  string
}

// policy is what the administrator decided beforehand about the plans of the source.
func (s *SourceSpec) policy() plan.Policy { return plan.Policy{Config: s.ConfigHash, Admit: s.Admit} }

// Runner runs the sources on their schedules while this process leads, and takes
// requests whether it does or not. Make it with [New].
type Runner struct {
	db      *state.DB
	leader  store.Leader
	replica string
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	duties  []Duty
	around  func() (done func())
	rooms   rooms
	wake    chan struct{} // something may be due

	mu    gosync.Mutex // guards all below, and the jobs of the lanes
	lanes map[identity.SourceID]*lane
	term  *term     // nil while another leads
	stamp time.Time // of the newest id given out
}

// election is the name under which replicas compete for running the sources.
const election = "sync"

// The bounds of what is done after the context has ended.
const (
	graceRuns  = 15 * time.Second // for runs to stop
	graceWrite = 5 * time.Second  // for one last write
)

// New returns a Runner, which does nothing until Run is called.
func New(o Options) (*Runner, error) {
	if o.DB == nil || o.Leader == nil {
		return nil, errors.New("sync: Options.DB and Options.Leader are needed")
	}
	r := &Runner{
		db: o.DB, leader: o.Leader, replica: cmp.Or(o.ReplicaID, "rollcall"), log: o.Log, now: o.Now,
		duties: o.Duties, around: o.Around, rooms: newRooms(), wake: make(chan struct{}, 1), lanes: map[identity.SourceID]*lane{},
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.around == nil {
		r.around = func() func() { return func() {} }
	}
	var err error
	if r.metrics, err = newMetrics(o.Metrics, r); err != nil {
		return nil, fmt.Errorf("register the metrics of sync: %w", err)
	}
	return r, r.Reload(o.Sources)
}

// Reload replaces the sources. A run that is under way ends as it began. It changes
// nothing when it returns an error.
func (r *Runner) Reload(specs []SourceSpec) error {
	next := map[identity.SourceID]SourceSpec{}
	for _, s := range specs {
		if s.Source == nil || s.ID == "" {
			return fmt.Errorf("sync: source %q has no directory to read", s.ID)
		}
		if _, twice := next[s.ID]; twice {
			return fault.New(fault.Invalid, "duplicate_source", "source %q is described twice", s.ID)
		}
		next[s.ID] = s
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, l := range r.lanes {
		if _, ok := next[id]; !ok {
			l.drop("the source was taken out of the configuration")
			l.spec.Disabled, l.gone = true, true
			if l.busy == nil {
				delete(r.lanes, id)
			}
		}
	}
	for id, s := range next {
		l := r.lanes[id]
		if l == nil {
			l = &lane{}
			r.lanes[id] = l
		}
		l.spec, l.gone, l.slot, l.fire, l.purgeAt = s, false, time.Time{}, time.Time{}, time.Time{}
		if s.Disabled {
			l.drop("the source was disabled")
		}
	}
	r.poke()
	return nil
}

// poke makes the leader look again at what is due.
func (r *Runner) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Leading reports whether this process runs the sources now.
func (r *Runner) Leading() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.term != nil
}

// Run competes for leadership and runs the sources while it lasts, until ctx ends.
// It is called once. Runs that are under way then are stopped and recorded as
// interrupted.
func (r *Runner) Run(ctx context.Context) error {
	const first, most = time.Second, 30 * time.Second
	pause := first
	for ctx.Err() == nil {
		t, err := r.leader.Lead(ctx, election, r.replica)
		if err == nil {
			err = r.lead(ctx, t)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			r.log.WarnContext(ctx, "cannot run the sources, trying again", "err", err, "pause", pause)
			wait(ctx, pause)
			pause = min(2*pause, most)
		default:
			pause = first
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// term is a period in which this process leads.
type term struct {
	fence store.Cond
	jobs  gosync.WaitGroup
}

// errTermOver is why the work of a term stops when another replica has taken over.
var errTermOver = errors.New("this replica does not lead any more")

// lead runs the sources for one term. It returns once nothing of it is left.
func (r *Runner) lead(parent context.Context, st store.Term) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-st.Done():
			cancel(errTermOver)
		case <-ctx.Done():
		}
	}()
	t := &term{fence: st.Fence()}
	err := r.begin(ctx, t)
	if err == nil {
		r.log.InfoContext(ctx, "leading", "replica", r.replica, "rev", st.Rev())
		for _, d := range r.duties {
			t.jobs.Go(func() { r.perform(ctx, t, d) })
		}
		r.attend(ctx, t)
	}
	r.end(parent, t)
	cancel(nil)
	<-watched
	last, done := context.WithTimeout(context.WithoutCancel(parent), graceWrite)
	defer done()
	if rerr := st.Resign(last); rerr != nil && parent.Err() == nil {
		err = errors.Join(err, fmt.Errorf("resign: %w", rerr))
	}
	return err
}

// dutyPause is how long a duty that failed is left alone.
const dutyPause = 30 * time.Second

// perform does a duty until ctx ends.
func (r *Runner) perform(ctx context.Context, t *term, d Duty) {
	for ctx.Err() == nil {
		if err := d.Run(ctx, t.fence); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "a duty of the leader failed, trying again", "duty", d.Name, "err", err, "pause", dutyPause)
			wait(ctx, dutyPause)
		}
	}
}

// begin puts in order what the leader before may have left, and reads nothing older
// than the beginning of the term.
func (r *Runner) begin(ctx context.Context, t *term) error {
	if _, err := r.db.CatchUp(ctx, t.fence); err != nil {
		return err
	}
	if err := r.db.Bulk(systemActor, t.fence, nil).RemoveAbandoned(ctx); err != nil {
		return fmt.Errorf("remove what unfinished runs left: %w", err)
	}
	r.mu.Lock()
	ids := make([]identity.SourceID, 0, len(r.lanes))
	for id := range r.lanes {
		ids = append(ids, id)
	}
	r.mu.Unlock()
	past := map[identity.SourceID]*history{}
	for _, id := range ids {
		h, err := r.openHistory(ctx, t, id)
		if err != nil {
			return err
		}
		past[id] = h
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, l := range r.lanes {
		l.slot, l.fire, l.served, l.taken, l.undone, l.tried = time.Time{}, time.Time{}, time.Time{}, "", "", state.Approval{}
		l.purged, l.purgeAt = "", time.Time{}
		l.history = past[id]
	}
	r.term = t
	return nil
}

// end stops taking runs in and waits for those under way, which their context has
// told to stop.
func (r *Runner) end(ctx context.Context, t *term) {
	r.mu.Lock()
	r.term = nil
	for _, l := range r.lanes {
		l.drop("this replica stopped leading before the run began; start it again")
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.jobs.Wait()
	}()
	late := time.NewTimer(graceRuns)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		r.log.ErrorContext(ctx, "a run does not stop when told to, leaving it behind")
	}
}

// attend starts what is due until the term or the context ends.
func (r *Runner) attend(ctx context.Context, t *term) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		changed := r.db.View().Changed()
		timer.Reset(r.dispatch(ctx, t, r.db.View().Now()))
		select {
		case <-timer.C:
		case <-changed:
		case <-r.wake:
		case <-ctx.Done():
		}
	}
}

// maxSleep bounds how late a clock that was set, or a machine that slept, is noticed.
const maxSleep = time.Minute

// dispatch starts a run of each lane that has one due, and returns when to look
// again.
func (r *Runner) dispatch(ctx context.Context, t *term, snap *state.Snapshot) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	sleep := maxSleep
	for id, l := range r.lanes {
		st := snap.Source(id)
		if j := r.due(l, st, now); j != nil {
			l.busy = j
			t.jobs.Go(func() { r.carryOut(ctx, t, l, j) })
		}
		if at := r.follow(ctx, t, l, &st, now); !at.IsZero() {
			sleep = min(sleep, at.Sub(now))
		}
		for _, at := range []time.Time{l.fire, l.purgeAt} {
			if at.After(now) {
				sleep = min(sleep, at.Sub(now))
			}
		}
	}
	return sleep
}

// newID returns the id of a new run. Ids sort as they were given out. The caller
// holds mu.
func (r *Runner) newID() string {
	now := r.now().UTC().Truncate(time.Millisecond)
	if !now.After(r.stamp) {
		now = r.stamp.Add(time.Millisecond)
	}
	r.stamp = now
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ReplaceAll(now.Format("20060102-150405.000"), ".", "-") + fmt.Sprintf("-%x", b)
}
