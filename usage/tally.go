package usage

import (
	"slices"
	"sync"

	"github.com/rollcall-id/rollcall/fault"
)

// Tally counts in memory. It may be used concurrently.
type Tally struct {
	names map[Name]struct{}

	mu   sync.Mutex
	days map[Date]*day // guarded by mu
}

// Event is one thing that somebody did.
type Event struct {
	// Who tells people apart. It is forgotten with the day and given to nobody.
	Who     string
	Class   Class
	Name    Name
	Outcome Outcome
}

// day is what is counted on one day, and what of it was already given out.
type day struct {
	cells map[Bucket]*cell
	given Table
}

// cell is a bucket while it is being filled.
type cell struct {
	counts Counts
	people people
	// previews counts, by person, what was previewed and not done since.
	previews map[string]int64
}

// maxPreviews bounds how many people a cell remembers to have previewed something:
// what others previewed stays previewed, whatever they do then.
const maxPreviews = 1000

// people is a set of up to Least people: more are not remembered.
type people []string

func (p people) with(who string) people {
	if len(p) >= Least || slices.Contains(p, who) {
		return p
	}
	return append(p, who)
}

// NewTally returns a tally that knows names.
func NewTally(names []Name) *Tally {
	t := &Tally{names: make(map[Name]struct{}, len(names)), days: map[Date]*day{}}
	for _, n := range names {
		t.names[n] = struct{}{}
	}
	return t
}

// Known returns an error that does not repeat the name when it is on no list.
func (t *Tally) Known(n Name) error {
	if _, ok := t.names[n]; !ok {
		return fault.New(fault.Invalid, "unknown_usage_name", "only names that are compiled in are counted: report the verb or the control as the documentation lists it")
	}
	return nil
}

// Add counts an event on a day. It refuses a name that it does not know.
func (t *Tally) Add(on Date, e Event) error {
	if err := t.Known(e.Name); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.days[on]
	if d == nil {
		d = &day{cells: map[Bucket]*cell{}}
		t.days[on] = d
	}
	b := Bucket{e.Name, e.Class}
	c := d.cells[b]
	if c == nil {
		c = &cell{}
		d.cells[b] = c
	}
	c.add(e)
	return nil
}

func (c *cell) add(e Event) {
	*c.counts.at(e.Outcome)++
	c.people = c.people.with(e.Who)
	switch n, seen := c.previews[e.Who]; {
	case e.Outcome == Previewed && (seen || len(c.previews) < maxPreviews):
		if c.previews == nil {
			c.previews = map[string]int64{}
		}
		c.previews[e.Who]++
	case e.Outcome == Done && seen:
		c.counts.Previewed -= n
		delete(c.previews, e.Who)
	}
}

// Change is what has to be added to the kept table of a day.
type Change struct {
	Date  Date
	Table Table

	after Table
}

// Due returns what was counted and not yet given out, the oldest day first. Of every
// change that was kept, [Tally.Given] is told; one that was not is due again.
func (t *Tally) Due() []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Change
	for date, d := range t.days {
		after := d.merged()
		if change := after.since(d.given); len(change) > 0 {
			out = append(out, Change{date, change, after})
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return compareDates(a.Date, b.Date) })
	return out
}

// Given records that a change was kept.
func (t *Tally) Given(c Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.days[c.Date]; d != nil {
		d.given = c.after
	}
}

// Forget forgets the days before a day of which everything was given out, and with
// them who was counted on them.
func (t *Tally) Forget(before Date) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for date, d := range t.days {
		if date < before && len(d.merged().since(d.given)) == 0 {
			delete(t.days, date)
		}
	}
}

// pool is what is too small for a bucket of its own.
type pool struct {
	counts Counts
	people people
}

// merged returns the table of the day as it may be given out. A bucket with fewer than
// Least people goes into the class "other" of its name; when that has too few as well,
// into what is left over of its family.
func (d *day) merged() Table {
	out, small := Table{}, map[Name]*pool{}
	for b, c := range d.cells {
		if c.counts == (Counts{}) {
			continue
		}
		if len(c.people) >= Least && b.Class != ClassOther {
			out[b] = c.counts
			continue
		}
		p := small[b.Name]
		if p == nil {
			p = &pool{}
			small[b.Name] = p
		}
		p.counts = p.counts.add(c.counts, 1)
		for _, who := range c.people {
			p.people = p.people.with(who)
		}
	}
	for name, p := range small {
		b := Bucket{name, ClassOther}
		if len(p.people) < Least {
			b.Name = name.other()
		}
		out[b] = out[b].add(p.counts, 1)
	}
	return out
}
