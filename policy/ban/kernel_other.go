//go:build !linux

package ban

import "errors"

// openFirewall has nothing to open here.
func openFirewall(string, int, int) (firewall, error) {
	return nil, errors.New("this system has no nftables")
}
