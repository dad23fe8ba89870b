// Package ldap reads LDAP directories and Active Directory into observations.
//
// It owns the section of the configuration that describes one directory, the
// connection to it, the decoding and mapping of its entries, the resolving of group
// members to lasting keys, and the proof that a read saw everything. It promises
// that a read which broke teaches nothing (an error), that a read which the server
// cut short proves nothing, that what is missing is asked for once more before it
// counts as gone, that a fault of one entry stops no other, that no password or key
// attribute is ever asked for, and that no secret is in an error or in the log.
//
// A read uses one server from its first to its last request, over one connection; which
// one, a pool decides that remembers how they fared. Entries do not pass through
// go-ldap: a [net.Conn] beneath it takes them out of the stream and decodes them in
// place, which costs a seventh of the time and none of the memory, and cannot
// mistake a cut connection for the end of the answer. go-ldap binds, encodes requests
// and reads results.
//
// Where a server tells what changed, a read is of that: a follower for each way asks
// for it, a mirror of who is at which DN joins the members, and a sweep of keys and
// change stamps proves now and then that nothing was missed. Whatever is not certain
// ends in a read of everything.
//
// What a read means for the roll is the business of package sync/plan; when it is
// done, of package sync.
package ldap
