package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// plainQuery is what the scanner reads, as a decoder with reflection reads it.
type plainQuery struct {
	Subject  jsontext.Value `json:"subject"`
	Action   jsontext.Value `json:"action"`
	Resource jsontext.Value `json:"resource"`
	Context  jsontext.Value `json:"context"`
}

type plainRequest struct {
	plainQuery  `json:",embed"`
	Evaluations jsontext.Value `json:"evaluations"`
}

// FuzzRead compares the scanner with go-json-experiment: both take the same bodies for
// JSON, and read the same questions from them.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"subject":{"type":"user","id":"ann"},"action":{"name":"AUDIT"},"resource":{"type":"application","id":"x"}}`,
		`{"subject":{"type":"us\u0065r","id":"\ud83d\ude00\n\/"},"evaluations":[{"action":{"name":"A"}},{},7,{"subject":null}],"options":{"evaluations_semantic":"deny_on_first_deny"}}`,
		`{"context":{"min_revision":12,"x":[1,-0.5e+7,true,false,null,"é"]},"page":{"token":"","limit":7}}`,
		`{"context":{"min_revision":1e3},"subject":{"type":"","id":""}}`, `{"subject":{"id":"a","\u0069d":"b"}}`, `{"a":{"b":1,"b":2}}`,
		`[]`, ` null `, `{"a":01}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":1,}`, `{"a":"\x"}`, "\xef\xbb\xbf{}", `{"a":1}{}`, `{"a":-}`, `{"":{"":""}}`,
		`{` + manyMembers(40) + `}`, `{"x":{` + manyMembers(40) + `,"n3":1}}`, `{"x":{` + manyMembers(30) + `},"y":{` + manyMembers(30) + `}}`,
		strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s scan
		var q authzenRequest
		s.reset(body)
		q.read(&s)
		depth, err := depthOf(body)
		object := err == nil && bytes.TrimLeft(body, " \t\r\n")[0] == '{'
		var want plainRequest
		if object {
			if err := json.Unmarshal(body, &want); err != nil {
				t.Fatalf("read %q: %v", body, err)
			}
		}
		many := strings.Contains(s.bad, "1000 evaluations")
		if ok := object && depth <= maxDepth && !many; ok != (s.bad == "") {
			t.Fatalf("read %q = %q; go-json: depth %d, %v", body, s.bad, depth, err)
		}
		if s.bad != "" {
			return
		}
		if d := cmp.Diff(want.plainQuery.shown(), shown(&q.authzenQuery)); d != "" && q.wrong == "" {
			t.Errorf("read %q (-go-json +scan):\n%s", body, d)
		}
		var items []plainQuery
		if want.Evaluations != nil && json.Unmarshal(want.Evaluations, &items) == nil && want.Evaluations.Kind() == '[' {
			if len(items) != len(q.items) {
				t.Fatalf("read %q: %d evaluations, want %d", body, len(q.items), len(items))
			}
			for i := range items {
				if d := cmp.Diff(items[i].shown(), shown(&q.items[i])); d != "" && q.items[i].wrong == "" {
					t.Errorf("read %q: evaluation %d (-go-json +scan):\n%s", body, i, d)
				}
			}
		}
	})
}

func manyMembers(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"n%d":%d`, i, i))
	}
	return strings.Join(all, ",")
}

// depthOf returns how deeply a text nests, or why it is not one value of JSON.
func depthOf(body []byte) (most int, err error) {
	if !jsontext.Value(body).IsValid() {
		return 0, errors.New("not valid")
	}
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		if _, err := d.ReadToken(); errors.Is(err, io.EOF) {
			return most, nil
		} else if err != nil {
			return 0, err
		}
		most = max(most, d.StackDepth())
	}
}

// shown is what matters of a question that has nothing of a wrong type.
func shown(q *authzenQuery) string {
	return fmt.Sprintf("%v %q %q, %v %q, %v %q %q, %d", q.subject.given, q.subject.kind, q.subject.id,
		q.acts, q.action, q.resource.given, q.resource.kind, q.resource.id, q.minRevision)
}

func (p *plainQuery) shown() string {
	var subject, resource struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
	var action struct {
		Name string `json:"name"`
	}
	var context struct {
		MinRevision int64 `json:"min_revision"`
	}
	for value, into := range map[*jsontext.Value]any{&p.Subject: &subject, &p.Action: &action, &p.Resource: &resource, &p.Context: &context} {
		if len(*value) > 0 && json.Unmarshal(*value, into) != nil {
			return "of a wrong type"
		}
	}
	return fmt.Sprintf("%v %q %q, %v %q, %v %q %q, %d", p.Subject != nil, subject.Type, subject.ID,
		p.Action != nil, action.Name, p.Resource != nil, resource.Type, resource.ID, context.MinRevision)
}
