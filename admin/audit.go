package admin

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// auditWork is for what concerns the log as a whole.
var auditWork = need{anyOf: []permissions.Permission{permissions.Audit}}

// AuditFilter says which entries of the audit log are asked for.
type AuditFilter struct {
	Actor  string    `query:"actor" maxLength:"256" doc:"An id or a name, as it was at the time, or a kind with either: user:ann, sync:corp/<run>"`
	Action string    `query:"action" maxLength:"64" example:"PermissionGranted"`
	Target string    `query:"target" maxLength:"512" doc:"user/<id or name>, group/<id>, source/<id>, token/<id>"`
	From   time.Time `query:"from" doc:"Not before this instant"`
	Until  time.Time `query:"until" doc:"Before this instant"`
	Text   string    `query:"text" maxLength:"256" doc:"Anywhere in an entry, in any case"`
}

// AuditPage is a page of the audit log.
type AuditPage struct {
	Entries       []audit.Envelope `json:"entries"`
	NextPageToken string           `json:"nextPageToken" doc:"Empty after the last page. A page with few entries may have more behind it"`
}

type listAuditInput struct {
	AuditFilter
	Order string `query:"order" enum:"newest,oldest" default:"newest" doc:"Which entries come first"`
	PageQuery
}

type listAuditOutput struct{ Body AuditPage }

type exportAuditInput struct {
	AuditFilter
	After int64 `query:"after" minimum:"0" doc:"Only entries after this revision: that of the last line of an export before"`
}

// AuditHead is where the audit log ends.
type AuditHead struct {
	Seq      uint64 `json:"seq" doc:"The number of the newest entry; 0: there is none"`
	Revision int64  `json:"revision"`
	Hash     string `json:"hash" doc:"The SHA-256 link of the newest entry. Kept elsewhere, it proves later that nothing up to it was changed or cut off"`
}

// AuditVerification is what a verification of the audit log found.
type AuditVerification struct {
	OK       bool           `json:"ok"`
	Summary  string         `json:"summary" doc:"One line for people"`
	FirstSeq uint64         `json:"firstSeq" doc:"The number of the oldest entry that is kept"`
	Head     AuditHead      `json:"head" doc:"Up to where the log is in order"`
	Segments int            `json:"segments"`
	Folded   int            `json:"folded" doc:"Entries in segments"`
	Unfolded int            `json:"unfolded" doc:"Entries that are in no segment yet"`
	Bad      *BadAuditEntry `json:"bad,omitzero" doc:"The first entry that is not as it was written"`
}

// BadAuditEntry names an entry that is not as it was written.
type BadAuditEntry struct {
	Seq      uint64 `json:"seq" doc:"0: not known"`
	ID       string `json:"id,omitzero"`
	Revision int64  `json:"revision,omitzero"`
	Segment  uint64 `json:"segment,omitzero" doc:"Nothing: it is in no segment yet"`
	Why      string `json:"why"`
}

type verifyAuditInput struct {
	Seq  uint64 `query:"seq" doc:"Of a head that was exported; with hash"`
	Hash string `query:"hash" pattern:"^[0-9a-f]{64}$" doc:"Of a head that was exported: the log has to pass through it"`
}

type (
	verifyAuditOutput struct{ Body AuditVerification }
	auditHeadOutput   struct{ Body AuditHead }
)

func (a *API) auditRoutes() {
	register(a, operation{
		id: "listAudit", method: http.MethodGet, path: "/v1/audit", tag: "Audit", need: anybody,
		summary: "Read the audit log; without AUDIT, what concerns oneself",
	}, a.listAudit)
	register(a, operation{
		id: "exportAudit", method: http.MethodGet, path: "/v1/audit/export", tag: "Audit", need: anybody, timeout: long, media: jsonLines,
		summary: "Read the audit log as JSON Lines, the oldest entry first; without AUDIT, what concerns oneself",
	}, a.exportAudit)
	register(a, operation{
		id: "verifyAudit", method: http.MethodGet, path: "/v1/audit/verify", tag: "Audit", need: auditWork, timeout: long,
		summary: "Check the whole audit log: its chain of hashes and every entry",
	}, a.verifyAudit)
	register(a, operation{
		id: "auditHead", method: http.MethodGet, path: "/v1/audit/head", tag: "Audit", need: auditWork,
		summary: "Show where the audit log ends, to be kept elsewhere",
	}, a.auditHead)
	register(a, operation{
		id: "followAudit", method: http.MethodGet, path: "/v1/audit/events", tag: "Audit", need: auditWork, timeout: long, media: eventStream, endless: true,
		summary: "Follow the audit log as server-sent events", errors: []int{http.StatusNotAcceptable},
	}, a.followAudit)
}

