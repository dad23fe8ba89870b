package ldapserver

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// adTime is how Active Directory writes a generalized time.
const adTime = "20060102150405.0Z"

// show publishes an object as searches are to see it. The caller holds the lock.
func (ad *AD) show(o *adObject) {
	if old := o.view.entry.Load(); old != nil && ad.byName[old.name.folded] == o {
		delete(ad.byName, old.name.folded)
	}
	next := ad.render(o)
	ad.byName[next.name.folded] = o
	o.view.entry.Store(next)
}

// render returns the object with the attributes of a domain.
func (ad *AD) render(o *adObject) *stored {
	e := &stored{name: o.raw.name, parent: o.raw.parent, deleted: o.dead}
	e.attrs = make([]storedAttr, 0, len(o.raw.attrs)+16)
	for _, a := range o.raw.attrs {
		if a.key == "memberof" && !o.dead || !isForeign(a.key) && (!o.dead || ad.survives(a.key)) {
			e.attrs = append(e.attrs, a)
		}
	}
	name := ""
	if rdn := lowestRDN(o.raw.name); len(rdn) > 0 {
		name = rdn[0].value
	}
	if o.dead {
		name = ad.rest(o, e, name)
	}
	add := func(name, value string) { e.replace(Attr(name, value)) }
	add("name", name)
	add("distinguishedName", e.name.text)
	add("objectGUID", o.guid)
	add("instanceType", instanceType(o, ad.suffix))
	add("whenCreated", o.created.Format(adTime))
	add("whenChanged", o.touched.Format(adTime))
	add("uSNCreated", strconv.FormatUint(o.born, 10))
	add("uSNChanged", strconv.FormatUint(o.usn, 10))
	if parent, ok := ad.byName[e.parent]; ok {
		add("parentGUID", parent.guid)
	} else if old := o.view.entry.Load(); old != nil {
		// It moves below a parent whose own move is told after this.
		add("parentGUID", old.first("parentguid"))
	}
	if o.sid != "" {
		add("objectSid", o.sid)
	}
	if category := ad.category(o.raw); category != "" && e.first("objectcategory") == "" && !o.dead {
		add("objectCategory", category)
	}
	if isClass(o.raw, "group") && !o.dead {
		add("primaryGroupToken", strconv.FormatUint(uint64(ridOf(o.sid)), 10))
	}
	return e
}

// rest gives a tombstone its name and place, and returns the name.
func (ad *AD) rest(o *adObject, e *stored, name string) string {
	mangled := name + "\nDEL:" + guidText(o.guid)
	kind := "CN"
	if rdn := lowestRDN(o.raw.name); len(rdn) > 0 {
		kind = rdn[0].kind
	}
	below := ad.bin.view.entry.Load().name
	text := kind + "=" + EscapeRDN(name) + `\0ADEL:` + guidText(o.guid) + "," + below.text
	e.name, e.parent = dn{text: text, folded: foldRDN([]ava{{kind, mangled}}) + "," + below.folded}, below.folded
	e.replace(Attr(kind, mangled))
	e.replace(Attr("isDeleted", "TRUE"))
	if !ad.o.RecycleBin {
		e.replace(Attr("isRecycled", "TRUE"))
	}
	if _, above := splitRDN(o.raw.name.text); above != "" {
		e.replace(Attr("lastKnownParent", above))
	}
	return mangled
}

// instanceType is 4 for an object that may be written here, 5 for the head of the
// naming context (MS-ADTS §3.1.1.1.9).
func instanceType(o *adObject, suffix dn) string {
	if o.raw.name.folded == suffix.folded {
		return "5"
	}
	return "4"
}

// isClass says whether an entry has an object class.
func isClass(e *stored, class string) bool {
	for a := range e.all("objectclass") {
		if slices.ContainsFunc(a.values, func(v string) bool { return strings.EqualFold(v, class) }) {
			return true
		}
	}
	return false
}

// category returns the objectCategory of the usual classes.
func (ad *AD) category(e *stored) string {
	for _, c := range [][2]string{
		{"computer", "Computer"},
		{"user", "Person"},
		{"group", "Group"},
		{"organizationalUnit", "Organizational-Unit"},
		{"contact", "Person"},
		{"container", "Container"},
		{"domain", "Domain-DNS"},
		{"domainDNS", "Domain-DNS"},
	} {
		if isClass(e, c[0]) {
			return "CN=" + c[1] + ",CN=Schema,CN=Configuration," + ad.suffix.text
		}
	}
	return ""
}

// isConstructed says which attributes a domain returns only when they are named
// (MS-ADTS §3.1.1.4.5).
func isConstructed(key string) bool {
	return key == "parentguid" || key == "primarygrouptoken"
}

// deletedObjects is the well-known GUID of the container of tombstones (MS-ADTS
// §6.1.1.4), as a base writes it.
const deletedObjects = "\x18\xe2\xea\x80\x68\x4f\x11\xd2\xb9\xaa\x00\xc0\x4f\x79\xf8\x05"

