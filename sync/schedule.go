package sync

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
	_ "time/tzdata" // zones must be known where the system has none, as in a container image

	"github.com/robfig/cron/v3"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

// MinEvery is the smallest interval of "@every": a directory is not a queue, and a
// field of a cron expression cannot name less than a minute either.
const MinEvery = time.Minute

// maxExpression is longer than anyone's list of minutes.
const maxExpression = 256

// Schedule is a parsed cron expression in a time zone. It is a value that does not
// change.
//
// An expression that names hours means what the clock on the wall shows: a slot
// that the clock jumps over in spring is served at the first instant after the jump,
// and one that the clock shows twice in autumn is served the first time. An
// expression for every hour means time that passes: it goes on through both changes
// without a pause and without running twice.
type Schedule struct {
	expr, zone string
	loc        *time.Location
	every      time.Duration // of "@every"; else zero
	spec       *cron.SpecSchedule
}

// everyHour has a bit for each of the 24 hours.
const everyHour = 1<<24 - 1

// ParseSchedule reads five fields (minute, hour, day of the month, month, day of the
// week, where 0 and 7 are Sunday), one of @hourly, @daily, @weekly, @monthly and
// @yearly, or "@every" and a duration. When both days are restricted, either one is
// enough, as in every cron. An empty zone is UTC. What it refuses is fault.Invalid.
func ParseSchedule(expr, zone string) (s *Schedule, err error) {
	defer func() {
		if r := recover(); r != nil { // robfig/cron#470 and #554: its parser has panicked before
			s, err = nil, refuse("%q is not a schedule that can be understood", clip(expr))
		}
	}()
	expr = strings.TrimSpace(expr)
	loc, err := loadZone(zone)
	if err != nil {
		return nil, err
	}
	switch {
	case expr == "":
		return nil, refuse(`the schedule is empty; "0 * * * *" runs every hour`)
	case len(expr) > maxExpression:
		return nil, refuse("the schedule is longer than %d characters", maxExpression)
	case strings.Contains(expr, "TZ="):
		return nil, refuse("%q has a time zone in it; put that into the setting timezone", expr)
	}
	s = &Schedule{expr: expr, zone: loc.String(), loc: loc}
	if rest, ok := strings.CutPrefix(expr, "@every"); ok {
		s.every, err = parseEvery(rest)
		return s, err
	}
	if s.spec, err = parseSpec(expr); err != nil {
		return nil, err
	}
	if s.wall(reference).IsZero() {
		return nil, refuse("%q never comes: no month has such a day", expr)
	}
	return s, nil
}

// reference is before every leap year that matters to whether a day exists.
var reference = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func refuse(format string, args ...any) error {
	return fault.New(fault.Invalid, "bad_schedule", format, args...)
}

func clip(s string) string {
	if len(s) > maxExpression {
		return s[:maxExpression] + "..."
	}
	return s
}

func loadZone(zone string) (*time.Location, error) {
	if zone == "" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, fault.New(fault.Invalid, "bad_timezone", "%q is not a time zone; name one as in Europe/Berlin, or UTC", clip(zone))
	}
	return loc, nil
}

func parseEvery(text string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(text))
	switch {
	case err != nil:
		return 0, refuse("%q is not a duration; write it as in @every 15m", strings.TrimSpace(text))
	case d < MinEvery:
		return 0, refuse("every %s is too often; the shortest interval is %s", d, MinEvery)
	}
	return d.Truncate(time.Second), nil
}