// filter returns what a caller asks for, cut down to what he may see: everything with
// AUDIT, else what he did and what was done to him.
func (a *API) filter(ctx context.Context, f *AuditFilter) audit.Filter {
	snap, caller := a.db.View().Now(), questionOf(ctx).caller
	out := audit.Filter{Actor: f.Actor, Action: f.Action, Target: f.Target, From: f.From, Until: f.Until, Text: f.Text}
	if name, ok := strings.CutPrefix(f.Target, "user/"); ok {
		if id, err := snap.OneUser(name); err == nil {
			out.Target = identity.UserMember(id).String()
		}
	}
	if !a.holds(snap, caller, permissions.Audit) {
		out.About = identity.UserMember(caller.User).String()
	}
	return out
}

func (a *API) listAudit(ctx context.Context, in *listAuditInput) (*listAuditOutput, error) {
	f := a.filter(ctx, &in.AuditFilter)
	query := strings.Join([]string{
		"audit", in.Order, f.Actor, f.Action, f.Target, f.From.String(), f.Until.String(), f.Text, f.About,
	}, "\x00")
	token, err := in.after(query)
	if err != nil {
		return nil, err
	}
	q := state.AuditQuery{Filter: f, Limit: in.size(), Order: state.NewestFirst}
	if in.Order == "oldest" {
		q.Order = state.OldestFirst
	}
	if token != "" {
		n, err := strconv.ParseInt(token, 10, 64)
		if err != nil {
			return nil, badToken()
		}
		q.After = store.Revision(n)
	}
	a.noteRead(ctx, "listAudit", f.About)
	page, err := a.db.AuditEntries(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &listAuditOutput{Body: AuditPage{Entries: make([]audit.Envelope, len(page.Entries))}}
	for i := range page.Entries {
		out.Body.Entries[i] = page.Entries[i].Envelope()
	}
	if page.More {
		out.Body.NextPageToken = pageToken(query, strconv.FormatInt(int64(page.Next), 10))
	}
	return out, nil
}

// exportPage is how many entries an export reads at a time.
const exportPage = 500

func (a *API) exportAudit(ctx context.Context, in *exportAuditInput) (*huma.StreamResponse, error) {
	q := state.AuditQuery{Filter: a.filter(ctx, &in.AuditFilter), After: store.Revision(in.After), Limit: exportPage}
	a.noteRead(ctx, "exportAudit", q.About)
	page, err := a.db.AuditEntries(ctx, q)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", "application/x-ndjson")
		out.SetHeader("Content-Disposition", `attachment; filename="rollcall-audit.ndjson"`)
		if err := a.export(ctx, out, q, page); err != nil {
			a.log.WarnContext(ctx, "export of the audit log cut off", "request", questionOf(ctx).request, "err", err)
			panic(http.ErrAbortHandler) // the length is not known ahead, so only a cut tells the other side
		}
	}}, nil
}

func (a *API) export(ctx context.Context, out huma.Context, q state.AuditQuery, page state.AuditPage) error {
	for {
		for i := range page.Entries {
			if err := writeJSON(out.BodyWriter(), page.Entries[i].Envelope()); err != nil {
				return err
			}
			if _, err := out.BodyWriter().Write([]byte{'\n'}); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		var err error
		q.After = page.Next
		if page, err = a.db.AuditEntries(ctx, q); err != nil {
			return err
		}
	}
}

func (a *API) verifyAudit(ctx context.Context, in *verifyAuditInput) (*verifyAuditOutput, error) {
	var known []audit.Head
	if in.Hash != "" || in.Seq != 0 {
		h := audit.Head{Seq: in.Seq}
		if err := h.Hash.UnmarshalText([]byte(in.Hash)); err != nil || in.Seq == 0 {
			return nil, fault.New(fault.Invalid, "bad_audit_head", "give both seq and hash of the head that was exported")
		}
		known = append(known, h)
	}
	r, err := a.db.VerifyAudit(ctx, known...)
	if err != nil {
		return nil, err
	}
	v := AuditVerification{
		OK: r.Bad == nil, FirstSeq: r.First, Head: headOf(r.Head), Segments: r.Segments, Folded: r.Folded, Unfolded: r.Unfolded,
		Summary: r.Summary(),
	}
	if b := r.Bad; b != nil {
		v.Bad = &BadAuditEntry{Seq: b.Seq, ID: b.ID, Revision: int64(b.Rev), Segment: b.Segment, Why: b.Why}
		a.log.ErrorContext(ctx, "the audit log is not as it was written", "seq", b.Seq, "entry", b.ID, "rev", b.Rev, "segment", b.Segment, "why", b.Why)
	}
	return &verifyAuditOutput{Body: v}, nil
}

func (a *API) auditHead(ctx context.Context, _ *struct{}) (*auditHeadOutput, error) {
	h, err := a.db.AuditHead(ctx)
	return &auditHeadOutput{Body: headOf(h)}, err
}

func headOf(h audit.Head) AuditHead {
	return AuditHead{Seq: h.Seq, Revision: int64(h.Rev), Hash: h.Hash.String()}
}
