package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// difference is where an answer is another than the recorded one.
type difference struct {
	Where    string `json:"where"` // status, or a path in the body
	Recorded string `json:"recorded"`
	Answered string `json:"answered"`
}

// aliases are the names that another server gave to things, and what they are here:
// ids and versions.
type aliases map[string]string

// learn walks two answers to the same request and takes note of which name stands for
// which.
func (a aliases) learn(recorded, answered any) {
	switch r := recorded.(type) {
	case map[string]any:
		other, _ := answered.(map[string]any)
		for name, v := range r {
			there, isText := v.(string)
			here, areBoth := other[name].(string)
			switch {
			case !isText || !areBoth:
				a.learn(v, other[name])
			case name == "id", name == "version":
				a.note(there, here)
			case name == "location":
				a.note(lastPart(there), lastPart(here))
			}
		}
	case []any:
		other, _ := answered.([]any)
		for i := range min(len(r), len(other)) {
			a.learn(r[i], other[i])
		}
	}
}

func (a aliases) note(there, here string) {
	if _, known := a[there]; !known && there != "" && here != "" {
		a[there] = here
	}
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// in puts what things are called here into a text of the recording.
func (a aliases) in(text string) string {
	// The longest first: one name may be the beginning of another.
	for _, there := range slices.SortedFunc(maps.Keys(a), func(x, y string) int { return len(y) - len(x) }) {
		if here := a[there]; here != there {
			text = replaceWhole(text, there, here)
		}
	}
	return text
}

// replaceWhole replaces a name where it is not a part of a longer one.
func replaceWhole(text, name, with string) string {
	var b strings.Builder
	done := 0
	for {
		i := strings.Index(text[done:], name)
		if i < 0 {
			b.WriteString(text[done:])
			return b.String()
		}
		at, end := done+i, done+i+len(name)
		b.WriteString(text[done:at])
		if endsWord(text[:at]) && !strings.HasSuffix(text[:at], "%22") || beginsWord(text[end:]) {
			b.WriteString(name)
		} else {
			b.WriteString(with)
		}
		done = end
	}
}

func endsWord(s string) bool   { return s != "" && isWord(s[len(s)-1]) }
func beginsWord(s string) bool { return s != "" && isWord(s[0]) }

func isWord(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// notCompared are members that another server, or another day, makes others of.
var notCompared = []string{"created", "lastModified", "version"}

// compare lists where an answered body is another than the recorded one.
func compare(at string, recorded, answered any) []difference {
	switch r := recorded.(type) {
	case map[string]any:
		if a, ok := answered.(map[string]any); ok {
			return compareObjects(at, r, a)
		}
	case []any:
		if a, ok := answered.([]any); ok && len(a) == len(r) {
			return compareLists(at, r, a)
		}
	}
	if reflect.DeepEqual(recorded, answered) {
		return nil
	}
	return []difference{{at, compactJSON(recorded), compactJSON(answered)}}
}

func compareObjects(at string, r, a map[string]any) []difference {
	var all []difference
	names := map[string]bool{}
	for _, m := range []map[string]any{r, a} {
		for name := range m {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		here := at + "." + name
		x, recorded := r[name]
		y, answered := a[name]
		switch {
		case slices.Contains(notCompared, name) && strings.HasSuffix(at, "meta"), name == "detail" && r["status"] != nil:
		case (name == "location" || name == "$ref") && recorded && answered:
			all = append(all, compare(here, lastPart(fmt.Sprint(x)), lastPart(fmt.Sprint(y)))...)
		case recorded && answered:
			all = append(all, compare(here, x, y)...)
		case recorded:
			all = append(all, difference{here, compactJSON(x), "nothing"})
		default:
			all = append(all, difference{here, "nothing", compactJSON(y)})
		}
	}
	return all
}

// compareLists compares by place, unless the lists have the same in another order.
func compareLists(at string, r, a []any) []difference {
	left := slices.Clone(a)
	for _, x := range r {
		i := slices.IndexFunc(left, func(y any) bool { return len(compare(at, x, y)) == 0 })
		if i < 0 {
			break
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) == 0 {
		return nil
	}
	var all []difference
	for i := range r {
		all = append(all, compare(fmt.Sprintf("%s[%d]", at, i), r[i], a[i])...)
	}
	return all
}

func compactJSON(v any) string {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
