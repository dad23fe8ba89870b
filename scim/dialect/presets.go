package dialect

import "slices"

// preset is the knobs of one provider, and why they are so.
type preset struct {
	name  string
	why   string
	knobs Knobs
}

// lenient is what no provider is hurt by.
func lenient() Knobs {
	return Knobs{
		BooleanStrings: true, StringManager: true, CreateOnReplace: true, ReplaceMerges: true, NullClears: true, LenientLiterals: true,
	}
}

// plain is the RFC, and an empty string for no value.
func plain() Knobs { return Knobs{ReplaceMerges: true, NullClears: true} }

// typed is for providers that keep to the RFC. A mapping within them can still make a
// string of a boolean, and it must not be the spelling that keeps a leaver active.
func typed() Knobs {
	k := plain()
	k.BooleanStrings = true
	return k
}

// presets lists all, sorted by name.
func presets() []preset {
	entra := lenient()
	entra.PatchNoContent = true
	jumpcloud := typed()
	jumpcloud.CreateOnReplace = true
	return []preset{
		{"authentik", "It writes the RFC's JSON; a mapping may make strings of booleans. What is its own, `schemas` and `id` within a replace without a path, is left out under every preset but `strict`.", typed()},
		{"default", "Every spelling that has one meaning only. It is for providers that are not in this list.", lenient()},
		{"entra", "Booleans and managers come as strings, changes to values that are not there yet as replace, `roles[primary eq \"True\"]` as a path. It reads nothing of the answer to a PATCH, and its reference expects 204.", entra},
		{"google", "The same as `default`: what it sends is not published, so nothing that has one meaning is refused.", lenient()},
		{"jumpcloud", "One operation for each attribute, with its path, whether or not the value is there; otherwise typed JSON. That it removes members by a list is understood under every preset but `strict`.", jumpcloud},
		{"keycloak", "The same as `default`: several extensions by different authors go by this name, and no two of them write alike.", lenient()},
		{"okta", "It writes the RFC's JSON; a mapping may make strings of booleans. It sends whole objects by PUT, and `active`, names and members by PATCH. It names no values by filters beside members, so a path that finds nothing is an error.", typed()},
		{"onelogin", "The same as `default`: the JSON comes from templates that an administrator writes, in which any value may be a string, and the manager, too.", lenient()},
		{"ping", "It writes the RFC's JSON; a mapping may make strings of booleans. Its options choose between PATCH and PUT, disabling and deleting, and what else the RFC leaves to a client.", typed()},
		{"rfc", "RFC 7643 and 7644 to the letter, for clients that keep to them. An empty string still is no value, and what is unknown is left out.", plain()},
		{"strict", "RFC 7643 and 7644, and an error for everything that other presets repair or leave out. It is for testing a client, and for suites that test a server.", Knobs{ReplaceMerges: true, RefuseUnknown: true, RefusePrimaries: true, Strict: true}},
	}
}

// Preset returns the knobs of a preset.
func Preset(name string) (Knobs, bool) {
	for _, p := range presets() {
		if p.name == name {
			return p.knobs, true
		}
	}
	return Knobs{}, false
}

// Presets returns the names of all presets, sorted.
func Presets() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.name)
	}
	slices.Sort(names)
	return names
}
