package etcd

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/config"
)

func TestValidate(t *testing.T) {
	cluster := []string{"https://a:2379", "https://b:2379"}
	for name, c := range map[string]struct {
		o    Options
		want []string
	}{
		"embedded":                      {Options{Dir: "d"}, nil},
		"cluster":                       {Options{Endpoints: cluster, TLS: TLS{CA: "ca", Cert: "c", Key: "k"}, Username: "u", Password: config.SecretRef{Env: "P"}}, nil},
		"nothing":                       {Options{}, []string{"dir"}},
		"both":                          {Options{Dir: "d", Quota: 1, Compaction: time.Hour, DebugSocket: "/s", Endpoints: cluster}, []string{"compaction", "debug_socket", "dir", "quota"}},
		"prefix without a slash":        {Options{Dir: "d", Prefix: "/a"}, []string{"prefix"}},
		"quota and history too small":   {Options{Dir: "d", Quota: 1 << 20, Compaction: time.Minute}, []string{"compaction", "quota"}},
		"negative quota":                {Options{Dir: "d", Quota: -1}, []string{"quota"}},
		"relative socket":               {Options{Dir: "d", DebugSocket: "s"}, []string{"debug_socket"}},
		"embedded with connections":     {Options{Dir: "d", TLS: TLS{CA: "ca"}, Username: "u"}, []string{"tls", "username"}},
		"endpoint that is none":         {Options{Endpoints: []string{"a:2379"}}, []string{"endpoints"}},
		"endpoints of two kinds":        {Options{Endpoints: []string{"https://a:1", "http://b:1"}}, []string{"endpoints"}},
		"TLS over http":                 {Options{Endpoints: []string{"http://a:1"}, TLS: TLS{CA: "ca"}}, []string{"tls"}},
		"certificate without a key":     {Options{Endpoints: cluster, TLS: TLS{Cert: "c"}}, []string{"tls"}},
		"username without a password":   {Options{Endpoints: cluster, Username: "u"}, []string{"username"}},
		"password without its username": {Options{Endpoints: cluster, Password: config.SecretRef{Env: "P"}}, []string{"username"}},
	} {
		t.Run(name, func(t *testing.T) {
			var p config.Problems
			c.o.Validate(&p)
			var got []string
			if e, ok := errors.AsType[*config.Error](p.Err()); ok {
				for _, problem := range e.Problems {
					got = append(got, problem.Path)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Validate (-want +got):\n%s\n%v", diff, p.Err())
			}
		})
	}
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("Open of options that are wrong succeeds")
	}
}
