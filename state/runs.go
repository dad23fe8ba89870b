package state

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// RunState is how far a run has come.
type RunState string

// The states of a run.
const (
	RunQueued      RunState = "queued"
	RunReading     RunState = "reading"
	RunPlanning    RunState = "planning"
	RunApplying    RunState = "applying"
	RunHeld        RunState = "held"      // over a limit: nothing was applied
	RunSucceeded   RunState = "succeeded" // everything the plan said is applied
	RunPlanned     RunState = "planned"   // only a plan was asked for
	RunFailed      RunState = "failed"
	RunInterrupted RunState = "interrupted"
)

// Run is the record of one run of a source.
type Run struct {
	V       int               `json:"v"`
	ID      string            `json:"id"`
	Source  identity.SourceID `json:"source"`
	State   RunState          `json:"state"`
	Trigger string            `json:"trigger"` // "schedule", "manual", "approval", "start"
	By      string            `json:"by,omitzero"`
	Slot    time.Time         `json:"slot,omitzero"` // the scheduled instant it serves
	Started time.Time         `json:"started"`
	Ended   time.Time         `json:"ended,omitzero"`
	Server  string            `json:"server,omitzero"`
	Family  string            `json:"family,omitzero"`
	Config  string            `json:"config,omitzero"` // hash of the source's configuration
	Reach   identity.Reach    `json:"reach,omitzero"`  // what the read looked at
	Missed  int               `json:"missed,omitzero"` // entries that a sweep found and reads of changes had missed
	Proof   identity.Proof    `json:"proof,omitzero"`
	Counts  plan.Counts       `json:"counts,omitzero"`
	// Skipped and Conflicts hold the first hundred; the numbers count all.
	Skipped      []identity.Skipped `json:"skipped,omitempty"`
	SkippedAll   int                `json:"skippedAll,omitzero"`
	Conflicts    []plan.Conflict    `json:"conflicts,omitempty"`
	ConflictsAll int                `json:"conflictsAll,omitzero"`
	Withheld     []string           `json:"withheld,omitempty"`
	Consequences []plan.Consequence `json:"consequences,omitempty"` // of the first hundred permissions
	Marked       bool               `json:"marked,omitzero"`        // how the source is read was changed before it
	Held         []string           `json:"held,omitempty"`         // why the plan waits for approval
	Digest       string             `json:"digest,omitzero"`        // what an approval quotes
	Summary      string             `json:"summary,omitzero"`       // one line for people
	Error        string             `json:"error,omitzero"`
	Stages       []Stage            `json:"stages,omitempty"`
	Unknown      jsontext.Value     `json:",embed"`
}

// Stage is how long one part of a run took.
type Stage struct {
	Name string  `json:"name"`
	Ms   float64 `json:"ms"`
}

// KeptRuns is how many records of runs that changed something are kept per source.
const KeptRuns = 100

// Runs returns the stored records of a source's runs, the newest first.
func (d *DB) Runs(ctx context.Context, source identity.SourceID) ([]Run, error) {
	records, _, err := d.store.List(ctx, keyRun+string(source)+"/")
	if err != nil {
		return nil, err
	}
	var runs []Run
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		var run Run
		if err := decode(r.Key, r.Value, &run); err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(b.ID, a.ID) })
	return runs, nil
}

// StoredRun returns one record of a run, or fault.NotFound.
func (d *DB) StoredRun(ctx context.Context, source identity.SourceID, id string) (Run, error) {
	var run Run
	r, err := d.store.Get(ctx, runKey(source, id))
	if err != nil {
		return run, err
	}
	return run, decode(r.Key, r.Value, &run)
}

// planPart is the size of one stored part of a held plan.
const planPart = 512 << 10

// KeepPlan stores a held plan, compressed and in parts, and returns their number.
// What was kept for the source before is removed afterwards by RemovePlans.
func (d *DB) KeepPlan(ctx context.Context, term store.Cond, p *plan.Plan, digest string) (int, error) {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if err := json.MarshalWrite(z, p); err != nil {
		return 0, fmt.Errorf("encode the plan: %w", err)
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	parts := 0
	for chunk := range slices.Chunk(buf.Bytes(), planPart) {
		key := fmt.Sprintf("%s%s/%s/%04d", keyPlan, p.Source, digest, parts)
		if _, err := d.store.Apply(ctx, store.Txn{If: []store.Cond{term}, Then: []store.Op{store.Put(key, chunk)}}); err != nil {
			return 0, fmt.Errorf("keep the plan: %w", err)
		}
		parts++
	}
	return parts, nil
}

// KeptPlan returns the held plan of a source, or fault.NotFound.
func (d *DB) KeptPlan(ctx context.Context, source identity.SourceID) (*plan.Plan, HeldPlan, error) {
	held := d.view.Now().Source(source).Held
	if held == nil {
		return nil, HeldPlan{}, fault.New(fault.NotFound, "no_held_plan", "source %q has no plan that waits for approval", source)
	}
	p, err := d.keptPlan(ctx, source, held.Digest, held.Parts)
	return p, *held, err
}

// PlanBefore returns the plan that was held before the one that is held, or
// fault.NotFound.
func (d *DB) PlanBefore(ctx context.Context, source identity.SourceID) (*plan.Plan, error) {
	held := d.view.Now().Source(source).Held
	if held == nil || held.Before == "" {
		return nil, fault.New(fault.NotFound, "no_plan_before", "source %q has held no other plan before", source)
	}
	return d.keptPlan(ctx, source, held.Before, held.Old)
}

func (d *DB) keptPlan(ctx context.Context, source identity.SourceID, digest string, parts int) (*plan.Plan, error) {
	var buf bytes.Buffer
	for part := range parts {
		r, err := d.store.Get(ctx, fmt.Sprintf("%s%s/%s/%04d", keyPlan, source, digest, part))
		if err != nil {
			return nil, err
		}
		buf.Write(r.Value)
	}
	z, err := gzip.NewReader(&buf)
	if err != nil {
		return nil, fmt.Errorf("read the held plan: %w", err)
	}
	var p plan.Plan
	if err := json.UnmarshalRead(io.LimitReader(z, 1<<30), &p); err != nil {
		return nil, fmt.Errorf("read the held plan: %w", err)
	}
	return &p, nil
}

// RemovePlans removes the kept plans of a source but what it holds; nil: all of them.
func (d *DB) RemovePlans(ctx context.Context, term store.Cond, source identity.SourceID, held *HeldPlan) error {
	keep := func(key string) bool {
		digest, _, _ := strings.Cut(strings.TrimPrefix(key, keyPlan+string(source)+"/"), "/")
		return held != nil && (digest == held.Digest || digest == held.Before)
	}
	records, _, err := d.store.List(ctx, keyPlan+string(source)+"/")
	if err != nil {
		return err
	}
	var ops []store.Op
	for r, err := range records {
		if err != nil {
			return err
		}
		if !keep(r.Key) {
			ops = append(ops, store.Delete(r.Key))
		}
	}
	for batch := range slices.Chunk(ops, bulkOps) {
		if _, err := d.store.Apply(ctx, store.Txn{If: []store.Cond{term}, Then: batch}); err != nil {
			return err
		}
	}
	return nil
}
