package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/policy/store"
	"github.com/umbra-proxy/umbra/policy/store/storetest"
	"github.com/umbra-proxy/umbra/test/peer"
)

// cli runs redis-cli for a server on a port and returns its output.
func cli(t testing.TB, port int, words ...string) string {
	t.Helper()
	p := peer.Start(t, nil, peer.Need(t, "redis-cli"), append([]string{"-p", strconv.Itoa(port)}, words...)...)
	if status := p.Wait(t); status != 0 {
		t.Fatalf("redis-cli %q: %s", words, p.Output())
	}
	return p.Output()
}

// startCluster runs a cluster of n nodes, 1 or at least 3, and returns their ports.
func startCluster(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		port := peer.FreePort(t)
		startRedis(t, port, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(peer.FreePort(t)))
		ports = append(ports, port)
	}
	if n == 1 {
		cli(t, ports[0], "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	} else {
		words := []string{"--cluster", "create"}
		for _, port := range ports {
			words = append(words, peer.Addr(port))
		}
		cli(t, ports[0], append(words, "--cluster-yes")...)
	}
	for _, port := range ports {
		await(t, "the cluster", func() bool { return strings.Contains(cli(t, port, "CLUSTER", "INFO"), "cluster_state:ok") })
	}
	return ports
}

func hosts(ports []int) string {
	var all []string
	for _, port := range ports {
		all = append(all, peer.Addr(port))
	}
	return strings.Join(all, ",")
}

// TestRedisClusterConforms runs the conformance kit on clusters.
func TestRedisClusterConforms(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " nodes"), func(t *testing.T) {
			ports := startCluster(t, n)
			storetest.Run(t, func(t *testing.T) (here, there store.Store) {
				for _, port := range ports {
					cli(t, port, "FLUSHALL")
				}
				address := "redis+cluster://" + hosts(ports)
				return openRedis(t, address), openRedis(t, address)
			})
		})
	}
}

// TestRedisClusterNode names a node of a cluster as if it were a server of its own: the log
// says what it is.
func TestRedisClusterNode(t *testing.T) {
	ports := startCluster(t, 3)
	n := newNode(t, openRedis(t, "redis://"+peer.Addr(ports[0])))
	for i := range 20 { // some key is another node's
		n.put(fmt.Sprint(i), "x")
	}
	await(t, "the log", func() bool { return strings.Contains(n.log.String(), "the store refuses") })
	if text := n.log.String(); !strings.Contains(text, "write redis+cluster://") || strings.Contains(text, "is away") {
		t.Errorf("got the log %s", text)
	}
	a, b := newNode(t, openRedis(t, "redis+cluster://"+hosts(ports))), newNode(t, openRedis(t, "redis+cluster://"+hosts(ports[1:])))
	for i := range 20 {
		a.put(fmt.Sprint("a", i), "x")
		b.put(fmt.Sprint("b", i), "x")
	}
	await(t, "the entries", func() bool { return a.len() >= 40 && a.print() == b.print() })
}

// startSentinels runs a master with a replica and three sentinels that watch it, with a
// password for each.
func startSentinels(t testing.TB, password string) (master *peer.Process, sentinels []int) {
	t.Helper()
	port := peer.FreePort(t)
	master = startRedis(t, port, "--requirepass", password, "--masterauth", password)
	replica := peer.FreePort(t)
	startRedis(t, replica, "--requirepass", password, "--masterauth", password, "--replicaof", "127.0.0.1 "+strconv.Itoa(port))
	await(t, "the replica", func() bool {
		return strings.Contains(cli(t, replica, "-a", password, "INFO", "replication"), "master_link_status:up")
	})
	for range 3 {
		at := peer.FreePort(t)
		file := filepath.Join(t.TempDir(), "sentinel.conf")
		conf := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 %d 2\nsentinel auth-pass main %s\n"+
			"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n", at, port, password)
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		peer.Start(t, nil, peer.Need(t, "redis-server"), file, "--sentinel").WaitListen(t, at)
		sentinels = append(sentinels, at)
	}
	for _, at := range sentinels {
		await(t, "the sentinels", func() bool {
			text := cli(t, at, "SENTINEL", "MASTER", "main")
			return strings.Contains(text, "num-other-sentinels\n2\n") && strings.Contains(text, "num-slaves\n1\n")
		})
	}
	return master, sentinels
}

