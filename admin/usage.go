package admin

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/usage"
)

// usageEvery is how often what was counted is kept. A crash loses as much.
const usageEvery = 5 * time.Minute

// reportTouches is the operation by which clients report touches. It counts what it is
// told, not itself.
const reportTouches = "reportTouches"

// workflows says which operations complete one. An operation may have its row before it
// is there.
var workflows = map[string]usage.Name{
	"createUser": usage.UserCreated, "updateUser": usage.UserChanged, "deleteUser": usage.UserDeleted,
	"disableUser": usage.UserDisabled, "enableUser": usage.UserEnabled,
	"createGroup": usage.GroupCreated, "updateGroup": usage.GroupChanged, "deleteGroup": usage.GroupDeleted,
	"putUserMember": usage.MemberAdded, "putGroupMember": usage.MemberAdded, "changeMembers": usage.MembersChanged,
	"deleteUserMember": usage.MemberRemoved, "deleteGroupMember": usage.MemberRemoved,
	"putUserAttribute": usage.AttributeSet, "putGroupAttribute": usage.AttributeSet,
	"deleteUserAttribute": usage.AttributeRemoved, "deleteGroupAttribute": usage.AttributeRemoved,
	"putUserGrant": usage.PermissionGranted, "putGroupGrant": usage.PermissionGranted, "batchGrants": usage.PermissionsGranted,
	"deleteUserGrant": usage.PermissionRevoked, "deleteGroupGrant": usage.PermissionRevoked, "putUserGrants": usage.PermissionsReplaced, "putGroupGrants": usage.PermissionsReplaced,
	"createPermission": usage.CustomPermissionCreated, "deletePermission": usage.CustomPermissionDeleted,
	"putSettings": usage.SettingChanged, "putDefaultPermissions": usage.DefaultsChanged,
	"createSource": usage.SourceAdded, "updateSource": usage.SourceChanged, "putSource": usage.SourceChanged,
	"deleteSource": usage.SourceDeleted, "testSource": usage.SourceTested, "trySourceUser": usage.SourceTested,
	"startRun": usage.RunStarted, "planSource": usage.RunStarted, "approvePlan": usage.RunApproved,
	"createKey": usage.KeyCreated, "createServiceKey": usage.KeyCreated, "createSourceToken": usage.KeyCreated, "rotateServiceKey": usage.KeyRotated,
	"deleteKey": usage.KeyRevoked, "deleteServiceKey": usage.KeyRevoked,
	"createService": usage.ServiceCreated, "updateService": usage.ServiceChanged, "deleteService": usage.ServiceDeleted,
	"explainPermission": usage.PermissionExplained, "exportAudit": usage.AuditExported, "backup": usage.BackupMade,
}

// previews are the operations that only say what another one would do.
var previews = []string{"planSource"}

// counter counts what callers do, and keeps it. Who they are it knows in memory only.
type counter struct {
	tally *usage.Tally
	now   func() time.Time
	log   *slog.Logger
	db    *state.DB
	turn  chan struct{}         // of one place: who holds it keeps what is due
	names map[string]usage.Name // by operation
	verbs map[string]usage.Name // of the command line, by what is typed

	mu      sync.Mutex // guards what follows
	classes map[identity.UserID]classed
	day     usage.Date
	ends    time.Time // when day is over
}

// classed is the class that somebody had in a snapshot. It is looked up again for the
// next snapshot, and after a while, because grants expire.
type classed struct {
	who   string
	class usage.Class
	rev   store.Revision
	until time.Time
}

// maxClassed bounds how many classes are remembered.
const maxClassed = 10_000

// newCounter returns a counter that knows the operations of the API, or nil.
func newCounter(a *API, c usage.Config) *counter {
	if !c.Collect {
		return nil
	}
	ids := a.operationIDs()
	k := &counter{
		tally: usage.NewTally(usage.All(ids)), now: a.now, log: a.log, db: a.db,
		turn: make(chan struct{}, 1), names: map[string]usage.Name{}, verbs: map[string]usage.Name{}, classes: map[identity.UserID]classed{},
	}
	for _, id := range ids {
		k.names[id] = usage.APIName(id)
	}
	for _, n := range usage.Presented() {
		if n.Kind() == usage.KindCLI {
			k.verbs[n.What()] = n
		}
	}
	return k
}

