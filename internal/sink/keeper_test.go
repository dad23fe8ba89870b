package sink

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// Each sink has the whole log, in order, though receivers fail, the leader is stopped
// and begun again, and the log is folded meanwhile. Only a webhook may get an entry
// more than once; then under the same id.
func TestEverySinkGetsTheWholeLogInOrder(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t, key1, key2)
	r.set(func(n int, _ string) int {
		if n%3 == 0 {
			return http.StatusBadGateway
		}
		return http.StatusOK
	})
	path := filepath.Join(t.TempDir(), "audit.ndjson")
	w.note("Noted", "first")
	c := Config{Sinks: []Sink{{Name: "file", Type: TypeFile, Path: path}, {Name: "out", Type: TypeStdout}, r.webhook("hook")}}
	var out lockedBuffer
	k := w.keeper(Options{Config: c, Stdout: &out})
	stop := w.run(k)
	for _, s := range []string{"file", "out", "hook"} {
		w.until(s) // a webhook begins behind what is there
	}
	for i := range 40 {
		w.note("Noted", fmt.Sprint(i))
		if i == 10 || i == 30 {
			stop()
			w.pass(time.Hour)
			stop = w.run(k) // folds at once
		}
	}
	for _, s := range []string{"file", "out", "hook"} {
		w.until(s)
	}
	stop()
	want := w.all()
	if d := cmp.Diff(want, readLines(t, path)); d != "" {
		t.Errorf("the file (-log +file):\n%s", d)
	}
	var printed []audit.Envelope
	for line := range strings.Lines(out.String()) {
		var e audit.Envelope
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		printed = append(printed, e)
	}
	if d := cmp.Diff(want, onceEach(printed)); d != "" {
		t.Errorf("standard output (-log +printed):\n%s", d)
	}
	var sent []audit.Envelope
	for _, m := range r.messages() {
		sent = append(sent, m.Data)
	}
	if d := cmp.Diff(want[1:], onceEach(sent)); d != "" {
		t.Errorf("the webhook (-log +sent):\n%s", d)
	}
	w.noCanary(out.String())
}

// onceEach leaves out what came again.
func onceEach(list []audit.Envelope) []audit.Envelope {
	var out []audit.Envelope
	for _, e := range list {
		if len(out) == 0 || e.Revision > out[len(out)-1].Revision {
			out = append(out, e)
		}
	}
	return out
}

