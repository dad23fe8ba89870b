package schema

import (
	_ "embed"
	"sync"
)

// The definitions of RFC 7643, section 8.7.1, with these differences: displayName of a
// group is required (section 4.2), references and binaries are case exact (2.3.6,
// 2.3.7), an address can be the primary one (as in the example of 8.2), and a member
// has a display (2.4), which is his name here, whatever was sent, and told on request.
var (
	//go:embed user.json
	userText []byte
	//go:embed group.json
	groupText []byte
	//go:embed enterprise.json
	enterpriseText []byte

	user  = sync.OnceValue(newUser)
	group = sync.OnceValue(newGroup)
)

// User returns the resource type of users, with the enterprise extension. It is
// shared: see [ResourceType.With] for one with more extensions.
func User() *ResourceType { return user() }

// Group returns the resource type of groups. It is shared: see [ResourceType.With] for
// one with extensions.
func Group() *ResourceType { return group() }

func newUser() *ResourceType {
	return mustNew(ResourceType{
		Name: "User", Endpoint: "/Users", Description: "People with accounts.",
		Core:       mustParse(userText),
		Extensions: []Extension{{Schema: mustParse(enterpriseText)}},
	})
}

func newGroup() *ResourceType {
	return mustNew(ResourceType{
		Name: "Group", Endpoint: "/Groups", Description: "Groups of users and of groups.",
		Core: mustParse(groupText),
	})
}

func mustParse(text []byte) *Schema {
	s, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return s
}

func mustNew(t ResourceType) *ResourceType {
	made, err := New(t)
	if err != nil {
		panic(err)
	}
	return made
}
