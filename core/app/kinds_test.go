package app

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/option"
)

// keyOptions are those of a method whose password is a key of 16 bytes.
type keyOptions struct {
	_ core.About `help:"a test method" key:"16"`
	option.Password
}

type plainOptions struct {
	_ core.About `help:"a method without a key"`
}

type allOptions struct {
	_       core.About                       `help:"every type of option"`
	Number  int                              `toml:"number" default:"3" help:"a number"`
	Port    uint16                           `toml:"port" help:"a port"`
	Ports   []uint16                         `toml:"ports" min:"1" help:"ports"`
	Way     string                           `toml:"way" default:"up" oneof:"up, down" help:"a word"`
	Ways    oneOrMore                        `toml:"ways" oneof:"up, down" help:"words"`
	Only    []string                         `toml:"only" oneof:"up, down" help:"a list of words"`
	Wait    option.Duration                  `toml:"wait" min:">0s" max:"24h" help:"a duration in bounds"`
	Listen  option.Listen                    `toml:"listen" required:"true" help:"an address"`
	Share   float64                          `toml:"share" help:"a share"`
	Maybe   *option.Duration                 `toml:"maybe" help:"a duration or none"`
	Level   config.Level                     `toml:"level" help:"a type that reads itself"`
	Limits  map[string]int                   `toml:"limits" help:"limits by name"`
	By      map[string]core.Ref[core.Cipher] `toml:"by" help:"ciphers by name"`
	Via     core.Ref[core.Outbound]          `toml:"via" help:"an outbound"`
	Rules   []rule                           `toml:"rules" help:"rules"`
	Secrets map[string][]option.Prefix       `toml:"secrets" help:"lists by name"`
}

// oneOrMore is a list that a file may give as one word.
type oneOrMore []string

func (oneOrMore) TakesOne() {}

type rule struct {
	Name string `toml:"name" required:"true" help:"its name"`
	And  []rule `toml:"and" help:"more rules"`
}

func testKinds(reg *core.Registry) {
	core.Add(&reg.Cipher, "key-method", noBuild[core.Cipher, keyOptions])
	core.Add(&reg.Cipher, "plain", noBuild[core.Cipher, plainOptions])
	core.Add(&reg.Policy, "all", noBuild[core.Policy, allOptions])
}

func noBuild[T, O any](core.Env, O) (T, error) {
	var none T
	return none, errors.New("not built in this test")
}

// run runs a command and returns its output and its status.
func run(register func(*core.Registry), args ...string) (stdout, stderr string, status int) {
	var out, errs strings.Builder
	status = Run(Console{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs}, register)
	return out.String(), errs.String(), status
}

func TestKindsOfEveryType(t *testing.T) {
	want := `policy.all: every type of option

  number (integer, default 3)
      a number
  port (integer, not negative)
      a port
  ports (list: integer, 1 or more)
      ports
  way (up|down, default up)
      a word
  ways (up|down, or a list)
      words
  only (list: up|down)
      a list of words
  wait (duration, more than 0s, up to 24h)
      a duration in bounds
  listen (address and port such as 127.0.0.1:1080, required)
      an address
  share (number)
      a share
  maybe (duration such as 30s)
      a duration or none
  level (debug|info|warn|error)
      a type that reads itself
  limits (table of names: integer)
      limits by name
  by (table of names: name of a [cipher.x])
      ciphers by name
  via (name of a [outbound.x])
      an outbound
  rules (list: table)
      rules
  rules.name (text, required)
      its name
  rules.and (list: table)
      more rules
  secrets (table of names: list: address range such as 10.0.0.0/8)
      lists by name
`
	got, stderr, status := run(testKinds, "kinds", "policy.all")
	if got != want || status != 0 {
		t.Errorf("got status %d and\n%s%s\nwant\n%s", status, got, stderr, want)
	}
}

func TestKeygen(t *testing.T) {
	for _, tc := range []struct {
		method string
		size   int
		status int
		stderr string
	}{
		{"key-method", 24 + 1, 0, ""},
		{"plain", 0, 2, "umbra keygen: plain takes no password\n"},
		{"kye-method", 0, 2, "umbra keygen: unknown method \"kye-method\"; did you mean key-method?\n"},
	} {
		t.Run(tc.method, func(t *testing.T) {
			stdout, stderr, status := run(testKinds, "keygen", tc.method)
			if len(stdout) != tc.size || status != tc.status || !strings.HasPrefix(stderr, tc.stderr) {
				t.Errorf("got %q, %q and status %d, want %d bytes, %q… and %d", stdout, stderr, status, tc.size, tc.stderr, tc.status)
			}
		})
	}
}

// TestTypeWords checks that each type in the options of all sections has words.
func TestTypeWords(t *testing.T) {
	if got, want := typeWords(reflect.TypeFor[option.Text]()), "secret text"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := typeWords(reflect.TypeFor[[]core.Ref[core.Transport]]()), "list: name of a [transport.x]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// broken is a standard output whose reader has gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestBrokenOutput(t *testing.T) {
	for _, args := range [][]string{{"kinds"}, {"kinds", "policy"}, {"kinds", "log"}, {"version"}, {"keygen", "key-method"}} {
		var errs strings.Builder
		status := Run(Console{Args: args, Stdout: broken{}, Stderr: &errs}, testKinds)
		if got, want := errs.String(), "umbra: broken pipe\n"; status != 1 || got != want {
			t.Errorf("%q: got status %d and %q, want 1 and %q", args, status, got, want)
		}
	}
}

// A section without kinds says so.
func TestKindsOfNone(t *testing.T) {
	out, errs, status := run(testKinds, "kinds", "resolver")
	if want := "this program has no kind of resolver\n"; out != want || errs != "" || status != statusOK {
		t.Errorf("got %q, %q, status %d, want %q", out, errs, status, want)
	}
}