// operationIDs returns the ids of all operations, in order.
func (a *API) operationIDs() []string {
	var ids []string
	for _, p := range a.huma.OpenAPI().Paths {
		for _, o := range pathOperations(p) {
			if o != nil && o.Tags[0] != "Document" && o.OperationID != "accessConfiguration" { // those are for everybody, and not counted
				ids = append(ids, o.OperationID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// count counts a request of a known caller by how it was answered. dryRun is the
// parameter of that name.
func (a *API) count(c access.Caller, operation string, status int, dryRun string) {
	c = c.Real()
	if a.counter == nil || c.User.IsZero() || operation == reportTouches {
		return
	}
	name, ok := a.counter.names[operation]
	if !ok {
		return // a path that is no operation
	}
	o := outcomeOf(status)
	if o == usage.Done && (dryRun == "true" || slices.Contains(previews, operation)) {
		o = usage.Previewed
	}
	a.counter.add(c, o, name)
	if w, ok := workflows[operation]; ok {
		a.counter.add(c, o, w)
	}
}

// verbHeader is what the first request of a command carries: the verb, as it was typed.
const verbHeader = "Rollcall-Verb"

// countVerb counts a verb of the command line that a known caller used. What is not in the
// list that is compiled in is nothing.
func (a *API) countVerb(c access.Caller, verb string) {
	c = c.Real()
	if verb == "" || a.counter == nil || c.User.IsZero() {
		return
	}
	if v, ok := a.counter.verbs[verb]; ok {
		a.counter.add(c, usage.Done, v)
	}
}

// add counts one thing that a caller did.
func (k *counter) add(c access.Caller, o usage.Outcome, n usage.Name) {
	who, today := k.classOf(k.db.View().Now(), c)
	if err := k.tally.Add(today, usage.Event{Who: who.who, Class: who.class, Name: n, Outcome: o}); err != nil {
		k.log.Debug("not counted", "name", string(n), "err", err)
	}
}

// classOf returns in which class a caller counts, and on which day.
func (k *counter) classOf(snap *state.Snapshot, c access.Caller) (classed, usage.Date) {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !now.Before(k.ends) || now.Before(k.ends.Add(-24*time.Hour)) {
		k.day = usage.DateOf(now)
		k.ends = now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	}
	known, ok := k.classes[c.User]
	if !ok || known.rev != snap.Rev() || !now.Before(known.until) {
		if len(k.classes) >= maxClassed {
			clear(k.classes)
		}
		e := snap.Book().Effective(snap, c.User, now)
		known = classed{c.User.String(), usage.ClassOf(e.Personas()), snap.Rev(), now.Add(time.Minute)}
		k.classes[c.User] = known
	}
	if c.Kind == access.KindService {
		known.class = usage.ClassService
	}
	return known, k.day
}

// outcomeOf returns what a status means for whoever asked.
func outcomeOf(status int) usage.Outcome {
	switch status {
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusPreconditionFailed, http.StatusTooManyRequests:
		return usage.Refused
	}
	if status >= http.StatusBadRequest {
		return usage.Failed
	}
	return usage.Done // also 0: a stream that net/http begins with 200
}

// CountUsage keeps what was counted, every few minutes and once more when ctx has
// ended: end it after the last request was answered. It returns when that is done.
func (a *API) CountUsage(ctx context.Context) error {
	if a.counter == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(usageEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.counter.keep(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			a.counter.keep(last)
			return nil
		}
	}
}

// keep adds what is due to what is kept. What cannot be kept now is due again.
func (k *counter) keep(ctx context.Context) {
	k.turn <- struct{}{}
	defer func() { <-k.turn }()
	for _, c := range k.tally.Due() {
		if err := k.db.AddUsage(ctx, c.Date, c.Table); err != nil {
			k.log.WarnContext(ctx, "counts of use not kept, tried again later", "err", err)
			return
		}
		k.tally.Given(c)
	}
	k.tally.Forget(usage.DateOf(k.now()))
}

// usageNames returns what the report may speak of: what this API can count.
func (a *API) usageNames() []usage.Name {
	ids := a.operationIDs()
	countable := map[usage.Name]bool{}
	for _, id := range ids {
		countable[workflows[id]] = true
	}
	return slices.DeleteFunc(usage.All(ids), func(n usage.Name) bool {
		return n == usage.APIName(reportTouches) || n.IsWorkflow() && !countable[n]
	})
}
