package admin

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// SourceEditor knows what a configuration of a source has to be, and runs what is stored.
// All methods may be called concurrently.
type SourceEditor interface {
	// Check reads a configuration as the daemon's file is read, and returns everything that
	// is wrong with it. It repeats no secret.
	Check(id identity.SourceID, kind string, cfg []byte) []InvalidMember
	// Try tries a configuration that Check finds nothing wrong with, step by step.
	Try(ctx context.Context, id identity.SourceID, kind string, cfg []byte) (iter.Seq[TestStep], error)
	// TakeOver makes this process run what is stored; other replicas follow by themselves.
	TakeOver(ctx context.Context) error
}

// fileOnly is for a process whose sources are those of its file.
type fileOnly struct{}

func (fileOnly) Check(identity.SourceID, string, []byte) []InvalidMember {
	return []InvalidMember{{Location: "body.config", Message: "this daemon only has the sources of its file"}}
}

func (fileOnly) Try(context.Context, identity.SourceID, string, []byte) (iter.Seq[TestStep], error) {
	return nil, fault.New(fault.Conflict, "sources_in_file", "this daemon only has the sources of its file")
}

func (fileOnly) TakeOver(context.Context) error { return nil }

// NewSource is a source to be made.
type NewSource struct {
	ID     string         `json:"id" minLength:"1" maxLength:"40" doc:"Marks all that comes from the source, and never changes"`
	Kind   string         `json:"kind,omitzero" enum:"ldap,scim" doc:"ldap, the default, is read on a schedule; scim is pushed to"`
	Config map[string]any `json:"config" doc:"The keys of a source in the daemon's file, without name and type. Secrets are referred to: {credential: name}, {env: NAME} or {file: path}, as far as the daemon's section secrets allows"`
}

// SourceConfig is the configuration of a source that was made over the API.
type SourceConfig struct {
	Config map[string]any `json:"config" doc:"As for a new source; the whole"`
}

// DisabledSource says that a source is kept from running.
type DisabledSource struct {
	ID       identity.SourceID `json:"id"`
	Disabled bool              `json:"disabled" doc:"Whether it is kept from running"`
}

type (
	createSourceInput struct {
		Trial
		Body NewSource
	}
	createSourceOutput struct {
		Location string `header:"Location"`
		ETag     string `header:"ETag"`
		Body     SourceDetail
	}
	changeSourceInput struct {
		SourcePath
		Trial
		Replacing
		Body SourceConfig
	}
	sourceSwitch struct {
		SourcePath
		Trial
	}
	disabledSourceOutput struct{ Body DisabledSource }
	trySourceInput       struct {
		Trial
		Body NewSource
	}
)

func (a *API) sourceEditRoutes() {
	register(a, operation{
		id: "createSource", method: http.MethodPost, path: "/v1/sources", tag: "Sources", need: setup, status: http.StatusCreated,
		summary: "Create a source", errors: []int{http.StatusConflict},
	}, a.createSource)
	register(a, operation{
		id: "changeSource", method: http.MethodPut, path: "/v1/sources/{source}", tag: "Sources", need: setup,
		summary: "Change the configuration of a source that was made over the API; one of the daemon's file is changed there",
		errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired},
	}, a.changeSource)
	register(a, operation{
		id: "tryConfiguration", method: http.MethodPost, path: "/v1/sources/configuration/test", tag: "Sources", need: setup, timeout: long,
		summary: "Try a configuration step by step without storing it",
	}, a.trySource)
	register(a, operation{
		id: "disableSource", method: http.MethodPut, path: "/v1/sources/{source}/disabled", tag: "Sources", need: setup,
		summary: "Keep a source from being read or pushed to; what came from it stays as it is",
		errors:  []int{http.StatusNotFound, http.StatusConflict}, noBody: true,
	}, a.disableSource)
	register(a, operation{
		id: "enableSource", method: http.MethodDelete, path: "/v1/sources/{source}/disabled", tag: "Sources", need: setup,
		summary: "Let a disabled source run again", status: http.StatusOK, errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.enableSource)
}

// configuration returns a configuration as it is stored, or everything that is wrong with it.
func (a *API) configuration(ctx context.Context, id, kind string, cfg map[string]any) (identity.SourceID, jsontext.Value, error) {
	source, err := identity.ParseSourceID(id)
	if err != nil || source == identity.Local {
		return "", nil, a.badConfiguration(ctx, InvalidMember{"body.id", "is no name for a source: lower-case letters, digits and dashes, and not local"})
	}
	if cfg == nil {
		cfg = map[string]any{}
	}
	text, err := json.Marshal(cfg, json.Deterministic(true))
	if err != nil {
		return "", nil, a.badConfiguration(ctx, InvalidMember{"body.config", "is not JSON that can be kept"})
	}
	if wrong := a.editor.Check(source, kind, text); len(wrong) > 0 {
		return "", nil, a.badConfiguration(ctx, wrong...)
	}
	return source, text, nil
}

