package aead

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// SearchAtWill gives a cipher an hour for the users of datagrams: on a busy machine one
// search may take all of the usual time.
func SearchAtWill(c core.Cipher) { c.(*Cipher).searches.datagrams.burst = time.Hour }
