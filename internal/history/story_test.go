package history

import (
	"fmt"
	"time"
)

// step is one thing that happens between two reads, in words of no family.
type step struct {
	name string
	tell func(*world)
	// disputes is how many people a plan leaves alone, because they have the name of
	// somebody who is gone.
	disputes int
	// loose steps need a directory whose groups may list what is not there.
	loose bool
	// confuses marks what 389-ds 2.3.1 with referential integrity loses track of: it goes
	// on to show people at the DNs that they had before their unit was renamed or moved,
	// and contradicts itself when it is asked in another way.
	confuses bool
}

// beginning is the small company that the story starts with.
func beginning(w *world) {
	for _, ou := range []string{"staff", "guests", "lab", "calm"} {
		w.unit(ou, "people")
	}
	for i := range 40 {
		unit := []string{"staff", "guests", "lab"}[i%3]
		if i >= 5 && i <= 8 {
			// Who is deleted and made anew is in a unit that is never renamed: below one that
			// was, 389-ds 2.3.1 with referential integrity says forever that he exists.
			unit = "calm"
		}
		w.person(fmt.Sprintf("p%02d", i), unit)
	}
	w.group("all", "groups", "p00", "p01", "p02", "p03", "p04", "p05")
	w.group("ops", "groups", "p00", "p03")
	w.group("desk", "groups", "p06", "ops")
	w.group("quiet", "groups", "p20")
}

