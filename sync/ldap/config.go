package ldap

import (
	"time"

	"github.com/rollcall-id/rollcall/config"
)

// Config is the section of the configuration that describes one LDAP directory.
// What it leaves out comes from its template; [Config.Expanded] shows the whole.
type Config struct {
	// Type is "ldap": this kind of source.
	Type string `yaml:"type"`
	// Template names the kind of directory, whose defaults fill what is left out:
	// openldap, active_directory, 389ds or custom.
	Template string `yaml:"template"`
	// URLs are the servers, the preferred one first: ldaps://host, ldap://host,
	// ldapi://%2Fpath%2Fof%2Fsocket; or, as ldaps+srv://domain and ldap+srv://domain, the
	// servers that DNS knows of a domain. A read uses one that answers.
	URLs      []string  `yaml:"urls"`
	Discovery Discovery `yaml:"discovery"`
	Failover  Failover  `yaml:"failover"`
	// StartTLS encrypts connections to ldap:// URLs before anything else is sent.
	StartTLS bool `yaml:"starttls"`
	// AllowPlaintext lets a password and all data go over ldap:// unencrypted.
	AllowPlaintext bool `yaml:"allow_plaintext"`
	TLS            TLS  `yaml:"tls"`
	Bind           Bind `yaml:"bind"`
	// PageSize is how many entries the server is asked for at a time (RFC 2696).
	PageSize int `yaml:"page_size"`
	// Referrals says what a referral to another server means for completeness. They
	// are never followed. "hold" (the default): what lies there may be missing, so
	// nothing counts as gone. "ignore": it is not wanted.
	Referrals string   `yaml:"referrals"`
	Users     Users    `yaml:"users"`
	Groups    Groups   `yaml:"groups"`
	Timeouts  Timeouts `yaml:"timeouts"`
	// MaxMessageBytes is the largest message that is taken. An entry beyond it is
	// listed and left as it was. It has to hold the largest group.
	MaxMessageBytes int `yaml:"max_message_bytes"`
	// MaxEntries is how many entries one read may take from the server, those that it
	// asks for again included. Beyond it the read fails.
	MaxEntries int `yaml:"max_entries"`
	// MaxAttributes, MaxValues and MaxDNBytes bound one entry. One beyond them is listed
	// and left as it was.
	MaxAttributes int `yaml:"max_attributes"`
	MaxValues     int `yaml:"max_values"`
	MaxDNBytes    int `yaml:"max_dn_bytes"`
	// MaxDepth bounds elements within elements of a message; MaxReferrals, how many
	// referrals the server may send during one read. Beyond them the read fails.
	MaxDepth     int `yaml:"max_depth"`
	MaxReferrals int `yaml:"max_referrals"`
	// RequestsPerSecond and EntriesPerSecond slow a read down, so that the directory has
	// time for others. 0: as fast as it goes.
	RequestsPerSecond float64 `yaml:"requests_per_second"`
	EntriesPerSecond  float64 `yaml:"entries_per_second"`
	// Changes says how a read finds what changed since the last one: auto (the best that
	// the server offers to the account), syncrepl, dirsync, usn, timestamps, or none:
	// every read is of everything.
	Changes string `yaml:"changes"`
	// Sentinels are DNs of entries that every read has to find; one that is not there
	// takes the proof away.
	Sentinels []string `yaml:"sentinels"`
	// VerifySingly is how many entries that seem to be gone are asked for one by one;
	// more are checked with a second sweep of keys.
	VerifySingly int `yaml:"verify_singly"`
}

// Discovery narrows what a domain leads to.
type Discovery struct {
	// Site is the site of Active Directory whose controllers come first.
	Site string `yaml:"site"`
	// Within are domains below which the servers may lie, besides the URL's own.
	Within []string `yaml:"within"`
}

// Failover says what becomes of servers that fail.
type Failover struct {
	// LeaveOut is how long a server is left out after it has failed; it doubles with
	// each further failure, up to LeaveOutMost.
	LeaveOut     time.Duration `yaml:"leave_out"`
	LeaveOutMost time.Duration `yaml:"leave_out_most"`
	// ReturnAfter is how long a preferred server has to have answered until reads of
	// changes go back to it. Full reads do at once.
	ReturnAfter time.Duration `yaml:"return_after"`
}