func (a *API) badConfiguration(ctx context.Context, wrong ...InvalidMember) error {
	p := problemWith(ctx, http.StatusBadRequest, "bad_configuration", "the configuration is wrong, and nothing was stored: correct what errors lists")
	p.Errors = wrong
	return p
}

// stored returns the configuration of a source that may be changed over the API.
func (a *API) stored(s *state.Snapshot, id string) (state.SourceConfig, error) {
	for _, has := range a.sync.Sources() {
		if string(has.ID) == id && has.File != "" {
			return state.SourceConfig{}, fault.New(fault.Conflict, "source_in_file",
				"source %s is declared in %s: change it there, and reload the daemon (SIGHUP)", id, has.File)
		}
	}
	c, ok := s.SourceConfig(identity.SourceID(id))
	if !ok {
		return c, fault.New(fault.NotFound, "source_not_found", "there is no such source; GET /v1/sources lists them")
	}
	return c, nil
}

func (a *API) createSource(ctx context.Context, in *createSourceInput) (*createSourceOutput, error) {
	kind := cmp.Or(in.Body.Kind, "ldap")
	id, text, err := a.configuration(ctx, in.Body.ID, kind, in.Body.Config)
	if err != nil {
		return nil, err
	}
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		if err := a.sourceNameFree(s, id); err != nil {
			return nil, err
		}
		return append([]state.Change{state.PutSourceConfig{
			Source: id, Kind: kind, Config: text, Action: "SourceCreated", Changes: configChanges(nil, text),
		}}, barring(s, id, text)...), nil
	})
	if err != nil {
		return nil, err
	}
	out := &createSourceOutput{Location: "/v1/sources/" + url.PathEscape(string(id))}
	out.Body, out.ETag, err = a.taken(ctx, snap, id)
	return out, err
}

// sourceNameFree refuses a name that a source has, or that what is in the roll came from:
// a new source would inherit people that are not its.
func (a *API) sourceNameFree(s *state.Snapshot, id identity.SourceID) error {
	for _, has := range a.sync.Sources() {
		if has.ID == id && has.File != "" {
			return fault.New(fault.Exists, "source_in_file", "source %s is declared in %s: choose another name", id, has.File)
		}
	}
	if _, ok := s.SourceConfig(id); ok {
		return fault.New(fault.Exists, "source_exists", "there is already a source %s", id)
	}
	if n := s.Counts()[id]; n != (state.Counts{}) || !s.Source(id).Leaving.IsZero() {
		return fault.New(fault.Exists, "source_left",
			"the roll still has %d users and %d groups of a source %s that was taken away: delete them first, or choose another name",
			n.Users+n.UsersMissing, n.Groups+n.GroupsMissing, id)
	}
	return nil
}

func (a *API) changeSource(ctx context.Context, in *changeSourceInput) (*tagged[SourceDetail], error) {
	was, err := a.stored(a.db.View().Now(), in.Source)
	if err != nil {
		return nil, err
	}
	id, text, err := a.configuration(ctx, in.Source, was.Kind, in.Body.Config)
	if err != nil {
		return nil, err
	}
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		was, err := a.stored(s, in.Source)
		if err != nil {
			return nil, err
		}
		if err := in.matches(ctx, was.Rev()); err != nil {
			return nil, err
		}
		return append(a.replaced(id, was, text, "SourceChanged"), barring(s, id, text)...), nil
	})
	if err != nil {
		return nil, err
	}
	body, tag, err := a.taken(ctx, snap, id)
	return &tagged[SourceDetail]{Status: http.StatusOK, ETag: tag, CacheControl: "private, no-cache", Body: &body}, err
}

// replaced returns what replaces a configuration; nothing where it says the same.
func (a *API) replaced(id identity.SourceID, was state.SourceConfig, text jsontext.Value, action string) []state.Change {
	changes := configChanges(was.Config, text)
	if len(changes) == 0 {
		return nil
	}
	return []state.Change{state.PutSourceConfig{Source: id, Kind: was.Kind, Config: text, Rev: was.Rev(), Action: action, Changes: changes}}
}

func (a *API) disableSource(ctx context.Context, in *sourceSwitch) (*disabledSourceOutput, error) {
	return a.turn(ctx, in.Source, "SourceDisabled", false)
}

