package rust

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/convert"
)

// object is an object of the file whose keys are told of in the report.
type object struct {
	path   string // before its keys, such as "servers[0]."
	values map[string]any
	order  []string
	said   map[string]string // how a flag said a key
	noted  map[string]bool
	report *convert.Report
	fail   func(error)
}

// child returns an object below this one.
func (o *object) child(path string, value any) *object {
	c := &object{path: path, values: map[string]any{}, said: map[string]string{}, noted: map[string]bool{}, report: o.report, fail: o.fail}
	values, isObject := value.(map[string]any)
	if !isObject {
		o.fail(fmt.Errorf("%s: want an object", strings.TrimSuffix(path, ".")))
		return c
	}
	c.values = values
	c.order = append(c.order, sorted(values)...)
	return c
}

// read reads an object of JSON.
func (o *object) read(data []byte) error {
	fields, err := convert.Fields(convert.Strict(data, true))
	if err != nil {
		return err
	}
	for _, f := range fields {
		var value any
		d := json.NewDecoder(strings.NewReader(string(f.Value)))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("%s: %w", f.Key, err)
		}
		o.set(f.Key, value)
	}
	return nil
}

func (o *object) set(key string, value any) {
	if _, again := o.values[key]; !again {
		o.order = append(o.order, key)
	}
	o.values[key] = value
}

// name returns how a key was said.
func (o *object) name(key string) string {
	if said := o.said[key]; said != "" {
		return said
	}
	return o.path + key
}

func (o *object) has(key string) bool { return o.values[key] != nil }

func (o *object) keep(key, format string, args ...any)   { o.fate(key, o.report.Keep, format, args) }
func (o *object) change(key, format string, args ...any) { o.fate(key, o.report.Change, format, args) }
func (o *object) drop(key, format string, args ...any)   { o.fate(key, o.report.Drop, format, args) }

func (o *object) fate(key string, note func(string, string, ...any), format string, args []any) {
	if _, there := o.values[key]; there && !o.noted[key] {
		o.noted[key] = true
		note(o.name(key), format, args...)
	}
}

// str returns the text of the first of some keys that is there, or "".
func (o *object) str(keys ...string) string {
	for _, key := range keys {
		switch v := o.values[key].(type) {
		case nil:
			continue
		case string:
			return v
		case json.Number:
			return v.String()
		}
		o.fail(fmt.Errorf("%s: want a text", o.name(key)))
	}
	return ""
}

// number returns the number of the first of some keys that is there, or 0.
func (o *object) number(most int, keys ...string) int {
	text := o.str(keys...)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		o.fail(fmt.Errorf("%s: %q is no number from 0 to %d", o.name(keys[0]), text, most))
	}
	return n
}

func (o *object) on(key string) bool {
	on, isBool := o.values[key].(bool)
	if o.values[key] != nil && !isBool {
		o.fail(fmt.Errorf("%s: want true or false", o.name(key)))
	}
	return on
}

// objects returns the objects of a list.
func (o *object) objects(key string) []*object {
	list, isList := o.values[key].([]any)
	if o.values[key] != nil && !isList {
		o.fail(fmt.Errorf("%s: want a list of objects", o.name(key)))
	}
	var all []*object
	for i, value := range list {
		all = append(all, o.child(fmt.Sprintf("%s%s[%d].", o.path, key, i), value))
	}
	return all
}

// address returns a host with a port, of two keys.
func (o *object) address(host, port, otherwise string) string {
	h, p := o.str(host), o.number(65535, port)
	if h == "" {
		h = otherwise
	}
	if p == 0 {
		return ""
	}
	return net.JoinHostPort(h, strconv.Itoa(p))
}

// rest tells of the keys of which nothing was said.
func (o *object) rest() {
	for _, key := range o.order {
		if why := unused[key]; why != "" {
			o.drop(key, "%s", why)
		}
		o.drop(key, "it is not used here")
	}
}

// unused are the keys that umbra has nothing for, and why.
var unused = map[string]string{
	"udp_timeout":                      "UDP sessions end after the pipeline's idle_timeout, or 5 minutes",
	"udp_max_associations":             "max_sessions of the inbound bounds them, 4096 of each client's kind",
	"udp_mtu":                          "datagrams are as long as their sender makes them",
	"client_cache_size":                "clients have no cache to size",
	"dns_cache_size":                   "cache_entries of [resolver.dns] is 16384",
	"no_delay":                         "it is always on",
	"nofile":                           "the process raises its limit by itself as far as it may; a higher one is the service manager's, LimitNOFILE of systemd",
	"ipv6_only":                        "listen on an IPv6 address says it",
	"mptcp":                            "there is no Multipath TCP",
	"outbound_user_cookie":             "it is of FreeBSD's firewall, and outbounds have none",
	"outbound_udp_allow_fragmentation": "the system decides about fragments",
	"security":                         "replays are always refused",
	"balancer":                         "[outbound.servers] takes servers by turns, and leaves one out while it fails",
	"runtime":                          "it uses all processors; GOMAXPROCS bounds them",
	"version":                          "it says nothing to the program",
	"udp_weight":                       "members of a group have one weight",
	"tcp_weight":                       "members of a group have one weight",
	"id":                               "it says nothing to the program",
	"manager_port":                     "a local side has no manager",
	"manager_address":                  "a local side has no manager",
	"online_config":                    "subscriptions are fetched by themselves, not by a local side: see docs/drop-in.md",
	"inbound_send_buffer_size":         "the system sizes the buffers by itself",
	"inbound_recv_buffer_size":         "the system sizes the buffers by itself",
	"outbound_send_buffer_size":        "the system sizes the buffers by itself",
	"outbound_recv_buffer_size":        "the system sizes the buffers by itself",
	"single_threaded":                  "it uses all processors; GOMAXPROCS bounds them",
	"worker_threads":                   "it uses all processors; GOMAXPROCS bounds them",
	"log_without_time":                 "the time is the log's own; systemd's journal has none twice",
	"log_config":                       "[log] says it",
	"vpn":                              "it is of Android alone",
	"stat_path":                        "metrics are those of [admin]",
	"stat_addr":                        "metrics are those of [admin]",
	"udp_bind_addr":                    "UDP is served at the address of TCP, or where udp_address says",
	"udp_associate_addr":               "udp_address of [inbound.x] says it, with udp_ports",
	"manager_server_mode":              "ports are served by the process itself",
	"manager_server_working_directory": "the manager writes no files",
	"local_udp_address":                "UDP is served at the address of TCP",
	"local_udp_port":                   "UDP is served at the address of TCP",
	"socks5_auth_config_path":          "users of [inbound.x] are names and passwords: take them over by hand",
	"http_auth_config_path":            "users of [inbound.x] are names and passwords: take them over by hand",
	"launchd_tcp_socket_name":          "sockets of launchd are not taken over",
	"launchd_udp_socket_name":          "sockets of launchd are not taken over",
	"online_config_url":                "subscriptions are fetched by themselves, not by a local side: see docs/drop-in.md",
	"online_config_update_interval":    "subscriptions are fetched by themselves, not by a local side: see docs/drop-in.md",
	"online_config_allowed_plugin":     "subscriptions are fetched by themselves, not by a local side: see docs/drop-in.md",
}
