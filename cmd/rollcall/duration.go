package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// span is a length of time in its largest unit, rounded down.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%dd", d/day)
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// units are those in which people say how long something is to last.
var units = []struct {
	suffix string
	days   int
}{{"d", 1}, {"w", 7}, {"y", 365}}

// parseEnd reads when something ends: "30d", "2w", "1y", "12h", a day, which is
// included, or an instant of RFC 3339. Zero: never.
func parseEnd(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, inFuture(t, now)
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		t = t.AddDate(0, 0, 1)
		return t, inFuture(t, now)
	}
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			if n, err := strconv.Atoi(number); err == nil && n > 0 && n <= 36500 {
				return now.AddDate(0, 0, n*u.days), nil
			}
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	return time.Time{}, usage("--expires %q: give a length (12h, 30d, 8w, 1y), a last day (2027-06-30) or an instant (2027-06-30T18:00:00Z)", text)
}

func inFuture(t, now time.Time) error {
	if t.After(now) {
		return nil
	}
	return usage("--expires: %s is in the past", t.Format("2 Jan 2006 15:04"))
}

// parseAgo reads when something was: "2h", "7d" or "4w" ago, the beginning of a day, or
// an instant of RFC 3339. Zero: not said.
func parseAgo(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return t, nil
	}
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			if n, err := strconv.Atoi(number); err == nil && n > 0 && n <= 36500 {
				return now.AddDate(0, 0, -n*u.days), nil
			}
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usage("%s %q: give how long ago (2h, 7d, 4w), a day (2026-11-25) or an instant (2026-11-25T18:00:00Z)", flag, text)
}
