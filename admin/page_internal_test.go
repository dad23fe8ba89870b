package admin

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSmallest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(rapid.IntRange(0, 50)).Draw(t, "items")
		n := rapid.IntRange(1, 12).Draw(t, "n")
		want := slices.Sorted(slices.Values(all))
		want = want[:min(n, len(want))]
		if got := smallest(slices.Values(all), n, cmp.Compare[int]); !slices.Equal(got, want) {
			t.Fatalf("smallest(%v, %d) = %v, want %v", all, n, got, want)
		}
	})
}

// Whatever is sent as a token, it is refused or it is what was handed out.
func FuzzPageToken(f *testing.F) {
	f.Add("users\x00corp", pageToken("users\x00corp", "01"))
	f.Add("groups", "AAAA")
	f.Add("", "====")
	f.Fuzz(func(t *testing.T, query, token string) {
		q := PageQuery{PageToken: token}
		last, err := q.after(query)
		if err == nil && token != "" && last == "" {
			t.Errorf("after(%q) of token %q is the first page", query, token)
		}
		if err == nil && token != "" {
			again := PageQuery{PageToken: pageToken(query, last)}
			if back, err := again.after(query); err != nil || back != last {
				t.Errorf("after(%q) = %q, its own token gives %q, %v", query, last, back, err)
			}
		}
	})
}

// No body makes the reader panic, and no error repeats a value.
func FuzzReadJSON(f *testing.F) {
	for _, s := range []string{
		`{"user":"a","permission":"B"}`, `{"user":"a","user":"b"}`, `{"USER":1}`, `{"minRevision":1e99}`, `[`, "{\"user\":\"\xff\"}", `{"user":"\ud800"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var asMap any
		var asStruct CheckRequest
		mapErr, structErr := readJSON(body, &asMap), readJSON(body, &asStruct)
		m, isObject := asMap.(map[string]any)
		if structErr == nil && isObject && mapErr == nil {
			if u, ok := m["user"].(string); ok && u != asStruct.User {
				t.Errorf("%q is read as user %q and as %q", body, u, asStruct.User)
			}
		}
		if structErr == nil && mapErr != nil {
			t.Errorf("%q is read as a struct and not as a map: %v", body, mapErr)
		}
	})
}
