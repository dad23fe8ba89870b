package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/fault"
)

// AuditFilter narrows the audit log. The zero value lets everything through.
type AuditFilter struct {
	Actor, Action, Target, Text string
	From, Until                 time.Time // not before, and before
}

func (f *AuditFilter) values(p Page, pairs ...string) url.Values {
	instant := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.RFC3339)
	}
	return p.values(append(pairs, "actor", f.Actor, "action", f.Action, "target", f.Target, "text", f.Text,
		"from", instant(f.From), "until", instant(f.Until))...)
}

// AuditEntry is one transaction with what it did.
type AuditEntry struct {
	ID        string       `json:"id"`
	Seq       uint64       `json:"seq"`
	Revision  int64        `json:"revision"`
	Time      time.Time    `json:"time"`
	Status    string       `json:"actionStatus"` // "SUCCESS" or "DENIED"
	Actions   []string     `json:"actions"`
	Actor     AuditActor   `json:"actor"`
	Origin    string       `json:"origin"`
	RequestID string       `json:"requestId,omitzero"`
	RunID     string       `json:"runId,omitzero"`
	Targets   []string     `json:"targets"`
	Events    []AuditEvent `json:"events"`
}

// AuditActor is who did it.
type AuditActor struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name,omitzero"`
	Key  string `json:"key,omitzero"`
}

// AuditEvent is one change.
type AuditEvent struct {
	Action     string        `json:"action"`
	TargetType string        `json:"targetType,omitzero"`
	Target     string        `json:"target,omitzero"`
	Name       string        `json:"name,omitzero"`
	Reason     string        `json:"reason,omitzero"`
	Changes    []AuditChange `json:"changes,omitempty"`
}

// AuditChange is one field, before and after.
type AuditChange struct {
	Field  string   `json:"field"`
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`
}

// AuditPage is a page of the audit log. One with few entries may have more behind it.
type AuditPage struct {
	Entries       []AuditEntry `json:"entries"`
	NextPageToken string       `json:"nextPageToken"`
}

// The orders of the audit log.
const (
	NewestFirst = "newest"
	OldestFirst = "oldest"
)

// Audit returns a page of the audit log.
func (c *Client) Audit(ctx context.Context, f AuditFilter, order string, p Page) (*AuditPage, error) {
	return get[AuditPage](ctx, c, f.values(p, "order", order), "audit")
}

// ExportAudit writes the audit log to w as JSON Lines, the oldest entry first, from
// after a revision on. What was written before an error is a beginning of it.
func (c *Client) ExportAudit(ctx context.Context, f AuditFilter, after int64, w io.Writer) error {
	from := ""
	if after > 0 {
		from = strconv.FormatInt(after, 10)
	}
	return c.copy(ctx, call{method: http.MethodGet, path: []string{"v1", "audit", "export"}, query: f.values(Page{}, "after", from)}, w)
}

// AuditHead is where the audit log ends.
type AuditHead struct {
	Seq      uint64 `json:"seq"`
	Revision int64  `json:"revision"`
	Hash     string `json:"hash"`
}

// AuditHead returns where the audit log ends.
func (c *Client) AuditHead(ctx context.Context) (*AuditHead, error) {
	return get[AuditHead](ctx, c, nil, "audit", "head")
}

// AuditVerification is what a verification of the audit log found.
type AuditVerification struct {
	OK       bool           `json:"ok"`
	Summary  string         `json:"summary"`
	FirstSeq uint64         `json:"firstSeq"`
	Head     AuditHead      `json:"head"`
	Segments int            `json:"segments"`
	Folded   int            `json:"folded"`
	Unfolded int            `json:"unfolded"`
	Bad      *BadAuditEntry `json:"bad,omitzero"`
}

// BadAuditEntry names an entry that is not as it was written.
type BadAuditEntry struct {
	Seq      uint64 `json:"seq"`
	ID       string `json:"id,omitzero"`
	Revision int64  `json:"revision,omitzero"`
	Segment  uint64 `json:"segment,omitzero"`
	Why      string `json:"why"`
}

// VerifyAudit has the whole audit log checked. With a head that was kept elsewhere, the
// log has to pass through it.
func (c *Client) VerifyAudit(ctx context.Context, kept AuditHead) (*AuditVerification, error) {
	seq := ""
	if kept.Seq > 0 {
		seq = strconv.FormatUint(kept.Seq, 10)
	}
	return change[AuditVerification](ctx, c, call{
		method: http.MethodGet, path: []string{"audit", "verify"}, query: Page{}.values("seq", seq, "hash", kept.Hash), time: Patience,
	})
}

// Followed is one message of a stream: where it is now, and an entry unless it only
// said that it is alive.
type Followed struct {
	After string // the stream goes on after this, see [Client.FollowAudit]
	Entry *AuditEntry
}

// FollowAudit delivers the entries of the audit log that come after a place of it, or
// from now on when that is "". The stream ends without an error when the server ends
// it: then go on after the last place.
func (c *Client) FollowAudit(ctx context.Context, f AuditFilter, after string) iter.Seq2[Followed, error] {
	return func(yield func(Followed, error) bool) {
		r := call{
			method: http.MethodGet, path: []string{"v1", "audit", "events"}, query: f.values(Page{}),
			header: map[string]string{"Accept": "text/event-stream"},
		}
		if after != "" {
			r.header["Last-Event-ID"] = after
		}
		resp, err := c.send(ctx, &r)
		if err != nil {
			yield(Followed{}, err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		for m, err := range messages(resp.Body) {
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

// messages reads a stream of server-sent events whose data are entries.
func messages(r io.Reader) iter.Seq2[Followed, error] {
	return func(yield func(Followed, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxMessage)
		m := Followed{}
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
				m.Entry = &AuditEntry{}
				if err := json.Unmarshal([]byte(value), m.Entry); err != nil {
					yield(m, fault.New(fault.Unavailable, "not_rollcall", "the stream holds something else than entries of the audit log"))
					return
				}
			}
		}
		if err := lines.Err(); err != nil && !errors.Is(err, io.EOF) {
			yield(m, err)
		}
	}
}
