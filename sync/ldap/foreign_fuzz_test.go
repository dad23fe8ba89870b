package ldap

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-json-experiment/json"
	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
)

// FuzzDirSyncPatch gives foreign bytes to what takes in an entry of DirSync: each of its
// members becomes a key or makes the patch unclear, and none is lost.
func FuzzDirSyncPatch(f *testing.F) {
	guid := "0123456789abcdef"
	member := "<GUID=33221100-5544-7766-3839-616263646566>;<SID=S-1-5-21-1>;CN=a,DC=x"
	for _, op := range [][]byte{
		entryOp("<GUID=1>;CN=g,DC=x", attribute("objectGUID", guid), attribute("member;range=1-1", member), attribute("member;range=0-0", member)),
		entryOp("CN=g\\0ADEL:1,CN=Deleted Objects,DC=x", attribute("objectGUID", guid), attribute("isDeleted", "TRUE"), attribute("lastKnownParent", "<GUID=1>;OU=a,DC=x")),
		entryOp("CN=g,DC=x", attribute("objectGUID", guid), attribute("isDeleted"), attribute("primaryGroupID", "513"), attribute("name", "g"), attribute("parentGUID", guid)),
		entryOp("CN=g,DC=x", attribute("objectClass", "group"), attribute("member;range=0-1499", "CN=a,DC=x")),
		entryOp("CN=g,DC=x", attribute("objectGUID", guid), attribute("MEMBER;RANGE=1-1", "CN=a,DC=x", "<GUID=", "<GUID=>", "<SID=S-1>;CN=b")),
	} {
		_, contents, _, _ := element(op)
		f.Add(contents)
	}
	s := &Source{cfg: &Config{}}
	s.cfg.Users.PrimaryGroup = "primaryGroupID"
	s.cfg.Groups.Members = []Members{{Attribute: "member"}}
	r := &reading{s: s}
	f.Fuzz(func(t *testing.T, op []byte) {
		d := decoder{limits: bounds(1 << 20)}
		e, err := d.decode(op)
		if err != nil {
			return
		}
		l := &links{changed: map[identity.Key]*objectChange{}}
		for range 2 { // the same again changes nothing
			if err := l.take(r, e); err != nil {
				t.Fatal(err)
			}
		}
		if len(l.changed) != 1 && len(l.broken) == 0 {
			t.Fatalf("%d objects changed, %d were unreadable", len(l.changed), len(l.broken))
		}
		for key, c := range l.changed {
			checkKey(t, key)
			if len(c.dn) > len(e.DN) {
				t.Errorf("the name %q was made of %q", c.dn, e.DN)
			}
			for m := range c.members {
				checkKey(t, m)
			}
			listed := 0
			for _, a := range e.Attributes {
				base, option := baseType(a.Type)
				if _, ok := incremental(option); ok && strings.EqualFold(string(base), "member") {
					listed += len(a.Values)
				}
			}
			if listed > 0 && len(c.members) == 0 && !c.unclear || listed == 0 && len(c.members) > 0 {
				t.Errorf("%d members are listed, %d were read, unclear %t", listed, len(c.members), c.unclear)
			}
		}
	})
}

func checkKey(t *testing.T, key identity.Key) {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(string(key), "-", ""))
	if err != nil || len(b) != 16 || len(key) != 36 {
		t.Errorf("the key %q", key)
	}
}