// noCanary fails when a secret shows in what is printed, logged, measured or stored.
func (w *world) noCanary(printed string) {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	stored, _, err := w.store.List(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	all := printed + w.log.String() + fmt.Sprint(families)
	for r, err := range stored {
		if err != nil {
			w.t.Fatal(err)
		}
		all += r.Key + string(r.Value)
	}
	for _, canary := range []string{"canary-path", string(key1), base64.StdEncoding.EncodeToString(key1), base64.StdEncoding.EncodeToString(key2)} {
		if strings.Contains(all, canary) {
			w.t.Errorf("the secret %q shows", canary)
		}
	}
}

func TestAFileHealsGrowsAndIsTurned(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "a[b]")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "audit.ndjson")
	s := Sink{Name: "file", Type: TypeFile, Path: path, MaxSize: 4000, Keep: 2}
	f := newFile(&s, w.clock)
	take := func(from, to int) {
		t.Helper()
		all := w.all()[from:to]
		if n, err := f.take(t.Context(), all); n != len(all) || err != nil {
			t.Fatalf("take = %d, %v", n, err)
		}
	}
	for i := range 60 {
		w.note("Noted", fmt.Sprint(i))
	}
	take(0, 3)
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	torn, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = torn.WriteString(`{"id":"cut of`)
		err = cmpErr(err, torn.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	take(0, 5) // the first three again, as after a lost cursor
	if d := cmp.Diff(w.all()[:5], readLines(t, path)); d != "" {
		t.Errorf("after a torn line (-want +got):\n%s", d)
	}
	for i := 5; i < 60; i += 5 {
		take(i, i+5)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 3 {
		t.Fatalf("%d files, %v; want the newest and two before", len(names), err)
	}
	var got []audit.Envelope
	for _, n := range append(names[1:], names[0]) {
		got = append(got, readLines(t, filepath.Join(dir, n.Name()))...)
		if info, err := n.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", n.Name(), info.Mode(), err)
		}
	}
	if d := cmp.Diff(w.all()[60-len(got):], got); d != "" || len(got) < 20 {
		t.Errorf("%d entries in three files (-want +got):\n%s", len(got), d)
	}
	if err := os.WriteFile(path, []byte("a precious file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := f.take(t.Context(), w.all()); n != 0 || err == nil {
		t.Errorf("take into a file of something else = %d, %v; want it refused", n, err)
	}
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func TestHeldFailedAndStaleRunsAreCarried(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t, key1)
	hook := r.webhook("hook")
	hook.Actions = []string{"SyncRunHeld", "SyncRunFailed", "Source*"}
	w.note("Noted", "before")
	stale := make(chan []identity.SourceID, 3)
	stale <- nil
	stale <- []identity.SourceID{"corp"}
	k := w.keeper(Options{Config: Config{Sinks: []Sink{hook}}, Stale: func() []identity.SourceID { return <-stale }})
	term := w.lead()
	known := map[identity.SourceID]bool{}
	k.noteStale(t.Context(), term.Fence(), known)
	if err := term.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := w.run(k) // notes that it is stale
	w.until("hook")
	w.note("UserCreated", "nobody asked for")
	w.note("SyncRunHeld", "corp")
	w.note("SyncRunFailed", "corp")
	w.until("hook")
	for len(r.messages()) < 2 {
		wait(t.Context(), time.Millisecond)
	}
	stop()
	types := []string{}
	for _, m := range r.messages() {
		types = append(types, m.Type)
	}
	types = slices.DeleteFunc(types, func(s string) bool { return s == "source.stale" }) // it may have come before the webhook began
	if d := cmp.Diff([]string{"run.held", "run.failed"}, types); d != "" {
		t.Errorf("messages (-want +got):\n%s", d)
	}
	found := false
	for _, e := range w.all() {
		found = found || slices.Equal(e.Actions, []string{Stale}) && slices.Equal(e.Targets, []string{"source/corp"})
	}
	if !found {
		t.Error("the log does not say that the source is stale")
	}
	stale <- nil
	known["corp"] = true
	term = w.lead()
	k.noteStale(t.Context(), term.Fence(), known)
	if all := w.all(); !slices.Equal(all[len(all)-1].Actions, []string{Recovered}) || known["corp"] {
		t.Errorf("the last entry is %v, want that the source has recovered", all[len(all)-1].Actions)
	}
}

func TestAReceiverThatIsGoneIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t, key1)
	r.set(func(int, string) int { return http.StatusGone })
	w.note("Noted", "before")
	k := w.keeper(Options{Config: Config{Sinks: []Sink{r.webhook("hook")}}})
	stop := w.run(k)
	w.until("hook")
	w.note("Noted", "now")
	for !k.carriers[0].disabled.Load() || len(w.all()) < 3 {
		wait(t.Context(), time.Millisecond)
	}
	stop()
	if e := w.all()[2]; !slices.Equal(e.Actions, []string{Disabled}) || e.Targets[0] != "sink/hook" {
		t.Errorf("the last entry is %+v, want that the sink is disabled", e)
	}
	if keep, err := k.delivered(t.Context()); keep != -1 || err != nil {
		t.Errorf("what nobody wants is kept: %d, %v", keep, err)
	}
}

