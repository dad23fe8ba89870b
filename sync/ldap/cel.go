package ldap

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"

	"github.com/rollcall-id/rollcall/config"
)

// Where the name of an attribute is not enough, a mapping is an expression in CEL
// (cel.dev). It sees one entry and nothing else: no clock, no time zone, no other
// entry. So the same entry always gives the same record, and the hash of an entry
// covers an expression by its text and by every attribute that it reads.
//
// What it reads is found when it is compiled: attr('mail') and raw('objectGUID') take
// a constant, and become a variable each. What cannot be compiled, has the wrong type
// or could cost too much is a problem of the configuration; what fails for an entry
// leaves that entry out, with the reason.

const (
	// maxExpression is how long the text of an expression may be.
	maxExpression = 4096
	// maxPattern is how many instructions a regular expression may have: it is run on
	// what strangers wrote.
	maxPattern = 500
)

// expression is one expression, checked and planned. It may be used concurrently.
type expression struct {
	as    string   // its entry in the configuration, such as profile.displayName
	text  string   // as it was written
	reads []string // attributes of the directory, in lower case, sorted
	// Whatever stays within the sizes of celcost.go cannot exceed the limit of cost,
	// so usual does not count it; guarded does.
	usual, guarded cel.Program
}

// compiler compiles the expressions of one configuration.
type compiler struct{ env *cel.Env }

func newCompiler() (*compiler, error) {
	e, err := cel.NewCustomEnv(
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{ExcludeFunctions: zoned()})),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(50),
		cel.Macros(readMacro("attr", textOf), readMacro("raw", rawOf)),
		cel.Variable(entryDN, cel.StringType),
		cel.Constant("never", cel.TimestampType, never),
		helpers(),
		cel.CostModel(helperCosts()...),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare for expressions: %w", err)
	}
	return &compiler{e}, nil
}

// zoned are the functions that would ask the machine for its time zones.
func zoned() []*env.Function {
	var out []*env.Function
	for name, id := range map[string]string{
		"getFullYear": "timestamp_to_year_with_tz", "getMonth": "timestamp_to_month_with_tz",
		"getDayOfYear": "timestamp_to_day_of_year_with_tz", "getDayOfMonth": "timestamp_to_day_of_month_with_tz",
		"getDate": "timestamp_to_day_of_month_1_based_with_tz", "getDayOfWeek": "timestamp_to_day_of_week_with_tz",
		"getHours": "timestamp_to_hours_with_tz", "getMinutes": "timestamp_to_minutes_with_tz",
		"getSeconds": "timestamp_to_seconds_tz", "getMilliseconds": "timestamp_to_milliseconds_with_tz",
	} {
		out = append(out, env.NewFunction(name, &env.Overload{ID: id}))
	}
	return out
}

// Variables of an expression. No text that is written can name the first two.
const (
	textOf  = "@text "
	rawOf   = "@raw "
	entryDN = "dn"
)

// readMacro makes of attr('mail') the variable "@text mail".
func readMacro(function, prefix string) cel.Macro {
	return cel.GlobalVarArgMacro(function, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		if len(args) != 1 {
			return nil, f.NewError(0, fmt.Sprintf("%s takes the name of one attribute, as in %[1]s('mail')", function))
		}
		name, ok := constant(args[0])
		if !ok {
			return nil, f.NewError(args[0].ID(), fmt.Sprintf(
				"%s takes the name of an attribute in quotes, as in %[1]s('mail'): what an expression reads is asked for before it runs", function))
		}
		if wrong := unreadable(name); wrong != "" {
			return nil, f.NewError(args[0].ID(), wrong)
		}
		return f.NewIdent(prefix + strings.ToLower(name)), nil
	})
}

