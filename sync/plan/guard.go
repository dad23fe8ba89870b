package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// The kinds of reasons for which a plan is held.
const (
	EmptyAnswer    = "empty_answer"
	Deactivations  = "deactivations"
	GroupsRemoved  = "groups_removed"
	MembersRemoved = "members_removed"
	OneGroup       = "members_of_one_group"
	Creations      = "creations"
	NamesChanged   = "names_changed"
	FieldChanged   = "field_changed"
	GroupsCreated  = "groups_created"
	MembersAdded   = "members_added"
	FirstRun       = "first_run"
	Raises         = "raises"
)

// Held says why a plan may not run before a person has approved it. It is an
// answer, not a fault: the read went well and nothing was changed.
type Held struct {
	Reasons []Reason `json:"reasons"`
	// Digest names what is to be approved: the steps of the kinds that crossed a
	// limit, and the configuration. The same steps have the same digest in the next
	// run.
	Digest string `json:"digest"`
	// Leavers counts the users whom the held plan would deactivate.
	Leavers int `json:"leavers"`
}

// Reason is one limit that was crossed.
type Reason struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	Of    int    `json:"of"`
	Limit string `json:"limit"` // in words: "10 % and at least 10, or 500"
	Text  string `json:"text"`
}

// String tells an administrator what happened and what to do.
func (h *Held) String() string {
	var b strings.Builder
	b.WriteString("held, nothing was changed:\n")
	for _, r := range h.Reasons {
		fmt.Fprintf(&b, "  %s\n", r.Text)
	}
	b.WriteString("Compare the plan with the directory; if it is right, approve this digest: " + h.Digest + "\n")
	if h.Leavers > 0 {
		fmt.Fprintf(&b, "While it waits, %s who left the directory stay active here. "+
			"To shut one of them out at once, disable him in Rollcall: a local disable wins over every source.\n",
			count(h.Leavers, "person", "people"))
	}
	return b.String()
}

// Guard returns why the plan may not run without approval, or nil.
func (p *Plan) Guard(l Limits) *Held {
	var h *Held
	for _, c := range p.checks(l) {
		if !c.over {
			continue
		}
		if h == nil {
			h = &Held{Leavers: p.Counts.Users.Removed}
		}
		h.Reasons = append(h.Reasons, c.Reason)
	}
	if h != nil {
		h.Digest = p.digest(p.touched(l))
	}
	return h
}

// check is one limit and how the plan stands to it.
type check struct {
	Reason
	over  bool
	field string // of FieldChanged
}

// crossing names what a check is about, among all checks of a plan.
func (c *check) crossing() string { return c.Kind + c.field }

// checks compares the plan with every limit that it comes near to at all, in a
// fixed order.
func (p *Plan) checks(l Limits) []check {
	n := &p.Counts
	cs := slices.Concat(
		p.emptyAnswers(),
		against(l.Deactivations, Deactivations, n.Users.Removed, n.UsersKnown, "%s of %s users deactivated%s"),
		against(l.GroupsRemoved, GroupsRemoved, n.Groups.Removed, n.GroupsKnown, "%s of %s groups removed%s"),
		against(l.MembersRemoved, MembersRemoved, n.Members.Removed, n.MembersKnown, "%s of %s memberships removed%s"),
		p.oneGroup(l.OneGroup),
		p.raises(),
	)
	if p.isFirst() {
		return append(cs, p.firstRun(l)...)
	}
	return slices.Concat(cs,
		against(l.Creations, Creations, n.Users.Created, n.UsersKnown, "%s users created beside %s known%s"),
		against(l.NamesChanged, NamesChanged, n.Renamed, n.UsersKnown, "%s of %s login names changed%s"),
		p.fieldsChanged(l.FieldChanged),
		p.growth(l))
}

// growth compares what comes with what is there, and says so where it is too much. The
// first groups of a source come all at once.
func (p *Plan) growth(l Limits) []check {
	n := &p.Counts
	if n.GroupsKnown == 0 {
		return nil
	}
	return onlyOver(slices.Concat(
		against(l.GroupsCreated, GroupsCreated, n.Groups.Created, n.GroupsKnown, "%s groups created beside %s known%s"),
		against(l.MembersAdded, MembersAdded, n.Members.Created, n.MembersKnown, "%s memberships added beside %s known%s")))
}

// onlyOver keeps the checks of limits that are crossed.
func onlyOver(cs []check) []check {
	return slices.DeleteFunc(cs, func(c check) bool { return !c.over })
}