// What a sink has not got stays, whatever its age; when there is too much it goes.
func TestRetentionWaitsForSinks(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "audit.ndjson")
	c := Config{Retention: Retention{Age: minAge}, Sinks: []Sink{{Name: "file", Type: TypeFile, Path: path}}}
	k := w.keeper(Options{Config: c})
	for i := range 30 {
		w.large(fmt.Sprint(i))
	}
	w.pass(100 * day)
	term := w.lead()
	tidy := func(k *Keeper) int {
		t.Helper()
		for range 2 {
			if err := k.Tidy(t.Context(), term.Fence()); err != nil {
				t.Fatal(err)
			}
		}
		return len(w.all())
	}
	if n := tidy(k); n != 30 {
		t.Errorf("%d of 30 entries are left, though the sink has none", n)
	}
	head, err := w.db.AuditHead(t.Context())
	if err == nil {
		err = w.db.KeepSinkCursor(t.Context(), term.Fence(), "file", state.AuditCursor{Rev: head.Rev, Seq: head.Seq})
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := tidy(k); n >= 30 || n < 2 {
		t.Errorf("%d of 30 entries are left, though the sink has them", n)
	}
	if r, err := w.db.VerifyAudit(t.Context(), head); err != nil || r.Bad != nil {
		t.Errorf("VerifyAudit = %+v, %v", r.Bad, err)
	}
}

// A sink that takes nothing does not fill the store; what it misses is said.
func TestASinkThatMissesEntriesSaysSo(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "audit.ndjson")
	w.note("Noted", "first")
	c := Config{Sinks: []Sink{{Name: "file", Type: TypeFile, Path: path}}}
	stop := w.run(w.keeper(Options{Config: c}))
	w.until("file")
	stop()
	for i := range 30 {
		w.large(fmt.Sprint(i))
	}
	w.pass(time.Hour)
	c.Retention.Size = 1 << 20
	k := w.keeper(Options{Config: c, Store: nearlyFull{}})
	term := w.lead()
	for range 2 {
		if err := k.Tidy(t.Context(), term.Fence()); err != nil {
			t.Fatal(err)
		}
	}
	if size, err := k.size(t.Context()); size != 1<<19 || err != nil {
		t.Errorf("a store that is nearly full keeps %d bytes, %v; want half of what is configured", size, err)
	}
	if n := len(w.all()); n != 31 { // compressed, they are far below that
		t.Errorf("%d entries are left", n)
	}
	if _, err := w.db.TrimAudit(t.Context(), term.Fence(), state.AuditRetention{Size: 1}); err != nil {
		t.Fatal(err)
	}
	if err := term.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop = w.run(k)
	w.until("file")
	stop()
	if !strings.Contains(w.log.String(), "audit sink has missed entries") {
		t.Error("nothing is said of the entries that the sink has missed")
	}
}

// nearlyFull is a store that has no room left.
type nearlyFull struct{}

func (nearlyFull) Status(context.Context) (store.Status, error) {
	return store.Status{InUse: 85, Quota: 100, FreeDisk: -1}, nil
}

// large writes an entry of which a few fill a segment.
func (w *world) large(name string) {
	w.t.Helper()
	var cs []state.Change
	for i := range 60 {
		cs = append(cs, state.Note{Event: audit.Event{Action: "Noted", Target: "test/" + name, Reason: strings.Repeat(fmt.Sprint(i%10), 1000)}})
	}
	if _, err := w.db.Commit(w.t.Context(), tester, cs...); err != nil {
		w.t.Fatal(err)
	}
}

func TestALargeEntryFitsIntoAMessage(t *testing.T) {
	w := newWorld(t)
	w.large("x")
	e := w.all()[0]
	for i := range 2000 {
		e.Targets = append(e.Targets, fmt.Sprintf("user/%036d", i))
	}
	b, err := body(&e)
	if err != nil || len(b) > maxMessage || !bytes.Contains(b, []byte(`"truncated":true`)) {
		t.Errorf("a message of %d bytes, %v; want it within %d", len(b), err, maxMessage)
	}
}

func TestTheKeeperEndsWithItsTerm(t *testing.T) {
	w := newWorld(t)
	k := w.keeper(Options{Config: Config{Sinks: []Sink{{Name: "out", Type: TypeStdout}}}, Stdout: &lockedBuffer{}})
	term := w.lead()
	if err := term.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.note("Noted", "x")
	if err := k.Run(context.Background(), term.Fence()); !isStale(err) {
		t.Errorf("Run after the term = %v, want fault.Stale", err)
	}
}
