// Package usage counts what is done with an installation and what is touched, and
// never who did it.
//
// It owns the counters of a UTC day: by name and by class of persona, each with its
// outcomes. There are two families of names, workflows that were completed and what
// was touched (operations of the API, verbs of the command line, controls of the
// console); both lists are compiled in, and a name that is on neither is refused, so
// no text from outside can get into a counter. It promises that nothing it gives out
// holds an id, a name of anybody, a host, a value or a hash of one, and that a count
// behind which fewer than five people stand is given out only as a part of a larger
// one. To know how many they are it remembers who they were, in memory and for the
// day only; what was counted before a restart stays as it was merged then.
//
// Package state keeps the days, package admin counts and shows them. Nothing of it is
// ever sent anywhere.
package usage

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Least is how many people stand behind a count that is given out on its own.
const Least = 5

// Config is the section "usage" of the configuration.
type Config struct {
	// Collect is the one switch: without it nothing is counted.
	Collect bool `yaml:"collect"`
}

// DefaultConfig returns the section of a file that does not have it.
func DefaultConfig() Config { return Config{Collect: true} }

// Date is a day in UTC: "2026-11-25". Dates compare as texts do.
type Date string

// DateOf returns the day of an instant.
func DateOf(t time.Time) Date { return Date(t.UTC().Format(time.DateOnly)) }

// Start returns the first instant of the day.
func (d Date) Start() (time.Time, error) { return time.Parse(time.DateOnly, string(d)) }

// Add returns the day n days later.
func (d Date) Add(n int) Date {
	at, err := d.Start()
	if err != nil {
		return d
	}
	return DateOf(at.AddDate(0, 0, n))
}

// Class is a class of persona: who counts in it is what his permissions make of him.
type Class string

// The classes.
const (
	ClassAdmin          Class = "admin"
	ClassUserAdmin      Class = "user_admin"
	ClassGovernor       Class = "governor"
	ClassAuditor        Class = "auditor"
	ClassDataOwner      Class = "data_owner"
	ClassProjectOwner   Class = "project_owner"
	ClassProjectManager Class = "project_manager"
	ClassDataUser       Class = "data_user"
	ClassService        Class = "service" // an application, by a key of its own
	ClassOther          Class = "other"   // everybody of classes that are too small
)

// precedence says in which class somebody counts who has several personas: the first.
var precedence = [...]struct {
	persona string
	class   Class
}{
	{"application-admin", ClassAdmin},
	{"user-admin", ClassUserAdmin},
	{"data-governor", ClassGovernor},
	{"auditor", ClassAuditor},
	{"data-owner", ClassDataOwner},
	{"project-owner", ClassProjectOwner},
	{"project-manager", ClassProjectManager},
	{"data-user", ClassDataUser},
}

// ClassOf returns the class of somebody with these personas.
func ClassOf[P ~string](personas []P) Class {
	for _, row := range precedence {
		if slices.Contains(personas, P(row.persona)) {
			return row.class
		}
	}
	return ClassOther
}

// Outcome is how something ended.
type Outcome uint8

// The outcomes.
const (
	Done      Outcome = iota
	Refused           // the rules say no: not allowed, in conflict, too often
	Failed            // it was wrong, or something did not answer
	Previewed         // only what it would do was asked for
)

// Counts are how often something ended in which way.
type Counts struct {
	Done    int64 `json:"done"`
	Refused int64 `json:"refused"`
	Failed  int64 `json:"failed"`
	// Previewed counts what was only previewed: what the same person then did on the
	// same day counts as done alone.
	Previewed int64 `json:"previewed"`
}

// Total returns the sum.
func (c Counts) Total() int64 { return c.Done + c.Refused + c.Failed + c.Previewed }

func (c *Counts) at(o Outcome) *int64 {
	return []*int64{&c.Done, &c.Refused, &c.Failed, &c.Previewed}[o]
}

// add adds n times d.
func (c Counts) add(d Counts, n int64) Counts {
	return Counts{c.Done + n*d.Done, c.Refused + n*d.Refused, c.Failed + n*d.Failed, c.Previewed + n*d.Previewed}
}

// Bucket is what a count is of.
type Bucket struct {
	Name  Name
	Class Class
}

// Compare orders buckets by name, then by class.
func (b Bucket) Compare(c Bucket) int {
	return cmp.Or(cmp.Compare(b.Name, c.Name), cmp.Compare(b.Class, c.Class))
}

// Table is the counts of a day, as they may be given out. As a change, of which some
// are negative, it says how a table differs from an earlier one.
type Table map[Bucket]Counts

// Apply adds a change to t and returns it. No count falls below zero: what is missing
// was lost with an older copy of the table.
func (t Table) Apply(change Table) Table {
	if t == nil {
		t = Table{}
	}
	for b, d := range change {
		c := t[b].add(d, 1)
		c = Counts{max(c.Done, 0), max(c.Refused, 0), max(c.Failed, 0), max(c.Previewed, 0)}
		if t[b] = c; c == (Counts{}) {
			delete(t, b)
		}
	}
	return t
}

// since returns the change that makes t of before.
func (t Table) since(before Table) Table {
	change := maps.Clone(t)
	for b, c := range before {
		change[b] = change[b].add(c, -1)
	}
	for b, c := range change {
		if c == (Counts{}) {
			delete(change, b)
		}
	}
	return change
}

// Day is the table of a day.
type Day struct {
	Date  Date
	Table Table
}
