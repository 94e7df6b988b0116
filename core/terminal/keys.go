package terminal

import "unicode/utf8"

// Key is a key that was pressed: a character, or one of the constants.
type Key rune

// The keys that are no characters, and those whose characters have no name.
const (
	Up Key = -1 - iota
	Down
	Left
	Right
	PageUp
	PageDown
	Home
	End

	Interrupt Key = 3    // Ctrl-C
	Suspend   Key = 0x1a // Ctrl-Z
	Enter     Key = '\r'
	Escape    Key = 0x1b
	Backspace Key = 0x7f
)

// maxSequence is the longest sequence of a key in bytes. What is longer is none.
const maxSequence = 32

// ParseKeys returns the keys that a terminal sent. rest is the beginning of one that has not
// come whole. An escape at the end is the key, as terminals send a sequence at once; keys that have no
// constant are left out.
func ParseKeys(b []byte) (keys []Key, rest []byte) {
	for len(b) > 0 {
		if b[0] == byte(Escape) {
			k, n := parseSequence(b)
			if n == 0 {
				return keys, b
			}
			if k != 0 {
				keys = append(keys, k)
			}
			b = b[n:]
			continue
		}
		if !utf8.FullRune(b) {
			return keys, b
		}
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\b':
			keys = append(keys, Backspace)
		case r == '\n':
			keys = append(keys, Enter)
		case r != utf8.RuneError:
			keys = append(keys, Key(r))
		}
		b = b[n:]
	}
	return keys, nil
}

// parseSequence returns the key at the beginning of b, which is an escape, and its length:
//
//	ESC [ PARAMETERS FINAL      ESC O FINAL      ESC
//
// The key is 0 for one that is left out, n is 0 if b is too short.
func parseSequence(b []byte) (k Key, n int) {
	if len(b) == 1 || b[1] != '[' && b[1] != 'O' {
		return Escape, 1
	}
	for i := 2; i < len(b); i++ {
		switch c := b[i]; {
		case i >= maxSequence:
			return 0, i
		case c >= '0' && c <= '?' && b[1] == '[': // parameters
		case c >= '@' && c <= '~':
			return sequenceKey(c, string(b[2:i])), i + 1
		default: // no sequence: the byte is a key again
			return 0, i
		}
	}
	return 0, 0
}

// sequenceKey returns the key of a sequence by its final byte and its parameters, or 0.
func sequenceKey(final byte, parameters string) Key {
	switch final {
	case 'A':
		return Up
	case 'B':
		return Down
	case 'C':
		return Right
	case 'D':
		return Left
	case 'H':
		return Home
	case 'F':
		return End
	case '~':
		switch parameters {
		case "1", "7":
			return Home
		case "4", "8":
			return End
		case "5":
			return PageUp
		case "6":
			return PageDown
		}
	}
	return 0
}
