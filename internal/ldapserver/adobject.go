package ldapserver

import (
	"maps"
	"slices"
	"time"
)

// adObject is an object of a domain with what is known of its past.
type adObject struct {
	id   uint64  // of the directory's slot; of the former one after a deletion
	view *slot   // what searches see
	raw  *stored // what the directory holds, or held before the deletion
	guid string
	sid  string
	dead bool

	born, usn        uint64 // the changes that it came with and was last touched by
	created, touched time.Time
	// stamps holds the last change of each attribute that was written after the
	// birth, cleared ones included. All others have that of the birth.
	stamps []attrStamp
	links  map[linkTarget]linkStamp // the values of linked attributes, gone ones included
}

// attrStamp says with which change an attribute was last written.
type attrStamp struct {
	key, name string
	usn       uint64
}

// linkTarget is what a value of a linked attribute names: an object, or, by its
// folded text, what is none.
type linkTarget struct {
	key  string
	id   uint64
	text string
}

// linkStamp says with which change a value came, or went.
type linkStamp struct {
	usn   uint64
	value string // as it was written
	gone  bool
}

// linkKeys are the attributes whose values have a history each.
var linkKeys = []string{"member", "manager", "managedby"}

// copy returns o so that neither's changes show in the other.
func (o *adObject) copy() *adObject {
	c := *o
	c.view = &slot{id: o.view.id}
	c.view.entry.Store(o.view.entry.Load())
	c.stamps, c.links = slices.Clone(o.stamps), maps.Clone(o.links)
	return &c
}

// stamp notes that an attribute was written with the object's last change.
func (o *adObject) stamp(name string) {
	key := typeKey(name)
	if at := slices.IndexFunc(o.stamps, func(s attrStamp) bool { return s.key == key }); at >= 0 {
		o.stamps[at].usn = o.usn
		return
	}
	o.stamps = append(o.stamps, attrStamp{key: key, name: name, usn: o.usn})
}

// follow takes in a write of the directory.
func (ad *AD) follow(c change) {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	if ad.held {
		ad.pending = append(ad.pending, c)
		return
	}
	ad.take(c)
}

// take takes in a change. The caller holds the lock.
func (ad *AD) take(c change) {
	switch {
	case c.before == nil:
		ad.create(c)
	case c.after == nil:
		ad.bury(ad.byID[c.slot.id])
	case c.silent:
		ad.refresh(ad.byID[c.slot.id], c.after)
		return // no change that anybody is told of
	default:
		ad.update(ad.byID[c.slot.id], c)
	}
	ad.compact()
	ad.wake()
}

// count gives an object the next change number and notes it in the journal.
func (ad *AD) count(o *adObject) {
	ad.usn++
	o.usn, o.touched = ad.usn, ad.now()
	ad.journal = append(ad.journal, usnRecord{ad.usn, o})
}

// create takes in a new entry: a new object, or a deleted one that comes back
// under its old GUID.
func (ad *AD) create(c change) {
	guid := GUID(c.after.first("entryuuid"))
	if guid == "" {
		guid = GUID(nameUUID(c.after.name.folded))
	}
	o, known := ad.byGUID[guid]
	if known && o.dead {
		delete(ad.byName, o.view.entry.Load().name.folded)
		buried := o.raw
		o.dead, o.id, o.raw = false, c.slot.id, c.after
		ad.count(o)
		for _, a := range c.after.attrs {
			if !isForeign(a.key) && (!ad.survives(a.key) || !slices.Equal(a.values, valuesOf(buried, a.name))) {
				o.stamp(a.name)
			}
		}
		ad.stampDeletion(o)
	} else {
		o = &adObject{id: c.slot.id, view: &slot{id: ad.nextID}, raw: c.after, guid: guid}
		ad.nextID++
		ad.count(o)
		o.born, o.created = o.usn, o.touched
		o.sid = ad.sidFor(o)
		slots := append(*ad.slots.Load(), o.view)
		ad.slots.Store(&slots)
	}
	ad.byID[o.id], ad.byGUID[guid] = o, o
	ad.linkValues(o, nil, c.after)
	ad.show(o)
}

// sidFor returns the entry's own objectSid, or one of the domain for those that
// have one.
func (ad *AD) sidFor(o *adObject) string {
	if given := o.raw.first("objectsid"); given != "" {
		return given
	}
	for a := range o.raw.all("objectclass") {
		for _, v := range a.values {
			switch foldText(v) {
			case "user", "group", "computer":
				return SID(uint32(1000 + o.id))
			}
		}
	}
	return ""
}

