package probe_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/probe"
)

// answer serves a request as a server with this cipher does, without a target.
func answer(conn core.Stream, c core.Cipher) bool {
	a, err := c.AcceptStream(conn, core.Caller{})
	if err != nil {
		return false
	}
	reply(a.Stream)
	return true
}

// reply is the data of a target.
func reply(s core.Stream) {
	_, _ = s.Write([]byte("HTTP/1.0 200 OK\r\n\r\n"))
	_ = s.CloseWrite()
}

// serveOr serves a request, and drains an invalid one.
func serveOr(conn *net.TCPConn, c core.Cipher) {
	limit(conn, patience)
	if !answer(conn, c) {
		drain(conn)
	}
}

// replayed is a connection whose first bytes were read before.
type replayed struct {
	*net.TCPConn
	first []byte
}

func (r *replayed) Read(b []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(b, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.TCPConn.Read(b)
}

// TestTells probes servers that can be distinguished.
func TestTells(t *testing.T) {
	var salts sync.Map
	for _, tc := range []struct {
		name  string
		serve func(conn *net.TCPConn, n int)
		keyed bool
		kinds []string // distinct kinds of the findings, sorted
		texts []string // texts that findings contain
	}{
		{
			name:  "silent to one deadline",
			serve: func(conn *net.TCPConn, _ int) { limit(conn, patience); drain(conn) },
		},
		{
			name:  "never ends",
			serve: func(conn *net.TCPConn, _ int) { limit(conn, 4*wait); drain(conn) },
		},
		{
			name: "resets one connection by chance",
			serve: func(conn *net.TCPConn, n int) {
				if n == 20 {
					reset(conn)
					return
				}
				limit(conn, patience)
				drain(conn)
			},
		},
		{
			name: "FIN below 44 bytes, RST from there",
			serve: func(conn *net.TCPConn, _ int) {
				if n, _ := conn.Read(make([]byte, 64<<10)); n >= 44 {
					reset(conn)
				}
			},
			kinds: []string{"at-once", "size"},
			texts: []string{
				"random bytes: FIN or RST at once after 1 byte",
				"random bytes: FIN at once up to 43 bytes and RST at once from 44",
				"random bytes, then FIN: FIN at once up to 43 bytes and RST at once from 44",
			},
		},
		{
			name: "RST at once from 50 bytes, else the deadline",
			serve: func(conn *net.TCPConn, _ int) {
				limit(conn, patience)
				buf, total := make([]byte, 64<<10), 0
				for total < 50 {
					n, err := conn.Read(buf)
					if total += n; err != nil {
						return
					}
				}
				reset(conn)
			},
			kinds: []string{"size"},
			texts: []string{"up to 44 bytes and RST at once from 50", "random bytes, then FIN: FIN at once up to 44 bytes and RST at once from 50"},
		},
		{
			name:  "ends after the first byte",
			serve: func(conn *net.TCPConn, _ int) { _, _ = conn.Read(make([]byte, 64<<10)) },
			kinds: []string{"at-once"},
			texts: []string{"random bytes: FIN at once after 1 byte"},
		},
		{
			name: "a deadline for each connection",
			serve: func(conn *net.TCPConn, n int) {
				limit(conn, patience+time.Duration(n%4)*450*time.Millisecond)
				drain(conn)
			},
			kinds: []string{"deadline"},
			texts: []string{"the deadline differs from connection to connection by 1."},
		},
		{
			name: "speaks first",
			serve: func(conn *net.TCPConn, _ int) {
				_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.6\r\n"))
				limit(conn, patience)
				drain(conn)
			},
			kinds: []string{"data"},
			texts: []string{"the server sends first: 21 bytes"},
		},
		{
			name: "answers HTTP alone",
			serve: func(conn *net.TCPConn, _ int) {
				limit(conn, patience)
				b := make([]byte, 64<<10)
				if n, _ := conn.Read(b); strings.HasPrefix(string(b[:n]), "GET ") {
					_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				}
				drain(conn)
			},
			kinds: []string{"data"},
			texts: []string{"the server answered the first bytes of other protocols with data, 1 of 3 times: 28 bytes (HTTP request)"},
		},
		{
			name:  "serves recordings",
			serve: func(conn *net.TCPConn, _ int) { serveOr(conn, newCipher(t)) },
			keyed: true,
			kinds: []string{"data"},
			texts: []string{"a replayed first flight got", "2 of 2 times: the server accepts replays"},
		},
		{
			name: "ends what is damaged behind its length",
			serve: func() func(*net.TCPConn, int) {
				c := newCipher(t)
				return func(conn *net.TCPConn, _ int) {
					limit(conn, patience)
					switch a, err := c.AcceptStream(conn, core.Caller{}); {
					case err == nil:
						reply(a.Stream)
					case strings.Contains(err.Error(), "payload"):
						reset(conn)
					default:
						drain(conn)
					}
				}
			}(),
			keyed: true,
			kinds: []string{"differs"},
			texts: []string{"reaction to a new request with a byte changed differs from that to random bytes, 3 of 7 times: RST at once, not FIN after"},
		},
		{
			name: "remembers salts before they are proved",
			serve: func(conn *net.TCPConn, _ int) {
				limit(conn, patience)
				first := make([]byte, 32)
				for n := 0; n < len(first); {
					k, err := conn.Read(first[n:])
					if n += k; err != nil {
						return
					}
				}
				if _, seen := salts.LoadOrStore(string(first), true); seen || !answer(&replayed{conn, first}, newCipher(t)) {
					drain(conn)
				}
			},
			keyed: true,
			kinds: []string{"salt"},
			texts: []string{"a valid request was refused because its first 32 bytes had arrived before"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted(t, tc.serve)
			cfg := smallConfig(s.addr, nil)
			if tc.keyed {
				cfg.Key = newKey(t)
			}
			_, res, err := run(t, cfg)
			if err != nil {
				t.Fatal(err)
			}
			checkTells(t, res, tc.kinds, tc.texts)
		})
	}
}

// checkTells checks that the verdict has findings of these kinds, with these texts.
func checkTells(t *testing.T, res *probe.Result, kinds, texts []string) {
	t.Helper()
	v := probe.Judge(res)
	var got []string
	all := ""
	for _, tell := range v.Findings {
		got = append(got, tell.Kind)
		all += tell.Text + "\n"
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, kinds) || v.Undecided != "" {
		var table strings.Builder
		_ = probe.WriteTable(&table, res)
		t.Errorf("got findings of %v, undecided %q, want %v:\n%s%s", got, v.Undecided, kinds, all, table.String())
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("got\n%swant a finding with %q", all, text)
		}
	}
	if clean := len(kinds) == 0; v.Clean() != clean {
		t.Errorf("got clean %t, want %t", v.Clean(), clean)
	}
}

