package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	gosync "sync"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/app"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/etcd"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
	"github.com/rollcall-id/rollcall/sync/plan"
)

const sourceID identity.SourceID = "corp"

// worker is what a child works with: the daemon's parts, wired as the daemon does.
type worker struct {
	idle   int // kB resident at the start
	store  *tap
	db     *state.DB
	runner *sync.Runner
	stop   context.CancelFunc
	parts  gosync.WaitGroup
	room   app.Room // as the daemon gives it to its runs
	undo   []func() error
}

func (w *worker) do(ctx context.Context, r request) (reply, error) {
	if w.idle == 0 {
		runtime.GC()
		debug.FreeOSMemory()
		w.idle = status("VmRSS")
	}
	if dir := os.Getenv(profileDir); dir != "" {
		done, err := profile(dir, r.Do)
		if err != nil {
			return reply{}, err
		}
		defer done()
	}
	switch r.Do {
	case "scan":
		return w.scan(ctx, r.Directory)
	case "open":
		return w.open(ctx, r)
	case "sync":
		return w.sync(ctx, r)
	case "puts":
		return w.puts(ctx, r)
	case "replay":
		return w.replay(ctx, r)
	case "check":
		return w.check(ctx)
	case "endow":
		return w.endow(ctx)
	case "answers":
		return w.answers(ctx, r)
	case "push":
		return w.push(ctx, r, (*pushBench).everything)
	case "pushwrites":
		return w.push(ctx, r, (*pushBench).onlyWrites)
	case "list":
		return w.list(ctx)
	case "settle":
		return w.settled(), nil
	case "serve":
		return w.listen(ctx, r)
	}
	return reply{}, fmt.Errorf("unknown request %q", r.Do)
}

// profileDir names the variable with the directory for profiles.
const profileDir = "ROLLCALL_BENCH_PROFILES"

// profile keeps where the processor's time goes until done is called.
func profile(dir, name string) (done func(), err error) {
	f, err := os.CreateTemp(dir, name+"-*.pprof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// close ends everything in reverse.
func (w *worker) close() error {
	if w.stop != nil {
		w.stop()
	}
	w.parts.Wait()
	var errs []error
	for _, f := range slices.Backward(w.undo) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// scan reads every entry and drops it.
func (w *worker) scan(ctx context.Context, d *directory) (reply, error) {
	src, err := source(d.people())
	if err != nil {
		return reply{}, err
	}
	forgetPeak()
	a := reply{Idle: w.idle}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	err = src.Scan(ctx, func(*ldap.Entry) error { a.Count++; return nil })
	a.Took = time.Since(began).Seconds()
	runtime.ReadMemStats(&after)
	a.Peak = status("VmHWM")
	a.Allocs = float64(after.Mallocs-before.Mallocs) / float64(max(a.Count, 1))
	return a, err
}

// open opens the store, the state and, when there is a directory, what syncs it.
func (w *worker) open(ctx context.Context, r request) (reply, error) {
	a := reply{Idle: w.idle}
	free := w.room.Keep()
	w.undo = append(w.undo, func() error { free(); return nil })
	o := etcd.Options{Dir: r.Dir}
	if r.Endpoint != "" {
		o = etcd.Options{Endpoints: []string{r.Endpoint}}
	}
	began := time.Now()
	s, err := etcd.Open(ctx, o)
	if err != nil {
		return a, err
	}
	a.Ready = time.Since(began).Seconds()
	w.undo = append(w.undo, s.Close)
	w.store = &tap{Store: s}
	began = time.Now()
	if w.db, err = state.Open(ctx, state.Options{Store: w.store}); err != nil {
		return a, err
	}
	a.Took = time.Since(began).Seconds()
	life, stop := context.WithCancel(ctx)
	w.stop = stop
	w.parts.Go(func() { _ = w.db.Run(life) })
	if r.Directory != nil {
		err = w.lead(life, r.Directory)
	}
	for range w.db.View().Now().Users(identity.UserID{}, time.Now()) {
		a.Count++
	}
	return a, err
}

// lead starts a Runner and waits until it leads.
func (w *worker) lead(ctx context.Context, d *directory) error {
	src, err := source(d.config())
	if err != nil {
		return err
	}
	w.runner, err = sync.New(sync.Options{DB: w.db, Leader: w.store, Around: w.room.Take, Sources: []sync.SourceSpec{
		{ID: sourceID, Source: src, Limits: plan.DefaultLimits(), ConfigHash: "bench"},
	}})
	if err != nil {
		return err
	}
	w.parts.Go(func() { _ = w.runner.Run(ctx) })
	for !w.runner.Leading() {
		if err := ctx.Err(); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// sync runs the source once, as somebody who asks for it would.
func (w *worker) sync(ctx context.Context, r request) (a reply, err error) {
	w.store.taken()
	if r.File != "" {
		done, err := w.store.record(r.File)
		if err != nil {
			return a, err
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	began := time.Now()
	ask := w.runner.Start
	if r.Prove {
		ask = w.runner.StartProof
	}
	run, err := ask(ctx, sourceID, "bench")
	if err == nil {
		run, err = w.runner.Wait(ctx, sourceID, run.ID)
	}
	a.Took = time.Since(began).Seconds()
	if err != nil {
		return a, err
	}
	a.Written, a.Peak = w.store.taken(), status("VmHWM")
	a.Stages = stages(run)
	if run.State != state.RunSucceeded || !run.Proof.Users || !run.Proof.Groups {
		return a, fmt.Errorf("the run ended as %s, proof %+v: %s%s", run.State, run.Proof, run.Error, strings.Join(run.Held, ", "))
	}
	for _, c := range w.db.View().Now().Counts() {
		a.Count += c.Users
	}
	return a, nil
}

func stages(run state.Run) string {
	var words []string
	for _, s := range run.Stages {
		words = append(words, fmt.Sprintf("%s %.0f ms", strings.ReplaceAll(s.Name, "_", " "), s.Ms))
	}
	return strings.Join(words, ", ")
}

// replay writes a recording into a new store.
func (w *worker) replay(ctx context.Context, r request) (reply, error) {
	txns, err := recorded(r.File)
	if err != nil {
		return reply{}, err
	}
	s, err := etcd.Open(ctx, etcd.Options{Dir: r.Dir})
	if err != nil {
		return reply{}, err
	}
	w.undo = append(w.undo, s.Close)
	if err := stand(ctx, s, txns); err != nil {
		return reply{}, err
	}
	runtime.GC()
	took, err := replay(ctx, s, txns)
	return reply{Took: took.Seconds(), Count: len(txns)}, err
}

// list reads what the view holds and drops it.
func (w *worker) list(ctx context.Context) (a reply, err error) {
	began := time.Now()
	records, _, err := w.store.List(ctx, "v/")
	if err != nil {
		return a, err
	}
	for _, err := range records {
		if err != nil {
			return a, err
		}
		a.Count++
	}
	a.Took = time.Since(began).Seconds()
	return a, nil
}

// settled says what is resident, then collects garbage and gives back what is free.
func (w *worker) settled() reply {
	a := reply{Idle: w.idle, RSS: status("VmRSS"), Peak: status("VmHWM")}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	a.Heap = int(m.HeapAlloc)
	debug.FreeOSMemory()
	a.Settled = status("VmRSS")
	return a
}

// status returns a line of /proc/self/status, in kB.
func status(line string) int {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(l, line+":"); ok {
			var kb int
			_, _ = fmt.Sscan(value, &kb)
			return kb
		}
	}
	return 0
}

// forgetPeak makes VmHWM begin anew (proc(5), clear_refs).
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600) }
