package dirtest_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// TestSambaAccounts shows which account gets changes, and which sees a deletion.
func TestSambaAccounts(t *testing.T) {
	t.Parallel()
	s := dirtest.StartSamba(t, dirtest.SambaOptions{})
	ann := "CN=ann,CN=Users," + s.Suffix
	s.Apply(t, "dn: "+ann+"\nobjectClass: user\nsAMAccountName: ann\nuserAccountControl: 544\n")
	if got := s.Dump(t, "CN=Users,"+s.Suffix, "(sAMAccountName=ann)", "cn"); len(got) != 1 {
		t.Fatalf("%d entries, want Ann", len(got))
	}
	s.Apply(t, "dn: "+ann+"\nchangetype: delete\n")
	for _, x := range []struct {
		who     dirtest.Account
		changes bool
		deleted bool
	}{{s.Sync, true, true}, {s.Blind, true, false}, {s.Reader, false, false}} {
		if out, err := query(t.Context(), s, x.who, "1.2.840.113556.1.4.841=::MAgCAQACAQAEAA==", "(sAMAccountName=svc-sync)"); (err == nil) != x.changes {
			t.Errorf("%s asks for changes: %v, want %t\n%s", x.who.DN, err, x.changes, out)
		}
		out, err := query(t.Context(), s, x.who, "1.2.840.113556.1.4.417", "(&(sAMAccountName=ann)(isDeleted=TRUE))")
		if err != nil || strings.Contains(out, "isDeleted: TRUE") != x.deleted {
			t.Errorf("%s sees what was deleted: %v, want %t\n%s", x.who.DN, err, x.deleted, out)
		}
	}
}

func query(ctx context.Context, s *dirtest.Samba, who dirtest.Account, control, filter string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ldapsearch", "-LLL", "-x", "-H", s.LDAPS, "-D", who.DN, "-w", who.Password,
		"-b", s.Suffix, "-E", "!"+control, filter, "isDeleted")
	cmd.Env = append(cmd.Environ(), "LDAPTLS_CACERT="+s.CA)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
