package ldapserver

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// dn is a distinguished name in the two forms the server needs: as it was
// written, and folded so that equal names are equal strings and a name lies below
// another exactly if it ends with a comma and the other.
type dn struct {
	text   string
	folded string
}

// ava is one attribute value assertion of a relative name.
type ava struct{ kind, value string }

// EscapeRDN returns value as it must be written in a distinguished name
// (RFC 4514 §2.4).
func EscapeRDN(value string) string {
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		switch {
		case strings.IndexByte(`,+"\<>;=`, c) >= 0,
			c == '#' && i == 0,
			c == ' ' && (i == 0 || i == len(value)-1):
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == 0:
			b.WriteString(`\00`)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// parseDN reads a distinguished name (RFC 4514 §3). The empty name is the root.
func parseDN(text string) (dn, error) {
	rdns, err := splitDN(text)
	if err != nil {
		return dn{}, err
	}
	return makeDN(text, rdns), nil
}

// makeDN folds the relative names of text.
func makeDN(text string, rdns [][]ava) dn {
	folded := make([]string, len(rdns))
	for i, rdn := range rdns {
		folded[i] = foldRDN(rdn)
	}
	return dn{text: text, folded: strings.Join(folded, ",")}
}

// foldRDN writes a relative name so that equal ones are equal strings: types and
// values in lower case, several assertions in order, special characters in hex.
func foldRDN(rdn []ava) string {
	parts := make([]string, len(rdn))
	for i, a := range rdn {
		parts[i] = strings.ToLower(a.kind) + "=" + foldedEscape.Replace(foldText(a.value))
	}
	slices.Sort(parts)
	return strings.Join(parts, "+")
}

var foldedEscape = strings.NewReplacer(`\`, `\5c`, `,`, `\2c`, `+`, `\2b`)

// foldText is the preparation of caseIgnoreMatch, as far as it matters here:
// lower case, no outer spaces, inner ones single (RFC 4518 §2.6.1).
func foldText(s string) string {
	return strings.ToLower(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " "))
}

// parent returns the folded name above d, and false at the root.
func (d dn) parent() (string, bool) {
	if d.folded == "" {
		return "", false
	}
	_, above, _ := strings.Cut(d.folded, ",")
	return above, true
}

// below says whether d is base or lies under it.
func (d dn) below(base string) bool { return foldedBelow(d.folded, base) }

func foldedBelow(folded, base string) bool {
	if base == "" || folded == base {
		return true
	}
	return len(folded) > len(base) && strings.HasSuffix(folded, base) && folded[len(folded)-len(base)-1] == ','
}

// splitRDN cuts the written name after its first relative name.
func splitRDN(text string) (rdn, above string) {
	escaped := false
	for i := range len(text) {
		switch {
		case escaped:
			escaped = false
		case text[i] == '\\':
			escaped = true
		case text[i] == ',' || text[i] == ';':
			return text[:i], strings.TrimLeft(text[i+1:], " ")
		}
	}
	return text, ""
}

// splitDN reads the relative names of text, the lowest first.
func splitDN(text string) ([][]ava, error) {
	if strings.Trim(text, " ") == "" {
		return nil, nil
	}
	var rdns [][]ava
	var rdn []ava
	for rest := text; ; {
		a, sep, after, err := readAVA(rest)
		if err != nil {
			return nil, fmt.Errorf("name %q: %w", text, err)
		}
		rdn = append(rdn, a)
		if sep != '+' {
			rdns, rdn = append(rdns, rdn), nil
		}
		if sep == 0 {
			return rdns, nil
		}
		rest = after
	}
}

// readAVA reads "type=value" and the separator behind it, 0 at the end.
func readAVA(s string) (a ava, sep byte, rest string, err error) {
	kind, s, ok := strings.Cut(s, "=")
	kind = strings.Trim(kind, " ")
	if !ok || !isDescriptor(kind) {
		return ava{}, 0, "", fmt.Errorf("%q is not an attribute type before an equals sign", cmp.Or(kind, "nothing"))
	}
	s = strings.TrimLeft(s, " ")
	var value []byte
	keep := 0 // the length up to the last octet that is no bare space
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ',', ';', '+':
			return ava{kind, string(value[:keep])}, separator(c), s[i+1:], nil
		case '\\':
			b, used, err := unescape(s[i+1:])
			if err != nil {
				return ava{}, 0, "", err
			}
			value = append(value, b)
			i += used
			keep = len(value)
		case ' ':
			value = append(value, c)
		default:
			value = append(value, c)
			keep = len(value)
		}
	}
	return ava{kind, string(value[:keep])}, 0, "", nil
}

// separator maps the old semicolon (RFC 4514 §3 forbids it, RFC 2253 §4 had it)
// to the comma.
func separator(c byte) byte {
	if c == ';' {
		return ','
	}
	return c
}

// unescape reads what stands behind a backslash.
func unescape(s string) (b byte, used int, err error) {
	if len(s) >= 2 {
		if h, err := hex.DecodeString(s[:2]); err == nil {
			return h[0], 2, nil
		}
	}
	if s != "" && strings.IndexByte(` "#+,;<=>\`, s[0]) >= 0 {
		return s[0], 1, nil
	}
	return 0, 0, fmt.Errorf("a backslash before %q", s)
}

// isDescriptor accepts attribute descriptions: a name or a dotted number, with
// options (RFC 4512 §2.5).
func isDescriptor(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-.;=_", c) >= 0 {
			continue
		}
		return false
	}
	return true
}
