package dialect

// Knobs are the ways in which providers leave the RFC, or read it differently.
type Knobs struct {
	// BooleanStrings takes "True" and "false" for booleans.
	BooleanStrings bool `json:"boolean_strings" yaml:"boolean_strings"`
	// StringManager takes a string, a list of one or an empty string for the manager, and
	// for every other attribute of one value that has parts.
	StringManager bool `json:"string_manager" yaml:"string_manager"`
	// CreateOnReplace makes the value that a filtered replace does not find. Without it,
	// that is the error noTarget, as RFC 7644, section 3.5.2.3, has it.
	CreateOnReplace bool `json:"create_on_replace" yaml:"create_on_replace"`
	// ReplaceMerges lets a replace of a complex attribute of one value, or of an extension,
	// keep what it does not name, as RFC 7644, section 3.5.2.3, has it. Without it, the
	// value that is sent is the whole value.
	ReplaceMerges bool `json:"replace_merges" yaml:"replace_merges"`
	// PatchNoContent answers a PATCH with 204 and no body, unless attributes are asked for.
	PatchNoContent bool `json:"patch_no_content" yaml:"patch_no_content"`
	// RefuseUnknown refuses attributes and schemas that are not known, instead of leaving
	// out the attributes and keeping what stands under such a schema as it is.
	RefuseUnknown bool `json:"refuse_unknown" yaml:"refuse_unknown"`
	// NullClears takes null and "" for "no value" in a PATCH. Without it, null is refused
	// there, and "" is a value like any other.
	NullClears bool `json:"null_clears" yaml:"null_clears"`
	// LenientLiterals takes filters, and paths with filters, whose literals are in single
	// quotes, without quotes, or of another type than the attribute.
	LenientLiterals bool `json:"lenient_literals" yaml:"lenient_literals"`
	// RefusePrimaries refuses a second primary value, instead of keeping the first.
	RefusePrimaries bool `json:"refuse_primaries" yaml:"refuse_primaries"`
	// HardDelete purges with a DELETE at once what hangs on the resource here, its grants
	// included. Without it they wait for its return. No preset has it: it is a decision
	// about the data, and not about a dialect.
	HardDelete bool `json:"hard_delete" yaml:"hard_delete"`
	// Strict refuses bodies without the right schemas, and every spelling of a PATCH but
	// the RFC's.
	Strict bool `json:"strict" yaml:"strict"`
}

// Overrides set single knobs apart from a preset. What is nil stays.
type Overrides struct {
	BooleanStrings  *bool `json:"boolean_strings,omitzero" yaml:"boolean_strings"`
	StringManager   *bool `json:"string_manager,omitzero" yaml:"string_manager"`
	CreateOnReplace *bool `json:"create_on_replace,omitzero" yaml:"create_on_replace"`
	ReplaceMerges   *bool `json:"replace_merges,omitzero" yaml:"replace_merges"`
	PatchNoContent  *bool `json:"patch_no_content,omitzero" yaml:"patch_no_content"`
	RefuseUnknown   *bool `json:"refuse_unknown,omitzero" yaml:"refuse_unknown"`
	NullClears      *bool `json:"null_clears,omitzero" yaml:"null_clears"`
	LenientLiterals *bool `json:"lenient_literals,omitzero" yaml:"lenient_literals"`
	RefusePrimaries *bool `json:"refuse_primaries,omitzero" yaml:"refuse_primaries"`
	HardDelete      *bool `json:"hard_delete,omitzero" yaml:"hard_delete"`
	Strict          *bool `json:"strict,omitzero" yaml:"strict"`
}

// With returns the knobs with some of them set.
func (k Knobs) With(o Overrides) Knobs {
	for _, x := range []struct {
		to *bool
		by *bool
	}{
		{&k.BooleanStrings, o.BooleanStrings},
		{&k.StringManager, o.StringManager},
		{&k.CreateOnReplace, o.CreateOnReplace},
		{&k.ReplaceMerges, o.ReplaceMerges},
		{&k.PatchNoContent, o.PatchNoContent},
		{&k.RefuseUnknown, o.RefuseUnknown},
		{&k.NullClears, o.NullClears},
		{&k.LenientLiterals, o.LenientLiterals},
		{&k.RefusePrimaries, o.RefusePrimaries},
		{&k.HardDelete, o.HardDelete},
		{&k.Strict, o.Strict},
	} {
		if x.by != nil {
			*x.to = *x.by
		}
	}
	return k
}
