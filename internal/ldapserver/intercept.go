package ldapserver

// Search is what an Intercept function is told about a search, paged or not:
// each page is a search of its own.
type Search struct {
	// Conn numbers the server's connections, Number the searches on this one, and
	// Total those of the whole server; each from 1.
	Conn, Number, Total int
	// Page numbers the pages of one paged search, from 1. It is 0 when the client
	// asked for no paging.
	Page int
	// PageSize is what the client asked for.
	PageSize   int
	Bound      string // the name bound as; empty when anonymous
	Base       string
	Scope      Scope
	Filter     string // RFC 4515
	Attributes []string
	SizeLimit  int
	Controls   []string // their numbers, in the order given
}

// Ending is how an answer ends.
type Ending int

// The endings.
const (
	EndAsUsual    Ending = iota
	EndResult            // with Action.Result, without a paging control
	EndClose             // the connection is closed between two messages
	EndMidMessage        // the connection is closed in the middle of an entry
	EndStall             // nothing more comes until Action.Release, then the rest
)

// PagingFault is what goes wrong with the paging control of an answer.
type PagingFault int

// The paging faults.
const (
	PagingAsUsual PagingFault = iota
	PagingDropped             // the answer's end carries no control, whichever it is
	PagingRepeats             // the cookie leads to the same page for ever
)

// Action changes how one search is answered. The zero value changes nothing.
type Action struct {
	// Ending takes effect before the entry numbered After (from 0) of this answer,
	// or before its end when there are fewer.
	Ending Ending
	After  int
	Result *Error
	// Release ends a stall. Without it only the closing of the connection does.
	Release <-chan struct{}
	// Raw is sent after the entries and before the ending, as it is.
	Raw []byte
	// Hide leaves out all entries: what an account without rights sees.
	Hide bool
	// Referrals are sent as one search result reference before the end.
	Referrals []string
	// Rewrite changes an entry on its way out. It sees the selected attributes.
	Rewrite func(Entry) Entry
	Paging  PagingFault
}
