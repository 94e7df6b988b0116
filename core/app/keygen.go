package app

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/methods"
)

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
			size, ok := methods.SecretSize(info.Options)
			if !ok {
				return fmt.Errorf("%s takes no password", info.Name)
			}
			_, err = fmt.Fprintln(a.Stdout, methods.NewSecret(size))
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
		if info, _ := a.reg.Cipher.Describe(name); !methods.IsInsecure(info.Options) {
			secure = append(secure, name)
		}
	}
	return cmp.Or(config.DidYouMean(word, secure), config.DidYouMean(word, allNames(&a.reg.Cipher)))
}
