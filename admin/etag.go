package admin

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// An ETag is the revision at which the object itself was last written and a hash of
// the answer. The answer also shows what follows from other objects, from grants and
// from the clock: If-None-Match compares both parts. A write rests on the object
// alone: If-Match compares the revision, so that a grant elsewhere does not make an
// edit stale.
func etag(rev store.Revision, body any) (string, error) {
	b, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("hash an answer: %w", err)
	}
	sum := sha256.Sum256(b)
	return fmt.Sprintf(`"%d-%x"`, rev, sum[:8]), nil
}

// tags splits the value of If-Match or If-None-Match (RFC 9110 §13.1). A weak tag
// compares like a strong one.
func tags(header string) []string {
	var out []string
	for t := range strings.SplitSeq(header, ",") {
		out = append(out, strings.TrimPrefix(strings.TrimSpace(t), "W/"))
	}
	return out
}

// Reading is If-None-Match of a request that reads.
type Reading struct {
	IfNoneMatch string `header:"If-None-Match" doc:"ETag of an earlier answer: 304 if it would be the same"`
}

// tagged is an answer with an ETag.
type tagged[T any] struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Body         *T
}

// answer tags a body, or says that the caller has it already.
func (r *Reading) answer(rev store.Revision, body any) (status int, tag string, err error) {
	tag, err = etag(rev, body)
	if err != nil {
		return 0, "", err
	}
	if ts := tags(r.IfNoneMatch); slices.Contains(ts, tag) || slices.Contains(ts, "*") {
		return http.StatusNotModified, tag, nil
	}
	return http.StatusOK, tag, nil
}

func answerTagged[T any](r *Reading, rev store.Revision, body *T) (*tagged[T], error) {
	status, tag, err := r.answer(rev, body)
	if err != nil {
		return nil, err
	}
	return &tagged[T]{Status: status, ETag: tag, CacheControl: "private, no-cache", Body: body}, nil
}

// Writing is If-Match of a request that writes.
type Writing struct {
	IfMatch string `header:"If-Match" doc:"ETag of the user or group that the change is based on: 412 if it was changed since"`
}

// onlyIf returns the condition that the caller puts on the write, if any.
func (w *Writing) onlyIf(m identity.Member, current store.Revision) ([]state.Change, error) {
	if w.IfMatch == "" {
		return nil, nil
	}
	for _, t := range tags(w.IfMatch) {
		rev, _, _ := strings.Cut(strings.Trim(t, `"`), "-")
		n, err := strconv.ParseInt(rev, 10, 64)
		if t == "*" || err == nil && store.Revision(n) == current {
			return []state.Change{state.IfRev{Member: m, Rev: current}}, nil
		}
	}
	return nil, fault.New(fault.Stale, "stale", "it was changed since it was read: read it again and decide anew")
}
