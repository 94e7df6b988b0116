package config

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/umbra-proxy/umbra/core"
)

func TestProblem(t *testing.T) {
	f := parse(t, `
[pipeline.p]
chain = [
  "inbound.ss",
  "outbound.direct",
]
[inbound.ss]
listen = ":1"
cipher = "c"
[inbound.ss.users]
"a.b" = "x"
  alice = "x"
[cipher.c]
kind = "aes-256-gcm"
password = "y"
[outbound.direct]
`)
	ss, c := ID{"inbound", "ss"}, ID{"cipher", "c"}
	bad := core.BadOption("password", "want %d bytes", 32)
	for _, tc := range []struct {
		name string
		got  Problem
		want string
	}{
		{"component", f.Problem(c, errors.New("no luck")), "x:13:1: cipher.c: no luck"},
		{"option", f.Problem(c, bad), "x:15:12: cipher.c.password: want 32 bytes"},
		{"wrapped option", f.Problem(c, fmt.Errorf("derive: %w", bad)), "x:15:12: cipher.c.password: derive: want 32 bytes"},
		{"option not in the file", f.Problem(c, core.BadOption("key", "missing")), "x:13:1: cipher.c.key: missing"},
		{"key of a table", f.Problem(ss, core.BadOption("users.alice", "too short")), "x:12:11: inbound.ss.users.alice: too short"},
		{"missing key of a table", f.Problem(ss, core.BadOption("users.listen", "too short")), "x:10:1: inbound.ss.users.listen: too short"},
		{"missing table", f.Problem(ss, core.BadOption("tls.listen", "too short")), "x:7:1: inbound.ss.tls.listen: too short"},
		{"several lines", f.Problem(c, errors.New("one\n\ttwo\x00")), "x:13:1: cipher.c: one  two"},
		{"unknown component", f.Problem(ID{"cipher", "d"}, bad), "x:1:1: cipher.d.password: want 32 bytes"},
		{"stage", f.ChainProblem("p", 1, errors.New("not a first hop")), "x:5:3: pipeline.p.chain: not a first hop"},
		{"no stage", f.ChainProblem("p", 9, errors.New("odd")), "x:3:9: pipeline.p.chain: odd"},
		{"no pipeline", f.ChainProblem("q", 0, errors.New("odd")), "x:2:1: pipeline.q.chain: odd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.got.Error(); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	joined := errors.Join(bad, errors.Join(core.BadOption("key", "too long"), multierror.Append(nil, errors.New("no luck"))))
	want := "x:13:1: cipher.c: no luck\nx:13:1: cipher.c.key: too long\nx:15:12: cipher.c.password: want 32 bytes"
	if got := Join(f.Problems(c, joined)...); got.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", got, want)
	}
	if err := Join(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
