package sync_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

func mustParse(t testing.TB, expr, zone string) *sync.Schedule {
	t.Helper()
	s, err := sync.ParseSchedule(expr, zone)
	if err != nil {
		t.Fatalf("ParseSchedule(%q, %q): %v", expr, zone, err)
	}
	return s
}

// slots returns the next few slots, as the clock in the zone and its offset.
func slots(t testing.TB, s *sync.Schedule, after string, n int) []string {
	t.Helper()
	at, err := time.Parse(time.RFC3339, after)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for range n {
		at = s.Next(at)
		out = append(out, at.Format("Jan 02 15:04 -07"))
	}
	return out
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		what, expr, zone, after string
		want                    []string
	}{
		{"every hour", "0 * * * *", "", "2026-08-01T10:00:00Z", []string{"Aug 01 11:00 +00", "Aug 01 12:00 +00"}},
		{"in its zone", "30 4 * * *", "Europe/Berlin", "2026-08-01T00:00:00Z", []string{"Aug 01 04:30 +02", "Aug 02 04:30 +02"}},
		{"Sunday is 0", "0 6 * * 0", "", "2026-08-01T00:00:00Z", []string{"Aug 02 06:00 +00", "Aug 09 06:00 +00"}},
		{"Sunday is 7", "0 6 * * 7", "", "2026-08-01T00:00:00Z", []string{"Aug 02 06:00 +00", "Aug 09 06:00 +00"}},
		{"a range that ends on Sunday", "0 6 * * 5-7", "", "2026-08-01T00:00:00Z", []string{"Aug 01 06:00 +00", "Aug 02 06:00 +00", "Aug 07 06:00 +00"}},
		{"a range of names that ends on Sunday", "0 6 * * Sat-Sun", "", "2026-08-01T07:00:00Z", []string{"Aug 02 06:00 +00", "Aug 08 06:00 +00"}},
		{"a step that skips Sunday", "0 6 * * 1-7/2", "", "2026-08-01T07:00:00Z", []string{"Aug 02 06:00 +00", "Aug 03 06:00 +00", "Aug 05 06:00 +00"}},
		{"hourly", "@hourly", "", "2026-08-01T10:20:00Z", []string{"Aug 01 11:00 +00"}},
		{"daily", "@daily", "Asia/Tokyo", "2026-08-01T00:00:00Z", []string{"Aug 02 00:00 +09"}},
		{"every 15 minutes from the instant given", "@every 15m", "", "2026-08-01T10:20:00Z", []string{"Aug 01 10:35 +00", "Aug 01 10:50 +00"}},
		{"the 29th of February, eight years away", "0 0 29 2 *", "", "2096-03-01T00:00:00Z", []string{"Feb 29 00:00 +00"}},

		{
			"a slot in the spring gap runs after the jump", "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z",
			[]string{"Mar 28 02:30 +01", "Mar 29 03:00 +02", "Mar 30 02:30 +02"},
		},
		{
			"several slots in the gap and the one after it are one", "0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z",
			[]string{"Mar 29 03:00 +02", "Mar 29 03:30 +02", "Mar 30 02:00 +02"},
		},
		{
			"a slot in the repeated hour runs once, the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"Oct 25 02:30 +02", "Oct 26 02:30 +01"},
		},
		{
			"not again from within the repetition", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z",
			[]string{"Oct 26 02:30 +01"},
		},
		{
			"every hour goes on over the spring change", "0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z",
			[]string{"Mar 29 03:00 +02", "Mar 29 04:00 +02"},
		},
		{
			"every hour goes on over the autumn change", "0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z",
			[]string{"Oct 25 02:00 +02", "Oct 25 02:00 +01", "Oct 25 03:00 +01"},
		},
		{
			"every 20 minutes goes on over the autumn change", "*/20 * * * *", "America/New_York", "2026-11-01T05:30:00Z",
			[]string{"Nov 01 01:40 -04", "Nov 01 01:00 -05", "Nov 01 01:20 -05", "Nov 01 01:40 -05", "Nov 01 02:00 -05"},
		},
		{
			"a change at midnight", "0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z",
			[]string{"Apr 24 01:00 +03", "Apr 25 00:00 +03"},
		},
		{
			"a change of half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
			[]string{"Oct 04 02:30 +11", "Oct 05 02:15 +11"},
		},
		{
			"a day that a country left out", "0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z",
			[]string{"Dec 29 12:00 -10", "Dec 31 00:00 +14", "Dec 31 12:00 +14"},
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			got := slots(t, mustParse(t, c.expr, c.zone), c.after, len(c.want))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%q in %q after %s (-want +got):\n%s", c.expr, c.zone, c.after, diff)
			}
		})
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	for _, c := range []struct{ expr, zone, says string }{
		{"", "", "empty"},
		{"TZ=UTC", "", "put that into the setting timezone"},
		{"CRON_TZ=Europe/Berlin 0 * * * *", "", "put that into the setting timezone"},
		{"TZ= 0 * * * *", "", "put that into the setting timezone"},
		{"0 0 31 2 *", "", "never comes"},
		{"0 0 30 2 *", "", "never comes"},
		{"0 0 31 4,6,9,11 *", "", "never comes"},
		{"0 0 0 * * *", "", "none for seconds"},
		{"* * * *", "", "4 fields; five are needed"},
		{"60 * * * *", "", "above maximum"},
		{"* * * * 8", "", "above maximum"},
		{"@every 1s", "", "shortest interval is 1m0s"},
		{"@every -1h", "", "shortest interval"},
		{"@every", "", "not a duration"},
		{"@every soon", "", "not a duration"},
		{"@reboot", "", "not a schedule"},
		{"*/0 * * * *", "", "not a schedule"},
		{strings.Repeat("1,", 500) + "1 * * * *", "", "longer than"},
		{"0 * * * *", "Mars/Olympus", "not a time zone"},
		{"0 * * * *", "Local", "not a time zone"},
		{"0 * * * *", "../../etc/passwd", "not a time zone"},
	} {
		_, err := sync.ParseSchedule(c.expr, c.zone)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("ParseSchedule(%.40q, %q) = %v, want fault.Invalid saying %q", c.expr, c.zone, err, c.says)
		}
	}
}

