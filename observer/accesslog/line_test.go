package accesslog

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// served is the end of a connection that was served.
func served(t testing.TB) core.Event {
	t.Helper()
	target, err := core.ParseAddr("www.example.org:443")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	f := new(core.Flow)
	f.Record()
	f.Step(core.Step{Kind: core.StepDial, Name: "outbound.paris", Took: 3 * time.Millisecond, Err: errors.New("reset by 192.0.2.77:4711\nand more")})
	f.Up.Store(7)
	f.Down.Store(9)
	return core.Event{
		Kind: core.Closed, Pipeline: "server", Path: []string{"outbound.paris", "outbound.tokyo"}, Received: -1,
		Client:  core.Client{Addr: netip.MustParseAddrPort("192.0.2.77:4711"), Network: core.TCP, Inbound: "ss"},
		Request: &core.Request{ID: 12, Network: core.TCP, User: "alice", Target: target, Flow: f},
		Stages: core.Stages{
			Accepted: at, Admitted: at.Add(time.Millisecond), Requested: at.Add(3 * time.Millisecond), Reached: at.Add(13 * time.Millisecond),
			Answered: at.Add(23 * time.Millisecond), Ended: at.Add(1500 * time.Millisecond),
		},
	}
}

// fields returns the fields of a list of words.
func fields(list string) []Field {
	var all []Field
	for _, word := range strings.Fields(list) {
		all = append(all, Field(word))
	}
	return all
}

const usual = "time pipeline inbound network client user target path event result up down took"

func TestLine(t *testing.T) {
	for _, tc := range []struct {
		name, fields string
		clients      option.Clients
		edit         func(e *core.Event)
		want         string
	}{
		{"the usual fields", usual, option.ClientsCut, func(*core.Event) {},
			`{"time":"2026-01-02T02:04:06.500Z","pipeline":"server","inbound":"ss","network":"tcp","client":"192.0.2.0/24","user":"alice",` +
				`"target":"www.example.org:443","path":["outbound.paris","outbound.tokyo"],"event":"closed","result":"ok","up":7,"down":9,"took":1.500000}`},
		{"the order of the file", "down up id", option.ClientsCut, func(*core.Event) {}, `{"down":9,"up":7,"id":12}`},
		{"the whole address", "client", option.ClientsFull, func(*core.Event) {}, `{"client":"192.0.2.77:4711"}`},
		{"IPv6", "client", option.ClientsCut, func(e *core.Event) { e.Client.Addr = netip.MustParseAddrPort("[2001:db8:1:2::3]:4") }, `{"client":"2001:db8:1::/48"}`},
		{"no address", "client network", option.ClientsNone, func(*core.Event) {}, `{"network":"tcp"}`},
		{"the times", "accepted handshake reach first_byte took", option.ClientsCut, func(*core.Event) {},
			`{"accepted":"2026-01-02T02:04:05.000Z","handshake":0.002000,"reach":0.010000,"first_byte":0.020000,"took":1.500000}`},
		{"steps without the client", "steps", option.ClientsNone, func(*core.Event) {},
			`{"steps":[{"kind":"dial","name":"outbound.paris","err":"reset by client; and more","took":0.003000}]}`},
		{"steps with a part of it", "steps", option.ClientsCut, func(*core.Event) {},
			`{"steps":[{"kind":"dial","name":"outbound.paris","err":"reset by 192.0.2.0/24; and more","took":0.003000}]}`},
		{"a failed handshake", usual + " received err first_byte", option.ClientsCut, func(e *core.Event) {
			*e = core.Event{Kind: core.HandshakeFailed, Pipeline: "server", Client: e.Client, Received: 0, Err: core.ErrAuth,
				Stages: core.Stages{Accepted: e.Stages.Accepted, Ended: e.Stages.Ended}}
		}, `{"time":"2026-01-02T02:04:06.500Z","pipeline":"server","inbound":"ss","network":"tcp","client":"192.0.2.0/24",` +
			`"event":"handshake failed","result":"auth","took":1.500000,"received":0,"err":"` + core.ErrAuth.Error() + `"}`},
		{"a failure without an error", "result", option.ClientsCut, func(e *core.Event) { e.Kind = core.DialFailed }, `{"result":"other"}`},
		{"nothing known", "user target path err received steps", option.ClientsCut, func(e *core.Event) { *e = core.Event{Kind: core.Refused, Received: -1} }, `{}`},
		{"a user of any text", "user", option.ClientsCut, func(e *core.Event) { e.Request.User = "a\"\\\n\x1b[31m\u202e\u009b\x7f\xff</é😀\U000e0001" },
			`{"user":"a\"\\\u000a\u001b[31m\u202e\u009b\u007f\ufffd</é😀\udb40\udc01"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := served(t)
			tc.edit(&e)
			o := Options{Fields: fields(tc.fields), Clients: tc.clients}
			got := string(o.append(nil, e))
			if got != tc.want+"\n" {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if !json.Valid([]byte(got)) {
				t.Error("this is no JSON")
			}
		})
	}
}

// Every field has its key in the line of some connection, and no other key.
func TestFields(t *testing.T) {
	for _, word := range Field("").Values() {
		e := served(t)
		if word == string(FieldErr) || word == string(FieldReceived) {
			e.Kind, e.Err, e.Received = core.HandshakeFailed, core.ErrShort, 3
		}
		o := Options{Fields: []Field{Field(word)}, Clients: option.ClientsFull}
		var got map[string]any
		if err := json.Unmarshal(o.append(nil, e), &got); err != nil || len(got) != 1 || got[word] == nil {
			t.Errorf("%s: got %v, %v", word, got, err)
		}
	}
}

// FuzzString reads back what was written, and finds nothing in it that a terminal would
// execute.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "alice", "a\"b\\c", "\x00\x1b\x7f\u0085\u2028\u202e\ufeff", "\xff\xc0\x80", "😀\U000e0001\u00a0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var back string
		if err := json.Unmarshal(b, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && back != string([]rune(s)) {
			t.Errorf("%q: got %q, %v by way of %s", s, back, err, b)
		}
		for _, r := range string(b) {
			if !unicode.IsPrint(r) {
				t.Errorf("%q: got %q in %s", s, r, b)
			}
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	o := Options{Fields: fields(usual), Clients: option.ClientsCut}
	e := served(b)
	buffer := make([]byte, 0, 512)
	for b.Loop() {
		buffer = o.append(buffer[:0], e)
	}
}
