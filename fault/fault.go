// Package fault names the few kinds of failure that every surface of Rollcall
// has to tell apart: the admin API turns a kind into an HTTP status, the command
// line into an exit code, a sync run into a retry or a stop.
//
// It owns the kinds and the small error type that carries one of them together
// with a stable code and a sentence for the person who has to act. It promises
// that a kind survives wrapping (errors.Is). It leaves to each surface how a kind
// is shown, and to the packages above which codes exist.
package fault

import (
	"errors"
	"fmt"
)

// The kinds. An error of Rollcall wraps at most one of them.
var (
	// NotFound: the thing named does not exist, or not for this caller.
	NotFound = errors.New("not found")
	// Exists: the name or key is taken.
	Exists = errors.New("already exists")
	// Conflict: the request is well formed, but the state of the thing forbids it.
	Conflict = errors.New("conflict")
	// Stale: the write was based on a version that is no longer current.
	Stale = errors.New("stale")
	// Invalid: the request itself is wrong and will stay wrong.
	Invalid = errors.New("invalid")
	// Unauthenticated: nobody known is asking.
	Unauthenticated = errors.New("not authenticated")
	// Denied: somebody known is asking, who may not.
	Denied = errors.New("denied")
	// Unavailable: it may work later, unchanged.
	Unavailable = errors.New("unavailable")
)

// Error is a failure with its kind, a stable code that programs may compare, and
// a sentence that says what to do. None of the three holds a secret.
type Error struct {
	Kind   error  // one of the kinds above
	Code   string // stable, lower case with underscores: "managed_by_source"
	Detail string // a sentence for a person
	Cause  error  // may be nil
}

// New returns an error of the given kind with a code and a formatted sentence.
// An error among the arguments that is formatted with %w becomes its cause.
func New(kind error, code, format string, args ...any) *Error {
	e := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Code: code, Detail: e.Error(), Cause: errors.Unwrap(e)}
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Detail }

// Unwrap makes errors.Is find both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// Code returns the stable code that err carries, or "" when it carries none.
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// Kind returns the kind that err wraps, or nil for an error of no kind: a bug or
// a failure that only the log can explain.
func Kind(err error) error {
	for _, k := range []error{NotFound, Exists, Conflict, Stale, Invalid, Unauthenticated, Denied, Unavailable} {
		if errors.Is(err, k) {
			return k
		}
	}
	return nil
}