func TestLatest(t *testing.T) {
	for _, c := range []struct {
		expr, after, now, want string
		earlier                int
	}{
		{"0 * * * *", "2026-08-01T10:00:00Z", "2026-08-01T10:59:59Z", "", 0},
		{"0 * * * *", "2026-08-01T10:00:00Z", "2026-08-01T11:00:00Z", "2026-08-01T11:00:00Z", 0},
		{"0 * * * *", "2026-08-01T10:00:00Z", "2026-08-03T11:30:00Z", "2026-08-03T11:00:00Z", 48},
		{"* * * * *", "2001-08-01T10:00:00Z", "2026-08-03T11:30:00Z", "2026-08-03T11:30:00Z", 9999},
		{"@every 10m", "2026-08-01T10:05:00Z", "2026-08-01T10:46:00Z", "2026-08-01T10:45:00Z", 3},
		{"0 * * * *", "2026-08-03T10:00:00Z", "2026-08-01T10:00:00Z", "", 0},
	} {
		after, _ := time.Parse(time.RFC3339, c.after)
		now, _ := time.Parse(time.RFC3339, c.now)
		slot, earlier := mustParse(t, c.expr, "").Latest(after, now)
		got := ""
		if !slot.IsZero() {
			got = slot.UTC().Format(time.RFC3339)
		}
		if got != c.want || earlier != c.earlier {
			t.Errorf("%q: Latest(%s, %s) = %q, %d, want %q, %d", c.expr, c.after, c.now, got, earlier, c.want, c.earlier)
		}
	}
}

func TestJitterIsSteadyAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := identity.SourceID(rapid.StringMatching(`[a-z]{2,12}`).Draw(t, "source"))
		expr := rapid.SampledFrom([]string{"* * * * *", "*/5 * * * *", "0 * * * *", "@daily", "@every 90s"}).Draw(t, "expr")
		s, err := sync.ParseSchedule(expr, "")
		if err != nil {
			t.Fatal(err)
		}
		slot := s.Next(time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0))
		j := s.Jitter(id, slot)
		if most := min(s.Next(slot).Sub(slot)/10, time.Minute); j < 0 || j > most {
			t.Fatalf("Jitter = %s, want at most %s", j, most)
		}
		if again := s.Jitter(id, slot); again != j {
			t.Fatalf("Jitter = %s, then %s", j, again)
		}
	})
}

// FuzzParseSchedule looks for expressions that panic, and for accepted ones whose
// slots do not move on.
func FuzzParseSchedule(f *testing.F) {
	for _, expr := range []string{
		"0 * * * *", "@every 1h", "@daily", "TZ=", "CRON_TZ=UTC", "0 0 31 2 *", "*/7 1-5 * jan,dec mon-sun", "? ? ? ? 7/2", "@every 1ns",
		"0 0 29 2 *", "*/99999999999999999999 * * * *", "0-0/0 * * * 6-7",
	} {
		f.Add(expr, "Europe/Berlin", int64(1_760_000_000))
		f.Add(expr, "", int64(0))
	}
	f.Fuzz(func(t *testing.T, expr, zone string, at int64) {
		s, err := sync.ParseSchedule(expr, zone)
		if err != nil {
			if fault.Kind(err) == nil {
				t.Fatalf("ParseSchedule(%q, %q): an error of no kind: %v", expr, zone, err)
			}
			return
		}
		now := time.Unix(at%(1<<32), 0)
		for range 3 {
			next := s.Next(now)
			if next.IsZero() || !next.After(now) {
				t.Fatalf("ParseSchedule(%q, %q).Next(%s) = %s", expr, zone, now, next)
			}
			if slot, _ := s.Latest(now, next); !slot.Equal(next) {
				t.Fatalf("ParseSchedule(%q, %q).Latest(%s, %s) = %s", expr, zone, now, next, slot)
			}
			now = next
		}
	})
}

func TestConfig(t *testing.T) {
	c := sync.DefaultConfig()
	c.Schedule, c.Timezone, c.FirstRun = "0 0 31 2 *", "Mars", "maybe"
	c.Limits.Deactivations.Share = -1
	c.PurgeAtMost, c.Purge = 0, "@daily" // and no purge_after
	var p config.Problems
	c.Validate(&p)
	var paths []string
	if e, ok := errors.AsType[*config.Error](p.Err()); ok {
		for _, x := range e.Problems {
			paths = append(paths, x.Path)
		}
	}
	if diff := cmp.Diff([]string{"first_run", "limits.deactivations.share", "purge", "purge_at_most", "schedule", "timezone"}, paths); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	c = sync.DefaultConfig()
	c.FirstRun, c.Timezone = "ask", "Europe/Berlin"
	c.PurgeAfter, c.Purge = 48*time.Hour, "@weekly"
	var spec sync.SourceSpec
	p = config.Problems{}
	if c.Validate(&p); p.Err() != nil {
		t.Errorf("Validate: %v", p.Err())
	}
	if err := c.Apply(&spec); err != nil || spec.Schedule.String() != "0 * * * * (Europe/Berlin)" || spec.Limits.FirstRun != "ask" || spec.Purge == nil || spec.PurgeAfter != 48*time.Hour {
		t.Errorf("Apply: %v, %+v", err, spec)
	}
}
