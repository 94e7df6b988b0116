// Package link reads and writes what people pass on of Shadowsocks servers: ss:// links
// and the documents of subscriptions.
package link

// Server is a Shadowsocks server, as links, documents and the files of other programs
// give it.
type Server struct {
	ID            string // what a document calls it; may be empty
	Name          string // what people call it; may be empty
	Host          string // a name or an address, without brackets
	Port          int
	Method        string // of encryption, as it was written
	Password      string
	Plugin        string // a SIP003 plugin; empty for none
	PluginOptions string // its options, not escaped
}