// fieldsChanged names each field that changes of too many users. One of few is not worth a
// line.
func (p *Plan) fieldsChanged(l Limit) []check {
	changed := map[string]int{}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Op == UpdateUser {
			for j := range s.Changes {
				if s.Changes[j].churns() {
					changed[s.Changes[j].Field]++
				}
			}
		}
	}
	var cs []check
	for _, field := range slices.Sorted(maps.Keys(changed)) {
		text := "%s of %s users get another " + strings.ReplaceAll(quote(field), "%", "%%") + "%s"
		for _, c := range onlyOver(against(l, FieldChanged, changed[field], p.Counts.UsersKnown, text)) {
			c.field = field
			cs = append(cs, c)
		}
	}
	return cs
}

// churns reports whether a change of a user takes something away that was there, or shuts
// him out. What only comes does neither: an attribute that is mapped anew comes to everybody.
func (c *Change) churns() bool {
	switch c.Field {
	case "name", "dn", "unresolved":
		return false
	case "disabled":
		return len(c.After) > 0
	}
	return len(c.Before) > 0
}

// isFirst reports whether the source has never had a user.
func (p *Plan) isFirst() bool { return p.Counts.UsersKnown+p.Counts.UsersMissing == 0 }

// against compares one count with its limit. The text takes the count, the whole
// and the share.
func against(l Limit, kind string, n, of int, text string) []check {
	if n == 0 {
		return nil
	}
	words := l.words()
	return []check{{
		Reason: Reason{
			Kind: kind, Count: n, Of: of, Limit: words,
			Text: fmt.Sprintf(text, thousands(n), thousands(of), share(n, of)) + ", limit " + words,
		},
		over: l.over(n, of),
	}}
}

// words says the limit as an administrator would.
func (l Limit) words() string {
	s := percent(l.Share)
	if l.AtLeast > 1 {
		s += " and at least " + thousands(l.AtLeast)
	}
	if l.Count > 0 {
		s += ", or " + thousands(l.Count)
	}
	return s
}

// emptyAnswers finds the reads that saw nothing at all of what the roll has. A bind
// account that lost its rights gets exactly that, with success as the result; so no
// limit can switch this check off. A read of changes sees nothing on most days.
func (p *Plan) emptyAnswers() []check {
	if p.Reach != identity.ReachFull {
		return nil
	}
	var cs []check
	for _, x := range []struct {
		seen, removed, known int
		what                 string
	}{
		{p.Counts.UsersSeen, p.Counts.Users.Removed, p.Counts.UsersKnown, "users"},
		{p.Counts.GroupsSeen, p.Counts.Groups.Removed, p.Counts.GroupsKnown, "groups"},
	} {
		if x.seen > 0 || x.removed == 0 {
			continue
		}
		cs = append(cs, check{over: true, Reason: Reason{
			Kind: EmptyAnswer, Count: x.removed, Of: x.known, Limit: "never without approval",
			Text: fmt.Sprintf("the directory answered with no %s at all, the roll has %s: "+
				"look at the rights of the bind account, the base and the filter", x.what, thousands(x.known)),
		}})
	}
	return cs
}

// oneGroup reports the groups that lose too many of their members, the largest
// share first, in one line.
func (p *Plan) oneGroup(l GroupLimit) []check {
	var worst *Step
	more := -1
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Op != ChangeMembers || !l.over(len(s.Remove), s.MembersKnown) {
			continue
		}
		more++
		if worst == nil || len(s.Remove)*worst.MembersKnown > len(worst.Remove)*s.MembersKnown {
			worst = s
		}
	}
	if worst == nil {
		return nil
	}
	words := fmt.Sprintf("%s of a group of more than %d", percent(l.Share), l.LargerThan)
	text := fmt.Sprintf("%s of %s members of %s removed%s, limit %s", thousands(len(worst.Remove)),
		thousands(worst.MembersKnown), quote(worst.Name), share(len(worst.Remove), worst.MembersKnown), words)
	if more > 0 {
		text += fmt.Sprintf("; so are those of %s more", count(more, "group", "groups"))
	}
	return []check{{over: true, Reason: Reason{
		Kind: OneGroup, Count: len(worst.Remove), Of: worst.MembersKnown, Limit: words, Text: text,
	}}}
}

// firstRun lets a source without users be filled, unless it was told to ask.
func (p *Plan) firstRun(l Limits) []check {
	n := p.Counts.Users.Created
	if l.FirstRun != FirstRunAsk || n == 0 {
		return nil
	}
	return []check{{over: true, Reason: Reason{
		Kind: FirstRun, Count: n, Limit: "first_run: ask",
		Text: fmt.Sprintf("the first run would create %s, and first_run is set to ask", count(n, "user", "users")),
	}}}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// share returns " (0.2 %)", or nothing where there is nothing to compare with.
func share(n, of int) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s)", percent(float64(n)*100/float64(of)))
}

// percent gives one decimal place, and none where it would be zero.
func percent(p float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(p, 'f', 1, 64), ".0") + " %"
}

// thousands groups the digits of a count.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
