// Package dialect makes canonical what identity providers really send, and applies it.
//
// It owns the knobs in which providers differ, and a preset for each of those that are
// known; the reading of bodies and of PATCH operations into what the RFC means, with a
// note of everything that was changed on the way; the application of PATCH to a
// resource (RFC 7644, section 3.5.2); and what the roll takes from a resource. It is
// pure: the same request under the same knobs always means the same. It promises that
// nothing is applied in part. What a resource may hold is the business of package
// schema.
package dialect

import "fmt"

// Error is why a request is refused, as RFC 7644, section 3.12, tells it.
type Error struct {
	Status   int
	SCIMType string
	Detail   string
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

func invalid(kind, format string, args ...any) *Error {
	return &Error{Status: 400, SCIMType: kind, Detail: fmt.Sprintf(format, args...)}
}

// Note says what of a request was changed before it was carried out. It holds no value.
type Note struct {
	Path string // of the attribute, "" for the whole
	Text string
}

// String returns the path and the text.
func (n Note) String() string {
	if n.Path == "" {
		return n.Text
	}
	return n.Path + ": " + n.Text
}
