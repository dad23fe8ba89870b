package admin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/usage"
)

// with puts another API before the same state, and returns what ends it as a daemon
// ends it: first the requests, then the counting.
func (w *world) with(change func(*admin.Options)) (stop func()) {
	w.t.Helper()
	o := admin.Options{DB: w.db, Sync: w.sync, Now: w.clock, Version: "test"}
	change(&o)
	api, err := admin.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	before := w.server
	w.server = httptest.NewServer(api)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- api.CountUsage(ctx) }()
	return func() {
		w.server.Close()
		w.server = before
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

func counting(o *admin.Options) { o.Usage = usage.DefaultConfig() }

// actor is somebody whose every step is known.
type actor struct {
	name  string
	class usage.Class
	key   string
}

func (w *world) actors(n int, prefix string, class usage.Class, ps ...permissions.Permission) []actor {
	w.t.Helper()
	var out []actor
	for i := range n {
		name := fmt.Sprintf("%s-%d", prefix, i)
		_, key := w.caller(name, ps...)
		out = append(out, actor{name, class, key})
	}
	return out
}

// driver drives the API and keeps its own books.
type driver struct {
	*world
	events []usage.Event // since the start of the process
	total  usage.Table   // of the processes before
}

func (d *driver) do(who actor, method, path string, body any, status int, outcome usage.Outcome, names ...usage.Name) {
	d.t.Helper()
	if r := d.call(method, path, who.key, body); r.status != status {
		d.t.Fatalf("%s %s by %s: status %d, want %d: %s", method, path, who.name, r.status, status, r.body)
	}
	for _, n := range names {
		d.events = append(d.events, usage.Event{Who: who.name, Class: who.class, Name: n, Outcome: outcome})
	}
}

// restarted adds up what the process that ends has counted, in the plainest way.
func (d *driver) restarted() {
	type sum struct {
		counts usage.Counts
		who    map[string]bool
	}
	add := func(to map[usage.Bucket]*sum, b usage.Bucket, c usage.Counts, who ...string) {
		if to[b] == nil {
			to[b] = &sum{who: map[string]bool{}}
		}
		s := to[b]
		s.counts = usage.Counts{Done: s.counts.Done + c.Done, Refused: s.counts.Refused + c.Refused, Failed: s.counts.Failed + c.Failed, Previewed: s.counts.Previewed + c.Previewed}
		for _, w := range who {
			s.who[w] = true
		}
	}
	one := map[usage.Outcome]usage.Counts{usage.Done: {Done: 1}, usage.Refused: {Refused: 1}, usage.Failed: {Failed: 1}, usage.Previewed: {Previewed: 1}}
	fine, coarse := map[usage.Bucket]*sum{}, map[usage.Bucket]*sum{}
	for _, e := range d.events {
		add(fine, usage.Bucket{Name: e.Name, Class: e.Class}, one[e.Outcome], e.Who)
	}
	for b, s := range fine {
		if len(s.who) < 5 {
			b.Class = usage.ClassOther
		}
		for who := range s.who {
			add(coarse, b, usage.Counts{}, who)
		}
		add(coarse, b, s.counts)
	}
	if d.total == nil {
		d.total = usage.Table{}
	}
	for b, s := range coarse {
		if len(s.who) < 5 && b.Name.IsWorkflow() {
			b = usage.Bucket{Name: usage.OtherWorkflows, Class: usage.ClassOther}
		} else if len(s.who) < 5 {
			b = usage.Bucket{Name: usage.OtherTouches, Class: usage.ClassOther}
		}
		d.total.Apply(usage.Table{b: s.counts})
	}
	d.events = nil
}

// After a day driven by known actors, with a restart, the counters are the driver's,
// and nothing in them says who the actors were.
func TestUsageAfterADay(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	ann := w.person("corp", "ann")
	admins := w.actors(4, "boss", usage.ClassAdmin, permissions.ApplicationAdmin, permissions.UserAdmin)
	clerks := w.actors(5, "clerk", usage.ClassUserAdmin, permissions.UserAdmin, permissions.Audit)
	auditors := w.actors(1, "auditor", usage.ClassAuditor, permissions.Audit)
	people := w.actors(6, "person", usage.ClassDataUser)
	d := &driver{world: w}

	grant := fmt.Sprintf("/v1/users/%s/grants/", ann)
	day := func(round int) {
		stop := w.with(counting)
		for i, a := range slices.Concat(admins, clerks) {
			d.do(a, http.MethodPost, "/v1/users", map[string]string{"userName": fmt.Sprintf("new-%d-%d", round, i)}, http.StatusCreated, usage.Done,
				usage.UserCreated, usage.APIName("createUser"))
			d.do(a, http.MethodPost, "/v1/users", map[string]string{"userName": fmt.Sprintf("new-%d-%d", round, i)}, http.StatusConflict, usage.Refused,
				usage.UserCreated, usage.APIName("createUser"))
		}
		for _, p := range []string{"GOVERNANCE", "CREATE_PROJECT", "CREATE_FILTER"}[:2+round] {
			status := http.StatusCreated
			if round == 1 && p != "CREATE_FILTER" { // it is there already
				status = http.StatusOK
			}
			d.do(clerks[0], http.MethodPut, grant+p, map[string]string{"reason": "canary-reason"}, status, usage.Done,
				usage.PermissionGranted, usage.APIName("putUserGrant"))
		}
		for _, a := range people {
			d.do(a, http.MethodGet, "/v1/me", nil, http.StatusOK, usage.Done, usage.APIName("getMe"))
			d.do(a, http.MethodGet, "/v1/users", nil, http.StatusForbidden, usage.Refused, usage.APIName("listUsers"))
			d.do(a, http.MethodPost, "/v1/metrics/touches", map[string][]string{"names": {"cli:whoami", "console:help"}}, http.StatusNoContent, usage.Done,
				"cli:whoami", "console:help")
		}
		for _, a := range slices.Concat(admins, auditors) {
			d.do(a, http.MethodGet, "/v1/users/nobody-has-this", nil, http.StatusNotFound, usage.Failed, usage.APIName("getUser"))
		}
		// All the clerks preview a run, and one of them then starts it.
		for _, a := range clerks[round:] {
			d.do(a, http.MethodPost, "/v1/sources/corp/plan", nil, http.StatusOK, usage.Previewed, usage.RunStarted, usage.APIName("planSource"))
		}
		// Who is not known is not counted.
		w.call(http.MethodGet, "/v1/me", "", nil)
		w.call(http.MethodGet, "/v1/me", access.New(access.KindKey).Reveal(), nil)
		stop()
		d.restarted()
	}
	day(0)
	day(1)

	stop := w.with(counting)
	defer stop()
	r := w.call(http.MethodGet, "/v1/metrics/usage?days=1", admins[0].key, nil)
	report := want[admin.UsageReport](t, r, http.StatusOK)
	got := usage.Table{}
	for _, e := range report.Days {
		if e.Date != usage.DateOf(start) {
			t.Errorf("counted on %s, want the day of the test", e.Date)
		}
		got[usage.Bucket{Name: e.Name, Class: e.Class}] = e.Counts
	}
	if diff := cmp.Diff(d.total, got); diff != "" {
		t.Errorf("counters (-driver +report):\n%s", diff)
	}
	var all int64
	for _, c := range d.total {
		all += c.Total()
	}
	if sum := report.Workflows.Total.Total() + report.Touches.Total.Total(); sum != all || !report.Collecting {
		t.Errorf("the report counts %d, the driver %d; collecting %v", sum, all, report.Collecting)
	}
	for b, count := range (usage.Table{
		{Name: usage.UserCreated, Class: usage.ClassUserAdmin}:          {Done: 10, Refused: 10}, // five clerks
		{Name: usage.RunStarted, Class: usage.ClassUserAdmin}:           {Previewed: 5},          // four on the second turn are merged
		{Name: usage.APIName("getUser"), Class: usage.ClassOther}:       {Failed: 10},            // four bosses and an auditor
		{Name: usage.APIName("putUserGrant"), Class: usage.ClassOther}:  {},                      // one clerk
		{Name: usage.APIName("listUsers"), Class: usage.ClassDataUser}:  {Refused: 12},
		{Name: usage.APIName("reportTouches"), Class: usage.ClassOther}: {},
		{Name: "cli:whoami", Class: usage.ClassDataUser}:                {Done: 12},
	}) {
		if got[b] != count {
			t.Errorf("counter %v = %+v, want %+v", b, got[b], count)
		}
	}

	texts := map[string]string{"the download": string(r.body)}
	stored, _, err := w.store.List(t.Context(), "w/u/")
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range stored {
		if err != nil {
			t.Fatal(err)
		}
		texts["stored "+rec.Key] = rec.Key + string(rec.Value)
	}
	if len(texts) != 2 {
		t.Errorf("%d texts, want the download and one record", len(texts))
	}
	secret := []string{"corp", "ann", ann.String(), "canary", "new-", "nobody-has-this", "127.0.0.1", "GOVERNANCE", "rcl_"}
	for _, a := range slices.Concat(admins, clerks, auditors, people) {
		id, err := w.db.View().Now().OneUser(a.name)
		if err != nil {
			t.Fatal(err)
		}
		secret = append(secret, a.name, id.String(), strings.Split(a.key, "_")[2])
	}
	for where, text := range texts {
		for _, s := range secret {
			if strings.Contains(text, s) {
				t.Errorf("%s holds %q: %s", where, s, text)
			}
		}
	}
}

// The endpoints beside the admin API are counted as its operations are, streams too.
func TestUsageOfWhatIsNoOperationOfHuma(t *testing.T) {
	w := newWorld(t)
	ann := w.person(identity.Local, "ann")
	apps := w.actors(5, "app", usage.ClassDataUser, permissions.FetchPolicyInfo)
	bosses := w.actors(5, "boss", usage.ClassAdmin, permissions.ApplicationAdmin)
	stop := w.with(func(o *admin.Options) {
		o.Usage = usage.DefaultConfig()
		o.Backup = func(_ context.Context, to io.Writer) error {
			_, err := io.WriteString(to, "a copy")
			return err
		}
	})
	question := map[string]any{
		"subject": map[string]string{"type": "user", "id": ann.String()}, "action": map[string]string{"name": "GOVERNANCE"},
		"resource": map[string]string{"type": "rollcall", "id": "rollcall"},
	}
	for _, a := range apps {
		if r := w.call(http.MethodPost, "/access/v1/evaluation", a.key, question); r.status != http.StatusOK {
			t.Errorf("evaluation: status %d: %s", r.status, r.body)
		}
		w.call(http.MethodPost, "/access/v1/evaluation", a.key, "{")
		w.call(http.MethodGet, "/v1/backup", a.key, nil)
	}
	for _, a := range bosses {
		w.call(http.MethodGet, "/v1/backup", a.key, nil)
	}
	stop()
	days, err := w.db.Usage(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]usage.Day{{Date: usage.DateOf(start), Table: usage.Table{
		{Name: usage.APIName("accessEvaluation"), Class: usage.ClassDataUser}: {Done: 5, Failed: 5},
		{Name: usage.APIName("backup"), Class: usage.ClassDataUser}:           {Refused: 5},
		{Name: usage.BackupMade, Class: usage.ClassDataUser}:                  {Refused: 5},
		{Name: usage.APIName("backup"), Class: usage.ClassAdmin}:              {Done: 5},
		{Name: usage.BackupMade, Class: usage.ClassAdmin}:                     {Done: 5},
	}}}, days); d != "" {
		t.Errorf("kept (-want +got):\n%s", d)
	}
}

