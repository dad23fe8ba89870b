package ldapserver

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// SID returns the security identifier with the given last part in the domain of
// every [AD], S-1-5-21-1000-2000-3000, as objectSid holds it (MS-DTYP §2.4.2.2).
func SID(rid uint32) string {
	b := []byte{1, 5, 0, 0, 0, 0, 0, 5}
	for _, part := range []uint32{21, 1000, 2000, 3000, rid} {
		b = binary.LittleEndian.AppendUint32(b, part)
	}
	return string(b)
}

// ridOf returns the last part of a SID, and 0 for what is none.
func ridOf(sid string) uint32 {
	if len(sid) < 12 || len(sid)%4 != 0 {
		return 0
	}
	return binary.LittleEndian.Uint32([]byte(sid[len(sid)-4:]))
}

// GUID returns the octets that objectGUID holds for an entryUUID: the first three
// fields have their octets turned round (MS-DTYP §2.3.4.2). A text that is no UUID
// gives "".
func GUID(uuid string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(b) != 16 {
		return ""
	}
	return string(turnGUID(b))
}

// turnGUID turns the first three fields of a GUID round, either way.
func turnGUID(b []byte) []byte {
	return []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]}
}

// guidText writes a GUID's octets with dashes.
func guidText(guid string) string {
	h := hex.EncodeToString(turnGUID([]byte(guid)))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// alternateName reads the names by which Active Directory takes a base besides a
// distinguished name, "<GUID=...>", "<SID=...>" and "<WKGUID=...,DN>" (MS-ADTS
// §3.1.1.3.1.2.4): a value in hex octets, or with dashes.
func alternateName(base string) (kind, value string, ok bool) {
	inner, isOpen := strings.CutPrefix(base, "<")
	inner, isClosed := strings.CutSuffix(inner, ">")
	kind, value, found := strings.Cut(inner, "=")
	if !isOpen || !isClosed || !found {
		return "", "", false
	}
	kind = strings.ToUpper(kind)
	value, _, _ = strings.Cut(value, ",") // the container of a well-known name is the only one
	if kind == "GUID" && strings.Contains(value, "-") {
		return kind, GUID(value), true
	}
	octets, err := hex.DecodeString(value)
	if err != nil {
		return kind, "", true
	}
	return kind, string(octets), true
}
