package state

import (
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// SourceConfig is the configuration of a source that was made over the API. It refers to
// secrets and holds none.
type SourceConfig struct {
	V      int            `json:"v"`
	Kind   string         `json:"kind"`
	Config jsontext.Value `json:"cfg"` // the other keys of a section of the file, in JSON
	By     string         `json:"by"`
	At     time.Time      `json:"at"`

	Unknown jsontext.Value `json:",embed"`

	rev store.Revision
}

// Rev returns the revision at which it was last written.
func (c SourceConfig) Rev() store.Revision { return c.rev }

// sourceConfigs is all of them, copied when one changes.
type sourceConfigs struct {
	of  map[identity.SourceID]SourceConfig
	rev store.Revision // at which one was last written or removed
}

// SourceConfig returns the configuration of a source that was made over the API.
func (s *Snapshot) SourceConfig(id identity.SourceID) (SourceConfig, bool) {
	c, ok := s.configs.of[id]
	return c, ok
}

// SourceConfigs returns the ids of the sources that were made over the API, sorted, and
// the revision at which any of them last changed.
func (s *Snapshot) SourceConfigs() ([]identity.SourceID, store.Revision) {
	return slices.Sorted(maps.Keys(s.configs.of)), s.configs.rev
}

func (e *editor) sourceConfig(key string, v rawValue) error {
	id := intern(e.names, identity.SourceID(key[len(keyConfig):]))
	next := maps.Clone(e.configs.of)
	if next == nil {
		next = map[identity.SourceID]SourceConfig{}
	}
	if v.raw == "" {
		delete(next, id)
	} else {
		var c SourceConfig
		if err := decode(key, []byte(v.raw), &c); err != nil {
			return err
		}
		c.rev = v.rev
		next[id] = c
	}
	e.configs = sourceConfigs{next, v.rev}
	return nil
}

// PutSourceConfig stores the configuration of a source, which marks it: its next run
// waits for approval if it raises anybody. Rev is the revision of the one that it
// replaces, 0 for a new one.
type PutSourceConfig struct {
	Source  identity.SourceID
	Kind    string
	Config  jsontext.Value
	Rev     store.Revision
	Action  string // what happened: SourceCreated, SourceChanged, SourceDisabled or SourceEnabled
	Changes []audit.Change
}

func (c PutSourceConfig) build(t *txn) error {
	key := keyConfig + string(c.Source)
	have := t.snap.configs.of[c.Source]
	if have.rev != c.Rev {
		return fault.New(fault.Stale, "stale", "source %s was changed since it was read: read it again and decide anew", c.Source)
	}
	st := t.snap.Source(c.Source)
	if !st.Leaving.IsZero() {
		return fault.New(fault.Conflict, "source_leaving", "source %s is still being deleted: wait until it is gone", c.Source)
	}
	t.base(key, c.Rev)
	t.base(keySource+string(c.Source), st.rev)
	st.V, st.Marked = format, t.now
	if err := t.put(keySource+string(c.Source), &st); err != nil {
		return err
	}
	t.event(audit.Event{Action: c.Action, Target: "source/" + string(c.Source), Changes: c.Changes})
	if c.Rev == 0 {
		if err := t.dropDefaults(c.Source); err != nil {
			return err
		}
	}
	return t.put(key, &SourceConfig{V: format, Kind: c.Kind, Config: c.Config, By: t.by.String(), At: t.now})
}

// LeaveSource takes a source away with all that came from it. It takes effect at once:
// its people and groups count for nothing from then on, and the leader removes them with
// what hangs on them, however many they are.
type LeaveSource struct {
	Source identity.SourceID
	Counts []audit.Change // what goes, for the audit log
}

func (c LeaveSource) build(t *txn) error {
	st := t.snap.Source(c.Source)
	if !st.Leaving.IsZero() {
		return fault.New(fault.Conflict, "source_leaving", "source %s is being deleted already", c.Source)
	}
	if cfg, ok := t.snap.configs.of[c.Source]; ok {
		t.base(keyConfig+string(c.Source), cfg.rev)
		t.write(store.Delete(keyConfig + string(c.Source)))
	}
	for _, tok := range t.snap.PushTokens(c.Source) {
		if err := (RemoveToken{ID: tok.ID}).build(t); err != nil {
			return err
		}
	}
	if err := t.dropDefaults(c.Source); err != nil {
		return err
	}
	t.base(keySource+string(c.Source), st.rev)
	t.event(audit.Event{Action: "SourceDeleted", Target: "source/" + string(c.Source), Changes: c.Counts})
	return t.put(keySource+string(c.Source), &SourceState{V: format, Leaving: t.now})
}

// Standing makes a push rest on its source being neither deleted nor otherwise changed
// since the snapshot. It writes nothing.
type Standing struct{ Source identity.SourceID }

func (c Standing) build(t *txn) error {
	st := t.snap.Source(c.Source)
	if !st.Leaving.IsZero() {
		return fault.New(fault.Conflict, "source_leaving", "source %s is being deleted", c.Source)
	}
	t.base(keySource+string(c.Source), st.rev)
	return nil
}
