package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// The actions of the entries that this package writes.
const (
	// Stale says that a source was not read completely for too long.
	Stale = "SourceStale"
	// Recovered says that it is no longer so.
	Recovered = "SourceRecovered"
	// Disabled says that a receiver wants no more.
	Disabled = "AuditSinkDisabled"
)

// Options are what a Keeper needs. DB is required.
type Options struct {
	DB      *state.DB
	Config  Config
	Stale   func() []identity.SourceID // the sources that are stale now; default: none is known to be
	Store   store.Statuser             // default: it is never too full
	Stdout  io.Writer                  // default: os.Stdout
	Log     *slog.Logger               // default: discards
	Now     func() time.Time           // default: time.Now
	Metrics prometheus.Registerer      // default: not counted
}

// Keeper keeps the audit log small and carries it away.
type Keeper struct {
	db        *state.DB
	retention Retention
	stale     func() []identity.SourceID
	store     store.Statuser // may be nil
	log       *slog.Logger
	now       func() time.Time
	metrics   *metrics
	carriers  []*carrier
}

// target takes entries in order and returns how many it has taken for good.
type target interface {
	take(ctx context.Context, entries []audit.Envelope) (int, error)
	close() error
}

// New returns a Keeper.
func New(o Options) (*Keeper, error) {
	if o.DB == nil {
		return nil, errors.New("sink: Options.DB is missing")
	}
	if o.Stale == nil {
		o.Stale = func() []identity.SourceID { return nil }
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Keeper{
		db: o.DB, retention: o.Config.Retention, stale: o.Stale, store: o.Store, log: o.Log, now: o.Now, metrics: newMetrics(o.Metrics),
	}
	for i := range o.Config.Sinks {
		s := &o.Config.Sinks[i]
		to, err := newTarget(s, o.Now, o.Stdout)
		if err != nil {
			return nil, fmt.Errorf("audit sink %q: %w", s.Name, err)
		}
		k.carriers = append(k.carriers, &carrier{keeper: k, sink: s, to: to, pause: firstPause})
	}
	return k, nil
}

func newTarget(s *Sink, now func() time.Time, out io.Writer) (target, error) {
	switch s.Type {
	case TypeFile:
		return newFile(s, now), nil
	case TypeWebhook:
		return newWebhook(s, now)
	}
	return stdout{out}, nil
}

// upkeepPause is how often the log is folded and trimmed.
const upkeepPause = 20 * time.Second

// Run works until ctx ends, or until the term is over. It is a duty of the leader: all
// that it writes carries the fence.
func (k *Keeper) Run(ctx context.Context, fence store.Cond) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	failed := make(chan error, len(k.carriers))
	for _, c := range k.carriers {
		work.Go(func() {
			if err := c.run(ctx, fence); err != nil {
				failed <- err
			}
		})
	}
	err := k.upkeep(ctx, fence, failed)
	cancel()
	work.Wait()
	return err
}

func (k *Keeper) upkeep(ctx context.Context, fence store.Cond, failed <-chan error) error {
	tick := time.NewTicker(upkeepPause)
	defer tick.Stop()
	known := map[identity.SourceID]bool{}
	for {
		if err := k.Tidy(ctx, fence); errors.Is(err, fault.Stale) {
			return err
		} else if err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "the audit log is not folded, trying again", "err", err)
		}
		k.noteStale(ctx, fence, known)
		select {
		case <-tick.C:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// Tidy folds and trims the log once.
func (k *Keeper) Tidy(ctx context.Context, fence store.Cond) error {
	n, err := k.db.FoldAudit(ctx, fence)
	k.metrics.folded.Add(float64(n))
	if err != nil {
		return err
	}
	keep, err := k.delivered(ctx)
	if err != nil {
		return err
	}
	size, err := k.size(ctx)
	if err != nil {
		return err
	}
	trimmed, err := k.db.TrimAudit(ctx, fence, state.AuditRetention{Age: time.Duration(k.retention.Age), Size: size, Keep: keep})
	if trimmed > 0 {
		k.log.InfoContext(ctx, "audit log trimmed", "entries", trimmed)
	}
	return err
}

// A store that is nearly full keeps less of the log: half of what is configured, and
// never more than a part of the store.
const (
	tightShare = 0.8     // of the quota in use
	tightDisk  = 1 << 30 // bytes free beside the store
	tightPart  = 16      // of the quota
)

// size returns how large the log may be now; 0: any.
func (k *Keeper) size(ctx context.Context) (int64, error) {
	size := int64(k.retention.Size)
	if k.store == nil {
		return size, nil
	}
	s, err := k.store.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask the store for its size: %w", err)
	}
	full := s.Quota > 0 && float64(s.InUse) > tightShare*float64(s.Quota)
	if !full && (s.FreeDisk < 0 || s.FreeDisk > tightDisk) {
		return size, nil
	}
	tight := max(s.Quota, int64(DefaultSize)) / tightPart
	if size > 0 {
		tight = min(tight, size/2)
	}
	k.log.WarnContext(ctx, "the store is nearly full: less of the audit log is kept", "in_use", s.InUse, "quota", s.Quota, "free", s.FreeDisk, "size", tight)
	return tight, nil
}

// delivered returns up to which revision every sink has the log; -1 without sinks.
func (k *Keeper) delivered(ctx context.Context) (store.Revision, error) {
	least := store.Revision(-1)
	for _, c := range k.carriers {
		if c.disabled.Load() {
			continue
		}
		at, err := k.db.SinkCursor(ctx, c.sink.Name)
		if err != nil {
			return 0, err
		}
		if least < 0 || at.Rev < least {
			least = at.Rev
		}
	}
	return least, nil
}

var keeper = audit.Actor{Kind: audit.ActorSystem, ID: "audit"}

// noteStale leaves an entry when a source has become stale, and when it has recovered:
// so sinks carry it.
func (k *Keeper) noteStale(ctx context.Context, fence store.Cond, known map[identity.SourceID]bool) {
	now := k.stale()
	for _, s := range now {
		if !known[s] && k.note(ctx, fence, audit.Event{Action: Stale, Target: "source/" + string(s), Name: string(s), Reason: "no complete read for three intervals of its schedule"}) {
			known[s] = true
		}
	}
	for s := range known {
		if !slices.Contains(now, s) && k.note(ctx, fence, audit.Event{Action: Recovered, Target: "source/" + string(s), Name: string(s)}) {
			delete(known, s)
		}
	}
}

func (k *Keeper) note(ctx context.Context, fence store.Cond, e audit.Event) bool {
	_, err := k.db.Commit(ctx, keeper, state.Fenced{Term: fence}, state.Note{Event: e})
	if err != nil && ctx.Err() == nil {
		k.log.WarnContext(ctx, "not audited", "action", e.Action, "target", e.Target, "err", err)
	}
	return err == nil
}
