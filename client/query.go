package client

import (
	"iter"
	"net/url"
	"strconv"
	"time"
)

// What has no value is left out of a query.

func addToText(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func addToTime(q url.Values, name string, value time.Time) {
	if !value.IsZero() {
		q.Set(name, value.Format(time.RFC3339Nano))
	}
}

func addToNumber[N int | int64 | uint64](q url.Values, name string, value N) {
	if value > 0 {
		addToText(q, name, strconv.FormatUint(uint64(value), 10))
	}
}

// allPages yields what there is on one page after the other.
func allPages[T any](page func(token string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		token := ""
		for {
			found, next, err := page(token)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, one := range found {
				if !yield(one, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}
