package dropin

import (
	"reflect"
	"strings"
	"testing"
)

func table(permute bool) Flags {
	return Flags{Permute: permute, List: []Flag{
		{'v', "", "", "say more"}, {'t', "", "SEC", "seconds"}, {'p', "port", "PORT", "a port"},
		{0, "pid-file", "FILE", "a file"}, {0, "fast-open", "", "TCP\nFast Open"}, {0, "forbidden-ip", "LIST", ""}, {0, "fast", "", ""},
	}}
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, args, want string
		permute          bool
	}{
		{"nothing", "", "", false},
		{"clustered", "-vvt10", "v v t=10", false},
		{"value in the next word", "-t 10 -v", "t=10 v", false},
		{"value that looks like a flag", "-t -v", "t=-v", false},
		{"empty value", "-t  --forbidden-ip= --pid-file ", "t= forbidden-ip= pid-file=", false},
		{"long", "--port=1 --port 2", "port=1 port=2", false},
		{"value with =", "--port=a=b", "port=a=b", false},
		{"abbreviated", "--fo 1 --po=2", "forbidden-ip=1 port=2", false},
		{"whole name of another's beginning", "--fast", "fast", false},
		{"ambiguous", "--f 1", "option --f not a unique prefix", false},
		{"unknown", "-x", "option -x not recognized", false},
		{"unknown in a cluster", "-vx", "option -x not recognized", false},
		{"unknown long", "--what=1", "option --what not recognized", false},
		{"no value", "-t", "option -t requires argument", false},
		{"no value, long", "--port", "option --port requires argument", false},
		{"value for none", "--fast-open=1", "option --fast-open must not have an argument", false},
		{"a word ends the flags", "-v word -v", "v | word -v", false},
		{"a word between", "-v word -v", "v v | word", true},
		{"dashes", "-v -- -v", "v | -v", true},
		{"a dash is a word", "- -v", "v | -", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var args []string
			if tc.args != "" {
				args = strings.Split(tc.args, " ")
			}
			given, rest, err := table(tc.permute).Parse(args)
			var words []string
			for _, g := range given {
				word := g.Flag.Name()
				if g.Flag.Value != "" {
					word += "=" + g.Value
				}
				words = append(words, word)
			}
			if rest != nil {
				words = append(append(words, "|"), rest...)
			}
			got := strings.Join(words, " ")
			if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWriteHelp(t *testing.T) {
	var b strings.Builder
	table(false).WriteHelp(&b)
	want := `  -v                          say more
  -t SEC                      seconds
  -p, --port=PORT             a port
      --pid-file=FILE         a file
      --fast-open             TCP
                              Fast Open
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFind(t *testing.T) {
	for called, want := range map[string]Program{
		"/usr/bin/ss-local": {"ss-local", Libev, Local}, "sslocal": {"sslocal", Python, Local},
		"ssserver.exe": {"ssserver", Python, Server}, "umbra": {},
	} {
		if got, ok := Find(called); !reflect.DeepEqual(got, want) || ok != (want != Program{}) {
			t.Errorf("%s: got %v, want %v", called, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-vvt10\x00--port=1\x00word")
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "\x00")
		for _, permute := range []bool{false, true} {
			given, rest, err := table(permute).Parse(args)
			if err == nil && len(given)+len(rest) > len(text)+len(args) {
				t.Errorf("%q: got %d flags and %d words", args, len(given), len(rest))
			}
		}
	})
}
