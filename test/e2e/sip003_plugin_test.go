package e2e

import (
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

// asPlugin is the first argument that makes the test binary a SIP003u plugin, which carries
// TCP and UDP as they are. Its options are the role, "server" or "client", and the path of a
// file for its environment.
const asPlugin = "-as-plugin"

func beForwarder() {
	role, record, _ := strings.Cut(os.Getenv("SS_PLUGIN_OPTIONS"), ";")
	at, to := plugged("SS_LOCAL"), plugged("SS_REMOTE")
	if role == "server" {
		at, to = to, at
	}
	if record != "" {
		must(os.WriteFile(record, []byte(strings.Join(os.Environ(), "\n")), 0o600))
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	ln, err := net.Listen("tcp", at)
	must(err)
	socket, err := net.ListenPacket("udp", at)
	must(err)
	go carryPackets(socket.(*net.UDPConn), to)
	go func() {
		for {
			c, err := ln.Accept()
			must(err)
			go carryOn(c.(*net.TCPConn), to)
		}
	}()
	<-stop
	os.Exit(0)
}

func plugged(side string) string {
	return net.JoinHostPort(os.Getenv(side+"_HOST"), os.Getenv(side+"_PORT"))
}

func must(err error) {
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

func carryOn(c *net.TCPConn, to string) {
	defer c.Close()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	var both sync.WaitGroup
	move := func(to, from *net.TCPConn) { _, _ = io.Copy(to, from); _ = to.CloseWrite() }
	both.Go(func() { move(far.(*net.TCPConn), c) })
	move(c, far.(*net.TCPConn))
	both.Wait()
}

// carryPackets gives each client a socket of its own.
func carryPackets(socket *net.UDPConn, to string) {
	clients := map[netip.AddrPort]net.Conn{}
	b := make([]byte, 65536)
	for {
		n, from, err := socket.ReadFromUDPAddrPort(b)
		must(err)
		far := clients[from]
		if far == nil {
			far, err = net.Dial("udp", to)
			must(err)
			clients[from] = far
			go func() {
				b := make([]byte, 65536)
				for {
					n, err := far.Read(b)
					if err != nil {
						return
					}
					_, _ = socket.WriteToUDPAddrPort(b[:n], from)
				}
			}()
		}
		_, _ = far.Write(b[:n])
	}
}
