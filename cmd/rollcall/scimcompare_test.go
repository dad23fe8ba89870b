package main

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

func TestNamesOfARecordingAreReplacedWhole(t *testing.T) {
	known := aliases{"1": "11", "2819": "x", "2819-c": "y", "same": "same"}
	for text, want := range map[string]string{
		`/Users/2819`:                           `/Users/x`,
		`/Users/2819-c?count=12`:                `/Users/y?count=12`,
		`members[value eq "2819"]`:              `members[value eq "x"]`,
		`filter=id%20eq%20%222819%22`:           `filter=id%20eq%20%22x%22`,
		`{"value":"2819"},{"value":"28190"}`:    `{"value":"x"},{"value":"28190"}`,
		`a2819 2819a 2819`:                      `a2819 2819a x`,
		`W/"1" and 101`:                         `W/"11" and 101`,
		`nothing of it, and the same as before`: `nothing of it, and the same as before`,
	} {
		if got := known.in(text); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

func TestAnswersAreComparedByWhatTheyMean(t *testing.T) {
	for name, c := range map[string]struct {
		recorded, answered string
		want               []difference
	}{
		"equal":             {`{"a":1}`, `{"a":1}`, nil},
		"another order":     {`{"members":[{"value":"1"},{"value":"2"}]}`, `{"members":[{"value":"2"},{"value":"1"}]}`, nil},
		"one twice":         {`{"m":["1","1"]}`, `{"m":["1","2"]}`, []difference{{"$.m[1]", `"1"`, `"2"`}}},
		"another length":    {`{"m":["1"]}`, `{"m":[]}`, []difference{{"$.m", `["1"]`, `[]`}}},
		"missing":           {`{"a":1,"b":true}`, `{"a":1}`, []difference{{"$.b", "true", "nothing"}}},
		"more":              {`{"a":1}`, `{"a":1,"b":null}`, []difference{{"$.b", "nothing", "null"}}},
		"another kind":      {`{"active":"False"}`, `{"active":false}`, []difference{{"$.active", `"False"`, "false"}}},
		"times and hosts":   {`{"meta":{"created":"a","version":"b","location":"http://a/Users/1"}}`, `{"meta":{"created":"c","version":"d","location":"http://b/Users/1"}}`, nil},
		"another resource":  {`{"meta":{"location":"http://a/Users/1"}}`, `{"meta":{"location":"http://a/Users/2"}}`, []difference{{"$.meta.location", `"1"`, `"2"`}}},
		"words of an error": {`{"status":"409","scimType":"uniqueness","detail":"a"}`, `{"status":"409","scimType":"invalidValue","detail":"b"}`, []difference{{"$.scimType", `"uniqueness"`, `"invalidValue"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			var recorded, answered any
			for into, text := range map[*any]string{&recorded: c.recorded, &answered: c.answered} {
				if err := json.Unmarshal([]byte(text), into); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(c.want, compare("$", recorded, answered)); d != "" {
				t.Errorf("differences (-want +got):\n%s", d)
			}
		})
	}
}
