package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-id/rollcall/fault"
)

func errClosed() error {
	return fault.New(fault.Unavailable, "store_closed", "the store is closed")
}

// readFailed is what a failed read returns. ctx is the caller's.
func (s *Store) readFailed(ctx context.Context, doing string, err error) error {
	switch {
	case s.life.Err() != nil:
		return errClosed()
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	if denied(err) {
		return errDenied(err)
	}
	return fault.New(fault.Unavailable, "store_unavailable", "%s: the store does not answer: %w", doing, err)
}

// writeFailed is what a failed transaction returns. What etcd refuses before it
// proposes is told apart from all else, whose outcome is open: the entry may still
// be committed after the client gave up.
func (s *Store) writeFailed(err error) error {
	err = rpctypes.Error(err)
	switch {
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrDuplicateKey):
		return fault.New(fault.Invalid, "txn_too_large", "etcd refuses the transaction: %w", err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fault.New(fault.Unavailable, "store_full", "the store is at its quota and takes nothing more: delete what is not needed or raise the quota: %w", err)
	case errors.Is(err, rpctypes.ErrTooManyRequests):
		return fault.New(fault.Unavailable, "store_busy", "the store has too much to do, try again: %w", err)
	case denied(err):
		return errDenied(err)
	}
	return fault.New(fault.Unavailable, "store_unknown_outcome",
		"the store did not answer in time, so the write may or may not have happened: read before repeating: %w", err)
}

// denied reports whether the cluster does not let us in.
func denied(err error) bool {
	switch code(err) {
	case codes.PermissionDenied, codes.Unauthenticated:
		return true
	}
	err = rpctypes.Error(err)
	return errors.Is(err, rpctypes.ErrAuthFailed) || errors.Is(err, rpctypes.ErrUserEmpty)
}

// errDenied is of the kind Unavailable, not Denied: it is the daemon that is not let
// in, and nothing that its caller may or may not do.
func errDenied(err error) error {
	return fault.New(fault.Unavailable, "store_denied",
		"the etcd cluster refuses us: check the username, password and client certificate, and that the role covers the prefix: %w", err)
}

func code(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	return status.Code(err)
}
