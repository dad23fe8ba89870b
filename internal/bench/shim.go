package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
)

// server is the part of a test that package dirtest needs to start a server. Its
// embedded interface stays nil: a method that is not below is not called.
type server struct {
	testing.TB
	ctx   context.Context //nolint:containedctx // as a test has it
	root  string
	after []func()
}

// stopped is the panic that stands for a failed test.
type stopped struct{ err error }

// onServer calls f, which may start servers with the server it is given, and stops
// them when f has returned.
func onServer(ctx context.Context, root string, f func(*server) error) (err error) {
	s := &server{ctx: ctx, root: root}
	defer func() {
		for _, f := range slices.Backward(s.after) {
			f()
		}
	}()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case stopped:
			err = r.err
		default:
			panic(r)
		}
	}()
	return f(s)
}

// Helper implements testing.TB.
func (s *server) Helper() {}

// Context implements testing.TB.
func (s *server) Context() context.Context { return s.ctx }

// Cleanup implements testing.TB.
func (s *server) Cleanup(f func()) { s.after = append(s.after, f) }

// Fatal implements testing.TB.
func (s *server) Fatal(args ...any) { panic(stopped{fmt.Errorf("%s", fmt.Sprint(args...))}) }

// Fatalf implements testing.TB.
func (s *server) Fatalf(format string, args ...any) { panic(stopped{fmt.Errorf(format, args...)}) }

// TempDir implements testing.TB. The directory goes with everything else.
func (s *server) TempDir() string {
	dir, err := os.MkdirTemp(s.root, "server")
	if err != nil {
		s.Fatal(err)
	}
	return dir
}
