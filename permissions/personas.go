package permissions

import "slices"

// PersonaID is the lasting name of a persona: "data-owner".
type PersonaID string

// The personas.
const (
	PersonaApplicationAdmin PersonaID = "application-admin"
	PersonaUserAdmin        PersonaID = "user-admin"
	PersonaDataGovernor     PersonaID = "data-governor"
	PersonaDataOwner        PersonaID = "data-owner"
	PersonaProjectOwner     PersonaID = "project-owner"
	PersonaProjectManager   PersonaID = "project-manager"
	PersonaAuditor          PersonaID = "auditor"
	PersonaDataUser         PersonaID = "data-user"
)

// Persona is a label for what somebody does here, derived from what he may do. It
// is never stored and never given: it follows from his effective permissions, and
// one person may have several.
type Persona struct {
	ID    PersonaID `json:"id"`
	Label string    `json:"label"`
	// Duties says in a sentence what is expected of the person.
	Duties string `json:"duties"`
	// Permissions are those of which one suffices; none: every active user has it.
	Permissions []Permission `json:"permissions"`
}

var personas = [...]Persona{
	{
		ID: PersonaApplicationAdmin, Label: "Application admin",
		Duties:      "Sets up the installation: sources, settings, custom permissions and the keys of services.",
		Permissions: []Permission{ApplicationAdmin},
	},
	{
		ID: PersonaUserAdmin, Label: "User admin",
		Duties:      "Looks after users, groups and attributes, and decides who has which permission.",
		Permissions: []Permission{UserAdmin},
	},
	{
		ID: PersonaDataGovernor, Label: "Data governor",
		Duties:      "Writes the policies that hold everywhere, the purposes that restrict projects, and the tags.",
		Permissions: []Permission{Governance},
	},
	{
		ID: PersonaDataOwner, Label: "Data owner",
		Duties:      "Registers data sources and answers for who may use them.",
		Permissions: []Permission{CreateDataSource, CreateDataSourceInProject},
	},
	{
		ID: PersonaProjectOwner, Label: "Project owner",
		Duties:      "Opens projects and leads them.",
		Permissions: []Permission{CreateProject},
	},
	{
		ID: PersonaProjectManager, Label: "Project manager",
		Duties:      "Defines purposes, decides on requests to use them, and manages the data sources of projects.",
		Permissions: []Permission{ProjectManagement},
	},
	{
		ID: PersonaAuditor, Label: "Auditor",
		Duties:      "Reads the audit log and checks who may do what, and why.",
		Permissions: []Permission{Audit},
	},
	{
		ID: PersonaDataUser, Label: "Data user",
		Duties:      "Uses the data that policies let him see.",
		Permissions: []Permission{},
	},
}

// Personas returns all personas in the order in which they are shown.
func Personas() []Persona {
	out := slices.Clone(personas[:])
	for i := range out {
		out[i].Permissions = slices.Clone(out[i].Permissions)
	}
	return out
}

// Personas returns the personas that the user has: none when he is unknown or
// inactive, else at least [PersonaDataUser], in the order in which they are shown.
func (e *Effective) Personas() []PersonaID {
	if e.Why != "" {
		return nil
	}
	var out []PersonaID
	for i := range personas {
		p := &personas[i]
		if len(p.Permissions) == 0 || slices.ContainsFunc(p.Permissions, e.Has) {
			out = append(out, p.ID)
		}
	}
	return out
}
