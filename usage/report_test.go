package usage

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	days := []Day{
		{"2026-11-20", Table{{UserCreated, ClassAdmin}: {Done: 1000}}}, // before
		{"2026-11-22", Table{{UserCreated, ClassAdmin}: {Done: 6}, {APIName("check"), ClassService}: {Done: 90, Failed: 10}}},
		{"2026-11-24", Table{{UserCreated, ClassAdmin}: {Done: 8, Refused: 2}, {OtherWorkflows, ClassOther}: {Done: 3}}},
		{"2026-11-25", Table{{UserCreated, ClassOther}: {Done: 2, Previewed: 2}, {PermissionGranted, ClassUserAdmin}: {Done: 5}}},
	}
	known := []Name{UserCreated, UserDeleted, PermissionGranted, APIName("check"), APIName("listUsers")}
	r := NewReport(days, today, 4, known)
	want := Family{
		Total:  Counts{Done: 24, Refused: 2, Previewed: 2},
		Shares: Shares{Refused: 0.0714, Previewed: 0.0714},
		Names: []Line{
			{
				UserCreated,
				Counts{Done: 16, Refused: 2, Previewed: 2},
				Shares{Refused: 0.1, Previewed: 0.1},
				map[Class]int64{ClassAdmin: 16, ClassOther: 4},
				Trend{Earlier: 3, Later: 7},
			},
			{PermissionGranted, Counts{Done: 5}, Shares{}, map[Class]int64{ClassUserAdmin: 5}, Trend{Later: 2.5}},
			{OtherWorkflows, Counts{Done: 3}, Shares{}, map[Class]int64{ClassOther: 3}, Trend{Later: 1.5}},
		},
		MostUsed: []Name{UserCreated, PermissionGranted}, LeastUsed: []Name{PermissionGranted, UserCreated}, Quiet: []Name{UserDeleted},
	}
	if d := cmp.Diff(want, r.Workflows); d != "" {
		t.Errorf("workflows (-want +got):\n%s", d)
	}
	if r.From != "2026-11-22" || r.To != today || r.Touches.Shares.Failed != 0.1 || len(r.Touches.Quiet) != 1 || len(r.Days) != 6 {
		t.Errorf("report from %s to %s with touches %+v and %d counts", r.From, r.To, r.Touches, len(r.Days))
	}
	// Nothing is null: whoever reads the file needs no second look.
	text, err := json.Marshal(NewReport(nil, today, 1, nil))
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("an empty report is %s, %v", text, err)
	}
}

func TestDates(t *testing.T) {
	vienna := time.FixedZone("CET", 3600)
	if d := DateOf(time.Date(2026, 11, 26, 0, 30, 0, 0, vienna)); d != today {
		t.Errorf("DateOf half past midnight in Vienna = %s, want the day in UTC", d)
	}
	if d := Date("2026-03-01").Add(-1); d != "2026-02-28" {
		t.Errorf("the day before the first of March is %s", d)
	}
}
