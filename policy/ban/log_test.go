package ban

import (
	"fmt"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// A private address may stand for many clients: its ban is a warning with the mend.
func TestPrivateWarning(t *testing.T) {
	for address, want := range map[string]bool{
		"192.0.2.7": false, "2001:db8::1": false, "100.128.0.1": false,
		"10.1.2.3": true, "172.17.0.1": true, "192.168.1.1": true, "100.64.0.1": true, "fd00::1": true, "fe80::1": true,
	} {
		p, log := newPolicy(t, defaults())
		fail(p, client(address), 3, core.ErrAuth)
		if got := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "add it to exempt"); got != want || !strings.Contains(log.String(), "msg=banned") {
			t.Errorf("%s: got a warning %t, want %t, in the log %s", address, got, want, log)
		}
	}
	p, log := newPolicy(t, defaults())
	if _, err := p.Command(t.Context(), []string{"add", "10.1.2.3"}); err != nil || strings.Contains(fmt.Sprint(log), "hint") {
		t.Errorf("a ban by hand: got %v and the log %s, want no hint", err, log)
	}
}
