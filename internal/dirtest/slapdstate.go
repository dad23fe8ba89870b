package dirtest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// SetServerID lets all further changes carry the stamp of another server, as in a
// directory with several providers. The server restarts, so its session log is lost.
func (s *Slapd) SetServerID(id int) {
	s.tb.Helper()
	s.Stop()
	s.options.ServerID = id
	s.configure()
	s.Start()
}

// Limit changes how many entries an account gets of a search. The server goes on.
func (s *Slapd) Limit(a Account, entries int) {
	s.tb.Helper()
	s.limited[a.DN] = strconv.Itoa(entries)
	s.modify("dn: olcDatabase={1}mdb,cn=config\nchangetype: modify\nreplace: olcLimits\nolcLimits: "+
		strings.Join(s.limits(), "\nolcLimits: ")+"\n", "cn=config")
}

func (s *Slapd) limits() []string {
	var out []string
	for _, dn := range slices.Sorted(maps.Keys(s.limited)) {
		out = append(out, fmt.Sprintf("dn.exact=%q size.soft=%[2]s size.hard=%[2]s time.soft=unlimited time.hard=unlimited", dn, s.limited[dn]))
	}
	return out
}

// Backup copies the database and returns the place of the copy. The server is down
// meanwhile.
func (s *Slapd) Backup() string {
	s.tb.Helper()
	to := s.tb.TempDir()
	s.Stop()
	s.copyFile(s.database(), filepath.Join(to, "data.mdb"))
	s.Start()
	return to
}

// Restore puts the database back to what it was: what was done since is undone, in
// the server's stamps as well, and nobody is told.
func (s *Slapd) Restore(backup string) {
	s.tb.Helper()
	s.Stop()
	s.copyFile(filepath.Join(backup, "data.mdb"), s.database())
	s.Start()
}

func (s *Slapd) database() string { return filepath.Join(s.dir, "data.mdb") }

func (s *Slapd) copyFile(from, to string) {
	s.tb.Helper()
	// The file is eight GiB, nearly all of it holes.
	if _, err := run(s.tb.Context(), nil, "/bin/cp", "--sparse=always", from, to); err != nil {
		s.tb.Fatal(err)
	}
}
