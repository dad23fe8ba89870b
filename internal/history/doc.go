// Package history holds tests only: what happens to people and groups in real
// directories, told once and played on each family of them.
//
// It owns one table of histories in words that every directory understands, a writer
// of LDIF for each family, a roll in memory that takes a plan exactly as it stands, and
// a picture of each directory that is made from ldapsearch alone. It promises that after
// each read the roll is what the picture shows, however the read found it out, and that
// nothing was removed at any time that the directory still had.
//
// Nobody imports it.
package history
