package manager

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/config"
)

// request is one datagram of a client.
type request struct {
	command command
	port    port     // of add
	number  int      // of add and remove
	ignored []string // keys of add that say nothing here
}

// A command is what a client wants.
type command string

// The commands of both dialects.
const (
	cmdAdd    command = "add"
	cmdRemove command = "remove"
	cmdList   command = "list"
	cmdPing   command = "ping"
)

// port is what a port is opened with.
type port struct {
	Password string
	Method   string // "" for the manager's
	Mode     string // of the port, in the words of umbra; "" for the manager's
	Plugin   string
	Options  string // of the plugin
	Carries  string // plugin_mode
	Users    []user

	text string         // its components and its pipeline, once they have been written
	form config.Manager // the table by which they were
}

type user struct{ Name, Password string }

// known are the keys of add that are read, or that mean nothing more than umbra does anyway.
var known = []string{"server_port", "password", "method", "mode", "plugin", "plugin_opts", "plugin_mode", "users", "fast_open", "no_delay", "server"}

// added is the JSON of add and remove.
type added struct {
	Port     json.RawMessage `json:"server_port"`
	Password *string         `json:"password"`
	Method   string          `json:"method"`
	Mode     string          `json:"mode"`
	Plugin   string          `json:"plugin"`
	Options  string          `json:"plugin_opts"`
	Carries  string          `json:"plugin_mode"`
	Users    []struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	} `json:"users"`
}

// parse reads a datagram: a command, and for some a colon and a JSON object.
func parse(datagram []byte) (request, error) {
	text := bytes.Trim(datagram, " \t\r\n\x00")
	word, object, hasObject := bytes.Cut(text, []byte(":"))
	r := request{command: command(bytes.TrimSpace(word))}
	switch r.command {
	case cmdPing, cmdList:
		return r, nil
	case cmdAdd, cmdRemove:
		if !hasObject {
			return r, fmt.Errorf("%s has no port", r.command)
		}
		return r, r.read(object)
	}
	return r, fmt.Errorf("unknown command %.40q", string(r.command))
}

// read reads the object of add or remove.
func (r *request) read(object []byte) error {
	var a added
	if err := json.Unmarshal(object, &a); err != nil {
		return errors.New("its JSON can't be read")
	}
	if err := r.setNumber(strings.Trim(string(a.Port), `"`)); err != nil {
		return err
	}
	if r.command == cmdRemove {
		return nil
	}
	if a.Password == nil || *a.Password == "" {
		return errors.New("add: no password")
	}
	r.port = port{Password: *a.Password, Method: a.Method, Plugin: a.Plugin, Options: a.Options, Carries: a.Carries}
	switch a.Mode {
	case "":
	case "tcp_only":
		r.port.Mode = "tcp"
	case "udp_only":
		r.port.Mode = "udp"
	case "tcp_and_udp":
		r.port.Mode = "both"
	default:
		return fmt.Errorf("add: unknown mode %.40q", a.Mode)
	}
	for _, u := range a.Users {
		if u.Name == "" || u.Password == "" {
			return errors.New("add: a user without a name or a password")
		}
		r.port.Users = append(r.port.Users, user{u.Name, u.Password})
	}
	var all map[string]json.RawMessage
	_ = json.Unmarshal(object, &all) // it was read above
	for key := range all {
		if !slices.Contains(known, key) {
			r.ignored = append(r.ignored, key)
		}
	}
	slices.Sort(r.ignored)
	return nil
}

// setNumber reads the number of a port.
func (r *request) setNumber(text string) (err error) {
	if r.number, err = strconv.Atoi(text); err != nil || r.number < 1 || r.number > 65535 {
		return fmt.Errorf("%s: server_port is not from 1 to 65535", r.command)
	}
	return nil
}
