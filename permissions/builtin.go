package permissions

// builtIn is closed: nothing is added to it, nothing is taken away.
var builtIn = [...]Entry{
	{
		Name: ApplicationAdmin, EnforcedBy: EnforcedByRollcall, BuiltIn: true,
		Description: "Configure the installation.",
		Actions: []Action{
			here("add, test, change, disable and delete sources, unless the configuration file declares them"),
			here("change the settings"),
			here("create and delete custom permissions"),
			here("create, list, rotate and revoke the API keys of services"),
			here("plan or start a sync run"),
			here("read and download the usage metrics"),
		},
	},
	{
		Name: Audit, EnforcedBy: EnforcedByRollcall, BuiltIn: true,
		Description: "Read the whole audit log. Without it a user sees only the entries that concern himself.",
		Actions: []Action{
			here("search, read and export the audit log"),
			here("verify that nobody has changed it"),
			here("see who gave what to whom, and why anybody has or lacks a permission"),
		},
	},
	{
		Name: CreateDataSource, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Register data sources.",
		Actions:     []Action{there("register data sources, inside and outside of projects, and own them")},
	},
	{
		Name: CreateDataSourceInProject, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Register data sources within projects only.",
		Actions:     []Action{there("register data sources within a project that one belongs to, and nowhere else")},
	},
	{
		Name: CreateFilter, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Create and save search filters.",
		Actions:     []Action{there("build a search filter and save it under a name")},
	},
	{
		Name: CreateProject, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Create projects.",
		Actions:     []Action{there("open a new project and own it")},
	},
	{
		Name: FetchPolicyInfo, EnforcedBy: EnforcedByBoth, BuiltIn: true,
		Description: "Read, as a machine, what decides the access of others.",
		Actions: []Action{
			here("ask what anybody may do, one by one, in batches and by search"),
			here("read the effective groups, attributes and permissions of users, one by one and in bulk"),
			here("follow the feed of changes"),
			there("read the visibilities, the masking and the filters of a data source"),
		},
	},
	{
		Name: Governance, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Govern the use of data.",
		Actions: []Action{
			there("write policies that hold everywhere"),
			there("restrict projects to purposes"),
			there("create, apply and remove tags"),
		},
	},
	{
		Name: ImpersonateUser, EnforcedBy: EnforcedByBoth, BuiltIn: true,
		Description: "Act as another user.",
		Actions: []Action{
			here("look at Rollcall as another user sees it (the header Rollcall-Impersonate), reading only, audited, and never with more than he may do himself"),
			there("query as another user"),
		},
	},
	{
		Name: ProjectManagement, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Manage projects and what they are for.",
		Actions: []Action{
			there("create purposes"),
			there("approve and deny requests to use a purpose"),
			there("add and remove the data sources of a project"),
		},
	},
	{
		Name: UserAdmin, EnforcedBy: EnforcedByRollcall, BuiltIn: true,
		Description: "Manage users, groups and attributes, and who has which permission.",
		Actions: []Action{
			here("create, change, disable, enable and delete local users and groups"),
			here("set local attributes and memberships, also on what a directory owns"),
			here("disable anybody at once, whatever a directory says"),
			here("give and take every permission, as far as grant_rule lets him"),
			here("choose which permissions the new users of a source begin with"),
			here("plan or start a sync run, and approve one that is held"),
			here("see who gave what to whom, and why anybody has or lacks a permission"),
		},
	},
}

func here(does string) Action  { return Action{Does: does, EnforcedBy: EnforcedByRollcall} }
func there(does string) Action { return Action{Does: does, EnforcedBy: EnforcedByApplications} }