// FuzzExtendedDN reads names with GUID and SID in front: what is in front does not
// change who is named.
func FuzzExtendedDN(f *testing.F) {
	f.Add([]byte("<GUID=33221100-5544-7766-8899-aabbccddeeff>;<SID=S-1-5-21-1-2-3-500>;CN=a,DC=x"), "CN=a,DC=x")
	f.Add([]byte("<GUID=33221100554477668899aabbccddeeff>;CN=a"), "cn=a,dc=x#'01'B")
	f.Add([]byte("<GUID=>;"), "")
	f.Add([]byte("<WKGUID=1,DC=x>"), "<SID=1>;CN=b")
	f.Fuzz(func(t *testing.T, v []byte, dn string) {
		if key, ok := extendedKey(v); ok {
			checkKey(t, key)
		}
		if rest := memberDN(v); !bytes.Contains(v, rest) {
			t.Errorf("%q names %q", v, rest)
		}
		if strings.ContainsAny(dn, "<") {
			return
		}
		id := identity.Key("33221100-5544-7766-8899-aabbccddeeff")
		whole := []byte("<GUID=" + string(id) + ">;<SID=S-1-5-21-1>;" + dn)
		if key, ok := extendedKey(whole); !ok || key != id {
			t.Errorf("%q has the key %q, %t", whole, key, ok)
		}
		if a, b := memberDN(whole), memberDN([]byte(dn)); !bytes.Equal(a, b) {
			t.Errorf("%q names %q, and by itself %q", whole, a, b)
		}
	})
}

// FuzzRange reads the option of an attribute that comes in pieces: a piece is the last,
// or another begins after it.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"range=0-1499", "range=1500-*", "RANGE=0-0", "range=", "range=-", "range=0--5", "range=0-9223372036854775807"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, option []byte) {
		next, ok := rangeEnd(option)
		if !ok {
			return
		}
		_, end, _ := strings.Cut(string(option), "-")
		switch n, err := strconv.ParseUint(end, 10, 31); {
		case end == "*" && next != 0, end != "*" && err != nil && next != noRange, end != "*" && err == nil && next != int(n)+1:
			t.Errorf("after %q the next piece begins at %d", option, next)
		}
	})
}

// FuzzInstant reads when an account ends: what comes of it can be stored, and an end
// never becomes none because of how it is written.
func FuzzInstant(f *testing.F) {
	for _, s := range []string{
		"133000000000000000", "9223372036854775806", "2650467744000000000", "0", "-1", "20260101000000Z", "20260101000000.5Z", "202601010000Z",
		"20260101000000+0200", "00010101000000Z", "00000101000000+2300", "99991231235959-0100", "2932896", "2147483647", "19000",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		for _, format := range []string{formatFiletime, formatDays, formatGeneralized} {
			at, err := instant(format, v)
			if err != nil {
				continue
			}
			if _, err := json.Marshal(at); err != nil {
				t.Errorf("%s %q is %v: %v", format, v, at, err)
			}
			if at.IsZero() && format == formatGeneralized && !bytes.HasPrefix(v, []byte("9999")) {
				t.Errorf("%s %q counts as none", format, v)
			}
		}
	})
}

// FuzzValues writes values of every kind: as text in UTF-8, or not at all.
func FuzzValues(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Add([]byte("\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\xf4\x01\x00\x00"))
	f.Add([]byte("Zo\xc3\xab \xff"))
	f.Add([]byte("\u202eann\x00"))
	f.Fuzz(func(t *testing.T, v []byte) {
		for _, form := range []valueForm{formText, formGUID, formSID} {
			if s, err := form.text(v); err == nil && !utf8.ValidString(s) {
				t.Errorf("form %d of %q is %q", form, v, s)
			}
		}
		for _, form := range []keyForm{keyText, keyGUID, keyBytes} {
			key, err := form.key([][]byte{v})
			if err != nil {
				continue
			}
			if form != keyText {
				checkKey(t, key)
			}
			// What is asked for by a key finds the entry that it was read from.
			if got := unescaped(t, form.filterValue(key)); form == keyText && !bytes.EqualFold(got, v) || form != keyText && !bytes.Equal(got, v) {
				t.Errorf("key %q of %q is asked for by %q", key, v, got)
			}
		}
		if name, err := loginName([][]byte{v}); err == nil && (name == "" || strings.TrimSpace(name) != name || !utf8.ValidString(name)) {
			t.Errorf("the name %q of %q", name, v)
		}
		if s := clip(string(v), 10); len(s) > 13 || !utf8.ValidString(s) {
			t.Errorf("%q was shortened to %q", v, s)
		}
		if dn, ok := referralDN(string(v)); ok && len(dn) == 0 {
			t.Errorf("the referral %q leads to nothing", v)
		}
	})
}

