package client

import (
	"context"
	"strconv"
)

// UsageReport is what was used most and least, never by whom.
type UsageReport struct {
	Collecting bool         `json:"collecting"`
	From       string       `json:"from"` // a day
	To         string       `json:"to"`
	Least      int          `json:"leastPeople"` // how many people stand behind a count with a name
	Workflows  UsageFamily  `json:"workflows"`
	Touches    UsageFamily  `json:"touches"`
	Days       []UsageEntry `json:"days"`
}

// UsageFamily is one of the two families of counters.
type UsageFamily struct {
	Total     UsageCounts `json:"total"`
	Shares    UsageShares `json:"shares"`
	Names     []UsageLine `json:"names"` // the most used first
	MostUsed  []string    `json:"mostUsed"`
	LeastUsed []string    `json:"leastUsed"`
	Quiet     []string    `json:"quiet"` // without a count of their own
}

// UsageLine is the use of one name.
type UsageLine struct {
	Name    string           `json:"name"`
	Counts  UsageCounts      `json:"counts"`
	Shares  UsageShares      `json:"shares"`
	Classes map[string]int64 `json:"classes"`
	Trend   UsageTrend       `json:"trend"`
}

// UsageCounts are counts by what came of it.
type UsageCounts struct {
	Done      int64 `json:"done"`
	Refused   int64 `json:"refused"`
	Failed    int64 `json:"failed"`
	Previewed int64 `json:"previewed"`
}

// Total returns the sum.
func (c UsageCounts) Total() int64 { return c.Done + c.Refused + c.Failed + c.Previewed }

// UsageShares are parts of a total, from 0 to 1.
type UsageShares struct {
	Refused   float64 `json:"refused"`
	Failed    float64 `json:"failed"`
	Previewed float64 `json:"previewed"`
}

// UsageTrend compares the two halves of the days: uses a day.
type UsageTrend struct {
	Earlier float64 `json:"earlier"`
	Later   float64 `json:"later"`
}

// UsageEntry is one count of one day.
type UsageEntry struct {
	Date   string      `json:"date"`
	Name   string      `json:"name"`
	Class  string      `json:"class"`
	Counts UsageCounts `json:"counts"`
}

// Usage returns the report of so many days, today included.
func (c *Client) Usage(ctx context.Context, days int) (*UsageReport, error) {
	return get[UsageReport](ctx, c, Page{}.values("days", strconv.Itoa(days)), "metrics", "usage")
}
