package admin

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// strictJSON is how bodies are read and written. huma validates a body as a map and
// hands the handler a struct; with a decoder that takes the last of two equal names,
// or that matches names in any case, the two can differ, and what was validated is
// not what is done. This one refuses both, and unknown names as well.
var strictJSON = huma.Format{Marshal: writeJSON, Unmarshal: readJSON}

func writeJSON(w io.Writer, v any) error {
	return json.MarshalWrite(w, v, json.Deterministic(true))
}

func readJSON(data []byte, into any) error {
	if err := json.Unmarshal(data, into, json.RejectUnknownMembers(true)); err != nil {
		return unreadable(err)
	}
	return nil
}

// unreadable says what is wrong with a body without repeating any of it but the
// place.
func unreadable(err error) error {
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		what := "the body is not valid JSON"
		if errors.Is(err, jsontext.ErrDuplicateName) {
			what = "the body has the same name twice"
		}
		return fmt.Errorf("%s%s", what, where(s.JSONPointer, s.ByteOffset))
	}
	if s, ok := errors.AsType[*json.SemanticError](err); ok {
		what := "the body has a value of the wrong type"
		if errors.Is(err, json.ErrUnknownName) {
			what = "the body has a name that is not known here (names are compared exactly)"
		}
		return fmt.Errorf("%s%s", what, where(s.JSONPointer, s.ByteOffset))
	}
	return errors.New("the body cannot be read")
}

// maxPointer limits how much of a body's own names an error repeats.
const maxPointer = 60

func where(p jsontext.Pointer, offset int64) string {
	text := string(p)
	if text == "" || len(text) > maxPointer {
		return fmt.Sprintf(", at byte %d", offset)
	}
	return ", at " + text
}

// shownAs are the names of types of other packages that are shown under another one.
var shownAs = map[string]string{
	"PermissionsEntry": "Permission", "PermissionsAction": "PermissionAction", "PermissionsPersona": "Persona",
	"PermissionsPath": "ExplanationPath", "PermissionsStep": "ExplanationStep", "PermissionsWithholding": "Withholding",
	"AuditEnvelope": "AuditEntry", "AuditEnvelopeActor": "AuditActor", "AuditEnvelopeEvent": "AuditEvent", "AuditEnvelopeChange": "AuditChange",
}

// newSchemas returns a registry in which a type of another package bears the name of
// that package, too: several have a Step.
func newSchemas() huma.Registry {
	schemas := huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		name := huma.DefaultSchemaNamer(t, hint)
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		pkg := t.PkgPath()
		if pkg = pkg[strings.LastIndexByte(pkg, '/')+1:]; pkg == "" || pkg == "admin" {
			return name
		}
		name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
		return cmp.Or(shownAs[name], name)
	})
	schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[Problem]())
	return schemas
}
