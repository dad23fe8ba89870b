package sync_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// picture returns what a snapshot says, by names and keys and without ids and
// revisions, sorted.
func picture(s *state.Snapshot) []string {
	var lines, edges []string
	label := map[identity.Member]string{}
	for row := range s.Users(identity.UserID{}, time.Time{}) {
		id, _ := row.Member.User()
		u, _, _ := s.User(id)
		label[row.Member] = "user " + string(row.Key)
		line := fmt.Sprintf("user %s %s", row.Key, row.Name)
		lines = append(lines, line+extra(u.Record, u.Missing, u.Local))
	}
	for row := range s.Groups(identity.GroupID{}) {
		id, _ := row.Member.Group()
		g, _, _ := s.Group(id)
		label[row.Member] = "group " + string(row.Key)
		line := fmt.Sprintf("group %s %s", row.Key, row.Name)
		lines = append(lines, line+extra(g.Record, g.Missing, g.Local))
	}
	for row := range s.Groups(identity.GroupID{}) {
		id, _ := row.Member.Group()
		for m := range s.Members(id) {
			edges = append(edges, fmt.Sprintf("%s > %s %s", row.Key, label[m.Member], joined(m.Origins)))
		}
	}
	slices.Sort(lines)
	slices.Sort(edges)
	return append(lines, edges...)
}

func joined(origins []identity.SourceID) string {
	text := ""
	for i, o := range origins {
		if i > 0 {
			text += "+"
		}
		text += string(o)
	}
	return text
}

func extra(r identity.Record, missing time.Time, l identity.LocalLayer) string {
	text := ""
	if len(r.Attributes) > 0 {
		text += fmt.Sprintf(" %v", r.Attributes)
	}
	if r.Disabled != "" {
		text += " " + string(r.Disabled)
	}
	if !missing.IsZero() {
		text += " missing"
	}
	if len(l.Attributes) > 0 || l.Disabled != nil {
		text += fmt.Sprintf(" local:%v,%v", l.Attributes, l.Disabled != nil)
	}
	return text
}

// counter counts from several goroutines.
type counter struct{ n atomic.Int64 }

// next returns how often it was called before.
func (c *counter) next() int { return int(c.n.Add(1)) - 1 }