func unescaped(t *testing.T, s string) []byte {
	t.Helper()
	p, err := goldap.CompileFilter("(a=" + s + ")")
	if err != nil {
		t.Fatal(err)
	}
	return p.Children[1].Data.Bytes()
}

// FuzzResultControls gives foreign bytes to what reads the controls of a result: the
// cookies of pages (RFC 2696), of DirSync and of RFC 4533. None is larger than what it
// came in.
func FuzzResultControls(f *testing.F) {
	add := func(oid string, value []byte) {
		f.Add(oid, tlv(tagSequence, octets(oid), tlv(tagOctets, value)))
		f.Add(oid, tlv(tagSequence, octets(oid), []byte{tagBoolean, 1, 0xff}, tlv(tagOctets, value)))
	}
	number := func(n byte) []byte { return []byte{tagInteger, 1, n} }
	add(goldap.ControlTypeDirSync, tlv(tagSequence, number(1), number(0), octets("MSDS")))
	add(goldap.ControlTypeDirSync, tlv(tagSequence, number(1), octets("x")))
	add(goldap.ControlTypePaging, tlv(tagSequence, number(0), octets("cookie")))
	add(goldap.ControlTypeSyncDone, tlv(tagSequence, octets("rid=1,csn=2"), []byte{tagBoolean, 1, 0xff}))
	add(goldap.ControlTypeSyncDone, tlv(tagSequence))
	add(goldap.ControlTypeSyncState, tlv(tagSequence, []byte{tagEnumerated, 1, 1}, octets("0123456789abcdef")))
	f.Fuzz(func(t *testing.T, oid string, raw []byte) {
		p, err := ber.DecodePacketErr(raw)
		if err != nil {
			return
		}
		c, err := goldap.DecodeControl(p)
		if err != nil {
			return
		}
		var cookie []byte
		switch c := goldap.FindControl([]goldap.Control{c}, oid).(type) {
		case *goldap.ControlDirSync:
			cookie = c.Cookie
		case *goldap.ControlPaging:
			cookie = c.Cookie
		case *goldap.ControlSyncDone:
			cookie = c.Cookie
		}
		if len(cookie) > len(raw) {
			t.Errorf("a cookie of %d bytes came in %d", len(cookie), len(raw))
		}
		_ = fmt.Sprint(c) // as it may be logged
	})
}

// FuzzRecord maps entries of foreign bytes by the rules of a domain: what becomes of one
// can be stored, and its name typed.
func FuzzRecord(f *testing.F) {
	guid := attribute("objectGUID", "0123456789abcdef")
	for _, op := range [][]byte{
		entryOp("CN=a,DC=x", guid, attribute("sAMAccountName", "ann"), attribute("mail", "a@x", "b@x"), attribute("department", "\"\\", "\x01")),
		entryOp("CN=\xff,DC=x", guid, attribute("sAMAccountName", "ann\x00"), attribute("userAccountControl", "514"), attribute("accountExpires", "9223372036854775806")),
		entryOp("CN=a,DC=x", guid, attribute("sAMAccountName", "ann"), attribute("mail;range=0-1", "a@x"), attribute("department;lang-de", "x")),
		entryOp("CN=a,DC=x", guid, attribute("sAMAccountName", "ann"), attribute("department", strings.Repeat("\x01", 40_000))),
	} {
		_, contents, _, _ := element(op)
		f.Add(contents)
	}
	l := userLayout(testConfig(), nil)
	f.Fuzz(func(t *testing.T, op []byte) {
		d := decoder{limits: bounds(1 << 20)}
		e, err := d.decode(op)
		if err != nil {
			return
		}
		m := l.mapper()
		m.load(e)
		key, err := m.entryKey()
		if err != nil {
			return
		}
		r, err := m.record("corp", key, m.hash())
		if err != nil {
			return
		}
		b, err := json.Marshal(r)
		if err != nil || len(b) > 256<<10 {
			t.Errorf("a record of %d bytes cannot be stored: %v", len(b), err)
		}
		if _, torn := m.inPieces(); torn || r.Name == "" || !utf8.ValidString(r.DN) {
			t.Errorf("%q at %q, in pieces %t", r.Name, r.DN, torn)
		}
	})
}
