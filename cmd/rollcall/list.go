package main

import (
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// listLimit says how much of a list is shown.
type listLimit struct {
	n   int
	all bool
}

const (
	shownByDefault = 50   // of a table; programs get all
	largestPage    = 1000 // that the server gives
)

func (l *listLimit) flag(f *pflag.FlagSet) {
	f.IntVar(&l.n, "limit", 0, "show `N` at most (default 50 in a table, all in json and yaml)")
	f.BoolVar(&l.all, "all", false, "show all of them")
}

// page says which part of a list is wanted.
type page struct {
	size  int
	token string // of the page before; "" for the first
}

// pages fetches as many pages as are to be shown. It returns the token of the page
// after them, "" when that was all.
func (l *listLimit) pages(c *cli, fetch func(page) (n int, next string, err error)) (string, error) {
	if l.n < 0 || l.n > 0 && l.all {
		return "", usage("--limit takes a number above zero, and does not go with --all")
	}
	left := l.n
	if left == 0 && !l.all && c.output == asTable {
		left = shownByDefault
	}
	p := page{}
	for {
		p.size = largestPage
		if left > 0 {
			p.size = min(left, largestPage)
		}
		n, next, err := fetch(p)
		if err != nil || next == "" {
			return "", err
		}
		if left > 0 {
			if left -= n; left <= 0 {
				return next, nil
			}
		}
		p.token = next
	}
}

// date is a day for people.
func date(t time.Time) string { return t.Format("2 Jan 2006") }

// when is an instant for people, with how long ago or ahead it is; "" for none.
func (c *cli) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(c.now().Location())
	return t.Format("2 Jan 2006 15:04") + " (" + c.relative(t) + ")"
}

// relative says how far away an instant is, in its largest unit.
func (c *cli) relative(t time.Time) string {
	d := t.Sub(c.now())
	switch {
	case t.IsZero():
		return ""
	case d >= 0 && d < time.Second, d < 0 && d > -time.Second:
		return "now"
	case d > 0:
		return "in " + span(d)
	}
	return span(-d) + " ago"
}

// actor is who did something, as people call him.
func actor(by string) string { return strings.TrimPrefix(by, "user:") }
