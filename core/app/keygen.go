package app

import (
	"cmp"
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
		return core.KindInfo{}, fmt.Errorf("unknown method %q%s", name, a.didYouMeanMethod(name))
	}
	return info, nil
}

// didYouMeanMethod is config.DidYouMean for methods. Insecure ones are named only if no
// other is like word.
func (a *app) didYouMeanMethod(word string) string {
	var secure []string
	for _, name := range allNames(&a.reg.Cipher) {
		if info, _ := a.reg.Cipher.Describe(name); !isInsecure(info.Options) {
			secure = append(secure, name)
		}
	}
	return cmp.Or(config.DidYouMean(word, secure), config.DidYouMean(word, allNames(&a.reg.Cipher)))
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
// A method without a password, or whose key has no bytes, has no secret.
func secretSize(options reflect.Type) (size int, ok bool) {
	for _, f := range config.Fields(options) {
		ok = ok || f.Key == "password"
	}
	if n, err := strconv.Atoi(aboutTag(options, "key")); err == nil {
		return n, ok && n > 0
	}
	return passwordSize, ok
}

// isInsecure reports whether a method says of itself that it does not
// authenticate.
func isInsecure(options reflect.Type) bool { return aboutTag(options, "insecure") == "true" }

// aboutTag returns one of the tags that a kind's About has.
func aboutTag(options reflect.Type, key string) string {
	for i := range options.NumField() {
		if f := options.Field(i); f.Type == reflect.TypeFor[core.About]() {
			return f.Tag.Get(key)
		}
	}
	return ""
}
