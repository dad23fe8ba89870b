package scim

import (
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/store/mem"
)

// walk reads pages by cursor to the end.
func (w *world) walk(path string, each func(*answer)) (names []string) {
	w.t.Helper()
	cursor := ""
	for range 100 {
		a := w.call("GET", path+"&cursor="+url.QueryEscape(cursor), "").want(200)
		names = append(names, strings.Fields(a.names("userName"))...)
		if each != nil {
			each(a)
		}
		next, more := a.json["nextCursor"].(string)
		if !more {
			return names
		}
		cursor = next
	}
	w.t.Fatal("the walk does not end")
	return nil
}

func TestRFC9865_Cursors(t *testing.T) {
	check(t, []clause{
		{"2", "an empty cursor begins, and the last page has no next", "", func(w *world) {
			people(w)
			pages := 0
			names := w.walk("/Users?count=2", func(a *answer) { pages++; a.is("totalResults", 4.0).is("itemsPerPage", 2.0).lacks("startIndex") })
			if got := sortedNames(strings.Join(names, " ")); got != "ann Ben cleo dan" || pages != 2 {
				w.t.Errorf("%d pages show %q", pages, got)
			}
		}},
		{"2", "without a cursor pages are by index", "", func(w *world) {
			people(w)
			w.call("GET", "/Users?count=2", "").want(200).is("startIndex", 1.0).lacks("nextCursor")
		}},
		{"2", "a cursor with a filter", "", func(w *world) {
			people(w)
			names := w.walk("/Users?count=1&filter="+url.QueryEscape("title pr"), nil)
			if got := sortedNames(strings.Join(names, " ")); got != "ann Ben" {
				w.t.Errorf("the walk shows %q", got)
			}
		}},
		{"2", "a walk over nothing", "", func(w *world) {
			w.call("GET", "/Users?cursor=", "").want(200).is("totalResults", 0.0).size("Resources", 0).lacks("nextCursor")
		}},
		{"2", "count zero shows nothing, and may be gone on from", "", func(w *world) {
			people(w)
			w.call("GET", "/Users?cursor=&count=0", "").want(200).is("totalResults", 4.0).size("Resources", 0)
		}},
		{"2", "a walk over the root", "", func(w *world) {
			people(w)
			w.group("G")
			n := 0
			w.walk("?count=2", func(a *answer) { list, _ := a.json["Resources"].([]any); n += len(list) })
			if n != 5 {
				w.t.Errorf("the walk shows %d", n)
			}
		}},
		{"2", "characters are unreserved", "", func(w *world) {
			people(w)
			next, _ := w.call("GET", "/Users?cursor=&count=1", "").json["nextCursor"].(string)
			if !regexp.MustCompile(`^[A-Za-z0-9._~-]+$`).MatchString(next) {
				w.t.Errorf("nextCursor %q", next)
			}
		}},
		{"2", "what comes and goes meanwhile neither hides nor doubles the rest", "", func(w *world) {
			for i := range 10 {
				w.user("u"+itoa(i), "")
			}
			first := w.call("GET", "/Users?count=3&cursor=", "").want(200)
			w.call("DELETE", "/Users/"+at(first.json, "Resources/0/id").(string), "").want(204)
			w.user("late", "")
			seen := strings.Fields(first.names("userName"))
			cursor, _ := first.json["nextCursor"].(string)
			for cursor != "" {
				a := w.call("GET", "/Users?count=3&cursor="+cursor, "").want(200)
				seen = append(seen, strings.Fields(a.names("userName"))...)
				cursor, _ = a.json["nextCursor"].(string)
			}
			if got := sortedNames(strings.Join(seen, " ")); got != "u0 u1 u2 u3 u4 u5 u6 u7 u8 u9" {
				w.t.Errorf("the walk shows %q", got)
			}
		}},
		{"2.1", "a cursor that was not given out is invalidCursor", "", func(w *world) {
			people(w)
			next, _ := w.call("GET", "/Users?cursor=&count=1", "").json["nextCursor"].(string)
			for _, c := range []string{"x", "AAAA", next[:len(next)-1], next + "A", strings.ToLower(next), "%00", strings.Repeat("A", 4000)} {
				w.call("GET", "/Users?count=1&cursor="+c, "").refuses(400, "invalidCursor")
			}
			for _, other := range []string{"/Groups?count=1", "/Users?count=1&filter=userName%20pr", "?count=1", "/Users?count=1&attributes=userName"} {
				w.call("GET", other+"&cursor="+next, "").refuses(400, "invalidCursor")
			}
		}},
		{"2.1", "a negative count is invalidCount", "", func(w *world) {
			w.call("GET", "/Users?cursor=&count=-1", "").refuses(400, "invalidCount")
		}},
		{"2", "with sortBy it is refused", "", func(w *world) {
			w.call("GET", "/Users?cursor=&sortBy=userName", "").refuses(400, "invalidValue")
		}},
		{"3", "a search takes a cursor", "", func(w *world) {
			people(w)
			search := func(cursor string) *answer {
				return w.call("POST", "/Users/.search", `{"schemas":["`+searchURN+`"],"count":3,"cursor":"`+cursor+`"}`).want(200).is("totalResults", 4.0)
			}
			next, _ := search("").size("Resources", 3).json["nextCursor"].(string)
			search(next).size("Resources", 1).lacks("nextCursor")
			w.call("POST", "/Users/.search", `{"schemas":["`+searchURN+`"],"cursor":"x"}`).refuses(400, "invalidCursor")
		}},
		{"4", "the provider tells of it", "", func(w *world) {
			w.call("GET", "/ServiceProviderConfig", "").is("pagination/cursor", true).is("pagination/index", true).is("pagination/defaultPaginationMethod", "index").
				is("pagination/defaultPageSize", float64(defaultPage)).is("pagination/maxPageSize", float64(maxPage)).is("pagination/cursorTimeout", cursorLife.Seconds())
		}},
	})
}

// A cursor is bound to whom it was given.
func TestRFC9865_5_CursorOfAnotherSource(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "rfc"), presetOf("entra", "rfc"))
	people(w)
	next, _ := w.call("GET", "/Users?cursor=&count=1", "").json["nextCursor"].(string)
	w.as("entra", "GET", "/Users?count=1&cursor="+next, "").refuses(400, "invalidCursor")
}

func TestRFC9865_2_1_ExpiredCursor(t *testing.T) {
	began := time.Now()
	var later atomic.Int64
	w := newWorld(t, mem.New())
	w.server.now = func() time.Time { return began.Add(time.Duration(later.Load())) }
	people(w)
	next, _ := w.call("GET", "/Users?cursor=&count=1", "").json["nextCursor"].(string)
	later.Store(int64(cursorLife - 2*time.Second))
	w.call("GET", "/Users?count=1&cursor="+next, "").want(200)
	later.Store(int64(cursorLife + 2*time.Second))
	w.call("GET", "/Users?count=1&cursor="+next, "").refuses(400, "expiredCursor")
}