// update takes in a change of an entry.
func (ad *AD) update(o *adObject, c change) {
	ad.count(o)
	o.raw = c.after
	if c.before.name != c.after.name {
		o.stamp("name")
		o.stamp("parentGUID")
	}
	for _, a := range c.after.attrs {
		if !isForeign(a.key) && !slices.Equal(a.values, valuesOf(c.before, a.name)) {
			o.stamp(a.name)
		}
	}
	for _, a := range c.before.attrs {
		if !isForeign(a.key) && valuesOf(c.after, a.name) == nil {
			o.stamp(a.name)
		}
	}
	ad.linkValues(o, c.before, c.after)
	ad.show(o)
}

// isForeign says which attributes of the directory a domain does not know, or
// computes.
func isForeign(key string) bool {
	switch key {
	case "entryuuid", "entrycsn", "createtimestamp", "modifytimestamp", "structuralobjectclass", "creatorsname",
		"modifiersname", "memberof", "nsuniqueid", "objectsid":
		return true
	}
	return isSecret(key)
}

// valuesOf returns the values of the attribute of exactly that description.
func valuesOf(e *stored, name string) []string {
	for a := range e.all(typeKey(name)) {
		if foldText(a.name) == foldText(name) {
			return a.values
		}
	}
	return nil
}

// linkValues notes which values of linked attributes came and went.
func (ad *AD) linkValues(o *adObject, before, after *stored) {
	for _, key := range linkKeys {
		was, is := targets(before, key), targets(after, key)
		if len(was)+len(is) > 0 && o.links == nil {
			o.links = make(map[linkTarget]linkStamp, len(is))
		}
		for folded := range was {
			if _, still := is[folded]; still {
				continue
			}
			target := ad.target(key, folded)
			if _, known := o.links[target]; !known {
				target = linkTarget{key: key, text: folded}
			}
			o.links[target] = linkStamp{usn: o.usn, value: o.links[target].value, gone: true}
		}
		for a := range after.all(key) {
			for _, v := range a.values {
				folded := foldValue(key, v)
				if _, had := was[folded]; !had {
					o.links[ad.target(key, folded)] = linkStamp{usn: o.usn, value: v}
				}
			}
		}
	}
}

// target returns what a folded name names.
func (ad *AD) target(key, folded string) linkTarget {
	if o, ok := ad.byName[folded]; ok && !o.dead {
		return linkTarget{key: key, id: o.id}
	}
	return linkTarget{key: key, text: folded}
}

// refresh takes in what the directory did by the way: the object looks different,
// and nobody is told. A member that was deleted leaves without a trace.
func (ad *AD) refresh(o *adObject, after *stored) {
	o.raw = after
	for target, l := range o.links {
		if _, alive := ad.byID[target.id]; target.id != 0 && !alive && !l.gone && ad.directory.references != ReferencesStay {
			delete(o.links, target)
		}
	}
	ad.show(o)
}

// bury makes a tombstone of an object.
func (ad *AD) bury(o *adObject) {
	ad.count(o)
	delete(ad.byID, o.id)
	o.dead, o.links = true, nil
	for _, a := range o.raw.attrs {
		if !ad.survives(a.key) && !isForeign(a.key) {
			o.stamp(a.name)
		}
	}
	ad.stampDeletion(o)
	ad.show(o)
}

// stampDeletion notes what a deletion writes, and an undeletion takes back.
func (ad *AD) stampDeletion(o *adObject) {
	for _, name := range []string{"isDeleted", "lastKnownParent", "name", "parentGUID"} {
		o.stamp(name)
	}
	if !ad.o.RecycleBin {
		o.stamp("isRecycled")
	}
}

// survives says which attributes a tombstone keeps (MS-ADTS §3.1.1.5.5.1.1), and a
// deleted object in the recycle bin (§3.1.1.5.5.1.3): all that are no links.
func (ad *AD) survives(key string) bool {
	if ad.o.RecycleBin {
		return syntaxOf(key) != syntaxName
	}
	switch key {
	case "objectclass", "samaccountname", "useraccountcontrol", "grouptype", "primarygroupid", "samaccounttype", "objectsid":
		return true
	}
	return false
}
