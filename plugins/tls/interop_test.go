package tls

import (
	"bufio"
	"bytes"
	"context"
	stdtls "crypto/tls"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/peer"
)

// run runs a program to its end and returns what it wrote.
func run(t *testing.T, in string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, peer.Need(t, name), args...)
	cmd.Stdin = strings.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Logf("%s: %v: %s", name, err, errs.String())
	}
	return string(out), err
}

// listen serves connections with serve, one after another, and returns the
// address. A nil stream is a handshake that failed.
func listen(t *testing.T, tr *Transport, serve func(s core.Stream, err error)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			wire, err := l.Accept()
			if err != nil {
				return
			}
			s, err := tr.Server(context.Background(), wire.(*net.TCPConn))
			serve(s, err)
			wire.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// The ends of a stream, as OpenSSL's client makes and takes them.
func TestOpenSSLClient(t *testing.T) {
	ca := newAuthority(t)
	id := ca.issue(t, "example.test")
	for _, version := range []Version{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		t.Run("TLS "+version.String(), func(t *testing.T) {
			type result struct {
				got []byte
				err error
			}
			results := make(chan result, 1)
			addr := listen(t, newPlain(t, Options{Cert: id.file, Key: id.key, MinVersion: version}), func(s core.Stream, err error) {
				if err != nil {
					results <- result{nil, err}
					return
				}
				line, _ := bufio.NewReader(s).ReadBytes('\n')
				if _, err := s.Write(line); err != nil {
					t.Error(err)
				}
				// No FIN follows: that the client ends shows that close_notify is
				// enough.
				if err := s.CloseWrite(); err != nil {
					t.Error(err)
				}
				rest, err := io.ReadAll(s)
				results <- result{append(line, rest...), err}
			})
			flag := "-tls" + strings.ReplaceAll(version.String(), ".", "_")
			out, err := run(t, "hello\n", "openssl", "s_client", "-connect", addr, flag, "-CAfile", ca.file,
				"-verify_return_error", "-verify_hostname", "example.test", "-servername", "example.test", "-quiet")
			if err != nil || !strings.Contains(out, "hello") {
				t.Errorf("s_client: got %q, %v, want hello", out, err)
			}
			if r := <-results; string(r.got) != "hello\n" || r.err != nil {
				t.Errorf("server: got %q, %v, want hello and EOF", r.got, r.err)
			}
		})
	}
}

// An OpenSSL server that echoes lines backwards, and ends when we end.
func TestOpenSSLServer(t *testing.T) {
	id := selfSigned(t, "example.test")
	for _, version := range []Version{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		t.Run("TLS "+version.String(), func(t *testing.T) {
			flag := "-tls" + strings.ReplaceAll(version.String(), ".", "_")
			cmd := exec.CommandContext(t.Context(), peer.Need(t, "openssl"), "s_server", "-accept", "127.0.0.1:0", flag,
				"-cert", id.file, "-key", id.key, "-rev", "-naccept", "1")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			scan, addr := bufio.NewScanner(out), ""
			for addr == "" && scan.Scan() {
				addr, _ = strings.CutPrefix(scan.Text(), "ACCEPT ")
				if addr == scan.Text() {
					addr = ""
				}
			}
			wire, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer wire.Close()
			s, err := newPlain(t, Options{Pin: []Pin{PinOf(id.cert)}, MinVersion: version}).Client(t.Context(), wire.(*net.TCPConn), core.Addr{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(s, "hello\n"); err != nil {
				t.Fatal(err)
			}
			line := make([]byte, 6)
			if _, err := io.ReadFull(s, line); err != nil || string(line) != "olleh\n" {
				t.Errorf("got %q, %v, want olleh", line, err)
			}
			if err := s.CloseWrite(); err != nil {
				t.Error(err)
			}
			// close_notify alone makes the server end.
			if rest, err := io.ReadAll(s); len(rest) > 0 || err != nil {
				t.Errorf("after CloseWrite: got %q, %v, want EOF", rest, err)
			}
			for scan.Scan() { // until its output ends
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("s_server: %v", err)
			}
		})
	}
}

// The body of an answer without Content-Length ends with the stream, so curl
// tells an orderly end from a broken one.
func TestCurl(t *testing.T) {
	ca := newAuthority(t)
	id, client := ca.issue(t, "example.test"), ca.issue(t, "client")
	body := string(bytes.Repeat([]byte("0123456789abcdef"), 20_000))
	orderly := func(s core.Stream) { s.Close() }
	server := Options{Cert: id.file, Key: id.key, MinVersion: stdtls.VersionTLS12}
	guarded := server
	guarded.ClientCA = ca.file
	for _, tc := range []struct {
		name   string
		server Options
		end    func(core.Stream)
		args   []string
		ok     bool
	}{
		{"TLS 1.3", server, orderly, []string{"--tlsv1.3"}, true},
		{"TLS 1.2", server, orderly, []string{"--tls-max", "1.2"}, true},
		{"half-close", server, func(s core.Stream) { s.CloseWrite(); io.Copy(io.Discard, s); s.Close() }, nil, true},
		{"pin in our form", server, orderly, []string{"--pinnedpubkey", PinOf(id.cert).String()}, true},
		{"other pin", server, orderly, []string{"--pinnedpubkey", PinOf(ca.cert).String()}, false},
		{"client certificate", guarded, orderly, []string{"--cert", client.file, "--key", client.key}, true},
		{"no client certificate", guarded, orderly, nil, false},
		{"abort", server, func(s core.Stream) { s.(interface{ Abort() }).Abort() }, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := listen(t, newPlain(t, tc.server), func(s core.Stream, err error) {
				if err != nil {
					return
				}
				if _, err := http.ReadRequest(bufio.NewReader(s)); err == nil {
					io.WriteString(s, "HTTP/1.0 200 OK\r\n\r\n"+body)
				}
				tc.end(s)
			})
			_, port, _ := net.SplitHostPort(addr)
			args := append([]string{"-sS", "--noproxy", "*", "--cacert", ca.file, "--resolve", "example.test:" + port + ":127.0.0.1",
				"https://example.test:" + port + "/"}, tc.args...)
			out, err := run(t, "", "curl", args...)
			if (err == nil) != tc.ok || tc.ok && out != body {
				t.Errorf("got %d bytes, %v, want ok %v and %d bytes", len(out), err, tc.ok, len(body))
			}
		})
	}
}

// The commands that the README gives make what New takes.
func TestReadmeCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	peer.Need(t, "openssl")
	for _, command := range readmeCommands(t) {
		if out, err := run(t, "", "sh", "-ec", command); err != nil {
			t.Fatalf("%s: %v", command, err)
		} else if strings.Contains(command, "dgst") {
			var pin Pin
			if err := pin.UnmarshalText([]byte(strings.TrimSpace(out))); err != nil {
				t.Fatal(err)
			}
			cert := newPlain(t, Options{Cert: "cert.pem", Key: "key.pem"}).material.Get().server.Certificates[0].Leaf
			if want := PinOf(cert); pin != want {
				t.Errorf("got pin %v, want %v", pin, want)
			}
			return
		}
	}
	t.Error("no command computes a pin")
}
