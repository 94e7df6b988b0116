package config

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// base64Key is a text type of a kind's own.
type base64Key []byte

func (k *base64Key) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return errors.New("no base64")
	}
	*k = b
	return nil
}

type listenOptions struct {
	Listen    option.ListenList          `toml:"listen" required:"true" help:"address to accept clients on"`
	Mode      string                     `toml:"mode" help:"tcp or udp; both if left out"`
	Transport []core.Ref[core.Transport] `toml:"transport" help:"what carries the wire"`
	Max       int                        `toml:"max_handshakes" default:"4096" help:"handshakes at once"`
}

func (o listenOptions) Describe() core.Description {
	networks := option.Mode(o.Mode).Networks()
	return core.Description{Listeners: o.Listen.Describe("listen", networks)}
}

type ssOptions struct {
	_ core.About `help:"Shadowsocks server"`
	listenOptions
	Cipher core.Ref[core.Cipher]  `toml:"cipher" required:"true" help:"the encryption"`
	Users  map[string]option.Text `toml:"users" help:"names and passwords"`
}

type socksOptions struct {
	_ core.About `help:"SOCKS5 server"`
	listenOptions
	Allow []option.Prefix `toml:"allow" default:"127.0.0.0/8, ::1/128" help:"who may connect"`
}

type directOptions struct{}

type hopOptions struct {
	Server   option.Server           `toml:"server" required:"true" help:"the server to dial"`
	Cipher   core.Ref[core.Cipher]   `toml:"cipher" help:"the encryption"`
	Resolver core.Ref[core.Resolver] `toml:"resolver" help:"finds the server's addresses"`
}

type cipherOptions struct {
	option.Password
	Key base64Key `toml:"key" help:"the key itself"`
}

type dnsOptions struct {
	Servers []string                           `toml:"servers" help:"whom to ask"`
	Via     core.Ref[core.Outbound]            `toml:"via" help:"the way to them"`
	Named   map[string]core.Ref[core.Outbound] `toml:"named" help:"the way for some zones"`
}

type tuning struct {
	Size  int    `toml:"size" default:"7" help:"size"`
	Name  string `toml:"name" required:"true" help:"what to call it"`
	Inner struct {
		Depth uint8 `toml:"depth" default:"3" help:"depth"`
	} `toml:"inner" help:"more"`
}

type allOptions struct {
	Text     string                     `toml:"text" default:"hello" help:"text"`
	Flag     bool                       `toml:"flag" default:"true" help:"flag"`
	Int      int                        `toml:"int" default:"-3" max:"9999" help:"int"`
	Small    int8                       `toml:"small" help:"small"`
	Port     uint16                     `toml:"port" default:"53" help:"port"`
	Big      uint64                     `toml:"big" help:"big"`
	Rate     float64                    `toml:"rate" default:"0.5" help:"rate"`
	Window   option.Duration            `toml:"window" default:"10m" help:"window"`
	Maybe    *option.Duration           `toml:"maybe" help:"maybe"`
	List     []string                   `toml:"list" default:"a, b" help:"list"`
	Ints     []int                      `toml:"ints" min:"1" help:"ints"`
	Share    *float64                   `toml:"share" min:"0" max:"1" help:"share"`
	Word     string                     `toml:"word" oneof:"up,down" help:"word"`
	Words    []string                   `toml:"words" oneof:"left, right" help:"words"`
	Wait     option.Duration            `toml:"wait" min:">0s" max:"24h" help:"wait"`
	Waits    map[string]option.Duration `toml:"waits" min:"1s" help:"waits"`
	Ranges   []option.Prefix            `toml:"ranges" help:"ranges"`
	Limits   map[string]int             `toml:"limits" help:"limits"`
	Windows  map[string]option.Duration `toml:"windows" help:"windows"`
	Tuning   tuning                     `toml:"tuning" help:"tuning"`
	Tunings  []tuning                   `toml:"tunings" help:"tunings"`
	ByName   map[string]tuning          `toml:"by_name" help:"tunings by name"`
	Password option.Text                `toml:"password" help:"secret"`
	Secrets  []option.Text              `toml:"secrets" help:"secrets"`
}

func (o allOptions) Describe() core.Description {
	var d core.Description
	if o.Password != "" {
		d.Secrets = append(d.Secrets, "password")
	}
	for i := range o.Secrets {
		d.Secrets = append(d.Secrets, core.OptionKey("secrets", strconv.Itoa(i)))
	}
	return d
}

// kinds returns a registry of kinds that are never built.
func kinds() *core.Registry {
	reg := &core.Registry{}
	core.Add(&reg.Inbound, "ss", noBuild[core.Inbound, ssOptions], "shadowsocks")
	core.Add(&reg.Inbound, "socks5", noBuild[core.Inbound, socksOptions])
	core.Add(&reg.Outbound, "direct", noBuild[core.Outbound, directOptions], "freedom")
	core.Add(&reg.Outbound, "ss", noBuild[core.Outbound, hopOptions])
	core.Add(&reg.Cipher, "aes-256-gcm", noBuild[core.Cipher, cipherOptions], "aead_aes_256_gcm")
	core.Add(&reg.Transport, "tls", noBuild[core.Transport, struct{}])
	core.Add(&reg.Resolver, "dns", noBuild[core.Resolver, dnsOptions])
	core.Add(&reg.Policy, "all", noBuild[core.Policy, allOptions])
	return reg
}

