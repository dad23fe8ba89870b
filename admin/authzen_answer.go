package admin

import (
	"strconv"
	"time"

	"github.com/rollcall-id/rollcall/permissions"
)

// evaluation answers a single question.
func (a *API) evaluation(c *accessCall) error {
	return c.evaluate(&c.q.authzenQuery)
}

func (c *accessCall) evaluate(q *authzenQuery) error {
	if wrong := q.lacks(wholeQuestion); wrong != "" {
		return badRequest(wrong)
	}
	if !c.mayAsk(q) {
		return deciding.denied()
	}
	v := c.decide(q)
	c.appendVerdict(&v)
	return nil
}

// evaluations answers several questions, each with what it does not say itself taken
// from the request. Without any it is a single one.
func (a *API) evaluations(c *accessCall) error {
	if len(c.q.items) == 0 {
		return c.evaluate(&c.q.authzenQuery)
	}
	if c.q.wrong != "" {
		return badRequest(c.q.wrong)
	}
	for i := range c.q.items {
		q := &c.q.items[i]
		q.under(&c.q.authzenQuery)
		if !c.mayAsk(q) {
			return deciding.denied()
		}
	}
	c.out = append(c.out, `{"evaluations":[`...)
	for i := range c.q.items {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		v := c.decide(&c.q.items[i])
		c.appendVerdict(&v)
		if c.q.semantic == denyOnFirstDeny && !v.Allowed || c.q.semantic == permitOnFirstPermit && v.Allowed {
			break
		}
	}
	c.out = append(c.out, `]}`...)
	return nil
}

// appendVerdict writes a decision. Nothing in it was sent by the caller, so nothing
// needs to be quoted.
func (c *accessCall) appendVerdict(v *verdict) {
	b := c.out
	if v.Allowed {
		b = append(b, `{"decision":true,"context":{`...)
	} else {
		b = append(b, `{"decision":false,"context":{`...)
	}
	switch {
	case v.wrong != "":
		b = append(b, `"error":{"status":400,"message":"`...)
		b = append(append(b, v.wrong...), `"},`...)
	case v.Why != "":
		b = append(append(append(b, `"reason":"`...), v.Why...), `",`...)
	}
	if v.Why == permissions.InactiveUser && v.Status != "" {
		b = append(append(append(b, `"status":"`...), v.Status...), `",`...)
	}
	if c.detailed && v.Setting != "" {
		b = append(append(append(b, `"setting":"`...), v.Setting...), `",`...)
	}
	if c.detailed && v.Grant != nil {
		b = append(append(append(b, `"grant":"`...), v.Grant.ID...), `",`...)
		if !v.Through.IsZero() {
			b, _ = v.Through.AppendText(append(b, `"through":"`...)) // never fails
			b = append(b, `",`...)
		}
	}
	c.out = append(c.appendRevision(b), `}}`...)
}

// appendRevision writes which revision an answer is from, and since when that may not
// be the newest.
func (c *accessCall) appendRevision(b []byte) []byte {
	b = strconv.AppendInt(append(b, `"revision":`...), int64(c.snap.Rev()), 10)
	if !c.stale.IsZero() {
		b = append(c.stale.AppendFormat(append(b, `,"stale_since":"`...), time.RFC3339), '"')
	}
	return b
}