// TestBounds checks that not more is sent than the plan announces.
func TestBounds(t *testing.T) {
	var took atomic.Int64
	c := newCipher(t)
	s := newScripted(t, func(conn *net.TCPConn, _ int) {
		counted := &counting{TCPConn: conn, took: &took}
		limit(conn, patience)
		if !answer(counted, c) {
			took.Add(int64(drain(conn)))
		}
	})
	cfg := smallConfig(s.addr, newKey(t))
	cfg.Quick = false
	plan, res, err := run(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got, most := s.connections(), plan.Connections(); got > most || got < plan.Probes() {
		t.Errorf("got %d connections, want %d to %d", got, plan.Probes(), most)
	}
	// Bytes that the server reads after the end of the last probe are counted too.
	for until := time.Now().Add(patience); int(took.Load()) < plan.Bytes()/4 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if got, most := int(took.Load()), plan.Bytes(); got > most || got < most/4 {
		t.Errorf("the server took %d bytes, want at most %d, and not far less", got, most)
	}
	if len(res.Records) != plan.Probes() {
		t.Errorf("got %d records, want %d", len(res.Records), plan.Probes())
	}
}

// counting counts the bytes that are read.
type counting struct {
	*net.TCPConn
	took *atomic.Int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	c.took.Add(int64(n))
	return n, err
}

// TestBarred stops the server during the run.
func TestBarred(t *testing.T) {
	self := make(chan *scripted, 1)
	s := newScripted(t, func(conn *net.TCPConn, n int) {
		if n == 10 {
			(<-self).ln.Close()
		}
		limit(conn, patience)
		drain(conn)
	})
	self <- s
	cfg := smallConfig(s.addr, nil)
	cfg.Parallel = 4
	_, res, err := run(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	v := probe.Judge(res)
	if !res.Barred || v.Clean() || !strings.HasPrefix(v.Undecided, "connections failed one after another") {
		t.Errorf("got barred %t, undecided %q", res.Barred, v.Undecided)
	}
}

// TestStopped cancels a run: it returns the records so far.
func TestStopped(t *testing.T) {
	s := newScripted(t, func(conn *net.TCPConn, _ int) { limit(conn, patience); drain(conn) })
	cfg := smallConfig(s.addr, nil)
	cfg.Parallel = 2
	plan, err := probe.NewPlan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	res, err := plan.Run(ctx, func(done int, _ probe.Record) {
		if done == 2 {
			cancel()
		}
	})
	cancel()
	if err != nil || !res.Stopped || len(res.Records) < 2 || len(res.Records) > 4 {
		t.Fatalf("got %+v, %v, want 2 to 4 records", res, err)
	}
	if v := probe.Judge(res); !strings.HasPrefix(v.Undecided, "stopped after") {
		t.Errorf("got undecided %q", v.Undecided)
	}
}

// TestNothingToJudge uses a missing server, and servers that do not serve the key.
func TestNothingToJudge(t *testing.T) {
	gone := newScripted(t, nil)
	gone.ln.Close()
	ends := newScripted(t, func(conn *net.TCPConn, n int) {
		if n > 0 {
			_, _ = conn.Read(make([]byte, 64<<10))
		}
	})
	resets := newScripted(t, func(conn *net.TCPConn, n int) {
		if n > 0 {
			_, _ = conn.Read(make([]byte, 64<<10))
			reset(conn)
		}
	})
	garbles := newScripted(t, func(conn *net.TCPConn, n int) {
		if n > 0 {
			_, _ = conn.Write(make([]byte, 100))
			limit(conn, patience)
			drain(conn)
		}
	})
	for _, tc := range []struct {
		name, addr, want string
	}{
		{"none", gone.addr, "connection refused"},
		{"unknown host", "nowhere.invalid:8388", "connect to nowhere.invalid:8388: "},
		{"ends", ends.addr, "control: the server closed a valid request without an answer"},
		{"resets", resets.addr, "control: the server reset a valid request"},
		{"garbles", garbles.addr, "control: the answer to a valid request can't be decrypted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := run(t, smallConfig(tc.addr, newKey(t)))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
