package plugins_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
)

// place begins a mistake that has its place.
var place = regexp.MustCompile(`^m\.toml:\d+:\d+: [a-z]+\.[a-z0-9_]+`)

// TestMatrix puts every outbound under every transport, first, behind and before another hop,
// with UDP and without: what does not work is a mistake at its place, and with TCP alone only
// a first hop behind another one does not.
func TestMatrix(t *testing.T) {
	dir := t.TempDir()
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte("ssh.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// kinds are the tables of outbounds. first: reaches targets from this machine; udp: carries
	// datagrams, over transports too if it is in streams.
	kinds := []struct {
		name, table         string
		first, udp, streams bool
		carried             bool // takes transports
	}{
		{"direct", "kind = \"direct\"", true, true, false, false},
		{"block", "kind = \"block\"", false, true, true, false},
		{"ss", "kind = \"ss\"\nserver = \"ss.example:1\"\ncipher = \"house\"", false, true, false, true},
		{"ss in streams", "kind = \"ss\"\nserver = \"ss.example:1\"\ncipher = \"house\"\nudp = \"stream\"", false, true, true, true},
		{"socks5", "kind = \"socks5\"\nserver = \"socks.example:1\"", false, true, false, true},
		{"http", "kind = \"http\"\nserver = \"http.example:1\"", false, false, false, true},
		{"ssh", fmt.Sprintf("kind = \"ssh\"\nserver = \"ssh.example:22\"\nuser = \"alice\"\npassword = \"secret\"\nknown_hosts = %q", known), false, false, false, true},
	}
	transports := []string{"", `transport = ["front"]`, `transport = ["ws"]`, `transport = ["front", "ws"]`}
	tried := 0
	for _, near := range kinds {
		for _, nearOver := range transports {
			for _, far := range kinds {
				for _, farOver := range transports {
					if nearOver != "" && !near.carried || farOver != "" && !far.carried {
						continue
					}
					for _, chain := range []string{`"outbound.near"`, `"outbound.near", "outbound.far"`} {
						for _, mode := range []string{"tcp", "both"} {
							alone := !strings.Contains(chain, "far")
							udp := near.udp && (nearOver == "" || near.streams)
							if !alone {
								udp = far.udp && (far.streams || udp && farOver == "")
								if far.name == "block" {
									udp = true
								}
							}
							works := (alone || !far.first) && (mode == "tcp" || udp)
							file := fmt.Sprintf("[pipeline.p]\nchain = [\"inbound.socks5\", %s]\n[inbound.socks5]\nlisten = \"127.0.0.1:1\"\nmode = %q\n[outbound.near]\n%s\n%s\n[outbound.far]\n%s\n%s\n%s",
								chain, mode, near.table, nearOver, far.table, farOver, matrixRest)
							got := matrixMistakes(file)
							tried++
							if works != (got == "") || got != "" && !place.MatchString(got) {
								t.Errorf("%s %s, %s %s, [%s], mode %s: works %t, got %q", near.name, nearOver, far.name, farOver, chain, mode, works, got)
							}
						}
					}
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("tried %d combinations", tried)
	}
}

const matrixRest = `
[transport.front]
kind = "tls"
[transport.ws]
kind = "websocket"
[cipher.house]
kind = "aes-128-gcm"
password = "correct horse battery staple"
`

// matrixMistakes returns the mistakes of a file.
func matrixMistakes(text string) string {
	reg := standard()
	f, err := config.Parse("m.toml", []byte(text), reg)
	if err == nil {
		err = engine.Check(reg, f, slog.New(slog.DiscardHandler))
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
