package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/state"
)

// A POST that carries an Idempotency-Key is done once: whoever repeats it, because the
// answer got lost, is given that answer again. Keys belong to the user who chose them
// and are remembered for a day, by all replicas. Refusals are not remembered, and
// neither is a secret: who repeats the making of a key is told that it was shown.
const (
	repeatHeader = "Idempotency-Key"
	replayHeader = "Idempotency-Replayed"
	maxRepeatKey = 255
	repeatLife   = 24 * time.Hour
	// maxReplay is the size of the largest answer that is kept.
	maxReplay = 128 << 10
)

// repeats forgets, now and then, what was remembered too long ago.
type repeats struct {
	mu    sync.Mutex
	swept time.Time // guarded by mu
}

// due reports whether somebody has to forget now, and that it is the one who asks.
func (r *repeats) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.swept) < time.Hour {
		return false
	}
	r.swept = now
	return true
}

// repeatable reports whether requests for an operation may carry an Idempotency-Key.
func (o *operation) repeatable() bool {
	return o.method == http.MethodPost && !o.decision && !o.need.open
}

// parameters describes in the document the headers that operations have in common.
func (o *operation) parameters() []*huma.Param {
	if !o.repeatable() {
		if o.readsOnly() && !o.need.open {
			return []*huma.Param{impersonated()}
		}
		return nil
	}
	longest := maxRepeatKey
	return []*huma.Param{{
		Name: repeatHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &longest},
		Description: "Chosen by the caller, once for each request that is meant: within 24 hours a repeat is answered like the first, and not done again",
	}}
}

// once answers a request, or repeats the answer to an earlier one with the same key.
func (a *API) once(ctx huma.Context, o *operation, next func(huma.Context)) {
	key := ctx.Header(repeatHeader)
	q := questionOf(ctx.Context())
	if key == "" || !o.repeatable() || q.dryRun {
		next(ctx)
		return
	}
	err := a.onceWith(ctx, o, q, key, next)
	if err != nil {
		a.refuse(ctx, a.problem(ctx.Context(), err))
	}
}

func validRepeatKey(key string) error {
	bad := len(key) > maxRepeatKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
	if bad {
		return fault.New(fault.Invalid, "bad_idempotency_key", "%s has 1 to %d printable ASCII characters", repeatHeader, maxRepeatKey)
	}
	return nil
}

func (a *API) onceWith(ctx huma.Context, o *operation, q question, key string, next func(huma.Context)) error {
	if err := validRepeatKey(key); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), maxBody+1))
	if err != nil {
		return fault.New(fault.Invalid, "bad_body", "the body could not be read")
	}
	u := ctx.URL()
	digest := sumOf(o.method, u.EscapedPath(), u.RawQuery, string(body))
	id, now := sumOf(q.caller.User.String(), key), a.now().UTC()
	if a.repeats.due(now) {
		if err := a.db.ForgetOld(ctx.Context(), now.Add(-repeatLife)); err != nil {
			a.log.WarnContext(ctx.Context(), "old idempotency keys not forgotten", "err", err)
		}
	}
	known, mine, err := a.db.Remember(ctx.Context(), id, state.Remembered{Digest: digest, At: now}, func(r *state.Remembered) bool {
		return now.Sub(r.At) >= repeatLife || r.Status == 0 && now.Sub(r.At) > long
	})
	switch {
	case errors.Is(err, fault.Stale):
		return beingAnswered()
	case err != nil:
		return err
	case known != nil:
		return a.replay(ctx, known, digest)
	}
	rec := &recorder{humaContext: ctx, body: bytes.NewReader(body), header: map[string]string{}}
	next(rec)
	a.keepAnswer(ctx.Context(), o, id, mine, rec)
	return nil
}

func beingAnswered() error {
	return fault.New(fault.Conflict, "request_in_progress", "a request with this %s is being answered, or how it ended is not known: look at what is there, or wait and ask again", repeatHeader)
}

// replay gives the answer to an earlier request once more.
func (a *API) replay(ctx huma.Context, r *state.Remembered, digest string) error {
	switch {
	case r.Digest != digest:
		return fault.New(fault.Invalid, "idempotency_key_reused", "this %s was used for another request: choose a new one for each", repeatHeader)
	case r.Status == 0:
		return beingAnswered()
	case len(r.Body) == 0 && r.Status != http.StatusNoContent:
		return fault.New(fault.Conflict, "already_shown", "this was done, and its answer is shown only once: look at what is there, and make another one if the answer got lost")
	}
	for name, value := range r.Header {
		ctx.SetHeader(name, value)
	}
	ctx.SetHeader(replayHeader, "true")
	ctx.SetStatus(r.Status)
	if _, err := ctx.BodyWriter().Write(r.Body); err != nil {
		a.log.DebugContext(ctx.Context(), "answer not written", "err", err)
	}
	return nil
}

// keepAnswer remembers an answer, or forgets a request that came to nothing. The answer
// itself is on its way: that it cannot be kept is told in the log, and to whoever asks
// again.
func (a *API) keepAnswer(ctx context.Context, o *operation, id string, mine state.Remembered, rec *recorder) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quick)
	defer cancel()
	var err error
	switch status := rec.Status(); {
	case status == 0 || status >= http.StatusInternalServerError:
		return // perhaps it was done; nobody may think that it was not
	case status >= http.StatusBadRequest:
		err = a.db.Forget(ctx, id, mine)
	default:
		mine.Status, mine.Header = status, rec.header
		if !o.shownOnce && rec.sent.Len() <= maxReplay {
			mine.Body = rec.sent.Bytes()
		}
		err = a.db.Answered(ctx, id, mine)
	}
	if err != nil {
		a.log.WarnContext(ctx, "answer not remembered", "request", questionOf(ctx).request, "err", err)
	}
}

func sumOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// humaContext lets a recorder embed huma.Context, which has a method Context.
type humaContext huma.Context

// recorder keeps what is answered, as far as it may be repeated.
type recorder struct {
	humaContext
	body   io.Reader
	header map[string]string
	sent   bytes.Buffer
}

// BodyReader implements huma.Context.
func (r *recorder) BodyReader() io.Reader { return r.body }

// SetHeader implements huma.Context.
func (r *recorder) SetHeader(name, value string) {
	r.note(name, value)
	r.humaContext.SetHeader(name, value)
}

// AppendHeader implements huma.Context.
func (r *recorder) AppendHeader(name, value string) {
	r.note(name, value)
	r.humaContext.AppendHeader(name, value)
}

func (r *recorder) note(name, value string) {
	switch http.CanonicalHeaderKey(name) {
	case "Location", "Etag", "Content-Type":
		r.header[name] = value
	}
}

// BodyWriter implements huma.Context.
func (r *recorder) BodyWriter() io.Writer {
	return io.MultiWriter(r.humaContext.BodyWriter(), &limitedBuffer{&r.sent})
}

// limitedBuffer stops keeping what is too large to be kept.
type limitedBuffer struct{ *bytes.Buffer }

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len() <= maxReplay {
		_, _ = b.Buffer.Write(p) // never fails
	}
	return len(p), nil
}