// Services are a class of their own, and a dry run is a preview.
func TestUsageOfServicesAndDryRuns(t *testing.T) {
	w := newWorld(t)
	boss := w.actors(1, "boss", usage.ClassAdmin, permissions.ApplicationAdmin, permissions.UserAdmin)[0]
	clerks := w.actors(5, "clerk", usage.ClassUserAdmin, permissions.UserAdmin)
	w.person(identity.Local, "ann")
	stop := w.with(func(*admin.Options) {})
	var services []string
	for i := range 5 {
		name := fmt.Sprint("service-", i)
		want[admin.Service](t, w.call(http.MethodPost, "/v1/services", boss.key, map[string]string{"name": name}), http.StatusCreated)
		key := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/"+name+"/keys", boss.key, map[string]string{"name": "first"}), http.StatusCreated)
		services = append(services, key.Secret)
	}
	stop()
	stop = w.with(counting)
	for _, key := range services {
		w.call(http.MethodGet, "/v1/me", key, nil)
	}
	for _, c := range clerks {
		r := w.call(http.MethodPut, "/v1/users/ann/grants/AUDIT?dryRun=true", c.key, map[string]string{"reason": "x"})
		if r.status >= 300 {
			t.Errorf("dry run: status %d: %s", r.status, r.body)
		}
	}
	stop()
	days, err := w.db.Usage(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]usage.Day{{Date: usage.DateOf(start), Table: usage.Table{
		{Name: usage.APIName("getMe"), Class: usage.ClassService}:          {Done: 5},
		{Name: usage.APIName("putUserGrant"), Class: usage.ClassUserAdmin}: {Previewed: 5},
		{Name: usage.PermissionGranted, Class: usage.ClassUserAdmin}:       {Previewed: 5},
	}}}, days); d != "" {
		t.Errorf("kept (-want +got):\n%s", d)
	}
}

