package page

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/view"
)

// branching is a file with gates, rules and a group.
const branching = `
[pipeline.office]
chain = ["policy.ban", "inbound.ss", "policy.acl", "outbound.split"]

[pipeline.laptop]
chain = ["inbound.socks5", "outbound.exit"]

[inbound.ss]
listen = ":8388"
cipher = "office"

[inbound.socks5]
listen = "127.0.0.1:1080"

[policy.ban]
[policy.acl]
deny_ports = ["25"]

[cipher.office]
kind = "2022-blake3-aes-128-gcm"
password = "Y2NjY2NjY2NjY2NjY2NjYw=="
users = { alice = "YWFhYWFhYWFhYWFhYWFhYQ==", bob = "YmJiYmJiYmJiYmJiYmJiYg==" }

[cipher.house]
kind = "aes-256-gcm"
password = "demo-everyone-knows-this-one"

[outbound.split]
kind = "route"
rules = ["ads", "abroad"]
otherwise = ["outbound.direct"]

[rule.ads]
targets = ["ads.example"]
chain = ["outbound.nowhere"]

[rule.abroad]
targets = ["example.org"]
chain = ["outbound.exit"]

[outbound.exit]
kind = "failover"
members = ["paris", "oslo"]
probe = { target = "www.example.org:443" }

[outbound.paris]
kind = "ss"
server = "paris.example.net:8388"
cipher = "house"

[outbound.oslo]
like = "paris"
server = "oslo.example.net:8388"
transport = ["front", "ws"]

[transport.front]
kind = "tls"

[transport.ws]
kind = "websocket"
path = "/stream"

[outbound.nowhere]
kind = "block"

[outbound.direct]
`

// load is how much goes through an outbound or a pipeline.
type load struct {
	connections int
	up, down    float64 // bytes a second
}

// office returns a source with the branching file under load. paris fails, oslo serves.
func office(t testing.TB) *source {
	start := began()
	s := &source{
		status: view.Status{Version: "1.0.0", PID: 4711, Started: start, File: "/etc/umbra/office.toml", Generation: 3, Ready: true, Write: true, Users: true},
		plan:   planOf(t, branching),
	}
	at := func(l load) (int64, int64) { // a rate that swings a little
		seconds := time.Since(start).Seconds()
		return int64(l.up * (seconds + math.Sin(seconds/3))), int64(l.down * (seconds + 1.5*math.Sin(seconds/4)))
	}
	component := func(state view.Health, l load, counts ...view.Count) view.ComponentState {
		up, down := at(l)
		return view.ComponentState{State: state, Connections: l.connections, Up: up, Down: down, Counts: counts}
	}
	s.snapshot = func() view.Snapshot {
		pipeline := func(name string, l load, accepted uint64, shakes int, ended map[string]uint64) view.PipelineState {
			up, down := at(l)
			return view.PipelineState{Name: name, Streams: l.connections - l.connections/8, UDP: l.connections / 8, Handshakes: shakes, Accepted: accepted, Up: up, Down: down, Ended: ended}
		}
		paris := component(view.Bad, load{}, dials("outbound.paris", "timeout", 41), dials("outbound.paris", "ok", 1202))
		paris.LastError, paris.LastErrorAt = "dial paris.example.net:8388: connection refused", time.Now().Add(-4*time.Second)
		exit := component(view.OK, load{44, 90e3, 5.2e6})
		exit.Members = []view.Member{
			{Name: "paris", State: "out", Since: time.Now().Add(-time.Minute), Reason: "connection refused"},
			{Name: "oslo", State: "in", Serves: true, Delay: 38, Running: 44},
		}
		return view.Snapshot{
			Time: time.Now(), Generation: s.status.Generation, Ready: true,
			Pipelines: []view.PipelineState{
				pipeline("office", load{87, 140e3, 9.4e6}, 48210, 2, map[string]uint64{"ok": 47801, "timeout": 212, "denied": 110}),
				pipeline("laptop", load{12, 22e3, 1.1e6}, 3120, 0, map[string]uint64{"ok": 3098, "timeout": 10}),
			},
			Components: map[string]view.ComponentState{
				"policy.ban": component(view.OK, load{}, refusals("policy.ban", "banned", 1874)), "policy.acl": component(view.OK, load{}, refusals("policy.acl", "port", 110)),
				"inbound.ss": component(view.OK, load{}), "inbound.socks5": component(view.OK, load{}),
				"outbound.split": component(view.OK, load{87, 140e3, 9.4e6}, decisions("ads", 9120), decisions("abroad", 18003), decisions("otherwise", 20678)),
				"outbound.exit":  exit, "outbound.paris": paris, "outbound.oslo": component(view.OK, load{44, 90e3, 5.2e6}, dials("outbound.oslo", "ok", 17444)),
				"outbound.direct":  component(view.Trouble, load{43, 50e3, 4.2e6}, dials("outbound.direct", "ok", 20411), dials("outbound.direct", "name", 267)),
				"outbound.nowhere": component(view.OK, load{}, dials("outbound.nowhere", "denied", 9120)),
			},
		}
	}
	users := []string{"alice", "bob", ""}
	for i := range 240 {
		c := view.Connection{
			ID: uint64(i + 1), Generation: 3, Pipeline: "office", Inbound: "ss", Network: "tcp", Client: fmt.Sprintf("203.0.113.%d:%d", i%250+1, 40000+i), User: users[i%3],
			Target: fmt.Sprintf("host-%d.example.org:443", i), Path: []string{"outbound.split", "outbound.exit", "outbound.oslo"}, State: "relaying",
			Since: time.Now().Add(-time.Duration(i*7) * time.Second), Up: int64(i * 3011), Down: int64((i*7919)%240) * 51001,
		}
		if i%4 == 3 {
			c.Path, c.Target = []string{"outbound.split", "outbound.direct"}, fmt.Sprintf("intranet-%d.example.com:80", i)
		}
		if i%8 == 7 {
			c.Network, c.Target = "udp", ""
		}
		s.connections = append(s.connections, c)
	}
	s.connections[0].Target = markup
	s.journeys = journeys()
	s.users = []view.User{
		{Name: "alice", Connections: 31, Up: 3.1e9, Down: 88e9, Used: 91e9, Quota: 100e9, Resets: time.Now().AddDate(0, 0, 12)},
		{Name: "bob", Connections: 0, Up: 0.2e9, Down: 11e9, LastSeen: time.Now().Add(-26 * time.Minute), Used: 11e9, Quota: 100e9, Resets: time.Now().AddDate(0, 0, 12)},
	}
	s.bans = []view.Ban{
		{Policy: "policy.ban", Client: "198.51.100.7/32", Since: time.Now().Add(-5 * time.Minute), Until: time.Now().Add(15 * time.Minute), Times: 2, Failures: "3 wrong keys", Refused: 1822},
		{Policy: "policy.ban", Client: "2001:db8:5::/64", Since: time.Now().Add(-9 * time.Minute), Until: time.Now().Add(time.Minute), Times: 1, Failures: "3 replays", Refused: 52},
	}
	change, _ := s.Compare(t.Context())
	s.reloads = []view.Reload{
		{Time: start, Generation: 1, By: "start"},
		{Time: start.Add(time.Hour), By: "signal", Mistakes: []string{"office.toml:12:1: cipher.house: unknown kind \"aes-255-gcm\""}},
		{Time: start.Add(2 * time.Hour), Generation: 2, By: "signal", Change: change},
	}
	s.lines = []string{
		`time=2026-11-30T19:00:00Z level=INFO msg="listening" inbound=ss address=:8388`,
		`time=2026-11-30T19:00:09Z level=WARN msg="member is out" group=exit member=paris reason="connection refused"`,
	}
	return s
}

