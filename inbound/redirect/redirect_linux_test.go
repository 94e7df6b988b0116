package redirect

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/test/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options() Options {
	return Options{Listen: option.ListenList{option.ListenOn(netip.MustParseAddrPort("127.0.0.1:1081"))}, TCP: "redirect", UDP: "tproxy",
		MaxHandshakes: 8, ClientHandshakes: 8, MaxSessions: 8, ClientSessions: 8, AnswerSockets: 2}
}

func TestNew(t *testing.T) {
	for key, edit := range map[string]func(*Options){
		"":             func(*Options) {},
		"udp":          func(o *Options) { o.TCP, o.UDP = "off", "off" },
		"max_sessions": func(o *Options) { o.MaxSessions = 0 },
	} {
		o := options()
		edit(&o)
		_, err := New(coretest.Env(t), o)
		if bad, _ := errors.AsType[*core.OptionError](err); key == "" && err != nil || key != "" && (bad == nil || bad.Key != key) {
			t.Errorf("got %v, want an error for %q", err, key)
		}
	}
}

// As many sockets send answers as the file allows: the one that was used the longest ago makes
// room. They stay while any generation has them.
func TestAnswers(t *testing.T) {
	if !peer.InNamespace(t) { // sockets with addresses of others
		return
	}
	as := newAnswers()
	if _, err := as.socket(coretest.Addr(t, "192.0.2.1:53")); !errors.Is(err, core.ErrShutdown) {
		t.Errorf("before anybody holds them: got %v", err)
	}
	as.hold(9, coretest.Log(t))
	as.hold(2, coretest.Log(t))
	take := func(n int) any {
		s, err := as.socket(coretest.Addr(t, fmt.Sprintf("192.0.2.%d:53", n)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, two := take(1), take(2)
	if take(1) != one || take(2) != two || take(1) != one {
		t.Error("an address has another socket")
	}
	take(3) // in the place of 2
	if take(1) != one {
		t.Error("the socket that was used last made room")
	}
	if len(as.all) != 2 || as.recent.Len() != 2 {
		t.Errorf("%d sockets, want 2", len(as.all))
	}
	if take(2) == two {
		t.Error("a closed socket was handed out")
	}
	if _, err := as.socket(coretest.Addr(t, "name.test:53")); !errors.Is(err, errNoSource) {
		t.Errorf("an answer from a name: got %v", err)
	}
	as.release()
	if len(as.all) != 2 {
		t.Error("the sockets were closed while somebody holds them")
	}
	as.release()
	if len(as.all) != 0 || as.recent.Len() != 0 {
		t.Error("sockets are left")
	}
}
