package convert_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/convert"
)

func TestStrict(t *testing.T) {
	for _, tc := range []struct {
		json5      bool
		text, want string
	}{
		{false, `{"a": [1, 2, ], }`, `{"a":[1,2]}`},
		{false, "\xef\xbb\xbf{\"a\": \"b, }\"}", `{"a":"b, }"}`},
		{true, "{a: 'it\\'s \"x\"', // one\n /* two */ \"b\": true,}", `{"a":"it's \"x\"","b":true}`},
		{true, `{"url": "http://x/*y*/", n: 1e3}`, `{"n":1e3,"url":"http://x/*y*/"}`},
		{false, `{"a": 1 /* c */}`, ""},
		{true, `{"a": 1 /* c }`, ""},
	} {
		var value map[string]json.RawMessage
		err := json.Unmarshal(convert.Strict([]byte(tc.text), tc.json5), &value)
		got, _ := json.Marshal(value)
		if tc.want == "" {
			if err == nil {
				t.Errorf("%s: got %s, want an error", tc.text, got)
			}
			continue
		}
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: got %s, %v, want %s", tc.text, got, err, tc.want)
		}
	}
}

// An error names the line.
func TestFields(t *testing.T) {
	if _, err := convert.Fields([]byte("{\n\"a\": 1,\n\"b\" 2}")); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v", err)
	}
	for _, text := range []string{"", "[]", "{} {}", `{"a"`, "{} x"} {
		if f, err := convert.Fields([]byte(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, f)
		}
	}
}

func FuzzStrict(f *testing.F) {
	f.Add([]byte("{a: 'x', /* */ \"b\": [1,],}"), true)
	f.Fuzz(func(_ *testing.T, data []byte, json5 bool) { _, _ = convert.Fields(convert.Strict(data, json5)) })
}