// addBin makes CN=Deleted Objects.
func (ad *AD) addBin() {
	name := dn{text: "CN=Deleted Objects," + ad.suffix.text, folded: "cn=deleted objects," + ad.suffix.folded}
	at := ad.now()
	o := &adObject{
		view: &slot{id: ad.nextID}, guid: GUID(nameUUID(name.folded)), dead: true, created: at, touched: at,
		born: ad.usn, usn: ad.usn, raw: &stored{name: name, parent: ad.suffix.folded},
	}
	ad.nextID++
	e := &stored{name: name, parent: ad.suffix.folded, deleted: true}
	for _, a := range []Attribute{
		Attr("objectClass", "top", "container"), Attr("cn", "Deleted Objects"), Attr("name", "Deleted Objects"),
		Attr("distinguishedName", name.text), Attr("isDeleted", "TRUE"), Attr("objectGUID", o.guid), Attr("instanceType", "4"),
		Attr("whenCreated", at.Format(adTime)), Attr("whenChanged", at.Format(adTime)), Attr("isCriticalSystemObject", "TRUE"),
		Attr("uSNCreated", strconv.FormatUint(o.born, 10)), Attr("uSNChanged", strconv.FormatUint(o.usn, 10)),
	} {
		e.replace(a)
	}
	o.view.entry.Store(e)
	ad.bin, ad.byGUID[o.guid], ad.byName[name.folded] = o, o, o
	ad.journal = append(ad.journal, usnRecord{o.usn, o})
	slots := append(*ad.slots.Load(), o.view)
	ad.slots.Store(&slots)
}

// settingsName is where a controller's own object lies.
func (ad *AD) settingsName() string {
	return "CN=NTDS Settings,CN=" + strings.ToUpper(ad.o.Host) +
		",CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration," + ad.suffix.text
}

// settingsObject is the object that dsServiceName names; invocationId is read
// from it.
func (ad *AD) settingsObject() *slot {
	name := ad.settingsName()
	e := &stored{name: dn{text: name, folded: strings.ToLower(name)}}
	_, e.parent, _ = strings.Cut(e.name.folded, ",")
	for _, a := range []Attribute{
		Attr("objectClass", "top", "applicationSettings", "nTDSDSA"), Attr("cn", "NTDS Settings"), Attr("name", "NTDS Settings"),
		Attr("distinguishedName", name), Attr("objectGUID", GUID(nameUUID(name))), Attr("invocationId", ad.invocation),
		Attr("options", "1"), Attr("instanceType", "4"),
	} {
		e.replace(a)
	}
	s := &slot{id: 1}
	s.entry.Store(e)
	return s
}

// rootAttributes are what the root entry of a controller says (MS-ADTS
// §3.1.1.3.2).
func (ad *AD) rootAttributes() []Attribute {
	usn, domain := ad.HighestUSN(), dnsName(ad.suffix)
	host := strings.ToLower(ad.o.Host) + "." + domain
	_, server := splitRDN(ad.settingsName())
	top := ad.suffix.text
	return []Attribute{
		Attr("currentTime", ad.now().Format(adTime)), Attr("dnsHostName", host), Attr("dsServiceName", ad.settingsName()),
		Attr("serverName", server), Attr("highestCommittedUSN", strconv.FormatUint(usn, 10)),
		Attr("defaultNamingContext", top), Attr("rootDomainNamingContext", top),
		Attr("configurationNamingContext", "CN=Configuration,"+top), Attr("schemaNamingContext", "CN=Schema,CN=Configuration,"+top),
		Attr("subschemaSubentry", "CN=Aggregate,CN=Schema,CN=Configuration,"+top),
		Attr("namingContexts", top, "CN=Configuration,"+top, "CN=Schema,CN=Configuration,"+top),
		Attr("supportedCapabilities", "1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1670", "1.2.840.113556.1.4.1791", "1.2.840.113556.1.4.1935"),
		Attr("supportedControl", oidPaging, oidDomainScope, oidDirSync, oidNotification, oidShowDeleted, oidShowRecycled, oidExtendedDN, oidSDFlags),
		Attr("supportedLDAPPolicies", "MaxPageSize", "MaxValRange"),
		Attr("isSynchronized", "TRUE"), Attr("isGlobalCatalogReady", "TRUE"), Attr("ldapServiceName", domain+":"+host),
		Attr("domainFunctionality", "7"), Attr("forestFunctionality", "7"), Attr("domainControllerFunctionality", "7"),
		{Name: "objectClass"},
		{Name: "structuralObjectClass"},
		{Name: "vendorName"},
		{Name: "vendorVersion"},
		{Name: "supportedFeatures"},
	}
}

// dnsName returns the domain that a name of DC components stands for.
func dnsName(name dn) string {
	rdns, err := splitDN(name.text)
	if err != nil {
		return ""
	}
	var labels []string
	for _, rdn := range rdns {
		if strings.EqualFold(rdn[0].kind, "DC") {
			labels = append(labels, strings.ToLower(rdn[0].value))
		}
	}
	return strings.Join(labels, ".")
}

// nameUUID returns a UUID that follows from a text, for objects that the
// directory does not hold.
func nameUUID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return uuidFrom(sum[:16])
}

// uuidFrom writes 16 octets as a version 8 UUID (RFC 9562 §5.8).
func uuidFrom(b []byte) string {
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
