package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// stop undoes every step, also after one has failed or ctx has ended: then each gets
// only a moment.
func (s *steps) stop(ctx context.Context) error {
	var errs []error
	for i := len(s.list) - 1; i >= 0; i-- {
		st := s.list[i]
		start := time.Now()
		if err := st.undo(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", st.name, err))
		}
		s.log.DebugContext(ctx, "stopped", "step", st.name, "took", time.Since(start))
	}
	s.list = nil
	return errors.Join(errs...)
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
