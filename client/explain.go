package client

import (
	"context"
	"time"
)

// ValueExplanation tells why an attribute, or a field of a profile, is what it is.
type ValueExplanation struct {
	Subject  Subject          `json:"subject"`
	Kind     string           `json:"kind"`
	Key      string           `json:"key"`
	Values   []ExplainedValue `json:"values"`
	Mappings []ValueMapping   `json:"mappings"`
	Sentence string           `json:"sentence"`
	Revision int64            `json:"revision"`
}

// ExplainedValue is a value with all that says it.
type ExplainedValue struct {
	Value  string        `json:"value"`
	Counts bool          `json:"counts"`
	From   []ValueOrigin `json:"from"`
}

// ValueOrigin is one that says a value.
type ValueOrigin struct {
	Origin  string        `json:"origin"`
	Counts  bool          `json:"counts"`
	Reason  string        `json:"reason,omitzero"`
	Mapping *ValueMapping `json:"mapping,omitzero"`
	Group   *Subject      `json:"group,omitzero"`
	Through []ValueStep   `json:"through,omitempty"`
	By      string        `json:"by,omitzero"`
	Time    time.Time     `json:"time,omitzero"`
	Note    string        `json:"note,omitzero"`
}

// ValueMapping is an entry of a source's configuration and what it reads.
type ValueMapping struct {
	Source string   `json:"source"`
	Entry  string   `json:"entry"`
	Raw    []string `json:"raw"`
}

// ValueStep is a membership on the way to a group.
type ValueStep struct {
	Group   Subject  `json:"group"`
	Origins []string `json:"origins"`
}

// ExplainAttribute tells why a user or a group has the values of an attribute.
func (c *Client) ExplainAttribute(ctx context.Context, of Target, key string) (*ValueExplanation, error) {
	return c.explainValue(ctx, of, "attributes", key)
}

// ExplainField tells why a field of the profile, the name or the status is what it is.
func (c *Client) ExplainField(ctx context.Context, of Target, field string) (*ValueExplanation, error) {
	return c.explainValue(ctx, of, "profile", field)
}

func (c *Client) explainValue(ctx context.Context, of Target, part, key string) (*ValueExplanation, error) {
	kind := "users"
	if of.Group {
		kind = "groups"
	}
	return get[ValueExplanation](ctx, c, nil, kind, of.Name, part, key, "explanation")
}
