package schema

import "sync"

// Service returns the schemas of what a server tells of itself: RFC 7643, section 8.7.2,
// with the pagination of RFC 9865, section 4. They are to be shown: no resource type has
// them. They are shared.
func Service() []*Schema { return service() }

var service = sync.OnceValue(func() []*Schema {
	return []*Schema{
		{ID: ProviderConfigURN, Name: "Service Provider Configuration", Description: "What the server can do.", Attributes: providerAttributes()},
		{ID: ResourceTypeURN, Name: "ResourceType", Description: "What kinds of resources there are.", Attributes: resourceTypeAttributes()},
		{ID: SchemaURN, Name: "Schema", Description: "Which attributes resources have.", Attributes: schemaAttributes()},
	}
})

func providerAttributes() []*Attribute {
	supported := func() *Attribute { return told("supported", Boolean, "Whether the server can.", needed) }
	return []*Attribute{
		told("documentationUri", Reference, "Where people read about the server.", refersTo("external")),
		told("patch", Complex, "Whether PATCH is understood.", needed, with(supported())),
		told("bulk", Complex, "Whether bulk requests are understood, and how large.", needed, with(
			supported(),
			told("maxOperations", Integer, "How many operations one request can have.", needed),
			told("maxPayloadSize", Integer, "How many bytes one request can have.", needed),
		)),
		told("filter", Complex, "Whether filters are understood.", needed, with(
			supported(),
			told("maxResults", Integer, "How many resources one answer has at most.", needed),
		)),
		told("changePassword", Complex, "Whether passwords can be changed.", needed, with(supported())),
		told("sort", Complex, "Whether lists can be sorted.", needed, with(supported())),
		told("etag", Complex, "Whether resources have versions.", needed, with(supported())),
		told("pagination", Complex, "How lists come in pages.", with(
			told("cursor", Boolean, "Whether pages have cursors.", needed),
			told("index", Boolean, "Whether pages have a first index.", needed),
			told("defaultPaginationMethod", String, "What is used when nothing is asked for.", oneOf("cursor", "index")),
			told("defaultPageSize", Integer, "How many resources a page has when nothing is asked for."),
			told("maxPageSize", Integer, "How many resources a page has at most."),
			told("cursorTimeout", Integer, "For how many seconds a cursor is good."),
		)),
		told("authenticationSchemes", Complex, "How callers say who they are.", needed, several, with(
			told("type", String, "The kind of the scheme.", needed, oneOf("oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest")),
			told("name", String, "What the scheme is called.", needed),
			told("description", String, "What the scheme is.", needed),
			told("specUri", Reference, "Where the scheme is specified.", refersTo("external")),
			told("documentationUri", Reference, "Where people read how to use it.", refersTo("external")),
			told("primary", Boolean, "Whether it is the one to prefer."),
		)),
	}
}

func resourceTypeAttributes() []*Attribute {
	return []*Attribute{
		told("id", String, "The id of the type."),
		told("name", String, "The name of the type.", needed),
		told("description", String, "What resources of the type are."),
		told("endpoint", Reference, "Where the resources are, below the address of the server.", needed, refersTo("uri")),
		told("schema", Reference, "The URN of the type's own schema.", needed, refersTo("uri")),
		told("schemaExtensions", Complex, "The extensions that resources can have.", several, with(
			told("schema", Reference, "The URN of the extension.", needed, refersTo("uri")),
			told("required", Boolean, "Whether every resource has it.", needed),
		)),
	}
}

func schemaAttributes() []*Attribute {
	list := append(characteristics(), told("subAttributes", Complex, "The attributes within a complex one.", several, with(characteristics()...)))
	return []*Attribute{
		told("id", String, "The URN of the schema.", needed),
		told("name", String, "The name of the schema.", needed),
		told("description", String, "What the schema is about."),
		told("attributes", Complex, "The attributes of the schema.", needed, several, with(list...)),
	}
}

// characteristics are what a definition of an attribute tells: RFC 7643, section 7.
func characteristics() []*Attribute {
	exact := func(a *Attribute) { a.CaseExact = true }
	return []*Attribute{
		told("name", String, "The name of the attribute.", needed, exact),
		told("type", String, "What its values are.", needed, oneOf(types...)),
		told("multiValued", Boolean, "Whether it can have more than one value.", needed),
		told("description", String, "What it is about.", exact),
		told("required", Boolean, "Whether every resource has it."),
		told("canonicalValues", String, "Values that are suggested.", several, exact),
		told("caseExact", Boolean, "Whether case makes a difference."),
		told("mutability", String, "Who can write it, and when.", exact, oneOf(mutabilities...)),
		told("returned", String, "When it is told.", exact, oneOf(returneds...)),
		told("uniqueness", String, "Among what its values differ.", exact, oneOf(uniquenesses...)),
		told("referenceTypes", String, "What it can refer to.", several, exact),
	}
}

// told is an attribute of what the server tells of itself: nobody else writes it.
func told(name string, kind Type, description string, more ...func(*Attribute)) *Attribute {
	a := &Attribute{Name: name, Type: kind, Description: description, Mutability: ReadOnly, CaseExact: kind == Reference}
	for _, m := range more {
		m(a)
	}
	return a
}

func needed(a *Attribute) { a.Required = true }

func several(a *Attribute) { a.MultiValued = true }

func with(sub ...*Attribute) func(*Attribute) {
	return func(a *Attribute) { a.Sub = sub }
}

func oneOf(words ...string) func(*Attribute) {
	return func(a *Attribute) { a.Canonical = words }
}

func refersTo(kinds ...string) func(*Attribute) {
	return func(a *Attribute) { a.ReferenceTypes = kinds }
}
