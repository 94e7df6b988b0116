package libev

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/link"
)

// plugin adds the plugin of a server's side.
func (t *translation) plugin() string {
	name := t.doc.Plugin(t.str("plugin"), t.str("plugin_opts"), "")
	t.keep("plugin", "[transport.%s]", name)
	t.keep("plugin_opts", "options of [transport.%s]", name)
	return name
}

// server translates ss-server.
func (t *translation) server() {
	hosts := t.hosts()
	if len(hosts) == 0 {
		hosts = []link.Server{{Host: "0.0.0.0", Port: t.port("server_port")}}
	}
	var listen []string
	for _, h := range hosts {
		if h.Port == 0 {
			t.fail(convert.UsageError{Err: errors.New("server_port is NULL")})
		}
		listen = append(listen, net.JoinHostPort(wild(h.Host), strconv.Itoa(h.Port)))
	}
	for _, h := range hosts {
		port := strconv.Itoa(h.Port)
		listen = bothFamilies(listen, "[::]:"+port, "0.0.0.0:"+port)
	}
	if t.password == "" {
		t.fail(convert.UsageError{Err: errors.New("both password and key are NULL")})
	}
	if t.err != nil {
		return
	}
	cipher, err := t.doc.Cipher(t.reg, "server", t.method, t.password)
	t.fail1(err)
	transport := t.plugin()
	after := t.chain()
	t.idle(t.doc.Serve(convert.Serving{Called: "server", Listen: listen, Cipher: cipher, Transport: transport, Mode: t.mode, After: after})...)
	t.drop("port_password", "ss-server does not read it: ss-manager does")
	t.drop("manager_address", "ports of a manager are served by its own process: run umbra as ss-manager")
	t.drop("local_port", "a server has none")
}

// chain adds what connects to targets, and returns what stands after an inbound.
func (t *translation) chain() []string {
	t.direct()
	if t.acl == nil {
		return []string{"outbound.direct"}
	}
	return t.acl.Server(&t.doc, "direct", t.resolver)
}

// wild returns an address for listen: libev writes ::0 for all of both families.
func wild(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String()
	}
	return host
}

// bothFamilies leaves every IPv4 address out of a list that has every IPv6 address: umbra
// then listens on both.
func bothFamilies(list []string, six, four string) []string {
	if !slices.Contains(list, six) {
		return list
	}
	return slices.DeleteFunc(list, func(a string) bool { return a == four })
}

// manager translates ss-manager.
func (t *translation) manager() {
	listen := t.str("manager_address")
	if listen == "" {
		if t.home == "" {
			t.fail(convert.UsageError{Err: errors.New("manager_address is NULL")})
		}
		listen = filepath.Join(t.home, ".ss-manager.socks") // as libev
	}
	if host, port, err := net.SplitHostPort(listen); err == nil && !strings.Contains(listen, "/") && host == "" {
		listen = net.JoinHostPort("0.0.0.0", port)
	}
	var hosts []string
	for _, h := range t.hosts() {
		hosts = append(hosts, wild(h.Host))
	}
	hosts = bothFamilies(hosts, "::", "0.0.0.0")
	if len(hosts) == 0 {
		hosts = []string{"0.0.0.0"}
	}
	kind, err := convert.Method(t.reg, t.method)
	if t.fail1(err); t.err != nil {
		return
	}
	after := t.chain()
	m := t.doc.Table("manager")
	m.Set("listen", listen)
	m.Set("dialect", "libev")
	m.Set("host", hosts)
	m.Set("method", kind)
	m.Set("mode", t.mode)
	m.Set("chain", after)
	t.keep("manager_address", "listen of [manager]")
	t.change("method", "method of [manager]")
	if t.has("port_password") {
		ports, isTable := t.by["port_password"].values[0].(map[string]any)
		if !isTable {
			t.fail(errors.New("invalid config file: option 'port_password' must be an object"))
		}
		m.Set("port_password", ports)
		t.keep("port_password", "port_password of [manager]")
	}
	t.drop("password", "each port has its own, by add or port_password")
	t.drop("plugin", "add names the plugin of a port")
	t.drop("plugin_opts", "add names the plugin of a port")
	t.drop("timeout", "ports of a manager have the usual idle_timeout, 5 minutes")
	t.drop("server_port", "add names the port")
}
