package usage

import (
	"slices"
	"strings"
)

// Name is what is counted: "workflow:user_created", "api:listUsers", "cli:grant",
// "console:users". What stands before the colon says of which kind it is.
type Name string

// The kinds of name.
const (
	KindWorkflow = "workflow"
	KindAPI      = "api"     // operation ids of the admin API, by [APIName]
	KindCLI      = "cli"     // verbs of the command line
	KindConsole  = "console" // controls of the console
)

// The names under which counts are given out that are too small to stand alone.
const (
	OtherWorkflows Name = "workflow:other"
	OtherTouches   Name = "touch:other"
)

// Kind returns what stands before the colon.
func (n Name) Kind() string {
	kind, _, _ := strings.Cut(string(n), ":")
	return kind
}

// What returns what stands after the colon.
func (n Name) What() string {
	_, what, _ := strings.Cut(string(n), ":")
	return what
}

// IsWorkflow reports whether n is of the family of workflows; else it is a touch.
func (n Name) IsWorkflow() bool { return n.Kind() == KindWorkflow }

// other returns the name of what is merged of n's family.
func (n Name) other() Name {
	if n.IsWorkflow() {
		return OtherWorkflows
	}
	return OtherTouches
}

// APIName returns the name of an operation of the admin API.
func APIName(operation string) Name { return Name(KindAPI + ":" + operation) }

// The workflows: what somebody wanted, and got done.
const (
	UserCreated             Name = "workflow:user_created"
	UserChanged             Name = "workflow:user_changed"
	UserDisabled            Name = "workflow:user_disabled"
	UserEnabled             Name = "workflow:user_enabled"
	UserDeleted             Name = "workflow:user_deleted"
	GroupCreated            Name = "workflow:group_created"
	GroupChanged            Name = "workflow:group_changed"
	GroupDeleted            Name = "workflow:group_deleted"
	MemberAdded             Name = "workflow:member_added"
	MemberRemoved           Name = "workflow:member_removed"
	MembersChanged          Name = "workflow:members_changed"
	AttributeSet            Name = "workflow:attribute_set"
	AttributeRemoved        Name = "workflow:attribute_removed"
	PermissionGranted       Name = "workflow:permission_granted"
	PermissionRevoked       Name = "workflow:permission_revoked"
	PermissionsGranted      Name = "workflow:permissions_granted" // many at once
	PermissionsReplaced     Name = "workflow:permissions_replaced"
	CustomPermissionCreated Name = "workflow:custom_permission_created"
	CustomPermissionDeleted Name = "workflow:custom_permission_deleted"
	SettingChanged          Name = "workflow:setting_changed"
	DefaultsChanged         Name = "workflow:default_permissions_changed"
	SourceAdded             Name = "workflow:source_added"
	SourceChanged           Name = "workflow:source_changed"
	SourceDeleted           Name = "workflow:source_deleted"
	SourceTested            Name = "workflow:source_tested"
	RunStarted              Name = "workflow:run_started"
	RunApproved             Name = "workflow:run_approved"
	KeyCreated              Name = "workflow:key_created"
	KeyRotated              Name = "workflow:key_rotated"
	KeyRevoked              Name = "workflow:key_revoked"
	ServiceCreated          Name = "workflow:service_created"
	ServiceChanged          Name = "workflow:service_changed"
	ServiceDeleted          Name = "workflow:service_deleted"
	PermissionExplained     Name = "workflow:permission_explained"
	AuditExported           Name = "workflow:audit_exported"
	BackupMade              Name = "workflow:backup_made"
)

var workflows = [...]Name{
	UserCreated, UserChanged, UserDisabled, UserEnabled, UserDeleted, GroupCreated, GroupChanged, GroupDeleted,
	MemberAdded, MemberRemoved, MembersChanged, AttributeSet, AttributeRemoved,
	PermissionGranted, PermissionRevoked, PermissionsGranted, PermissionsReplaced,
	CustomPermissionCreated, CustomPermissionDeleted, SettingChanged, DefaultsChanged,
	SourceAdded, SourceChanged, SourceDeleted, SourceTested, RunStarted, RunApproved,
	KeyCreated, KeyRotated, KeyRevoked, ServiceCreated, ServiceChanged, ServiceDeleted,
	PermissionExplained, AuditExported, BackupMade,
}

// verbs are those of the command line that talk to the daemon, as they are typed: a
// verb, or a thing and what is done with it. A newer command line may have more; they
// are refused, and it goes on.
var verbs = [...]string{
	"audit", "audit export", "audit head", "audit verify", "backup", "can", "disable", "enable", "events",
	"grant", "grants", "grants apply", "grants set", "grants show", "groups", "groups add", "groups create", "groups delete",
	"groups remove", "groups update", "key create", "key list", "key revoke", "link", "metrics usage", "migrate", "permissions",
	"permissions create", "permissions delete", "permissions show", "personas", "revoke", "scim pause", "scim requests",
	"scim resume", "scim token create", "scim token list", "scim token revoke", "scim undo", "service create",
	"service delete", "service key", "service list", "service revoke", "service rotate", "set", "settings",
	"settings defaults", "settings precedence", "settings set", "source change", "source create", "source delete", "source disable", "source enable",
	"source list", "source settle", "source settlements", "source show", "source test", "source unassigned", "sync approve", "sync diff", "sync held", "sync pause", "sync plan", "sync purge", "sync resume", "sync run", "sync runs",
	"sync status", "sync test", "sync try", "sync undo", "unlink", "unset", "users", "users create", "users delete", "users update", "who-can", "whoami", "why",
}

// controls are the pages of the console and what can be done on them.
var controls = [...]string{
	"overview", "users", "user", "user.filter", "user.disable", "user.enable", "user.attribute", "user.grant", "user.revoke", "user.why",
	"groups", "group", "group.member", "group.grant", "permissions", "permission", "permission.holders", "permission.create",
	"personas", "grants", "grants.bulk", "grants.expiring", "sources", "source", "source.test", "source.run", "source.plan",
	"runs", "run", "run.approve", "run.diff", "keys", "key.create", "key.revoke", "settings", "settings.change",
	"audit", "audit.filter", "audit.export", "health", "usage", "usage.download", "search", "help", "copy-as-cli", "copy-as-curl",
}

// Presented returns the names that a client may report by itself. What the API does it
// counts by itself.
func Presented() []Name {
	var out []Name
	for _, v := range verbs {
		out = append(out, Name(KindCLI+":"+v))
	}
	for _, c := range controls {
		out = append(out, Name(KindConsole+":"+c))
	}
	return out
}

// All returns every name there is, for an API with these operations, in order.
func All(operations []string) []Name {
	out := append(slices.Clone(workflows[:]), Presented()...)
	for _, o := range operations {
		out = append(out, APIName(o))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