// TLS says whom to trust and how to be known. All but ServerName and MinVersion are
// paths of PEM files; they are read anew for each connection.
type TLS struct {
	CA         string `yaml:"ca"`          // empty: what the system trusts
	Cert       string `yaml:"cert"`        // of the client, for EXTERNAL
	Key        string `yaml:"key"`         // of the client
	ServerName string `yaml:"server_name"` // empty: the host of the URL
	MinVersion string `yaml:"min_version"` // "1.2" (the default) or "1.3"
}

// Bind says as whom the directory is read.
type Bind struct {
	// Method is simple, external (by client certificate or the socket's peer), gssapi
	// (by a Kerberos ticket) or anonymous. Empty: simple.
	Method   string           `yaml:"method"`
	DN       string           `yaml:"dn"` // or, for Active Directory, user@domain
	Password config.SecretRef `yaml:"password"`
	Kerberos Kerberos         `yaml:"kerberos"`
}

// Where says which entries of the directory are meant.
type Where struct {
	Bases  []string `yaml:"bases"`
	Scope  string   `yaml:"scope"` // subtree, one or base
	Filter string   `yaml:"filter"`
	// Key is the attribute that names an entry for good: objectGUID, entryUUID,
	// nsUniqueId.
	Key string `yaml:"key"`
	// Name says where the login name or the name of the group stands.
	Name Mapping `yaml:"name"`
	// Profile says where our profile fields come from. It is laid over the template's;
	// an empty attribute leaves the field out.
	Profile map[string]Mapping `yaml:"profile"`
	// Attributes says where our attributes come from, by their keys.
	Attributes map[string]Mapping `yaml:"attributes"`
}

// Users says who the people are, and how the directory says that one may not log in.
type Users struct {
	Where    `yaml:",inline"`
	Disabled []Rule   `yaml:"disabled"`
	Locked   []Rule   `yaml:"locked"`
	Expires  []Expiry `yaml:"expires"`
	// PrimaryGroup is the attribute with the relative id of the group that everyone
	// is in without being listed there: Active Directory's primaryGroupID.
	PrimaryGroup string `yaml:"primary_group"`
}

// Groups says which the groups are and where their members stand. Without bases no
// group is read.
type Groups struct {
	Where   `yaml:",inline"`
	Members []Members `yaml:"members"`
	// ChangeStamp is an attribute that changes with every change of the entry. It
	// shows whether a large group stood still while its members were read in pieces.
	ChangeStamp string `yaml:"change_stamp"`
}

// Members is one attribute of groups that lists members.
type Members struct {
	Attribute string `yaml:"attribute"`
	// By is what the attribute's values are: dn, or name for login names.
	By string `yaml:"by"`
}

// Rule is a test of one attribute, or an expression that is true or false. Exactly one
// of Bits, Is, IsNot and CEL is set.
type Rule struct {
	Attribute string   `yaml:"attribute,omitempty"`
	Bits      int64    `yaml:"bits,omitempty"`   // one of these bits is set
	Is        []string `yaml:"is,omitempty"`     // a value is one of these, case ignored
	IsNot     []string `yaml:"is_not,omitempty"` // a value is none of these, case ignored
	CEL       string   `yaml:"cel,omitempty" json:",omitzero"`
}

// Expiry is an attribute with the instant after which a person may not log in, or an
// expression that gives it; never is the one of who may always.
type Expiry struct {
	Attribute string `yaml:"attribute,omitempty"`
	Format    string `yaml:"format,omitempty"` // filetime, generalized_time, or days (since 1970)
	CEL       string `yaml:"cel,omitempty" json:",omitzero"`
}

// Timeouts bound waiting.
type Timeouts struct {
	// Connect is for reaching one server, with TLS and bind.
	Connect time.Duration `yaml:"connect"`
	// Idle is how long the server may send nothing while an answer is awaited.
	Idle time.Duration `yaml:"idle"`
	// Read is for all that one read asks of the server, pauses included.
	Read time.Duration `yaml:"read"`
}

// The words of the configuration.
const (
	TemplateOpenLDAP = "openldap"
	TemplateAD       = "active_directory"
	Template389      = "389ds"
	TemplateCustom   = "custom"

	methodSimple    = "simple"
	methodExternal  = "external"
	methodGSSAPI    = "gssapi"
	methodAnonymous = "anonymous"

	changesAuto = "auto"
	changesNone = "none"

	referralsHold   = "hold"
	referralsIgnore = "ignore"

	byDN   = "dn"
	byName = "name"

	formatFiletime    = "filetime"
	formatGeneralized = "generalized_time"
	formatDays        = "days"
)
