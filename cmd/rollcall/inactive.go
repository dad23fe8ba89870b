package main

import "github.com/rollcall-id/rollcall/client"

// notAllowed says, behind what was put on top here, that it does not count.
const notAllowed = " (does not count: the source does not allow it)"

// local lists what was put on top of a user or a group, and what of it does not count.
func (b *block) local(attributes map[string][]string, inactive string, groups []client.Subject, out []client.InactiveGroup) {
	b.attributes(attributes)
	if inactive != "" {
		b.add("attributes", "do not count: the source does not allow it")
	}
	b.add("groups", "%s", subjectNames(groups))
	if len(out) > 0 {
		names := make([]client.Subject, len(out))
		for i, g := range out {
			names[i] = client.Subject{Name: g.Name}
		}
		b.add("not in", "%s%s", subjectNames(names), notAllowed)
	}
}

// memberOrigins says who put a member into a group, and whether that counts.
func memberOrigins(m *client.GroupMember, by string) string {
	if m.Inactive != "" {
		return by + notAllowed
	}
	return by
}
