package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// cutter passes connections on and cuts what comes back after so many bytes, one number
// for each connection, the last one without end; 0 lets none come about, as while a
// daemon starts again.
type cutter struct {
	net  net.Listener
	to   string
	cuts []int64
	done sync.WaitGroup
}

func (c *cutter) run() {
	for n := 0; ; n++ {
		in, err := c.net.Accept()
		if err != nil {
			return
		}
		most := int64(1 << 40)
		if n < len(c.cuts) {
			most = c.cuts[n]
		}
		c.done.Go(func() {
			defer func() { _ = in.Close() }()
			if most == 0 {
				return
			}
			out, err := net.Dial("tcp", c.to)
			if err != nil {
				return
			}
			defer func() { _ = out.Close() }()
			c.done.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
			_, _ = io.CopyN(in, out, most)
		})
	}
}

// TestFollowingTheLogSurvivesCuts follows the audit log over a connection that is cut in
// the middle of entries, and to a daemon that is away for a moment, while entries are
// written: each is shown once, in order.
func TestFollowingTheLogSurvivesCuts(t *testing.T) {
	t.Parallel()
	w := testWorld(t)
	const entries = 60
	auditor := state.PutGrant{Grant: permissions.Grant{
		ID: permissions.GrantID(userID(200).String()), Permission: permissions.Audit, Subject: identity.UserMember(userID(9)), By: "test", At: start, Origin: "local",
	}}
	if err := w.commit(auditor); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{net: l, to: strings.TrimPrefix(w.server.URL, "http://"), cuts: []int64{2500, 0, 4321}}
	c.done.Go(c.run)
	t.Cleanup(func() {
		_ = l.Close()
		c.done.Wait()
	})
	written := make(chan error, 1)
	go func() {
		for i := range entries {
			note := state.Note{Event: audit.Event{Action: "Noted", Target: fmt.Sprint("test/", i)}}
			if _, err := w.db.Commit(t.Context(), tester, note); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	var out, errs bytes.Buffer
	env := append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "ROLLCALL_URL=http://"+l.Addr().String(), "ROLLCALL_TOKEN="+w.key)
	args := []string{"audit", "--follow", "--after", "0", "--action", "Noted", "--limit", fmt.Sprint(entries), "-o", "json"}
	if code := newCLI(nil, &out, &errs, env).run(t.Context(), args); code != exitOK {
		t.Fatalf("ended with %d:\n%s", code, &errs)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for line := range bytes.Lines(out.Bytes()) {
		var e client.AuditEntry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		got = append(got, e.Events[0].Target)
	}
	for i := range entries {
		want = append(want, fmt.Sprint("test/", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("entries %v, want each once and in order", got)
	}
	if n := strings.Count(errs.String(), "taken up again"); n < 3 {
		t.Errorf("the stream was taken up again %d times, want after each of three cuts:\n%s", n, &errs)
	}
}
