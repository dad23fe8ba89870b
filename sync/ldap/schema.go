package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
)

// silentAttributes lists the mapped attributes that a domain controller computes, or
// keeps to itself: they change without any word of a change. Of the schema that is the
// system flags NOT_REPLICATED and CONSTRUCTED, and the odd link ids of back links
// (MS-ADTS §2.2.10, §3.1.1.2.3). A filter with one is an error: people would come into
// reach and leave it unseen.
func (r *reading) silentAttributes(ctx context.Context) ([]string, error) {
	var mapped, deciding []string
	for _, h := range []*half{&r.users, &r.groups} {
		if len(h.where.Bases) == 0 {
			continue
		}
		deciding = append(deciding, filterAttributes(h.where.Filter)...)
		for i, a := range h.m.request {
			if h.m.use[i].hashed && !strings.EqualFold(a, computedControl) {
				mapped = append(mapped, a)
			}
		}
	}
	silent, err := r.amongSilent(ctx, slices.Concat(mapped, deciding))
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(deciding, func(a string) bool { return silent[strings.ToLower(a)] }); i >= 0 {
		return nil, fmt.Errorf("a filter names %s, which changes without a word of the domain controller", deciding[i])
	}
	mapped = slices.DeleteFunc(mapped, func(a string) bool { return !silent[strings.ToLower(a)] })
	slices.Sort(mapped)
	return slices.Compact(mapped), nil
}

func (r *reading) amongSilent(ctx context.Context, names []string) (map[string]bool, error) {
	out := map[string]bool{}
	if r.c.root.schema == "" || len(names) == 0 {
		return out, nil
	}
	var any strings.Builder
	for _, a := range names {
		fmt.Fprintf(&any, "(lDAPDisplayName=%s)", escapeFilter(a))
	}
	const bit = ":1.2.840.113556.1.4.803:="
	g := region{
		base: r.c.root.schema, scope: goldap.ScopeSingleLevel, attrs: []string{"lDAPDisplayName"},
		filter: fmt.Sprintf("(&(objectClass=attributeSchema)(|%s)(|(systemFlags%s1)(systemFlags%s4)(linkID%s1)))", any.String(), bit, bit, bit),
	}
	_, err := r.c.search(ctx, g.request(), &handler{
		entry: func(e *Entry) error {
			out[strings.ToLower(string(e.First("lDAPDisplayName")))] = true
			return nil
		},
		broken: func([]byte, string) error { return nil },
	})
	if _, answered := errors.AsType[*goldap.Error](err); err != nil && (!answered || r.c.conn.err() != nil) {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	return out, nil // without an answer, nothing can be said of them
}

// silently says what such attributes mean for who maps them.
func silently(attributes []string) []string {
	if len(attributes) == 0 {
		return nil
	}
	return []string{strings.Join(attributes, ", ") + " change without a word of the domain controller, and are read along with other changes of an entry"}
}

// filterAttributes lists the attributes that a filter (RFC 4515) names. Parentheses in
// values are escaped, so that each one begins or ends a part.
func filterAttributes(filter string) []string {
	var out []string
	for part := range strings.SplitSeq(filter, "(") {
		end := strings.IndexAny(part, "=<>~:")
		if end <= 0 || strings.ContainsAny(part[:1], "&|!") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSpace(part[:end]), ";")
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
