package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// steps are what has to be undone, the newest first. Each is registered as soon as
// there is something to undo, so a start that fails half-way cleans up after itself.
type steps struct {
	log  *slog.Logger
	list []step
}

type step struct {
	name string
	undo func(context.Context) error
}

func (s *steps) add(name string, undo func(context.Context) error) {
	s.list = append(s.list, step{name, undo})
}

// moment is what a step gets when the time for all is over: enough to end in good
// order when nothing is wrong with it.
const moment = 2 * time.Second

// stop undoes every step, also after one has failed or ctx has ended: then each gets
// only a moment. So a client that does not come to an end cannot keep a run from
// being recorded, or close the store under those who still write.
func (s *steps) stop(ctx context.Context) error {
	var errs []error
	for _, st := range slices.Backward(s.list) {
		start := time.Now()
		if err := st.within(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", st.name, err))
		}
		s.log.DebugContext(ctx, "stopped", "step", st.name, "took", time.Since(start))
	}
	s.list = nil
	return errors.Join(errs...)
}

func (s *step) within(ctx context.Context) error {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), moment)
		defer cancel()
	}
	return s.undo(ctx)
}

// task runs something long-lived: stopping it ends its context and waits for it.
func (s *steps) task(ctx context.Context, name string, run func(context.Context) error, ended func(string, error)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() {
		err := run(ctx)
		done <- err
		if err != nil && ctx.Err() == nil {
			ended(name, err)
		}
	}()
	s.add(name, func(bound context.Context) error {
		cancel()
		select {
		case err := <-done:
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case <-bound.Done():
			return fmt.Errorf("it did not end in time: %w", bound.Err())
		}
	})
}
