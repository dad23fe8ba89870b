package dialect

import (
	"maps"
	"slices"
)

// Knobs are the ways in which providers leave the RFC, or read it differently.
type Knobs struct {
	// BooleanStrings takes "True" and "false" for booleans.
	BooleanStrings bool `json:"boolean_strings" yaml:"boolean_strings"`
	// StringManager takes a string, a list of one or an empty string for the manager.
	StringManager bool `json:"string_manager" yaml:"string_manager"`
	// CreateOnReplace makes the value that a filtered replace does not find.
	CreateOnReplace bool `json:"create_on_replace" yaml:"create_on_replace"`
	// ReplaceMerges lets a replace of a complex attribute keep the sub-attributes that it
	// does not name.
	ReplaceMerges bool `json:"replace_merges" yaml:"replace_merges"`
	// PatchNoContent answers a PATCH with 204 and no body, unless attributes are asked for.
	PatchNoContent bool `json:"patch_no_content" yaml:"patch_no_content"`
	// RefuseUnknown refuses attributes that no schema has, instead of leaving them out.
	RefuseUnknown bool `json:"refuse_unknown" yaml:"refuse_unknown"`
	// NullClears takes null and "" for "no value" in a PATCH.
	NullClears bool `json:"null_clears" yaml:"null_clears"`
	// LenientLiterals takes filters with single quotes, or none.
	LenientLiterals bool `json:"lenient_literals" yaml:"lenient_literals"`
	// RefusePrimaries refuses a second primary value, instead of keeping the first.
	RefusePrimaries bool `json:"refuse_primaries" yaml:"refuse_primaries"`
	// HardDelete purges with a DELETE at once what hangs on the resource here, its grants
	// included. Without it they wait for its return.
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
		{&k.BooleanStrings, o.BooleanStrings}, {&k.StringManager, o.StringManager}, {&k.CreateOnReplace, o.CreateOnReplace},
		{&k.ReplaceMerges, o.ReplaceMerges}, {&k.PatchNoContent, o.PatchNoContent}, {&k.RefuseUnknown, o.RefuseUnknown},
		{&k.NullClears, o.NullClears}, {&k.LenientLiterals, o.LenientLiterals}, {&k.RefusePrimaries, o.RefusePrimaries},
		{&k.HardDelete, o.HardDelete}, {&k.Strict, o.Strict},
	} {
		if x.by != nil {
			*x.to = *x.by
		}
	}
	return k
}

// lenient is what no provider is hurt by.
func lenient() Knobs {
	return Knobs{
		BooleanStrings: true, StringManager: true, CreateOnReplace: true, ReplaceMerges: true, NullClears: true, LenientLiterals: true,
	}
}

func presets() map[string]Knobs {
	entra := lenient()
	entra.PatchNoContent = true // it reads nothing of the answer, and its reference expects 204 of groups
	okta := lenient()
	okta.ReplaceMerges = false
	rfc := Knobs{NullClears: true}
	return map[string]Knobs{
		"default": lenient(), "entra": entra, "okta": okta, "onelogin": lenient(), "jumpcloud": lenient(), "google": lenient(),
		"ping": lenient(), "authentik": lenient(), "keycloak": lenient(), "rfc": rfc,
		"strict": {RefuseUnknown: true, RefusePrimaries: true, Strict: true},
	}
}

// Preset returns the knobs of a preset.
func Preset(name string) (Knobs, bool) {
	k, ok := presets()[name]
	return k, ok
}

// Presets returns the names of all presets, sorted.
func Presets() []string { return slices.Sorted(maps.Keys(presets())) }
