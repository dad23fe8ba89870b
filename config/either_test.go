package config_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/config"
)

// origin is written as a word, or with keys.
type origin struct {
	Word string `yaml:"-"`
	Rule string `yaml:"rule"`
}

func (o *origin) UnmarshalText(text []byte) error {
	if string(text) == "bad" {
		return errors.New("is bad")
	}
	o.Word = string(text)
	return nil
}

func TestAStructThatReadsTextMayBeWrittenEitherWay(t *testing.T) {
	for text, want := range map[string]struct {
		got     map[string]origin
		problem string
	}{
		"of: {a: word, b: {rule: x}}": {got: map[string]origin{"a": {Word: "word"}, "b": {Rule: "x"}}},
		"of: {a: {ruel: x}}":          {problem: "test.yaml:1: of.a.ruel: unknown key; did you mean rule?"},
		"of: {a: bad}":                {problem: `test.yaml:1: of.a: "bad": is bad`},
		"of: {a: [word]}":             {problem: "test.yaml:1: of.a: want a single value, not a list"},
	} {
		doc, err := config.Parse("test.yaml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]origin
		p := doc.Problems()
		doc.Decode("of", &got, p)
		problem := ""
		if err := p.Err(); err != nil {
			problem, got = err.Error(), nil
		}
		if d := cmp.Diff(want.got, got); d != "" || problem != want.problem {
			t.Errorf("%s: problem %q, want %q; (-want +got):\n%s", text, problem, want.problem, d)
		}
	}
}
