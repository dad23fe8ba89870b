package audit

import (
	"slices"
	"strings"
	"time"
)

// Envelope is an entry as it leaves the process: over the API, in an export, to a sink.
type Envelope struct {
	ID        string          `json:"id"`
	Seq       uint64          `json:"seq" doc:"Counts the entries from 1, in the order of their revisions"`
	Revision  int64           `json:"revision" doc:"Of the transaction that did it"`
	Time      time.Time       `json:"time"`
	Status    string          `json:"actionStatus" enum:"SUCCESS,DENIED"`
	Actions   []string        `json:"actions" doc:"What was done, each once"`
	Actor     EnvelopeActor   `json:"actor"`
	Origin    string          `json:"origin" doc:"The source whose run did it, or local"`
	RequestID string          `json:"requestId,omitzero"`
	RunID     string          `json:"runId,omitzero"`
	Targets   []string        `json:"targets" doc:"What it was done to, each once: user/<id>, group/<id>, source/<id>"`
	Events    []EnvelopeEvent `json:"events"`
}

// EnvelopeActor is who did it.
type EnvelopeActor struct {
	Type string `json:"type" doc:"USER, API_KEY, SCIM_TOKEN, SYNC, SYSTEM"`
	ID   string `json:"id"`
	Name string `json:"name,omitzero" doc:"As it was at the time"`
	Key  string `json:"key,omitzero" doc:"Public id of the API key that was used"`
}

// EnvelopeEvent is one change.
type EnvelopeEvent struct {
	Action     string           `json:"action"`
	TargetType string           `json:"targetType,omitzero"`
	Target     string           `json:"target,omitzero"`
	Name       string           `json:"name,omitzero" doc:"Of the target, as it was at the time"`
	Reason     string           `json:"reason,omitzero"`
	Changes    []EnvelopeChange `json:"changes,omitempty"`
}

// EnvelopeChange is one field, before and after.
type EnvelopeChange struct {
	Field  string   `json:"field"`
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`
}

// Envelope returns the entry as it leaves the process.
func (e *Entry) Envelope() Envelope {
	v := Envelope{
		ID: e.ID, Seq: e.Seq, Revision: int64(e.Rev), Time: e.At, Status: "SUCCESS", Origin: "local", RequestID: e.Actor.Request,
		Actor:   EnvelopeActor{Type: strings.ToUpper(string(e.Actor.Kind)), ID: e.Actor.ID, Name: e.Actor.Name, Key: e.Actor.Key},
		Actions: []string{}, Targets: []string{}, Events: make([]EnvelopeEvent, 0, len(e.Events)),
	}
	switch source, run, ok := strings.Cut(e.Actor.ID, "/"); {
	case ok && e.Actor.Kind == ActorSync:
		v.Origin, v.RunID = source, run
	case ok && e.Actor.Kind == ActorPush:
		v.Origin = source
	}
	targets := map[string]bool{}
	for _, x := range e.Events {
		if strings.HasSuffix(x.Action, "Denied") {
			v.Status = "DENIED"
		}
		if !slices.Contains(v.Actions, x.Action) {
			v.Actions = append(v.Actions, x.Action)
		}
		if x.Target != "" && !targets[x.Target] {
			targets[x.Target] = true
			v.Targets = append(v.Targets, x.Target)
		}
		v.Events = append(v.Events, envelopeEvent(x))
	}
	return v
}

func envelopeEvent(x Event) EnvelopeEvent {
	kind, _, _ := strings.Cut(x.Target, "/")
	out := EnvelopeEvent{Action: x.Action, TargetType: strings.ToUpper(kind), Target: x.Target, Name: x.Name, Reason: x.Reason}
	for _, c := range x.Changes {
		out.Changes = append(out.Changes, EnvelopeChange(c))
	}
	return out
}