func parseSpec(expr string) (*cron.SpecSchedule, error) {
	options := cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow
	if strings.HasPrefix(expr, "@") {
		options |= cron.Descriptor
	} else {
		fields := strings.Fields(expr)
		switch n := len(fields); {
		case n == 6:
			return nil, refuse("%q has six fields; there is none for seconds here, leave it out", expr)
		case n != 5:
			return nil, refuse("%q has %d fields; five are needed: minute, hour, day of the month, month, day of the week", expr, n)
		}
		fields[4] = foldSunday(fields[4])
		expr = strings.Join(fields, " ")
	}
	parsed, err := cron.NewParser(options).Parse(expr)
	if err != nil {
		return nil, refuse("%q is not a schedule: %v", expr, err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, refuse("%q is not a schedule of this kind", expr)
	}
	spec.Location = time.UTC // it only ever sees what a clock on the wall shows
	return spec, nil
}

// foldSunday writes Sunday as 0 where the field says 7, or has it end a range, both
// of which the parser does not know.
func foldSunday(field string) string {
	parts := strings.Split(field, ",")
	for i, part := range parts {
		days, step, stepped := strings.Cut(part, "/")
		from, to, ranged := strings.Cut(days, "-")
		switch {
		case !ranged && from == "7" && !stepped:
			parts[i] = "0"
		case !ranged && from == "7":
			parts[i] = "0-0/" + step
		case ranged && (to == "7" || strings.EqualFold(to, "sun") && !strings.EqualFold(from, "sun")):
			parts[i] = sundayLast(from, step, part)
		}
	}
	return strings.Join(parts, ",")
}

// sundayLast spells out a range that ends on Sunday.
func sundayLast(from, step, part string) string {
	const names = "sun mon tue wed thu fri sat 7"
	first := strings.Index(names, strings.ToLower(from)) / 4
	if len(from) == 1 && from[0] >= '0' && from[0] <= '7' {
		first = int(from[0] - '0')
	} else if len(from) != 3 || !strings.Contains(names, strings.ToLower(from)) {
		return part // the parser says what is wrong with it
	}
	n := 1
	if step != "" {
		if _, err := fmt.Sscanf(step, "%d", &n); err != nil || n < 1 || fmt.Sprint(n) != step {
			return part
		}
	}
	var days []string
	for d := first; d <= 7; d += min(n, 8) {
		days = append(days, fmt.Sprint(d%7))
	}
	return strings.Join(days, ",")
}

// String returns the expression, and its zone where that is not UTC.
func (s *Schedule) String() string {
	if s.loc == time.UTC {
		return s.expr
	}
	return s.expr + " (" + s.zone + ")"
}

// Next returns the first slot after the given instant. Slots of "@every" are counted
// from that instant. It is the zero time when there is none, which [ParseSchedule]
// has made sure of.
func (s *Schedule) Next(after time.Time) time.Time {
	switch {
	case s.every > 0:
		return after.Truncate(time.Second).Add(s.every)
	case s.spec.Hour&everyHour == everyHour:
		return s.nextPassing(after)
	}
	w := onTheWall(after.In(s.loc))
	for {
		if w = s.wall(w); w.IsZero() {
			return w
		}
		if t := s.instant(w); t.After(after) {
			return t
		}
	}
}

// nextPassing is Next where every hour counts: within a stretch of one offset, the
// clock on the wall is that of UTC and a constant.
func (s *Schedule) nextPassing(after time.Time) time.Time {
	for t := after.In(s.loc); ; {
		_, offset := t.Zone()
		_, end := t.ZoneBounds()
		w := s.wall(onTheWall(t))
		if w.IsZero() {
			return w
		}
		next := w.Add(-time.Duration(offset) * time.Second).In(s.loc)
		if end.IsZero() || next.Before(end) {
			return next
		}
		if s.matches(onTheWall(end)) {
			return end
		}
		t = end
	}
}

// matches reports whether a reading of the clock is a slot.
func (s *Schedule) matches(wall time.Time) bool {
	return s.wall(wall.Add(-time.Second)).Equal(wall)
}

// onTheWall returns what the clock shows, as if it were UTC.
func onTheWall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// wall returns the next reading of the clock that the expression names. The parser's
// own search gives up after five years; the 29th of February may be eight away.
func (s *Schedule) wall(after time.Time) time.Time {
	for range 3 {
		if t := s.spec.Next(after); !t.IsZero() {
			return t
		}
		after = after.AddDate(4, 0, 0)
	}
	return time.Time{}
}

// instant returns when the clock on the wall shows w for the first time; where it
// jumps over w, the instant of the jump.
func (s *Schedule) instant(w time.Time) time.Time {
	const day = 24 * time.Hour // a zone does not change twice within two days
	_, before := w.Add(-day).In(s.loc).Zone()
	_, after := w.Add(day).In(s.loc).Zone()
	early := w.Add(-time.Duration(max(before, after)) * time.Second).In(s.loc)
	late := w.Add(-time.Duration(min(before, after)) * time.Second).In(s.loc)
	switch {
	case onTheWall(early).Equal(w):
		return early
	case onTheWall(late).Equal(w):
		return late
	}
	start, _ := late.ZoneBounds()
	return start
}

// Latest returns the last slot that is after one instant and not after another, and
// how many slots before it there are. When there is none it is the zero time.
func (s *Schedule) Latest(after, now time.Time) (slot time.Time, earlier int) {
	const many = 10_000 // slots are counted only so far: a year of "* * * * *" is longer than that
	if s.every > 0 {
		first := s.Next(after)
		if first.After(now) {
			return time.Time{}, 0
		}
		n := int(now.Sub(first) / s.every)
		return first.Add(time.Duration(n) * s.every), min(n, many)
	}
	for back := time.Hour; back < now.Sub(after); back *= 4 {
		from := now.Add(-back)
		if s.Next(from).After(now) {
			continue
		}
		slot, _ = s.walk(from, now, many)
		break
	}
	last, n := s.walk(after, now, many)
	if slot.IsZero() {
		slot = last
	}
	return slot, max(n-1, 0)
}

// walk counts the slots between two instants, up to a number.
func (s *Schedule) walk(after, until time.Time, most int) (last time.Time, n int) {
	for t := s.Next(after); n < most && !t.IsZero() && !t.After(until); t = s.Next(t) {
		last = t
		n++
	}
	return last, n
}

// maxJitter bounds how far a source is put off.
const maxJitter = time.Minute

// Jitter returns by how much a source is put off from its slots, so that many
// sources with one expression do not all start at once. It depends on nothing but
// the source's name, is at most a tenth of the time until the next slot, and at most
// a minute.
func (s *Schedule) Jitter(source identity.SourceID, slot time.Time) time.Duration {
	room := min(s.Next(slot).Sub(slot)/10, maxJitter)
	if room < time.Second {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(source))
	return time.Duration(h.Sum64()%uint64(room/time.Second)) * time.Second
}
