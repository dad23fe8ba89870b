package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"iter"
	"slices"

	"github.com/rollcall-id/rollcall/fault"
)

// The sizes of pages.
const (
	defaultPage = 50
	largestPage = 1000 // more is given as this many
)

// PageQuery is how a list is asked for.
type PageQuery struct {
	PageSize  int    `query:"pageSize" minimum:"0" doc:"How many at most; 0 or nothing: 50; more than 1000 count as 1000"`
	PageToken string `query:"pageToken" maxLength:"512" doc:"nextPageToken of the page before; the other parameters must be the same"`
}

func (q *PageQuery) size() int {
	if q.PageSize == 0 {
		return defaultPage
	}
	return min(q.PageSize, largestPage)
}

// queryHash is how much of the hash of a query a token carries: enough that a token
// is not used with another query by mistake.
const queryHash = 8

// A token is the hash of the query and the key after which the next page begins. It
// is not signed: whoever makes one up only asks for a page that he may ask for
// anyway, and a token outlives a restart and works on every replica.
func pageToken(query, last string) string {
	sum := sha256.Sum256([]byte(query))
	return base64.RawURLEncoding.EncodeToString(append(sum[:queryHash:queryHash], last...))
}

// after returns the key that the asked-for page begins after; "" for the first one.
func (q *PageQuery) after(query string) (string, error) {
	if q.PageToken == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.PageToken)
	sum := sha256.Sum256([]byte(query))
	if err != nil || len(b) <= queryHash || !bytes.Equal(b[:queryHash], sum[:queryHash]) {
		return "", badToken()
	}
	return string(b[queryHash:]), nil
}

func badToken() error {
	return fault.New(fault.Invalid, "bad_page_token",
		"this page token is not of this list with these parameters, or what it points at is gone; begin again without it")
}

// cut returns one page of a list that was read one item too far, and the token of the
// next page: "" after the last.
func cut[T any](items []T, size int, query string, key func(T) string) ([]T, string) {
	if len(items) <= size {
		return items, ""
	}
	items = items[:size]
	return items, pageToken(query, key(items[size-1]))
}

// smallest returns the n smallest of the items, in order. It holds 2n of them at a
// time, however many there are.
func smallest[T any](items iter.Seq[T], n int, compare func(T, T) int) []T {
	held := make([]T, 0, 2*n)
	full := false
	for it := range items {
		if full && compare(it, held[n-1]) >= 0 {
			continue
		}
		if held = append(held, it); len(held) == cap(held) {
			slices.SortFunc(held, compare)
			held, full = held[:n], true
		}
	}
	slices.SortFunc(held, compare)
	return held[:min(n, len(held))]
}

// take returns the first n items.
func take[T any](items iter.Seq[T], n int) []T {
	out := make([]T, 0, min(n, largestPage+1))
	for it := range items {
		if out = append(out, it); len(out) == n {
			break
		}
	}
	return out
}
