package state

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// KeptDone is of how many runs of a source it is kept what they did: the last one can be
// undone, and then the one before it.
const KeptDone = 3

// UndoOrder says that a run is to be undone.
type UndoOrder struct {
	Run    string    `json:"run"` // the id that the undoing run will have
	Of     string    `json:"of"`  // the run to be undone
	Digest string    `json:"digest"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	// Begun says that what was shown has begun to be written: the rest of it is done
	// without asking again.
	Begun bool `json:"begun,omitzero"`
}

// KeepDone stores what a run is about to do, before it does, and removes what is kept of
// runs that are too old to be undone. It reads nothing: a run that changes little is not to
// pay for one that changed much.
func (d *DB) KeepDone(ctx context.Context, term store.Cond, done *plan.Done, old []string) error {
	prefix := doneKey(done.Source, done.Run)
	parts, err := packed(done)
	if err != nil {
		return fmt.Errorf("encode what run %s does: %w", done.Run, err)
	}
	for i, chunk := range parts {
		ops := []store.Op{store.Put(fmt.Sprintf("%s%04d", prefix, i), chunk)}
		for _, run := range old {
			ops = append(ops, store.DeletePrefix(doneKey(done.Source, run)))
		}
		if _, err := d.store.Apply(ctx, store.Txn{If: []store.Cond{term}, Then: ops}); err != nil {
			return fmt.Errorf("keep what run %s does: %w", done.Run, err)
		}
		old = nil
	}
	return nil
}

func doneKey(source identity.SourceID, run string) string {
	return keyDone + string(source) + "/" + run + "/"
}

// packed is the compressed JSON of v, in parts that the store can hold.
func packed(v any) ([][]byte, error) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := json.MarshalWrite(z, v); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return slices.Collect(slices.Chunk(buf.Bytes(), planPart)), nil
}

// doneRuns lists the runs of which it is kept what they did, the newest first.
func (d *DB) doneRuns(ctx context.Context, source identity.SourceID) ([]string, error) {
	var runs []string
	for run, err := range d.doneParts(ctx, source) {
		if err != nil {
			return nil, err
		}
		if len(runs) == 0 || runs[len(runs)-1] != run.id {
			runs = append(runs, run.id)
		}
	}
	slices.Reverse(runs)
	return runs, nil
}

type donePart struct {
	id    string
	value []byte
}

// doneParts yields the parts of what the runs of a source did, in order.
func (d *DB) doneParts(ctx context.Context, source identity.SourceID) func(func(donePart, error) bool) {
	return func(yield func(donePart, error) bool) {
		prefix := keyDone + string(source) + "/"
		records, _, err := d.store.List(ctx, prefix)
		if err != nil {
			yield(donePart{}, fmt.Errorf("read what runs of source %q did: %w", source, err))
			return
		}
		for r, err := range records {
			id, _, _ := strings.Cut(strings.TrimPrefix(r.Key, prefix), "/")
			if !yield(donePart{id, r.Value}, err) || err != nil {
				return
			}
		}
	}
}

// RemoveDone forgets what a run did, so that it cannot be undone any more.
func (d *DB) RemoveDone(ctx context.Context, term store.Cond, source identity.SourceID, run string) error {
	_, err := d.store.Apply(ctx, store.Txn{If: []store.Cond{term}, Then: []store.Op{store.DeletePrefix(doneKey(source, run))}})
	return err
}

// LastDone returns what the last run of a source that changed anything did, and its
// record. It is fault.NotFound when nothing is kept of one, and fault.Conflict while it
// is going on.
func (d *DB) LastDone(ctx context.Context, source identity.SourceID) (*plan.Done, Run, error) {
	runs, err := d.doneRuns(ctx, source)
	if err != nil {
		return nil, Run{}, err
	}
	for _, id := range runs {
		run, err := d.StoredRun(ctx, source, id)
		switch {
		case errors.Is(err, fault.NotFound):
			continue // it never began to write
		case err != nil:
			return nil, Run{}, err
		case run.State == RunApplying:
			return nil, run, fault.New(fault.Conflict, "run_in_progress", "run %s of source %q is under way: wait for it", id, source)
		}
		done, err := d.done(ctx, source, id)
		return done, run, err
	}
	return nil, Run{}, fault.New(fault.NotFound, "nothing_to_undo",
		"of no run of source %q it is kept what it changed: only the last %d can be undone, one after the other", source, KeptDone)
}

func (d *DB) done(ctx context.Context, source identity.SourceID, run string) (*plan.Done, error) {
	var buf bytes.Buffer
	for p, err := range d.doneParts(ctx, source) {
		if err != nil {
			return nil, err
		}
		if p.id == run {
			buf.Write(p.value)
		}
	}
	var done plan.Done
	z, err := gzip.NewReader(&buf)
	if err == nil {
		err = json.UnmarshalRead(io.LimitReader(z, 1<<30), &done)
	}
	if err != nil {
		return nil, fmt.Errorf("read what run %s did: %w", run, err)
	}
	return &done, nil
}

// OrderUndo pauses a source and tells the leader to undo its last run. Whoever orders an
// undo that raises somebody has to be one who may confer that.
type OrderUndo struct {
	Source identity.SourceID
	Order  UndoOrder // By and At are filled in
	Raised []plan.Raised
	Raises int // how many people
}

func (c OrderUndo) build(t *txn) error {
	st := t.snap.Source(c.Source)
	if st.Undo != nil {
		return fault.New(fault.Conflict, "run_in_progress", "an undo of source %q was ordered already: wait for run %s", c.Source, st.Undo.Run)
	}
	event := audit.Event{
		Action: "SyncUndoApproved", Target: "source/" + string(c.Source), Name: string(c.Source),
		Changes: []audit.Change{{Field: "run", After: []string{c.Order.Of}}, {Field: "digest", After: []string{c.Order.Digest}}},
	}
	if n := c.Raises; n > 0 {
		event.Changes = append(event.Changes, audit.Change{Field: "raises", After: []string{strconv.Itoa(n)}})
	}
	order := c.Order
	order.By, order.At = t.by.String(), t.now.UTC()
	st.Undo = &order
	if st.Paused.IsZero() {
		st.Paused = t.now.UTC()
		t.event(audit.Event{Action: "SourcePaused", Target: event.Target, Name: event.Name, Reason: "run " + order.Of + " is undone"})
	}
	t.lets = append(t.lets, c.Raised...)
	return PutSource{Source: c.Source, State: st, Event: event}.build(t)
}
