package usage

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Report is what a number of days show. It is all there is: whoever hands it on hands
// on nothing else.
type Report struct {
	From Date `json:"from"`
	To   Date `json:"to"`
	// Least is how many people stand behind every count that is not called "other".
	Least     int     `json:"leastPeople" doc:"How many people stand behind every count that is not called other"`
	Workflows Family  `json:"workflows" doc:"What was completed"`
	Touches   Family  `json:"touches" doc:"What was used: operations of the API, verbs of the command line, controls of the console"`
	Days      []Entry `json:"days" doc:"The counts by day, as they are kept"`
}

// Family is one of the two families of counters over all the days.
type Family struct {
	Total  Counts `json:"total"`
	Shares Shares `json:"shares"`
	// Names has a line for each name that has a count of its own, the most used first.
	Names     []Line `json:"names" doc:"The most used first"`
	MostUsed  []Name `json:"mostUsed" doc:"The first ten"`
	LeastUsed []Name `json:"leastUsed" doc:"The last ten, the least used first"`
	// Quiet are the known names without a count of their own.
	Quiet []Name `json:"quiet" doc:"Names without a count of their own: not used, or by too few people"`
}

// Line is the use of one name.
type Line struct {
	Name    Name            `json:"name"`
	Counts  Counts          `json:"counts"`
	Shares  Shares          `json:"shares"`
	Classes map[Class]int64 `json:"classes" doc:"How often, by class of persona"`
	Trend   Trend           `json:"trend"`
}

// Shares are parts of a total, from 0 to 1.
type Shares struct {
	Refused   float64 `json:"refused"`
	Failed    float64 `json:"failed"`
	Previewed float64 `json:"previewed" doc:"Previewed and not applied"`
}

// Trend compares the two halves of the days: uses a day.
type Trend struct {
	Earlier float64 `json:"earlier" doc:"Uses a day in the first half of the days"`
	Later   float64 `json:"later" doc:"Uses a day in the second half"`
}

// Entry is one count of one day.
type Entry struct {
	Date   Date   `json:"date"`
	Name   Name   `json:"name"`
	Class  Class  `json:"class"`
	Counts Counts `json:"counts"`
}

// listed is how many names the lists of the most and the least used have.
const listed = 10

// NewReport returns the report of the n days that end with to. known are all names
// that there are.
func NewReport(days []Day, to Date, n int, known []Name) *Report {
	r := &Report{From: to.Add(1 - n), To: to, Least: Least, Days: []Entry{}}
	var workflows, touches summing
	half := n / 2
	for _, d := range days {
		if d.Date < r.From || d.Date > r.To {
			continue
		}
		for b, c := range d.Table {
			r.Days = append(r.Days, Entry{d.Date, b.Name, b.Class, c})
			s := &touches
			if b.Name.IsWorkflow() {
				s = &workflows
			}
			s.add(b, c, span{earlier: d.Date < r.From.Add(half), later: d.Date > r.To.Add(-half)})
		}
	}
	slices.SortFunc(r.Days, func(a, b Entry) int {
		return cmp.Or(compareDates(a.Date, b.Date), Bucket{a.Name, a.Class}.Compare(Bucket{b.Name, b.Class}))
	})
	r.Workflows = workflows.family(known, half, Name.IsWorkflow)
	r.Touches = touches.family(known, half, func(n Name) bool { return !n.IsWorkflow() })
	return r
}

// span says in which half of the days something was counted.
type span struct{ earlier, later bool }

// summing adds up a family.
type summing struct {
	total Counts
	lines map[Name]*Line
}

func (s *summing) add(b Bucket, c Counts, in span) {
	s.total = s.total.add(c, 1)
	l := s.lines[b.Name]
	if l == nil {
		if s.lines == nil {
			s.lines = map[Name]*Line{}
		}
		l = &Line{Name: b.Name, Classes: map[Class]int64{}}
		s.lines[b.Name] = l
	}
	l.Counts = l.Counts.add(c, 1)
	l.Classes[b.Class] += c.Total()
	switch {
	case in.earlier:
		l.Trend.Earlier += float64(c.Total())
	case in.later:
		l.Trend.Later += float64(c.Total())
	}
}

func (s *summing) family(known []Name, half int, of func(Name) bool) Family {
	f := Family{Total: s.total, Shares: sharesOf(s.total), Names: []Line{}, MostUsed: []Name{}, LeastUsed: []Name{}, Quiet: []Name{}}
	for _, l := range s.lines {
		l.Shares = sharesOf(l.Counts)
		l.Trend.Earlier = rounded(l.Trend.Earlier / float64(max(half, 1)))
		l.Trend.Later = rounded(l.Trend.Later / float64(max(half, 1)))
		f.Names = append(f.Names, *l)
	}
	slices.SortFunc(f.Names, func(a, b Line) int {
		return cmp.Or(cmp.Compare(b.Counts.Total(), a.Counts.Total()), strings.Compare(string(a.Name), string(b.Name)))
	})
	var ranked []Name
	for _, l := range f.Names {
		if l.Name != l.Name.other() {
			ranked = append(ranked, l.Name)
		}
	}
	f.MostUsed = append(f.MostUsed, ranked[:min(listed, len(ranked))]...)
	slices.Reverse(ranked)
	f.LeastUsed = append(f.LeastUsed, ranked[:min(listed, len(ranked))]...)
	for _, n := range known {
		if of(n) && s.lines[n] == nil {
			f.Quiet = append(f.Quiet, n)
		}
	}
	return f
}

func sharesOf(c Counts) Shares {
	total := float64(max(c.Total(), 1))
	return Shares{rounded(float64(c.Refused) / total), rounded(float64(c.Failed) / total), rounded(float64(c.Previewed) / total)}
}

// rounded keeps four digits: more say nothing about people.
func rounded(v float64) float64 { return math.Round(v*1e4) / 1e4 }

func compareDates(a, b Date) int { return strings.Compare(string(a), string(b)) }
