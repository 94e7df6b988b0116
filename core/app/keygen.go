package app

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"reflect"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// passwordSize is how many random bytes make a password. No method's key is
// longer, so more of them would not make it stronger.
const passwordSize = 32

func (a *app) keygenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "keygen METHOD",
		Short: "make a secret for an encryption method",
		Long: `keygen writes a new random secret that suits METHOD, a kind of cipher. It goes
into the file's [cipher.x] as password; both ends need the same.`,
		Example:               `  umbra keygen chacha20-ietf-poly1305`,
		Args:                  exactlyOne("METHOD"),
		ValidArgsFunction:     a.completeMethod,
		DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error {
			info, err := a.method(args[0])
			if err != nil {
				return err
			}
			size, ok := secretSize(info.Options)
			if !ok {
				return fmt.Errorf("%s takes no password", info.Name)
			}
			_, err = fmt.Fprintln(a.Stdout, newSecret(size))
			return fail(err)
		},
	}
}

// method describes the encryption method of that name.
func (a *app) method(name string) (core.KindInfo, error) {
	info, ok := a.reg.Cipher.Describe(name)
	if !ok {
		return core.KindInfo{}, fmt.Errorf("unknown method %q%s", name, didYouMean(name, allNames(&a.reg.Cipher)))
	}
	return info, nil
}

// newSecret returns a new secret of size random bytes as text.
func newSecret(size int) string {
	secret := make([]byte, size)
	rand.Read(secret) // never fails
	return base64.StdEncoding.EncodeToString(secret)
}

// secretSize returns how many random bytes a method's secret has. A method whose
// password is a key of an exact size says so in the tag of its About:
//
//	_ core.About `help:"…" key:"16"`
//
// A method without a password has no secret.
func secretSize(options reflect.Type) (size int, ok bool) {
	for _, f := range config.Fields(options) {
		ok = ok || f.Key == "password"
	}
	for i := range options.NumField() {
		f := options.Field(i)
		if n, err := strconv.Atoi(f.Tag.Get("key")); err == nil && f.Type == reflect.TypeFor[core.About]() {
			return n, ok
		}
	}
	return passwordSize, ok
}
