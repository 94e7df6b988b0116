package probe

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update-report", false, "write testdata/report.*")

// both returns the records of random bytes for an inconspicuous server: its timer ends
// them, and a FIN ends them at once.
func both(sizes ...int) []Record {
	var all []Record
	for i, n := range sizes {
		fin := at(Random, n, 2)
		fin.Finish = FIN
		all = append(all, at(Random, n, 60000+i), fin)
	}
	return all
}

func TestJudge(t *testing.T) {
	cfg := Config{Server: "192.0.2.1:8388", Wait: 80 * time.Second, Key: &Key{}}
	named := func(r Record, name string) Record {
		r.Name = name
		return r
	}
	data := func(r Record, n int) Record {
		r.Data = n
		return r
	}
	slow := at(Slow, 66, 62000)
	slow.Quiet = 60 * time.Second
	late := at(Late, 66, 65000)
	late.Quiet = 60 * time.Second
	lost := at(Random, 7, 1).with(EndLost)
	lost.Err = "no route to host"
	unsure := at(Random, 7, 1).with(EndRST)
	unsure.Unsure = true
	var random []Record
	for i, n := range []int{1, 7, 8, 50, 51, 100, 221, 300, 1000} {
		random = append(random, at(Random, n, 45000+1500*i))
	}
	for _, tc := range []struct {
		name    string
		records []Record
		change  func(*Result)
		want    string // expected parts of the output lines, separated by vertical bars
	}{
		{"clean", both(0, 1, 50), nil, "verdict: no difference seen in 6 probes"},
		{"a size", append(both(0, 1, 43), at(Random, 44, 1).with(EndRST), at(Random, 50, 2).with(EndRST)), nil,
			"tell: random bytes: FIN after 60.0 s up to 43 bytes and RST at once from 44: the size of the server's first read is visible|verdict: 1 tell seen in 8 probes"},
		{"two deadlines", append(both(0, 1, 43), at(Random, 44, 10000), at(Random, 50, 10001)), nil,
			"tell: random bytes: ended after 60.0 s up to 43 bytes and after 10.0 s from 44|verdict: 1 tell"},
		{"a deadline each", random, nil, "tell: random bytes: the deadline differs from connection to connection by 12.0 s (45.0 s for 1 byte, 57.0 s for 1000 bytes)|verdict: 1 tell"},
		{"a replay", append(both(0, 1, 50), data(at(Replay, 137, 30), 312), at(Replay, 137, 60000)), nil,
			"tell: a replayed first flight got 312 bytes of data, 1 of 2 times: the server accepts replays|verdict: 1 tell"},
		{"a replay is ended", append(both(0, 1, 50), at(Replay, 137, 30)), nil,
			"tell: reaction to a recorded request, as it was differs from that to random bytes: FIN at once, not FIN after 60.0 s|verdict: 1 tell"},
		{"a replay is ended later", append(both(0, 1, 50), at(Replay, 137, 30000)), nil,
			"tell: reaction to a recorded request, as it was differs from that to random bytes: FIN after 30.0 s, not FIN after 60.0 s|verdict: 1 tell"},
		{"a changed byte", append(both(0, 1, 50), named(at(Damaged, 137, 60000), "byte 0"), named(at(Damaged, 137, 60000).with(EndRST), "byte 33")), nil,
			"tell: reaction to a new request with a byte changed differs from that to random bytes, 1 of 2 times: RST after 60.0 s, not FIN after 60.0 s (byte 33)|verdict: 1 tell"},
		{"data", append(both(0, 1, 50), data(at(Random, 221, 60000), 33)), nil,
			"tell: the server answered random bytes with data, 1 of 7 times: 33 bytes (221 bytes)|verdict: 1 tell"},
		{"from the last byte", append(both(0, 1, 50), slow, late), nil, "note: the deadline counts from the last byte|verdict: no difference"},
		{"a lost one", append(both(0, 1, 50), lost), nil, "note: 1 of 7 connections failed and are left out (1 lost, no route to host)|verdict: no difference"},
		{"many lost ones", append(both(0, 1, 50), lost, lost, lost), nil,
			"verdict: none; 3 of 9 connections failed (3 lost, no route to host): the network or the server is unstable; so far no difference seen"},
		{"an unsure record", append(both(0, 1, 50), unsure), nil, "note: 1 probe had a different reaction that a repetition did not confirm|verdict: no difference"},
		{"stopped", both(0, 1, 50), func(r *Result) { r.Stopped, r.Planned = true, 89 },
			"verdict: none; stopped after 6 of 89 probes; so far no difference seen"},
		{"a salt sent first", both(0, 1, 50), func(r *Result) { r.Salt = saltRefused },
			"tell: a valid request was refused because its first 32 bytes had arrived before|verdict: 1 tell"},
		{"barred in the end", both(0, 1, 50), func(r *Result) { r.Closing = "the server reset a valid request: x" },
			"note: after the probes, the server reset a valid request: x; the server may ban addresses that probe it|verdict: no difference"},
		{"without a key", both(0), func(r *Result) { r.Config.Key = nil }, "note: without a key: replays and damaged requests are untested|verdict: no difference"},
		{"never ended", []Record{at(Random, 0, 80000).with(EndOpen), at(Random, 50, 80000).with(EndOpen)}, nil,
			"note: the server ended no connection within 80.0 s|verdict: no difference"},
		{"datagrams", append(both(0), Record{Probe: Probe{Family: Datagram, Size: 50}, End: EndData, Data: 9},
			Record{Probe: Probe{Family: DgReplay, Size: 90}, End: EndData, Data: 99}), nil,
			"tell: the server answered random datagrams (50 bytes)|tell: a replayed datagram was answered with 99 bytes: the server accepts replays over UDP|verdict: 2 tells"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res := &Result{Config: cfg, Records: tc.records, Planned: len(tc.records)}
			if tc.change != nil {
				tc.change(res)
			}
			var b strings.Builder
			if err := WriteVerdict(&b, res, Judge(res)); err != nil {
				t.Fatal(err)
			}
			got, want := strings.Split(strings.TrimSpace(b.String()), "\n"), strings.Split(tc.want, "|")
			if len(got) != len(want) {
				t.Fatalf("got\n%swant %d lines like %q", b.String(), len(want), want)
			}
			for i := range want {
				if !strings.Contains(got[i], want[i]) {
					t.Errorf("got  %s\nwant %s", got[i], want[i])
				}
			}
		})
	}
}

// TestReport compares the complete output of a run with golden files.
func TestReport(t *testing.T) {
	rst := at(Random, 100, 1).with(EndRST)
	once := at(Opening, 3, 60010).with(EndOpen)
	once.Name, once.Unsure = "SOCKS5 greeting", true
	answered := at(Replay, 137, 41)
	answered.Data = 312
	gone := Record{Probe: Probe{Family: Cut, Size: 16, Finish: Open}, End: EndNever, Err: "connection refused"}
	res := &Result{
		Config:  Config{Server: "server.example.net:8388", Wait: 80 * time.Second, Quick: true},
		Addr:    "192.0.2.1:8388",
		Records: append(both(0, 1, 7, 43), rst, at(Random, 1000, 1).with(EndRST), once, answered, at(Slow, 66, 60003), gone),
		Planned: 14,
		Salt:    saltServed,
		Packets: "a valid datagram to 1.1.1.1:53 got no answer: no answer",
	}
	v := Judge(res)
	var text, program bytes.Buffer
	for _, err := range []error{WriteTable(&text, res), WriteVerdict(&text, res, v), WriteJSON(&program, res, v)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "report.txt", text.Bytes())
	golden(t, "report.json", program.Bytes())
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}
