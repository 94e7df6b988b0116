package dropin

import (
	"path/filepath"
	"strings"
)

// Style is the family of a program: the same flags mean different things in each.
type Style string

// The families.
const (
	Python Style = "python" // the original
	Libev  Style = "libev"  // shadowsocks-libev
	Rust   Style = "rust"   // shadowsocks-rust
)

// Role is what a program does.
type Role string

// The roles.
const (
	Local   Role = "local"
	Server  Role = "server"
	Tunnel  Role = "tunnel"
	Redir   Role = "redir"
	Manager Role = "manager"
)

// Program is a program that umbra stands in for.
type Program struct {
	Name string // as its messages have it
	Style
	Role
}

// Programs returns the programs that umbra stands in for when it is called by their names.
// Those of Rust have the names of Python's, and are asked for by --style rust.
func Programs() []Program {
	return []Program{
		{"sslocal", Python, Local},
		{"ssserver", Python, Server},
		{"sstunnel", Python, Tunnel},
		{"ssmanager", Rust, Manager},
		{"ss-local", Libev, Local},
		{"ss-server", Libev, Server},
		{"ss-tunnel", Libev, Tunnel},
		{"ss-redir", Libev, Redir},
		{"ss-manager", Libev, Manager},
	}
}

// Find returns the program that a process is, by the path under which it was called.
func Find(called string) (Program, bool) {
	name := strings.TrimSuffix(filepath.Base(called), ".exe")
	for _, p := range Programs() {
		if p.Name == name {
			return p, true
		}
	}
	return Program{}, false
}
