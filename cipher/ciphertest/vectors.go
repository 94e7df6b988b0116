package ciphertest

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Hex is a byte string in hexadecimal, as in the vector files.
type Hex []byte

// UnmarshalText decodes hexadecimal digits.
func (h *Hex) UnmarshalText(text []byte) error {
	var err error
	*h, err = hex.DecodeString(string(text))
	return err
}

// ReadJSON reads a file of testdata.
func ReadJSON(t testing.TB, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ReadVectors reads the vectors of a file of testdata. It fails the test if there are none.
func ReadVectors[V any](t testing.TB, name string) []V {
	t.Helper()
	var f struct{ Vectors []V }
	if ReadJSON(t, name, &f); len(f.Vectors) == 0 {
		t.Fatalf("%s has no vectors", name)
	}
	return f.Vectors
}
