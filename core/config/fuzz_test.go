package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
)

// FuzzParse checks that any text is answered, with places that exist, the same
// way each time; and that the scan for places finds what the TOML library read.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add([]byte(strings.ReplaceAll(string(data), "\n", "\r\n")))
	}
	for _, text := range []string{
		"", "\ufeff", "\xff\xfe", "a\x00", "a = '\xc3'", "[", "[[", "[[a]]\n[a.b]", "a.b.c = 1\n[a.d]",
		"a = \"\"\"\\\"\"\"\"\"\"", "a = '''''''", "\"\" = 1\n'' = 2", "\"\\u0061\".b = {c.d = [1,{e=2}]}",
		"a = 1979-05-27 07:32:00 # x\nb = inf\nc = -nan\nd = 0b1", "a = [[[[{b=[[]]}]]]]",
		"[pipeline.p]\nchain = [\"inbound.socks5\", \"\", 1, \".\", \"outbound.direct\"]",
		"[policy.all]\nwindow = \"1s\"\nlimits = {a = 1}\n[[policy.all.tunings]]\nname = 'x'",
		"process.include = [\"*.toml\", {env=\"X\"}, {env=\"HOME\", default=\"a\"}]",
		"[policy.a]\nkind='all'\nlimits={a={env='X'}}\nint={env='X', default=5}\n[policy.b]\nlike='a'\n[policy.c]\nlike='b'\ntext.env='X'\n[policy.d]\nlike='d'",
		"[outbound.ss]\nserver='a:1'\nresolver='dns'\n[resolver.dns]\nvia='ss'",
	} {
		f.Add([]byte(text))
	}
	reg := kinds()
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("x", data, reg)
		got := report(file, err)
		if again := report(Parse("x", data, reg)); got != again {
			t.Errorf("got\n%s\nand then\n%s", got, again)
		}
		text := strings.TrimPrefix(string(data), "\ufeff")
		var problems []Problem
		if list, ok := errors.AsType[*multierror.Error](err); ok {
			for _, e := range list.Errors {
				p, ok := errors.AsType[Problem](e)
				if !ok {
					t.Errorf("got %T, want a Problem", e)
				}
				problems = append(problems, p)
			}
		} else if err != nil {
			t.Errorf("got %T, want a list", err)
		} else {
			problems = file.Warnings
		}
		lines := strings.Split(text, "\n")
		for _, p := range problems {
			if p.Line < 1 || p.Line > len(lines) || p.Col < 1 || p.Col > len(lines[p.Line-1])+1 {
				t.Errorf("got %v, which is no place in a file of %d lines", p, len(lines))
			}
			if p.Text == "" || strings.ContainsAny(p.Error(), "\n\r\x00") {
				t.Errorf("got %q, want one line of text", p.Error())
			}
		}
		checkLocate(t, data)
	})
}

// checkLocate compares the scan for places with the TOML library's values.
func checkLocate(t *testing.T, data []byte) {
	src, problem := newSource(document{name: "x", data: data}, 0)
	if problem != nil {
		return
	}
	root := locate(src.text, 0) // must end for any text
	values, problem := src.parse()
	if problem != nil {
		return
	}
	if err := sameShape(values, root, ""); err != nil {
		t.Errorf("places and values differ: %v", err)
	}
}