// A preview that the same person then carries out is done, not previewed.
func TestUsagePreviews(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	boss := w.actors(1, "boss", usage.ClassAdmin, permissions.ApplicationAdmin)[0]
	clerks := w.actors(5, "clerk", usage.ClassUserAdmin, permissions.UserAdmin)
	stop := w.with(counting)
	for _, c := range clerks {
		w.call(http.MethodPost, "/v1/sources/corp/plan", c.key, nil)
	}
	w.call(http.MethodPost, "/v1/sources/corp/runs", clerks[0].key, nil)
	stop()
	report := want[admin.UsageReport](t, w.call(http.MethodGet, "/v1/metrics/usage", boss.key, nil), http.StatusOK)
	if c := report.Workflows.Total; c != (usage.Counts{Done: 1, Previewed: 4}) || report.Workflows.Shares.Previewed != 0.8 {
		t.Errorf("workflows %+v with shares %+v, want 1 done and 4 previewed", c, report.Workflows.Shares)
	}
}

func TestTouchesAreAClosedList(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("somebody")
	stop := w.with(counting)
	names := func(ns ...string) map[string][]string { return map[string][]string{"names": ns} }
	for _, bad := range []string{"cli:rm", "api:listUsers", "workflow:user_created", "ann@example.com", "touch:other", ""} {
		r := w.call(http.MethodPost, "/v1/metrics/touches", key, names("cli:grant", bad))
		p := wantProblem(t, r, http.StatusUnprocessableEntity, "unknown_usage_name")
		if bad != "" && strings.Contains(string(r.body), bad) {
			t.Errorf("the refusal repeats the name: %s", p.Detail)
		}
	}
	hundred := slices.Repeat([]string{"cli:grant"}, 100)
	w.call(http.MethodPost, "/v1/metrics/touches", key, names(hundred...))
	for _, bad := range []map[string][]string{names(), names(append(hundred, "cli:grant")...)} {
		wantProblem(t, w.call(http.MethodPost, "/v1/metrics/touches", key, bad), http.StatusUnprocessableEntity, "invalid_request")
	}
	stop()
	days, err := w.db.Usage(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	merged := usage.Table{{Name: usage.OtherTouches, Class: usage.ClassOther}: {Done: 100}}
	if d := cmp.Diff([]usage.Day{{Date: usage.DateOf(start), Table: merged}}, days); d != "" {
		t.Errorf("kept (-want +got):\n%s", d)
	}
}

// The first request of a command says which verb it is. Only one that is compiled in is
// counted, beside the request; nothing of another one is kept.
func TestVerbsAreAClosedList(t *testing.T) {
	for verb, want := range map[string]int64{"": 1, "whoami": 2, "rm -rf": 1, "whoami ann": 1, "cli:whoami": 1, "users": 2} {
		w := newWorld(t)
		_, key := w.caller("somebody")
		stop := w.with(counting)
		w.call(http.MethodGet, "/v1/me", key, nil, "Rollcall-Verb", verb)
		w.call(http.MethodGet, "/v1/me", "", nil, "Rollcall-Verb", verb) // nobody known
		stop()
		days, err := w.db.Usage(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		merged := usage.Table{{Name: usage.OtherTouches, Class: usage.ClassOther}: {Done: want}}
		if d := cmp.Diff([]usage.Day{{Date: usage.DateOf(start), Table: merged}}, days); d != "" {
			t.Errorf("with verb %q kept (-want +got):\n%s", verb, d)
		}
	}
}

// The one switch stops collecting; what was collected can still be read.
func TestUsageSwitchedOff(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("boss", permissions.ApplicationAdmin)
	stop := w.with(func(*admin.Options) {})
	w.call(http.MethodGet, "/v1/me", key, nil)
	if r := w.call(http.MethodPost, "/v1/metrics/touches", key, map[string][]string{"names": {"cli:grant"}}); r.status != http.StatusNoContent {
		t.Errorf("touches while nothing is collected: status %d, want 204", r.status)
	}
	stop()
	report := want[admin.UsageReport](t, w.call(http.MethodGet, "/v1/metrics/usage?days=400", key, nil), http.StatusOK)
	if report.Collecting || len(report.Days) != 0 || report.Touches.Total.Total() != 0 {
		t.Errorf("report %+v, want nothing, and that nothing is collected", report)
	}
	for _, days := range []string{"0", "401", "-1", "many"} {
		wantProblem(t, w.call(http.MethodGet, "/v1/metrics/usage?days="+days, key, nil), http.StatusUnprocessableEntity, "invalid_request")
	}
}

// Every operation that the table of workflows names exists.
func TestReportSpeaksOfWhatThereIs(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("boss", permissions.ApplicationAdmin)
	report := want[admin.UsageReport](t, w.call(http.MethodGet, "/v1/metrics/usage", key, nil), http.StatusOK)
	for _, o := range operations(t, w) {
		if n := usage.APIName(o.OperationID); slices.Contains(report.Touches.Quiet, n) != (o.OperationID != "reportTouches") {
			t.Errorf("is %s among the names without a count: %v", n, o.OperationID == "reportTouches")
		}
	}
}