// TestRedisSentinel conforms, and goes on with the replica when the master dies. The
// password comes from a file.
func TestRedisSentinel(t *testing.T) {
	const password = "correct-horse"
	master, sentinels := startSentinels(t, password)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := 0
	address := func() string {
		db++
		return fmt.Sprintf("redis+sentinel://%s/main/%d?password_file=%s", hosts(sentinels), db, file)
	}
	storetest.Run(t, func(t *testing.T) (here, there store.Store) {
		at := address()
		return openRedis(t, at), openRedis(t, at)
	})
	at := address()
	a, b := newNode(t, openRedis(t, at)), newNode(t, openRedis(t, at))
	a.put("before", "x")
	alike(t, 1, a, b)
	_ = master.Cmd.Process.Kill()
	master.Wait(t)
	a.put("after", "x")
	b.put("also", "x")
	alike(t, 3, a, b)
	wrong := openRedis(t, fmt.Sprintf("redis+sentinel://%s/other?password_file=%s", hosts(sentinels), file))
	if err := wrong.Put(t.Context(), store.Entry{Key: "k", At: time.Now(), Until: time.Now().Add(time.Hour)}); err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("a master that no sentinel knows: got %v", err)
	}
}

// TestRedisTLS has a server whose certificate no authority of the system has signed.
func TestRedisTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := selfSigned(t, dir)
	port := peer.FreePort(t)
	startRedis(t, port, "--port", "0", "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	plain := peer.FreePort(t)
	startRedis(t, plain)
	for _, tc := range []struct{ name, address, err string }{
		{"its own certificate", "rediss://127.0.0.1:%d?ca_file=" + cert + "&server_name=redis.test", ""},
		{"another name", "rediss://127.0.0.1:%d?ca_file=" + cert, "server_name=NAME"},
		{"no certificate", "rediss://127.0.0.1:%d", "give its certificate as ca_file=PATH"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkPut(t, fmt.Sprintf(tc.address, port), tc.err)
		})
	}
	checkPut(t, fmt.Sprintf("rediss://127.0.0.1:%d?ca_file=%s", plain, cert), "does the server speak TLS on this port?")
	for path, want := range map[string]string{filepath.Join(dir, "none"): "no such file", key: "no PEM certificate"} {
		if _, err := store.OpenRedis("rediss://127.0.0.1:1?ca_file="+path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

// checkPut puts an entry into the store at an address and compares the error.
func checkPut(t *testing.T, address, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := openRedis(t, address).Put(ctx, store.Entry{Key: "k", At: time.Now(), Until: time.Now().Add(time.Hour)})
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// TestRedisPasswordFile takes a changed password without a new store.
func TestRedisPasswordFile(t *testing.T) {
	port := peer.FreePort(t)
	startRedis(t, port, "--requirepass", "new horse/@#")
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old horse\n")
	n := newNode(t, openRedis(t, "redis://"+peer.Addr(port)+"?password_file="+file))
	n.put("k", "v")
	await(t, "the log", func() bool { return strings.Contains(n.log.String(), "wrong user or password") })
	write("new horse/@#\r\n")
	await(t, "the log", func() bool { return strings.Contains(n.log.String(), "the store is back") })
	if strings.Contains(n.log.String(), "horse") {
		t.Errorf("got the log %s", n.log)
	}
}

// selfSigned writes a certificate for redis.test and its key.
func selfSigned(t testing.TB, dir string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis.test"}, DNSNames: []string{"redis.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
