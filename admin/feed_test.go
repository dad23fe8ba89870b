package admin_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// reader follows the feed.
type reader struct {
	t     *testing.T
	lines *bufio.Scanner
	id    string // of the last event that had one
}

// follow connects and reads the first bookmark.
func (w *world) follow(key, since string, header ...string) *reader {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/v1/events", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Accept", "text/event-stream")
	if since != "" {
		req.Header.Set("Last-Event-ID", since)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("feed: status %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	r := &reader{t: w.t, lines: bufio.NewScanner(resp.Body)}
	if e, ok := r.next(); !ok || e.Kind != "bookmark" || r.id != fmt.Sprint(e.Revision) || e.Revision == 0 {
		w.t.Fatalf("the feed begins with %+v and id %q, want a bookmark", e, r.id)
	}
	return r
}

// next returns the next event; false when the feed has ended.
func (r *reader) next() (e admin.ChangeEvent, ok bool) {
	r.t.Helper()
	kind := ""
	for r.lines.Scan() {
		switch name, value, _ := strings.Cut(r.lines.Text(), ": "); name {
		case "id":
			r.id = value
		case "event":
			kind = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				r.t.Fatal(err)
			}
		case "":
			if value != "" { // a comment
				continue
			}
			if e.Kind != kind || kind == "" {
				r.t.Fatalf("event %q has data of kind %q", kind, e.Kind)
			}
			return e, true
		}
	}
	return e, false
}

// until reads events up to the first of a kind, and returns all.
func (r *reader) until(kind string) []admin.ChangeEvent {
	r.t.Helper()
	var all []admin.ChangeEvent
	for {
		e, ok := r.next()
		if !ok {
			r.t.Fatalf("the feed ended after %+v", all)
		}
		if all = append(all, e); e.Kind == kind {
			return all
		}
	}
}

func TestFeedTellsWhatChanged(t *testing.T) {
	w := newWorld(t)
	key := w.app()
	r := w.follow(key, "")
	ann := w.person(identity.Local, "ann")
	team := w.group(identity.Local, "team", identity.UserMember(ann))
	w.grant(identity.GroupMember(team), permissions.CreateProject, time.Time{})
	var got []string
	for _, e := range r.until("grant") {
		got = append(got, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Subject, " ", e.ID, " ", e.Permission)))
	}
	want := []string{
		"user user " + ann.String(),
		"group group " + team.String(), "group group " + team.String(), "membership user " + ann.String(),
		"grant group " + team.String() + " CREATE_PROJECT",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("feed (-want +got):\n%s", d)
	}
	resume := r.id
	w.commit(state.RemoveGrant{Subject: identity.GroupMember(team), Permission: permissions.CreateProject})
	if e := r.until("grant"); !e[0].Removed || e[0].ID != team.String() || e[0].Permission != string(permissions.CreateProject) {
		t.Errorf("after a revocation: %+v", e)
	}
	// Who comes back with the last id goes on from there.
	again := w.follow(key, resume)
	if e := again.until("grant"); len(e) != 1 || !e[0].Removed {
		t.Errorf("after coming back with %s: %+v, want the revocation alone", resume, e)
	}
}

func TestFeedEndsWithThePermission(t *testing.T) {
	w := newWorld(t)
	id, key := w.caller("app")
	w.grant(identity.UserMember(id), permissions.FetchPolicyInfo, time.Time{})
	r := w.follow(key, "")
	w.commit(state.RemoveGrant{Subject: identity.UserMember(id), Permission: permissions.FetchPolicyInfo})
	if e, ok := r.next(); ok {
		t.Errorf("after the permission was lost: %+v, want the end", e)
	}
	w.grant(identity.UserMember(id), permissions.FetchPolicyInfo, time.Time{})
	r = w.follow(key, "")
	w.commit(state.Disable{User: id, Reason: "test"})
	if e, ok := r.next(); ok {
		t.Errorf("after the user was disabled: %+v, want the end", e)
	}
}

// A server that stops does not wait for those who follow.
func TestFeedEndsWithTheServer(t *testing.T) {
	w := newWorld(t)
	key := w.app()
	r := w.follow(key, "")
	w.api.EndStreams()
	if e, ok := r.next(); ok {
		t.Errorf("after the server began to stop: %+v, want the end", e)
	}
	if e, ok := w.follow(key, "").next(); ok {
		t.Errorf("of a server that stops: %+v, want the end", e)
	}
}

func TestFeedRefuses(t *testing.T) {
	w := newWorld(t)
	key := w.app()
	_, none := w.caller("none", permissions.UserAdmin, permissions.Audit)
	ask := func(key, last string) reply {
		return w.call(http.MethodGet, "/v1/events", key, nil, "Accept", "text/event-stream", "Last-Event-ID", last)
	}
	wantProblem(t, ask("", ""), http.StatusUnauthorized, "no_credential")
	wantProblem(t, ask(none, ""), http.StatusForbidden, "permission_missing")
	wantProblem(t, ask(key, "yesterday"), http.StatusBadRequest, "bad_revision")
	wantProblem(t, ask(key, "-1"), http.StatusBadRequest, "bad_revision")
	wantProblem(t, ask(key, "0"), http.StatusGone, "events_gone")
	wantProblem(t, ask(key, "999999"), http.StatusServiceUnavailable, "not_visible_yet")
	wantProblem(t, w.call(http.MethodGet, "/v1/events", key, nil, "Accept", "application/json"), http.StatusNotAcceptable, "not_acceptable")
	wantProblem(t, w.call(http.MethodGet, "/v1/events?since=0", key, nil, "Accept", "text/event-stream"), http.StatusGone, "events_gone")
}