func constant(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// Types of results, as the mapping needs them.
var (
	oneText  = []*cel.Type{cel.StringType}
	anyTexts = []*cel.Type{cel.StringType, cel.ListType(cel.StringType)}
	yesOrNo  = []*cel.Type{cel.BoolType}
	oneTime  = []*cel.Type{cel.TimestampType}
)

// compile checks and plans an expression whose result has one of the wanted types.
func (c *compiler) compile(as, text string, want []*cel.Type) (*expression, error) {
	e := &expression{as: as, text: text}
	own, checked, err := e.check(c.env)
	if err != nil {
		return nil, err
	}
	if got := checked.OutputType(); !slices.ContainsFunc(want, got.IsExactType) {
		return nil, fmt.Errorf("the expression gives %s, and %s is needed here", typeWords(got), typeWords(want...))
	}
	most, err := highestCost(own, checked)
	if err != nil {
		return nil, err
	}
	if most > costLimit {
		return nil, fmt.Errorf("the expression could cost %s for an entry whose attributes have %d values, more than the limit of %d: loop over fewer attributes at a time",
			costWords(most), usualValues, costLimit)
	}
	return e, e.plan(own, checked)
}

// check parses the expression, declares what it reads, and checks it.
func (e *expression) check(base *cel.Env) (own *cel.Env, checked *cel.Ast, err error) {
	if len(e.text) > maxExpression {
		return nil, nil, fmt.Errorf("the expression has %d bytes, more than the %d that are allowed", len(e.text), maxExpression)
	}
	parsed, issues := base.Parse(e.text)
	if issues.Err() != nil {
		return nil, nil, asText(issues)
	}
	if own, err = base.Extend(e.variables(parsed)...); err != nil {
		return nil, nil, fmt.Errorf("prepare the expression: %w", err)
	}
	if checked, issues = own.Check(parsed); issues.Err() != nil {
		return nil, nil, asText(issues)
	}
	return own, checked, checkNodes(checked)
}

// variables declares what the expression reads, and remembers it.
func (e *expression) variables(parsed *cel.Ast) []cel.EnvOption {
	var out []cel.EnvOption
	seen := map[string]bool{}
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.IdentKind || seen[x.AsIdent()] {
			return
		}
		name := x.AsIdent()
		seen[name] = true
		if attribute, ok := strings.CutPrefix(name, textOf); ok {
			out = append(out, cel.Variable(name, cel.ListType(cel.StringType)))
			e.reads = append(e.reads, attribute)
		} else if attribute, ok := strings.CutPrefix(name, rawOf); ok {
			out = append(out, cel.Variable(name, cel.ListType(cel.BytesType)))
			e.reads = append(e.reads, attribute)
		}
	}))
	slices.Sort(e.reads)
	e.reads = slices.Compact(e.reads)
	return out
}

// plan makes the programs.
func (e *expression) plan(own *cel.Env, checked *cel.Ast) (err error) {
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(constantReplace())}
	if e.usual, err = own.Program(checked, options...); err == nil {
		e.guarded, err = own.Program(checked, append(options, cel.CostLimit(costLimit))...)
	}
	if err != nil {
		return fmt.Errorf("the expression cannot be planned: %w", err)
	}
	return nil
}

// patternArguments says which arguments of the functions that take regular
// expressions must be constants. Of a method, the receiver is not counted.
func patternArguments(call ast.CallExpr) []int {
	switch {
	case call.FunctionName() == "matches" && call.IsMemberFunction():
		return []int{0}
	case call.FunctionName() == "matches":
		return []int{1}
	case call.FunctionName() == "regexReplace":
		return []int{1, 2}
	}
	return nil
}

// checkNodes checks what the types do not say.
func checkNodes(checked *cel.Ast) (err error) {
	tree := checked.NativeRep()
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		switch t := tree.GetType(x.ID()); {
		case err != nil:
		case !flat(t):
			err = fmt.Errorf("the expression has a value of the type %s: only texts, numbers, times, and lists and maps of them can be used", typeWords(t))
		case x.Kind() == ast.CallKind:
			err = checkPatterns(x.AsCall())
		case x.Kind() == ast.ComprehensionKind:
			// A map has no order, so that the same entry could give another record.
			if over := tree.GetType(x.AsComprehension().IterRange().ID()); over.Kind() != types.ListKind {
				err = fmt.Errorf("the expression loops over %s: only lists have an order", typeWords(over))
			}
		}
	}))
	return err
}

// flat reports whether a type is a single value, or a list or map of such. A list of
// lists could be doubled again and again for next to no cost, and then be compared.
func flat(t *cel.Type) bool {
	switch t.Kind() {
	case types.ListKind, types.MapKind:
		return !slices.ContainsFunc(t.Parameters(), func(p *cel.Type) bool { return !single(p) })
	}
	return single(t)
}

func single(t *cel.Type) bool {
	switch t.Kind() {
	case types.BoolKind, types.BytesKind, types.DoubleKind, types.DurationKind, types.IntKind, types.StringKind,
		types.TimestampKind, types.UintKind:
		return true
	}
	return false
}

