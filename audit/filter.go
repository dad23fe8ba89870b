package audit

import (
	"slices"
	"strings"
	"time"
)

// Filter selects entries. What is empty selects all.
type Filter struct {
	Actor  string // an id, a name, or a kind with either: "user:ann"
	Action string // of any of its events: "PermissionGranted"
	Target string // of any of its events: "user/<id>"
	From   time.Time
	Until  time.Time // not included
	Text   string    // anywhere in it, in any case
	// About, when given, leaves only what concerns a target: entries that it made
	// as an actor, whole, and of the others the events about it alone.
	About string
}

// Apply returns the entry as the filter shows it, and whether it does.
func (f *Filter) Apply(e Entry) (Entry, bool) {
	if f.About != "" {
		e.Events = f.concerning(&e)
	}
	return e, len(e.Events) > 0 && f.match(&e)
}

func (f *Filter) match(e *Entry) bool {
	switch {
	case !f.From.IsZero() && e.At.Before(f.From), !f.Until.IsZero() && !e.At.Before(f.Until):
		return false
	case f.Actor != "" && !slices.Contains(actorTexts(&e.Actor), f.Actor):
		return false
	case f.Action != "" && !slices.ContainsFunc(e.Events, func(v Event) bool { return v.Action == f.Action }):
		return false
	case f.Target != "" && !slices.ContainsFunc(e.Events, func(v Event) bool { return v.Target == f.Target }):
		return false
	}
	return f.Text == "" || contains(e, strings.ToLower(f.Text))
}

func actorTexts(a *Actor) []string {
	kind := string(a.Kind) + ":"
	return []string{a.ID, a.Name, kind + a.ID, kind + a.Name}
}

// concerning returns the events that concern About.
func (f *Filter) concerning(e *Entry) []Event {
	if kind, id, ok := strings.Cut(f.About, "/"); ok && string(e.Actor.Kind) == kind && e.Actor.ID == id {
		return e.Events
	}
	var own []Event
	for _, v := range e.Events {
		if v.Target == f.About {
			own = append(own, v)
		} else if v, ok := f.membership(v); ok {
			own = append(own, v)
		}
	}
	return own
}

// membership returns what an event about the members of a group says of About: that it
// came or went, and nothing of anybody else.
func (f *Filter) membership(v Event) (Event, bool) {
	id, ok := strings.CutPrefix(f.About, "user/")
	if !ok || !strings.HasPrefix(v.Action, "GroupMember") {
		return v, false
	}
	me := "u" + id
	keep := func(list []string) []string {
		if slices.Contains(list, me) {
			return []string{me}
		}
		return nil
	}
	var changes []Change
	for _, c := range v.Changes {
		if c := (Change{c.Field, keep(c.Before), keep(c.After)}); len(c.Before)+len(c.After) > 0 {
			changes = append(changes, c)
		}
	}
	v.Changes = changes
	return v, len(changes) > 0
}

func contains(e *Entry, text string) bool {
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if in(e.Actor.ID) || in(e.Actor.Key) || in(e.Actor.Name) || in(e.Actor.Request) {
		return true
	}
	for i := range e.Events {
		v := &e.Events[i]
		if in(v.Action) || in(v.Target) || in(v.Name) || in(v.Reason) {
			return true
		}
		for _, c := range v.Changes {
			if in(c.Field) || slices.ContainsFunc(c.Before, in) || slices.ContainsFunc(c.After, in) {
				return true
			}
		}
	}
	return false
}
