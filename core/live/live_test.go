package live

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/journey"
	"github.com/umbra-proxy/umbra/core/metrics"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/view"
)

type (
	inOptions struct {
		Listen netip.AddrPort `toml:"listen" help:"where"`
	}
	outOptions struct {
		Server   string      `toml:"server" help:"where to"`
		Password option.Text `toml:"password" help:"for it"`
	}
)

func (o inOptions) Describe() core.Description {
	return core.Description{Listeners: []core.Listener{{Key: "listen", Addr: o.Listen, Networks: core.OverTCP}}}
}

func (o outOptions) Describe() core.Description {
	return core.Description{Secrets: []string{"password"}}
}

// face returns the face of a file with an inbound, an outbound and more.
func faceFor(t *testing.T, text string) *face {
	t.Helper()
	reg := new(core.Registry)
	core.Add(&reg.Inbound, "in", func(core.Env, inOptions) (core.Inbound, error) { return nil, errors.New("not built") })
	core.Add(&reg.Outbound, "out", func(core.Env, outOptions) (core.Outbound, error) { return nil, errors.New("not built") })
	f, err := config.Parse("x.toml", []byte(text), reg)
	if err != nil {
		t.Fatal(err)
	}
	return faceOf(f, []byte("key"))
}

const file = `[pipeline.p]
chain = ["inbound.in", "outbound.out"]
[inbound.in]
listen = "127.0.0.1:1080"
[outbound.out]
server = "a.example:1"
password = "secret one"
[log]
level = "info"
`

// A change tells of listeners, of what came, went and differs, and of no secret.
func TestChange(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		want           string
	}{
		{"nothing", "", "", "kept [tcp 127.0.0.1:1080 (inbound.in)] opened [] closed [] added [] removed [] changed []"},
		{"an address", "1080", "1081", "kept [] opened [tcp 127.0.0.1:1081 (inbound.in)] closed [tcp 127.0.0.1:1080 (inbound.in)] added [] removed [] changed [{inbound.in [listen]}]"},
		{"an option", "a.example", "b.example", "kept [tcp 127.0.0.1:1080 (inbound.in)] opened [] closed [] added [] removed [] changed [{outbound.out [server]}]"},
		{"a secret", "secret one", "secret two", "kept [tcp 127.0.0.1:1080 (inbound.in)] opened [] closed [] added [] removed [] changed [{outbound.out [password]}]"},
		{"the log", `"info"`, `"debug"`, "kept [tcp 127.0.0.1:1080 (inbound.in)] opened [] closed [] added [] removed [] changed [{[log] [level]}]"},
		{"a pipeline's option", `"outbound.out"]`, "\"outbound.out\"]\nidle_timeout = \"7s\"", "kept [tcp 127.0.0.1:1080 (inbound.in)] opened [] closed [] added [] removed [] changed [{pipeline.p [idle_timeout]}]"},
		{"a hop more", `"outbound.out"]`, "\"outbound.b\", \"outbound.out\"]\n[outbound.b]\nkind = \"out\"", "kept [tcp 127.0.0.1:1080 (inbound.in)] opened [] closed [] added [outbound.b] removed [] changed [{pipeline.p [chain]}]"},
	} {
		c := faceFor(t, file).to(faceFor(t, strings.Replace(file, tc.old, tc.new, 1)))
		got := fmt.Sprintf("kept %v opened %v closed %v added %v removed %v changed %v", c.Kept, c.Opened, c.Closed, c.Added, c.Removed, c.Changed)
		if got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.name, got, tc.want)
		}
		if same := c.Digest == faceFor(t, file).text; same != (tc.old == tc.new) {
			t.Errorf("%s: the digest of the text is the same: %t", tc.name, same)
		}
		if strings.Contains(fmt.Sprintf("%+v %+v", c, faceFor(t, file)), "secret one") {
			t.Errorf("%s: shows the secret", tc.name)
		}
	}
}

// A store that does not answer and a certificate that ends make a component worse.
func TestWorsen(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	for _, tc := range []struct {
		metric *core.Metric
		value  float64
		want   view.Health
	}{
		{metrics.StoreUp, 1, view.OK}, {metrics.StoreUp, 0, view.Bad}, {metrics.Bans, 0, view.OK},
		{metrics.CertificateNotAfter, 1_000_000_000 + 30*86400, view.OK},
		{metrics.CertificateNotAfter, 1_000_000_000 + 3*86400, view.Trouble},
		{metrics.CertificateNotAfter, 1_000_000_000, view.Bad},
	} {
		s := view.ComponentState{State: view.OK, Counts: []view.Count{{Metric: tc.metric.Name, Value: tc.value}}}
		if worsen(&s, now); s.State != tc.want || (s.LastError == "") != (tc.want == view.OK) {
			t.Errorf("%s %v: got %+v, want %s", tc.metric.Name, tc.value, s, tc.want)
		}
	}
}

// A journey has the steps that there were, however far it came, and a client's address only
// as far as it is asked for.
func TestJourney(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }
	four, six := netip.MustParseAddrPort("192.0.2.77:4711"), netip.MustParseAddrPort("[2001:db8:1:2::3]:4711")
	failed := errors.New("no")
	reset := fmt.Errorf("read tcp 127.0.0.1:1->%s: reset", four)
	for _, tc := range []struct {
		name   string
		record journey.Record
		client string
		steps  string
	}{
		{"a refused client", journey.Record{Kind: core.Refused, Err: failed, Client: core.Client{Addr: four}, Stages: core.Stages{Accepted: at(0), Ended: at(1)}},
			"192.0.2.0/24", "admit 0+1 no"},
		{"an error that names its client", journey.Record{Kind: core.Refused, Err: reset, Client: core.Client{Addr: four}, Stages: core.Stages{Accepted: at(0), Ended: at(1)}},
			"192.0.2.0/24", "admit 0+1 read tcp 127.0.0.1:1->192.0.2.0/24: reset"},
		{"a failed handshake", journey.Record{Kind: core.HandshakeFailed, Err: failed, Client: core.Client{Addr: six}, Stages: core.Stages{Accepted: at(0), Admitted: at(1), Ended: at(5)}},
			"2001:db8:1::/48", "admit 0+1, handshake 1+4 no"},
		{"one that was served", journey.Record{
			ID: 1, Kind: core.Closed, Result: "ok", Client: core.Client{Addr: four},
			Stages: core.Stages{Accepted: at(0), Admitted: at(1), Requested: at(2), Reached: at(6), Answered: at(9), Ended: at(20)},
			Steps:  []core.Step{{Kind: core.StepDial, Began: at(2), Took: 4 * time.Millisecond}},
		}, "192.0.2.0/24", "admit 0+1, handshake 1+1, dial 2+4, answer 6+3, end 20+0"},
	} {
		j := journeyOf(&tc.record, false)
		var steps []string
		for _, s := range j.Steps {
			steps = append(steps, strings.TrimSpace(fmt.Sprintf("%s %v+%v %s", s.Kind, s.At, s.Took, s.Error)))
		}
		if got := strings.Join(steps, ", "); got != tc.steps || j.Client != tc.client {
			t.Errorf("%s: got %s of %s, want %s of %s", tc.name, got, j.Client, tc.steps, tc.client)
		}
		if whole := journeyOf(&tc.record, true); whole.Client != tc.record.Client.Addr.String() {
			t.Errorf("%s: whole: got %s", tc.name, whole.Client)
		}
	}
}
