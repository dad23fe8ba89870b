package ldap

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	celref "cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// The functions that expressions have besides those of CEL. What is not there is the
// empty text and the empty list throughout, so that most expressions need no test for
// it. What is there and cannot be read is an error.

// never is later than every other instant that CEL knows.
var never = types.Timestamp{Time: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}

// helpers declares them.
func helpers() cel.EnvOption {
	texts, raws := cel.ListType(cel.StringType), cel.ListType(cel.BytesType)
	options := []cel.EnvOption{
		cel.Function("first",
			cel.Overload("first_list_string", []*cel.Type{texts}, cel.StringType, cel.UnaryBinding(firstOr(types.String("")))),
			cel.Overload("first_list_bytes", []*cel.Type{raws}, cel.BytesType, cel.UnaryBinding(firstOr(types.Bytes{})))),
		cel.Function("lower", cel.Overload("lower_string", []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(func(v celref.Val) celref.Val { return types.String(strings.ToLower(string(v.(types.String)))) }))),
		cel.Function("regexReplace", cel.Overload("regex_replace_string_string_string",
			[]*cel.Type{cel.StringType, cel.StringType, cel.StringType}, cel.StringType, cel.FunctionBinding(replaceAnew))),
		cel.Function("guid", cel.Overload("guid_bytes", []*cel.Type{cel.BytesType}, cel.StringType, cel.UnaryBinding(guidOf))),
		cel.Function("sid", cel.Overload("sid_bytes", []*cel.Type{cel.BytesType}, cel.StringType, cel.UnaryBinding(sidOf))),
		cel.Function("filetime", cel.Overload("filetime_string", []*cel.Type{cel.StringType}, cel.TimestampType, cel.UnaryBinding(filetimeOf))),
		cel.Function("gentime", cel.Overload("gentime_string", []*cel.Type{cel.StringType}, cel.TimestampType, cel.UnaryBinding(gentimeOf))),
		cel.Function("dnPart", cel.Overload("dn_part_string_string", []*cel.Type{cel.StringType, cel.StringType}, texts, cel.BinaryBinding(dnPart))),
		cel.Function("bit",
			cel.Overload("bit_string_int", []*cel.Type{cel.StringType, cel.IntType}, cel.BoolType, cel.BinaryBinding(bitOfText)),
			cel.Overload("bit_int_int", []*cel.Type{cel.IntType, cel.IntType}, cel.BoolType, cel.BinaryBinding(bitOf))),
		cel.Function("split", cel.MemberOverload("string_split_string", []*cel.Type{cel.StringType, cel.StringType}, texts, cel.BinaryBinding(split))),
		cel.Function("join", cel.MemberOverload("list_join_string", []*cel.Type{texts, cel.StringType}, cel.StringType, cel.BinaryBinding(join))),
		cel.Function("trim", cel.MemberOverload("string_trim", []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(func(v celref.Val) celref.Val { return types.String(strings.TrimSpace(string(v.(types.String)))) }))),
	}
	return func(e *cel.Env) (*cel.Env, error) {
		var err error
		for _, o := range options {
			if e, err = o(e); err != nil {
				return nil, err
			}
		}
		return e, nil
	}
}

// textList is a list of text as CEL has it.
func textList(list []string) celref.Val { return types.NewStringList(types.DefaultTypeAdapter, list) }

func firstOr(none celref.Val) func(celref.Val) celref.Val {
	return func(v celref.Val) celref.Val {
		if list := v.(traits.Lister); list.Size() != types.IntZero {
			return list.Get(types.IntZero)
		}
		return none
	}
}

func guidOf(v celref.Val) celref.Val {
	b := v.(types.Bytes)
	switch len(b) {
	case 0:
		return types.String("")
	case 16:
		u := [16]byte(b)
		swapGUID(&u)
		return types.String(dashed(u))
	}
	return types.NewErr("a GUID has 16 bytes, not %d", len(b))
}

func sidOf(v celref.Val) celref.Val {
	b := v.(types.Bytes)
	if len(b) == 0 {
		return types.String("")
	}
	s, err := sidText(b)
	if err != nil {
		return types.NewErr("a value of %d bytes %v", len(b), err)
	}
	return types.String(s)
}