func (a *API) enableSource(ctx context.Context, in *sourceSwitch) (*disabledSourceOutput, error) {
	return a.turn(ctx, in.Source, "SourceEnabled", true)
}

// turn sets the key enabled of a configuration.
func (a *API) turn(ctx context.Context, id, action string, enabled any) (*disabledSourceOutput, error) {
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		was, err := a.stored(s, id)
		if err != nil {
			return nil, err
		}
		cfg := configOf(was.Config)
		if on, said := cfg["enabled"]; on == enabled || !said && enabled == true {
			return nil, nil
		}
		cfg["enabled"] = enabled
		text, err := json.Marshal(cfg, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		return a.replaced(identity.SourceID(id), was, text, action), nil
	})
	if err != nil {
		return nil, err
	}
	if _, _, err := a.taken(ctx, snap, identity.SourceID(id)); err != nil {
		return nil, err
	}
	return &disabledSourceOutput{Body: DisabledSource{ID: identity.SourceID(id), Disabled: enabled == false}}, nil
}

func (a *API) trySource(ctx context.Context, in *trySourceInput) (*testOutput, error) {
	kind := cmp.Or(in.Body.Kind, "ldap")
	id, text, err := a.configuration(ctx, in.Body.ID, kind, in.Body.Config)
	if err != nil {
		return nil, err
	}
	steps, err := a.editor.Try(ctx, id, kind, text)
	if err != nil {
		return nil, err
	}
	return report(ctx, steps)
}

func report(ctx context.Context, steps iter.Seq[TestStep]) (*testOutput, error) {
	out := &testOutput{Body: TestReport{OK: true, Steps: []TestStep{}}}
	for step := range steps {
		out.Body.Steps = append(out.Body.Steps, step)
		out.Body.OK = out.Body.OK && step.OK
	}
	return out, ctx.Err()
}

// taken makes this process run what is stored, and returns the source as it then is. Of a
// dry run it returns what would be stored.
func (a *API) taken(ctx context.Context, snap *state.Snapshot, id identity.SourceID) (SourceDetail, string, error) {
	stored, ok := snap.SourceConfig(id)
	if !ok {
		return SourceDetail{}, "", fault.New(fault.Conflict, "source_gone", "source %s was deleted meanwhile", id)
	}
	s := Source{ID: id, Kind: stored.Kind, Disabled: configOf(stored.Config)["enabled"] == false}
	if !questionOf(ctx).dryRun {
		if err := a.editor.TakeOver(ctx); err != nil {
			return SourceDetail{}, "", err
		}
		all := a.sync.Sources()
		if i := slices.IndexFunc(all, func(has Source) bool { return has.ID == id }); i >= 0 {
			s = all[i]
		}
	}
	return a.sourceDetail(snap, &s)
}

// sourceDetail shows a source. Its tag rests on what is stored of its configuration.
func (a *API) sourceDetail(snap *state.Snapshot, s *Source) (SourceDetail, string, error) {
	d := SourceDetail{SourceSummary: a.sourceSummary(snap, s, snap.Counts()[s.ID]), Config: s.Config}
	stored, ok := snap.SourceConfig(s.ID)
	if !ok || s.File != "" {
		return d, "", nil
	}
	d.Written = configOf(stored.Config)
	tag, err := etag(stored.Rev(), d)
	return d, tag, err
}

// configOf reads a stored configuration.
func configOf(text jsontext.Value) map[string]any {
	cfg := map[string]any{}
	_ = json.Unmarshal(text, &cfg) // it was written by this API
	return cfg
}

// configChanges says what differs between two configurations, for the audit log. They
// hold no secrets.
func configChanges(was, is jsontext.Value) []audit.Change {
	before, after := map[string][]string{}, map[string][]string{}
	flatten(before, "config", configOf(was))
	flatten(after, "config", configOf(is))
	var out []audit.Change
	for field, values := range after {
		if !slices.Equal(before[field], values) {
			out = append(out, audit.Change{Field: field, Before: before[field], After: values})
		}
	}
	for field, values := range before {
		if _, kept := after[field]; !kept {
			out = append(out, audit.Change{Field: field, Before: values})
		}
	}
	slices.SortFunc(out, func(a, b audit.Change) int { return cmp.Compare(a.Field, b.Field) })
	return out
}

// flatten names each value by its path. A list of plain values is one value.
func flatten(into map[string][]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			flatten(into, path+"."+key, item)
		}
	case []any:
		for i, item := range v {
			switch item.(type) {
			case map[string]any, []any:
				flatten(into, path+"["+strconv.Itoa(i)+"]", item)
			default:
				into[path] = append(into[path], fmt.Sprint(item))
			}
		}
	default:
		into[path] = []string{fmt.Sprint(v)}
	}
}
