package ldap

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
)

// What an expression may cost, in the units of CEL: about one for each step, and one
// for ten characters that are looked at. A good expression costs a few dozen.

const (
	// costLimit is how much one expression may cost for one entry: some 50 ms.
	costLimit = 1_000_000

	// An entry is usual when no attribute that expressions read has more values than
	// usualValues, none of them more bytes than usualBytes, and the DN not more than
	// usualDN. For such entries the limit is proven when the expression is compiled.
	usualValues = 100
	usualBytes  = 256
	usualDN     = 1024

	// maxRead is how many bytes of values expressions may read of one entry.
	maxRead = largest
	// maxText is the longest text that one call of a helper may make.
	maxText = 64 << 10
)

// highestCost estimates what an expression costs at most for a usual entry.
func highestCost(own *cel.Env, checked *cel.Ast) (uint64, error) {
	estimate, err := own.EstimateCost(checked, usualSizes{})
	if err != nil {
		return 0, fmt.Errorf("the cost of the expression cannot be estimated: %w", err)
	}
	return estimate.Max, nil
}

func costWords(n uint64) string {
	if n > 1<<50 {
		return "any number of steps"
	}
	return fmt.Sprintf("%d steps", n)
}

// usualSizes are the sizes of what a usual entry has.
type usualSizes struct{}

// EstimateCallCost implements [cost.Estimator].
func (usualSizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// EstimateSize implements [cost.Estimator].
func (usualSizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	path := n.Path()
	if len(path) == 0 {
		return nil
	}
	one := cost.SizeEstimate{Max: usualBytes}
	switch {
	case path[0] == entryDN:
		return &cost.SizeEstimate{Max: usualDN}
	case !strings.HasPrefix(path[0], textOf) && !strings.HasPrefix(path[0], rawOf):
		return nil
	case len(path) == 1:
		return &cost.SizeEstimate{Max: usualValues, Elem: &one}
	}
	return &one
}

// helperCosts says what the helpers cost and how large their results are.
func helperCosts() []cost.OverloadModel {
	call, one := cost.Const(cost.CallCost), cost.Const(1)
	scan := func(of cost.QuantityExpr) cost.QuantityExpr { return cost.Sum(call, cost.StringScan(of)) }
	fixed := func(ids ...string) (out []cost.OverloadModel) {
		for _, id := range ids {
			out = append(out, cost.Overload(id, cost.EvalCost(call), cost.ResultSize(one)))
		}
		return out
	}
	// At most one part more than there are characters, none longer than the whole.
	parts := func(of cost.QuantityExpr) cost.OverloadModelOption {
		return cost.ResultSize(cost.List(cost.AtMost(cost.Sum(of, one)), cost.AtMost(of)))
	}
	arg, target := cost.Arg(0), cost.Target()
	// Each of the places between characters may get the replacement, and each group
	// that it names is a part of the text.
	replaced := cost.Sum(arg, cost.Mul(cost.Sum(arg, one), cost.Sum(cost.Arg(2), one), cost.Const(2)))
	models := []cost.OverloadModel{
		cost.Overload("first_list_string", cost.EvalCost(call), cost.ResultSize(cost.AtMost(cost.ArgElem(0)))),
		cost.Overload("first_list_bytes", cost.EvalCost(call), cost.ResultSize(cost.AtMost(cost.ArgElem(0)))),
		cost.Overload("lower_string", cost.EvalCost(scan(arg)), cost.ResultSize(arg)),
		cost.Overload("guid_bytes", cost.EvalCost(call), cost.ResultSize(cost.AtMost(cost.Const(36)))),
		cost.Overload("sid_bytes", cost.EvalCost(scan(arg)), cost.ResultSize(cost.AtMost(cost.Sum(cost.Scale(arg, 4), cost.Const(24))))),
		cost.Overload("dn_part_string_string", cost.EvalCost(cost.AllocList(cost.Mul(cost.Sum(arg, one), one))), parts(arg)),
		cost.Overload("regex_replace_string_string_string",
			cost.EvalCost(cost.Sum(call,
				cost.Mul(cost.Scale(cost.Sum(arg, one), 0.1), cost.Scale(cost.Arg(1), 0.25)),
				cost.Length(cost.Result()))),
			cost.ResultSize(cost.AtMost(cost.Min(replaced, cost.Const(maxText))))),
		cost.MemberOverload("string_split_string",
			cost.EvalCost(cost.AllocList(cost.StringScan(cost.Sum(target, one)), cost.Length(cost.Result()))), parts(target)),
		cost.MemberOverload("list_join_string",
			cost.EvalCost(cost.Sum(call, cost.Length(target), cost.StringScan(cost.Sum(cost.Result(), one)))),
			cost.ResultSize(cost.AtMost(cost.Sum(cost.ElemTotal(target), cost.Mul(cost.Length(target), cost.Arg(0)))))),
		cost.MemberOverload("string_trim", cost.EvalCost(scan(target)), cost.ResultSize(cost.AtMost(target))),
	}
	// How long numbers and times become as text, CEL leaves open.
	for id, longest := range map[string]uint64{
		"bool_to_string": 5, "int64_to_string": 20, "uint64_to_string": 20, "double_to_string": 330,
		"timestamp_to_string": 40, "duration_to_string": 40,
	} {
		models = append(models, cost.Overload(id, cost.EvalCost(call), cost.ResultSize(cost.AtMost(cost.Const(longest)))))
	}
	return append(models, fixed("filetime_string", "gentime_string", "bit_string_int", "bit_int_int")...)
}
