package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/fault"
)

// Followed is one message of a stream: where it is now, and an entry unless it only said
// that it is alive.
type Followed[T any] struct {
	After string // the stream goes on after this
	Entry *T
}

// follow delivers the messages of a stream. It ends without an error when the server ends
// it: then go on after the last place.
func follow[T any](ctx context.Context, c *Client, r call) iter.Seq2[Followed[T], error] {
	return func(yield func(Followed[T], error) bool) {
		r.set("Accept", "text/event-stream")
		resp, err := c.send(ctx, &r)
		if err != nil {
			yield(Followed[T]{}, err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		for m, err := range messages[T](resp.Body) {
			if err != nil && fault.Kind(err) == nil {
				err = c.unreachable(ctx, err)
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// maxMessage bounds one message: an entry of the audit log is far smaller.
const maxMessage = 16 << 20

// messages reads a stream of server-sent events.
func messages[T any](r io.Reader) iter.Seq2[Followed[T], error] {
	return func(yield func(Followed[T], error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxMessage)
		m := Followed[T]{}
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case lines.Text() == "":
				if m.After != "" && !yield(m, nil) {
					return
				}
				m.Entry = nil
			case name == "id":
				m.After = value
			case name == "data":
				m.Entry = new(T)
				if err := json.Unmarshal([]byte(value), m.Entry); err != nil {
					yield(m, fault.New(fault.Unavailable, "not_rollcall", "the stream holds something else than it should"))
					return
				}
			}
		}
		if err := lines.Err(); err != nil && !errors.Is(err, io.EOF) {
			yield(m, err)
		}
	}
}

// copy writes an answer to w as it is, however long it takes.
func (c *Client) copy(ctx context.Context, r call, w io.Writer) error {
	resp, err := c.send(ctx, &r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	to := &target{w: w}
	if _, err := io.Copy(to, resp.Body); err != nil {
		if to.err != nil {
			return to.err
		}
		return c.unreachable(ctx, err)
	}
	return nil
}

// target remembers whether writing failed, to tell it from reading.
type target struct {
	w   io.Writer
	err error
}

func (t *target) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.err = err
	return n, err
}