func filetimeOf(v celref.Val) celref.Val {
	s := string(v.(types.String))
	if s == "" {
		return never
	}
	t, err := instant(formatFiletime, []byte(s))
	if err != nil {
		return types.NewErr("%q is no FILETIME", clip(s, 40))
	}
	if t.IsZero() {
		return never
	}
	return moment(t)
}

func gentimeOf(v celref.Val) celref.Val {
	s := string(v.(types.String))
	if s == "" {
		return never
	}
	t, err := generalizedTime(s)
	if err != nil {
		return types.NewErr("%v", err)
	}
	if t.Year() < 1 {
		// OpenLDAP's 000001010000Z, locked for good; CEL has no year 0.
		t = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return moment(t)
}

// moment gives an instant that CEL knows, or never for one beyond.
func moment(t time.Time) celref.Val {
	if t.After(never.Time) {
		return never
	}
	return types.Timestamp{Time: t}
}

// dnPart gives the values of one type of a distinguished name, that of the entry
// itself first.
func dnPart(name, kind celref.Val) celref.Val {
	dn, want := string(name.(types.String)), string(kind.(types.String))
	if dn == "" {
		return textList(nil)
	}
	parsed, err := goldap.ParseDN(dn)
	if err != nil {
		return types.NewErr("%q is no distinguished name", clip(dn, 80))
	}
	var out []string
	for _, rdn := range parsed.RDNs {
		for _, a := range rdn.Attributes {
			if !strings.EqualFold(a.Type, want) {
				continue
			}
			if !utf8.ValidString(a.Value) {
				return types.NewErr("%q has a part that is not text in UTF-8", clip(dn, 80))
			}
			out = append(out, a.Value)
		}
	}
	return textList(out)
}

func bitOfText(v, mask celref.Val) celref.Val {
	s := string(v.(types.String))
	if s == "" {
		return types.False
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return types.NewErr("%q is no number", clip(s, 40))
	}
	return bitOf(types.Int(n), mask)
}

func bitOf(v, mask celref.Val) celref.Val { return types.Bool(v.(types.Int)&mask.(types.Int) != 0) }

func split(v, sep celref.Val) celref.Val {
	s := string(v.(types.String))
	if s == "" {
		return textList(nil)
	}
	return textList(strings.Split(s, string(sep.(types.String))))
}

var errLong = errors.New("the result is longer than 65536 bytes")

func join(v, sep celref.Val) celref.Val {
	var b strings.Builder
	first := true
	list, between := v.(traits.Lister), string(sep.(types.String))
	for it := list.Iterator(); it.HasNext() == types.True; {
		s, ok := it.Next().(types.String)
		if !ok {
			return types.NewErr("what is joined is no text")
		}
		if !first {
			b.WriteString(between)
		}
		first = false
		if b.WriteString(string(s)); b.Len() > maxText {
			return types.WrapErr(errLong)
		}
	}
	return types.String(b.String())
}

// constantReplace lets regexReplace compile its pattern once.
func constantReplace() *interpreter.RegexOptimization {
	return &interpreter.RegexOptimization{
		Function: "regexReplace", RegexIndex: 1,
		Factory: func(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
			re, err := regexp.Compile(pattern)
			if err != nil {
				return nil, err
			}
			return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...celref.Val) celref.Val {
				return replace(re, args)
			}), nil
		},
	}
}

// replaceAnew is for where constantReplace was not applied.
func replaceAnew(args ...celref.Val) celref.Val {
	pattern, _ := args[1].(types.String)
	re, err := regexp.Compile(string(pattern))
	if err != nil {
		return types.WrapErr(err)
	}
	return replace(re, args)
}

func replace(re *regexp.Regexp, args []celref.Val) celref.Val {
	s, ok := args[0].(types.String)
	by, ok2 := args[2].(types.String)
	if !ok || !ok2 {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	out, err := replaceAll(re, string(s), string(by))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.String(out)
}

// replaceAll is ReplaceAllString that ends where the result becomes too long.
func replaceAll(re *regexp.Regexp, s, by string) (string, error) {
	var out []byte
	last := 0
	for _, match := range re.FindAllStringSubmatchIndex(s, -1) {
		out = append(out, s[last:match[0]]...)
		out = re.ExpandString(out, by, s, match)
		last = match[1]
		if len(out) > maxText {
			return "", errLong
		}
	}
	if last == 0 && out == nil {
		return s, nil
	}
	return string(append(out, s[last:]...)), nil
}
