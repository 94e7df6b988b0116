package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Field is a key of an object of JSON.
type Field struct {
	Key   string
	Value json.RawMessage
}

// Fields returns the keys of an object of JSON, in the order of the file. A key that is there
// again is returned again.
func Fields(data []byte) ([]Field, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil {
		return nil, position(data, d, err)
	} else if t != json.Delim('{') {
		return nil, errors.New("want an object: { … }")
	}
	var fields []Field
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, position(data, d, err)
		}
		f := Field{Key: key.(string)} // the decoder takes nothing else
		if err := d.Decode(&f.Value); err != nil {
			return nil, position(data, d, err)
		}
		fields = append(fields, f)
	}
	if _, err := d.Token(); err != nil {
		return nil, position(data, d, err)
	}
	if d.More() {
		return nil, position(data, d, errors.New("there is something after the object"))
	}
	return fields, nil
}

// position returns an error with the line of a file that it is about.
func position(data []byte, d *json.Decoder, err error) error {
	at := d.InputOffset()
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = s.Offset
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:min(at, int64(len(data)))], []byte("\n")), err)
}

// Strict returns JSON without what libev and rust take beside it: commas before a closing
// bracket, and with json5 comments, texts in single quotes and keys without any. Lines stay
// where they are. What is no JSON all the same is left to the decoder.
func Strict(data []byte, json5 bool) []byte {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		c := data[i]
		switch {
		case c == '"' || json5 && c == '\'':
			end := quoted(data[i:])
			out = appendText(out, data[i:i+end])
			i += end
		case json5 && bytes.HasPrefix(data[i:], []byte("//")):
			for i < len(data) && data[i] != '\n' {
				i++
			}
		case json5 && bytes.HasPrefix(data[i:], []byte("/*")):
			end := bytes.Index(data[i+2:], []byte("*/"))
			if end < 0 {
				return append(out, data[i:]...)
			}
			out = append(out, strings.Repeat("\n", bytes.Count(data[i:i+end+4], []byte("\n")))...)
			i += end + 4
		case c == '}' || c == ']':
			out = append(withoutComma(out), c)
			i++
		case json5 && isLetter(c):
			end := i
			for end < len(data) && (isLetter(data[end]) || data[end] >= '0' && data[end] <= '9') {
				end++
			}
			word := string(data[i:end])
			if word != "true" && word != "false" && word != "null" {
				word = `"` + word + `"`
			}
			out = append(out, word...)
			i = end
		case json5 && c >= '0' && c <= '9': // so that 1e3 keeps its letter
			for i < len(data) && (isLetter(data[i]) || data[i] >= '0' && data[i] <= '9' || data[i] == '.' || data[i] == '+' || data[i] == '-') {
				out = append(out, data[i])
				i++
			}
		default:
			out = append(out, c)
			i++
		}
	}
	return out
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '$' }

// quoted returns the length of the quoted text at the beginning of b.
func quoted(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case b[0]:
			return i + 1
		}
	}
	return len(b)
}

// appendText appends a quoted text, in double quotes.
func appendText(out, text []byte) []byte {
	if text[0] == '"' {
		return append(out, text...)
	}
	inner := strings.TrimSuffix(string(text[1:]), "'")
	return append(out, `"`+strings.ReplaceAll(strings.ReplaceAll(inner, `\'`, "'"), `"`, `\"`)+`"`...)
}

// withoutComma cuts a comma at the end, before spaces.
func withoutComma(out []byte) []byte {
	trimmed := bytes.TrimRight(out, " \t\r\n")
	if len(trimmed) == 0 || trimmed[len(trimmed)-1] != ',' {
		return out
	}
	return append(trimmed[:len(trimmed)-1:len(trimmed)-1], out[len(trimmed):]...)
}