// story is the table.
var story = []step{
	{name: "everything is new", tell: func(*world) {}},
	{name: "nothing happens", tell: func(*world) {}},
	{name: "somebody is added", tell: func(w *world) { w.person("ann", "staff") }},
	{name: "and is added to a group", tell: func(w *world) { w.join("all", "ann") }},
	{name: "somebody and his membership are added at once", tell: func(w *world) { w.person("bob", "lab"); w.join("ops", "bob") }},
	{name: "a field is set", tell: func(w *world) { w.set("ann", "title", "Engineer") }},
	{name: "a field is changed", tell: func(w *world) { w.set("ann", "title", "Boss"); w.set("bob", "displayName", "Robert") }},
	{name: "a field is cleared", tell: func(w *world) { w.set("ann", "title") }},
	{name: "an attribute has values", tell: func(w *world) { w.set("ann", "tags", "one", "two", "three") }},
	{name: "one value fewer, and another order", tell: func(w *world) { w.set("ann", "tags", "three", "one") }},
	{name: "an attribute is cleared", tell: func(w *world) { w.set("ann", "tags") }},
	{name: "a name of the world's scripts", tell: func(w *world) { w.set("bob", "description", "Zoë Ødegård 山田 \U0001F600") }},
	{name: "a new login name", tell: func(w *world) { w.rename("ann", "ann.lee") }},
	{name: "moved to another unit", tell: func(w *world) { w.move("ann", "guests") }},
	{name: "renamed and moved at once", tell: func(w *world) { w.place("bob", "bobby", "staff") }},
	{name: "renamed twice, and back", tell: func(w *world) { w.rename("p00", "other"); w.rename("p00", "p00") }},
	{name: "renamed by case only", tell: func(w *world) { w.rename("p02", "P02") }},
	{name: "two exchange their names", tell: func(w *world) {
		w.rename("p03", "between")
		w.rename("p04", "p03")
		w.rename("p03", "p04")
	}},
	{name: "odd names", tell: func(w *world) {
		w.personNamed("odd1", `Lee, Ann + "Co"`, "staff")
		w.personNamed("odd2", "#7 née Żółć", "staff")
		w.groupNamed("odd3", `a\b; <c>`, "groups", "odd1", "odd2", "p01")
	}},
	{name: "a unit is renamed", tell: func(w *world) { w.rename("staff", "crew") }},
	{name: "two units exchange their names", confuses: true, tell: func(w *world) {
		w.rename("guests", "between")
		w.rename("lab", "guests")
		w.rename("guests", "lab")
	}},
	{name: "a unit is renamed and its people changed", tell: func(w *world) {
		w.rename("lab", "laboratory")
		w.set("p02", "title", "Head")
	}},
	{name: "a unit within a unit", tell: func(w *world) {
		w.unit("inner", "staff")
		w.person("cy", "inner")
		w.join("all", "cy")
	}},
	{name: "a unit is moved", tell: func(w *world) { w.move("inner", "guests") }},
	{name: "a unit above a unit is renamed", tell: func(w *world) { w.rename("guests", "visitors") }},
	{name: "a unit and one of its people at once", tell: func(w *world) { w.rename("cy", "cyrus"); w.rename("inner", "innermost") }},
	{name: "disabled", tell: func(w *world) { w.disable("ann", yes) }},
	{name: "enabled", tell: func(w *world) { w.disable("ann", no) }},
	{name: "his time ends", tell: func(w *world) { w.expire("bob", time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)) }},
	{name: "it ended long ago", tell: func(w *world) { w.expire("bob", time.Date(2001, 5, 1, 0, 0, 0, 0, time.UTC)) }},
	{name: "it does not end", tell: func(w *world) { w.expire("bob", time.Time{}) }},
	{name: "a group is added", tell: func(w *world) { w.group("night", "groups", "p10", "p11", "ann") }},
	{name: "members come", tell: func(w *world) { w.join("night", "p12", "p13") }},
	{name: "members go", tell: func(w *world) { w.leave("night", "p11") }},
	{name: "members come and go", tell: func(w *world) { w.join("night", "p14"); w.leave("night", "p12", "ann") }},
	{name: "in and out again", tell: func(w *world) { w.join("night", "p15"); w.leave("night", "p15") }},
	{name: "a group says more of itself", tell: func(w *world) { w.set("night", "description", "the night shift") }},
	{name: "a group within a group", tell: func(w *world) { w.join("desk", "night") }},
	{name: "the inner group changes", tell: func(w *world) { w.join("night", "p16"); w.leave("night", "p10") }},
	{name: "a circle of groups", tell: func(w *world) { w.join("night", "desk") }},
	{name: "a group within is renamed", tell: func(w *world) { w.rename("night", "late") }},
	{name: "the circle ends", tell: func(w *world) { w.leave("night", "desk") }},
	{name: "another first group", tell: func(w *world) { w.join("quiet", "p21"); w.primary("p21", "quiet") }},
	{name: "and another", tell: func(w *world) { w.primary("p20", "quiet"); w.join("ops", "p21"); w.primary("p21", "ops") }},
	{name: "the first group of somebody is renamed", tell: func(w *world) { w.rename("quiet", "silent") }},
	{name: "and back to the first one", tell: func(w *world) { w.primary("p21", "quiet") }},
	{name: "everybody in a group is renamed", tell: func(w *world) {
		for _, id := range []string{"p13", "p14", "p16"} {
			w.rename(id, id+"x")
		}
	}},
	{name: "a member is deleted", tell: func(w *world) { w.remove("p05") }},
	{name: "somebody new under his name", disputes: 1, tell: func(w *world) { w.person("p05", "calm") }},
	{name: "who joins the group as well", tell: func(w *world) {
		if w.follows() {
			w.join("all", "p05")
		}
	}},
	{name: "deleted and made anew at once", disputes: 1, tell: func(w *world) { w.remove("p06"); w.person("p06", "calm") }},
	{name: "deleted, and his name to another at once", disputes: 1, tell: func(w *world) { w.remove("p07"); w.rename("p08", "p07") }},
	{name: "never seen", tell: func(w *world) { w.person("ghost", "staff"); w.join("ops", "ghost"); w.remove("ghost") }},
	{name: "a nested group is deleted", tell: func(w *world) { w.remove("ops") }},
	{name: "and made anew", tell: func(w *world) { w.group("ops", "groups", "p00", "p01") }},
	{name: "a unit is deleted with all in it", tell: func(w *world) { w.remove("inner") }},
	{name: "out of sight", tell: func(w *world) { w.unit("outside", ""); w.move("p30", "outside"); w.move("p00", "outside") }},
	{name: "changed out of sight", tell: func(w *world) { w.set("p30", "title", "Away"); w.rename("p00", "p00.away") }},
	{name: "back again", tell: func(w *world) { w.move("p30", "staff"); w.move("p00", "guests") }},
	{name: "a unit leaves with its people", confuses: true, tell: func(w *world) { w.move("lab", "outside") }},
	{name: "it returns", confuses: true, tell: func(w *world) { w.move("lab", "people") }},
	{name: "a member before he is there", loose: true, tell: func(w *world) {
		w.person("early", "staff")
		hello := w.told()
		w.join("all", "early")
		join := w.told()
		w.ldif.WriteString(join)
		w.promised = hello
	}},
	{name: "and then he is", loose: true, tell: func(w *world) { w.ldif.WriteString(w.promised) }},
}
