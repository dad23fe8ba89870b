package ldapserver

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// extendedName writes a name as LDAP_SERVER_EXTENDED_DN_OID asks (MS-ADTS
// §3.1.1.3.4.1.5): with the GUID and, where there is one, the SID before it; in
// hex octets, or with format 1 as text.
func (q *adQuery) extendedName(text string, e *stored) string {
	guid, sid := e.first("objectguid"), e.first("objectsid")
	if guid == "" {
		return text
	}
	write, writeSID := hexOf, hexOf
	if *q.extended == 1 {
		write, writeSID = guidText, sidText
	}
	out := "<GUID=" + write(guid) + ">;"
	if sid != "" {
		out += "<SID=" + writeSID(sid) + ">;"
	}
	return out + text
}

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

// sidText writes a SID as S-1-5-....
func sidText(sid string) string {
	if len(sid) < 8 || len(sid)%4 != 0 {
		return hexOf(sid)
	}
	authority := uint64(0)
	for i := 2; i < 8; i++ {
		authority = authority<<8 | uint64(sid[i])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "S-%d-%d", sid[0], authority)
	for at := 8; at < len(sid); at += 4 {
		fmt.Fprintf(&b, "-%d", binary.LittleEndian.Uint32([]byte(sid[at:at+4])))
	}
	return b.String()
}
