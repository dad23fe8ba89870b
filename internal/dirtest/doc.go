// Package dirtest starts real directory servers for tests: OpenLDAP's slapd,
// 389 Directory Server, and Samba as an Active Directory domain controller.
//
// It owns their private configuration, certificates, accounts, data and processes,
// a generator of organizations, and dumps made by the directory's own ldapsearch to
// compare with. It promises that everything is below one temporary directory and on
// 127.0.0.1, that no process outlives the test, not even one that is killed, and that
// a server which is not installed fails the test with the command that installs it.
//
// Only tests import it.
package dirtest