func dials(outbound, result string, n float64) view.Count {
	return view.Count{Metric: "umbra_dials_total", Labels: map[string]string{"outbound": outbound, "result": result}, Value: n}
}

func refusals(policy, reason string, n float64) view.Count {
	return view.Count{Metric: "umbra_policy_refusals_total", Labels: map[string]string{"policy": policy, "reason": reason}, Value: n}
}

func decisions(rule string, n float64) view.Count {
	return view.Count{Metric: "umbra_route_decisions_total", Labels: map[string]string{"route": "outbound.split", "rule": rule}, Value: n}
}

// journeys returns 40 of them, of which every fifth has failed.
func journeys() []view.Journey {
	var all []view.Journey
	for i := range 40 {
		dial := 18 + float64(i*13%70)
		j := view.Journey{
			Number: uint64(i + 1), ID: uint64(1000 + i), Pipeline: "office", Inbound: "ss", Network: "tcp", Client: "203.0.113.0/24", User: "alice",
			Target: fmt.Sprintf("site-%d.example.org:443", i), Path: []string{"outbound.split", "outbound.exit", "outbound.oslo"}, Began: time.Now().Add(-time.Duration(40-i) * 9 * time.Second),
			Took: 4200 + float64(i)*31, Up: 2100, Down: int64(i) * 40101, Result: "ok",
			Steps: []view.Step{
				{Kind: "admit", Name: "policy.ban", At: 0.02, Took: 0.03}, {Kind: "handshake", Name: "inbound.ss", Detail: "alice", At: 0.1, Took: 6.2},
				{Kind: "rule", Name: "outbound.split", Detail: "rule.abroad", At: 6.4, Took: 0.1}, {Kind: "dial", Name: "outbound.oslo", At: 6.6, Took: dial},
				{Kind: "answer", At: 6.6 + dial, Took: 21 + float64(i%7)}, {Kind: "end", Detail: "the target closed", At: 4200 + float64(i)*31},
			},
		}
		if i%5 == 4 {
			j.Result, j.Error, j.Down, j.Took = "timeout", "dial oslo.example.net:8388: no answer within 10s", 0, 10006
			j.Steps = append(slices.Clone(j.Steps[:3]), view.Step{Kind: "dial", Name: "outbound.oslo", At: 6.6, Took: 10000, Error: "no answer within 10s"}, view.Step{Kind: "end", At: 10006})
		}
		all = append(all, j)
	}
	return all
}