// checkPatterns compiles the regular expression of a call, if it has one.
func checkPatterns(call ast.CallExpr) error {
	for i, at := range patternArguments(call) {
		text, ok := constant(call.Args()[at])
		if !ok {
			return fmt.Errorf("%s takes regular expressions and replacements in quotes only", call.FunctionName())
		}
		if i > 0 {
			continue
		}
		if err := checkPattern(text); err != nil {
			return err
		}
	}
	return nil
}

func checkPattern(text string) error {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return fmt.Errorf("the regular expression cannot be used: %w", err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return fmt.Errorf("the regular expression cannot be used: %w", err)
	}
	if len(prog.Inst) > maxPattern {
		return fmt.Errorf("the regular expression %q is too large: it has %d steps, more than %d", text, len(prog.Inst), maxPattern)
	}
	return nil
}

// asText puts what is wrong with an expression on one line. Where the syntax is wrong,
// nothing else that was found means much.
func asText(issues *cel.Issues) error {
	const syntax = "Syntax error: "
	list := issues.Errors()
	of := func(e *cel.Error) bool { return strings.HasPrefix(e.Message, syntax) }
	if slices.ContainsFunc(list, of) {
		list = slices.DeleteFunc(slices.Clone(list), func(e *cel.Error) bool { return !of(e) })
	}
	var out []string
	for _, e := range list {
		message := e.Message
		if rest, ok := strings.CutPrefix(message, syntax); ok {
			message = "syntax: " + rest
		}
		// Names of variables that nobody wrote.
		message = hiddenName.ReplaceAllString(message, "attr('$1')")
		if line, column := e.Location.Line(), e.Location.Column(); line > 0 {
			message = fmt.Sprintf("%d:%d: %s", line, column+1, message)
		}
		if out = append(out, message); len(out) == 5 {
			break
		}
	}
	return errors.New("the expression cannot be used: " + strings.Join(out, "; "))
}

var hiddenName = regexp.MustCompile(`@(?:text|raw) ([a-z0-9.-]+)`)

func typeWords(list ...*cel.Type) string {
	words := make([]string, len(list))
	for i, t := range list {
		words[i] = cel.FormatCELType(t)
	}
	return strings.Join(words, " or ")
}

// expressions are those of people or of groups, by their places in the configuration.
type expressions map[string]*expression

// compile compiles all expressions of an expanded configuration, and reports what is
// wrong with them.
func (c *Config) compile(p *config.Problems) (people, clans expressions) {
	people, clans = expressions{}, expressions{}
	var once *compiler
	each := func(p *config.Problems, into expressions, at string, m Mapping, want []*cel.Type) {
		if m.CEL == "" {
			return
		}
		var err error
		if once == nil {
			if once, err = newCompiler(); err != nil {
				p.Add(at+".cel", "%v", err)
				return
			}
		}
		e, err := once.compile(at, m.CEL, want)
		if err != nil {
			p.Add(at+".cel", "%v", err)
			return
		}
		into[at] = e
	}
	users, groups := p.In("users"), p.In("groups")
	c.Users.eachMapping(func(at string, m Mapping, want []*cel.Type) { each(users, people, at, m, want) })
	for i, r := range c.Users.Disabled {
		each(users, people, fmt.Sprintf("disabled[%d]", i), Mapping{CEL: r.CEL}, yesOrNo)
	}
	for i, r := range c.Users.Locked {
		each(users, people, fmt.Sprintf("locked[%d]", i), Mapping{CEL: r.CEL}, yesOrNo)
	}
	for i, x := range c.Users.Expires {
		each(users, people, fmt.Sprintf("expires[%d]", i), Mapping{CEL: x.CEL}, oneTime)
	}
	c.Groups.eachMapping(func(at string, m Mapping, want []*cel.Type) { each(groups, clans, at, m, want) })
	return people, clans
}

// eachMapping gives the mappings of a kind with the types that they may have.
func (w *Where) eachMapping(f func(at string, m Mapping, want []*cel.Type)) {
	f("name", w.Name, oneText)
	for _, field := range sortedKeys(w.Profile) {
		f("profile."+field, w.Profile[field], oneText)
	}
	for _, key := range sortedKeys(w.Attributes) {
		f("attributes."+key, w.Attributes[key], anyTexts)
	}
}
