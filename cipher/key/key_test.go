package key_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/key"
)

// vectors are the vectors of a file of testdata; each file has some of the fields.
type vectors struct {
	Vectors []struct {
		Method   string
		Password string
		KeyLen   int `json:"key_len"`
		Key      string
		Salt     string
		Subkey   string
	}
}

func read(t *testing.T, name string) (v vectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Vectors) == 0 {
		t.Fatalf("%s has no vectors", name)
	}
	return v
}

func TestFromPassword(t *testing.T) {
	for _, v := range read(t, "evp_bytestokey.json").Vectors {
		if got := hex.EncodeToString(key.FromPassword(v.Password, v.KeyLen)); got != v.Key {
			t.Errorf("%q, %d bytes: got %s, want %s", v.Password, v.KeyLen, got, v.Key)
		}
	}
	if got := key.FromPassword("x", 100); len(got) != 100 {
		t.Errorf("got %d bytes, want 100", len(got))
	}
}

func TestSession(t *testing.T) {
	for _, v := range read(t, "hkdf_subkey.json").Vectors {
		k, err := hex.DecodeString(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		salt, err := hex.DecodeString(v.Salt)
		if err != nil {
			t.Fatal(err)
		}
		got := key.Session(k, salt)
		if hex.EncodeToString(got) != v.Subkey {
			t.Errorf("%s, salt %s: got %x, want %s", v.Method, v.Salt, got, v.Subkey)
		}
	}
}

func TestDerive(t *testing.T) {
	derive := func(k, label string, size int) []byte {
		out := make([]byte, size)
		key.Derive([]byte(k), label, out)
		return out
	}
	want := derive("key", "label", 32)
	for name, got := range map[string][]byte{
		"other key":   derive("kez", "label", 32),
		"other label": derive("key", "labem", 32),
		"no label":    derive("key", "", 32),
	} {
		if bytes.Equal(got, want) {
			t.Errorf("%s: got the same bytes", name)
		}
	}
	if got := derive("key", "label", 100); !bytes.Equal(got[:32], want) {
		t.Error("a longer output begins with other bytes")
	}
	key.Derive([]byte("key"), "label", nil) // must not panic
}