func noBuild[T, O any](core.Env, O) (T, error) {
	var none T
	return none, errors.New("not built in this test")
}

func TestCheckKinds(t *testing.T) {
	if err := CheckKinds(kinds()); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	type twice struct {
		A int `toml:"a" help:"a"`
	}
	type bad struct {
		_ core.About
		twice
		NoTag   int
		hidden  int               `toml:"hidden" help:"x"`
		NoHelp  int               `toml:"no_help"`
		Upper   int               `toml:"Upper" help:"x"`
		Kind    int               `toml:"kind" help:"x"`
		A       int               `toml:"a" help:"x"`
		Both    int               `toml:"both" default:"1" required:"true" help:"x"`
		Default option.Duration   `toml:"default" default:"soon" help:"x"`
		List    []int8            `toml:"list" default:"1,200" help:"x"`
		Channel chan int          `toml:"channel" help:"x"`
		Any     any               `toml:"any" help:"x"`
		Map     map[int]string    `toml:"map" help:"x"`
		Lost    []core.Ref[error] `toml:"lost" help:"x"`
		Nested  struct {
			B int `toml:"b"`
		} `toml:"nested" help:"x"`
		Skipped int             `toml:"-"`
		Min     option.Duration `toml:"min" min:"soon" help:"x"`
		Range   int             `toml:"range" min:"2" max:"1" help:"x"`
		Low     int             `toml:"low" min:"1" default:"0" help:"x"`
		Ports   []uint16        `toml:"ports" min:"1" default:"80, 0" help:"x"`
		Words   map[string]int  `toml:"words" oneof:"a,b" help:"x"`
		Word    string          `toml:"word" oneof:"a,b" default:"c" help:"x"`
		Liar    liar            `toml:"liar" help:"x"`
	}
	_ = bad{}.hidden
	reg := &core.Registry{}
	core.Add(&reg.Policy, "bad", noBuild[core.Policy, bad])
	core.Add(&reg.Policy, "text", noBuild[core.Policy, string])
	want := `policy of kind bad: core.About has no help tag
policy of kind bad: field NoTag has no toml tag
policy of kind bad: field hidden has a toml tag but is not exported
policy of kind bad: no_help: no help tag
policy of kind bad: Upper: keys have only lower-case letters, digits, _ and -
policy of kind bad: kind: the key is taken
policy of kind bad: a: the key is taken
policy of kind bad: both: both required and with a default
policy of kind bad: default: default: "soon" is not a duration; write it as "30s" or "5m"
policy of kind bad: list: default: strconv.ParseInt: parsing "200": value out of range
policy of kind bad: channel: no file can give a chan int
policy of kind bad: any: no file can give a interface {}
policy of kind bad: map: no file can give a map[int]string
policy of kind bad: lost: core.Ref[error] names components of no section
policy of kind bad: nested: b: no help tag
policy of kind bad: min: min: "soon" is not a duration; write it as "30s" or "5m"
policy of kind bad: range: min 2 is not below max 1
policy of kind bad: low: default: want 1 or more, got 0
policy of kind bad: ports: default: want 1 or more, got 0
policy of kind bad: words: oneof: only a plain string can have it, not a int
policy of kind bad: word: default: want one of a, b, got "c"
policy of kind bad: liar: config.liar does not read its own "no": want one of yes, got "no"
policy of kind bad: liar: config.liar does not read its own "maybe": want one of yes, got "maybe"
policy of kind text: options are a string; they must be a struct`
	err := CheckKinds(reg)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// liar tells of itself what it does not read.
type liar string

func (l *liar) UnmarshalText(text []byte) error { return option.ReadWord(l, text, []string{"yes"}) }
func (liar) Values() []string                   { return []string{"yes", "no"} }
func (*liar) Example() string                   { return "maybe" }

// TestOwnTables checks the tags of the tables that have no kinds.
func TestOwnTables(t *testing.T) {
	for _, table := range []reflect.Type{reflect.TypeFor[PipelineTable](), reflect.TypeFor[Log](), reflect.TypeFor[Process](), reflect.TypeFor[Admin]()} {
		for _, err := range checkOptions(table, nil, nil) {
			t.Errorf("%s: %v", table, err)
		}
	}
}

func TestFields(t *testing.T) {
	info, _ := kinds().Inbound.Describe("shadowsocks")
	var keys []string
	for _, f := range Fields(info.Options) {
		keys = append(keys, f.Key)
	}
	if got, want := strings.Join(keys, " "), "listen mode transport max_handshakes cipher users"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
