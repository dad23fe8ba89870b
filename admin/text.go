package admin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-id/rollcall/fault"
)

// plainText refuses what would be shown as something else than it is: control
// characters, invisible ones, broken UTF-8 and space at the ends.
func plainText(field, s string) error {
	bad := !utf8.ValidString(s) || s != strings.TrimSpace(s)
	for _, r := range s {
		bad = bad || !unicode.IsPrint(r)
	}
	if bad {
		return fault.New(fault.Invalid, "not_plain_text", "%s holds characters that do not print, or begins or ends with space", field)
	}
	return nil
}
